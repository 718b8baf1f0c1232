output "repository_urls" {
  description = "Where to push, by image."
  value       = { for name, it in aws_ecr_repository.this : name => it.repository_url }
}

output "repository_arns" {
  description = "ARNs of the repositories, by image."
  value       = { for name, it in aws_ecr_repository.this : name => it.arn }
}

output "registry_id" {
  description = "Account that the registry belongs to."
  value       = one(distinct([for it in aws_ecr_repository.this : it.registry_id]))
}
