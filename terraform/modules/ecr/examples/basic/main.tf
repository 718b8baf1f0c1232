# Repositories for the three images of the project.
module "ecr" {
  source = "../.."
}

output "repository_urls" {
  description = "Where to push."
  value       = module.ecr.repository_urls
}
