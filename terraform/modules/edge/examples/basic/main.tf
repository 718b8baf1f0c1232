# A certificate for one name, and the firewall.
module "edge" {
  source = "../.."

  name         = "mcp-example"
  zone_id      = "Z0123456789ABCDEFGHIJ"
  domain_names = ["mcp.example.com"]
}

output "web_acl_arn" {
  description = "For alb.ingress.kubernetes.io/wafv2-acl-arn."
  value       = module.edge.web_acl_arn
}
