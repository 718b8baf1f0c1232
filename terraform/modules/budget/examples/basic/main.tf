# 400 dollars a month for the whole account.
module "budget" {
  source = "../.."

  name              = "mcp-example"
  monthly_limit_usd = 400
  emails            = ["platform@example.com"]
}

output "budget_arn" {
  description = "For policies."
  value       = module.budget.budget_arn
}
