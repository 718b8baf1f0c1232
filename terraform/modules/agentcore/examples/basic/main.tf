# One server behind a gateway.
module "agentcore" {
  source = "../.."

  name    = "mcp-example"
  targets = { files = { endpoint = "https://files.example.com/mcp" } }
}

output "gateway_url" {
  description = "What agents call."
  value       = module.agentcore.gateway_url
}
