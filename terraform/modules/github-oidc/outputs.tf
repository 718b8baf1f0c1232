output "provider_arn" {
  description = "ARN of the identity provider for GitHub."
  value       = local.provider
}

output "push_role_arn" {
  description = "ARN of the role, for `role-to-assume` of aws-actions/configure-aws-credentials."
  value       = aws_iam_role.push.arn
}
