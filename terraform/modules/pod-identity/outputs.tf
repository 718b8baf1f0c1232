output "role_arns" {
  description = "ARNs of the roles, by what they are for."
  value       = { for name, it in aws_iam_role.this : name => it.arn }
}

output "role_names" {
  description = "Names of the roles, by what they are for."
  value       = { for name, it in aws_iam_role.this : name => it.name }
}

output "association_ids" {
  description = "Ids of the Pod Identity associations, by role."
  value       = { for name, it in aws_eks_pod_identity_association.this : name => it.association_id }
}

output "association_arns" {
  description = "ARNs of the Pod Identity associations, by role."
  value       = { for name, it in aws_eks_pod_identity_association.this : name => it.association_arn }
}

output "service_accounts" {
  description = "Namespace and name of the ServiceAccount of each role."
  value       = { for name in local.roles : name => local.service_accounts[name] }
}

output "server_role_arns" {
  description = "ARNs of the servers' roles, by server: `spec.identity` of an McpServer."
  value       = { for name, it in aws_iam_role.server : name => it.arn }
}

output "server_role_path" {
  description = "IAM path under which the operator finds the roles it may give to servers."
  value       = local.server_role_path
}

output "operator_policy" {
  description = "The operator's policy, as JSON."
  value       = local.inline_policies.operator
}
