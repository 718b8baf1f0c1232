# A network for one development cluster: one NAT gateway, three endpoints.
module "vpc" {
  source = "../.."

  name                = "mcp-example"
  cluster_name        = "mcp-example"
  interface_endpoints = ["ecr.api", "ecr.dkr", "sts"]
}

output "private_subnet_ids" {
  description = "Where the cluster's nodes go."
  value       = module.vpc.private_subnet_ids
}
