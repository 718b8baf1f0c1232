# Workflows of the main branch and of release tags push to one repository.
module "github_oidc" {
  source = "../.."

  name            = "mcp-example"
  repository      = "example/mcp-eks"
  repository_arns = ["arn:aws:ecr:us-west-2:123456789012:repository/mcp-eks/operator"]
}

output "push_role_arn" {
  description = "For `role-to-assume`."
  value       = module.github_oidc.push_role_arn
}
