# One name in two regions: callers reach the nearer one, and the other when it is ill. Give it two providers:
#   providers = { aws.oregon = aws, aws.ireland = aws.ireland }
locals {
  name = "mcp.example.com"
  zone = "Z0123456789ABCDEFGHIJ"
}

module "oregon" {
  source    = "../.."
  providers = { aws = aws.oregon }

  name            = "mcp-oregon"
  zone_id         = local.zone
  domain_names    = [local.name]
  latency_routing = true
  records         = { (local.name) = { dns_name = "mcp-1.us-west-2.elb.amazonaws.com", zone_id = "Z1H1FL5HABSF5" } }
}

module "ireland" {
  source    = "../.."
  providers = { aws = aws.ireland }

  name            = "mcp-ireland"
  zone_id         = local.zone
  domain_names    = [local.name]
  latency_routing = true
  records         = { (local.name) = { dns_name = "mcp-1.eu-west-1.elb.amazonaws.com", zone_id = "Z32O12XQLNTSW2" } }
}

output "health_checks" {
  description = "What decides who is well, by region."
  value       = { oregon = module.oregon.health_check_ids, ireland = module.ireland.health_check_ids }
}
