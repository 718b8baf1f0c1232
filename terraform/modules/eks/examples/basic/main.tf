# A cluster in subnets that exist, whose API server one office may reach.
module "eks" {
  source = "../.."

  name                         = "mcp-example"
  subnet_ids                   = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2"]
  control_plane_subnet_ids     = ["subnet-0bbbbbbbbbbbbbbb1", "subnet-0bbbbbbbbbbbbbbb2"]
  endpoint_public_access_cidrs = ["203.0.113.0/28"]
}

output "cluster_name" {
  description = "For `aws eks update-kubeconfig --name`."
  value       = module.eks.cluster_name
}
