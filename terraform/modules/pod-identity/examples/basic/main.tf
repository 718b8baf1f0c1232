# The roles of a cluster that exists: all but those of external-dns and mounted secrets, for which nothing is listed.
module "pod_identity" {
  source = "../.."

  cluster_name = "mcp-example"
}

output "role_arns" {
  description = "Who is who."
  value       = module.pod_identity.role_arns
}
