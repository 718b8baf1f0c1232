output "cluster_name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "cluster_endpoint" {
  description = "Address of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "cluster_certificate_authority" {
  description = "Certificate authority of the API server, in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "cluster_security_group_id" {
  description = "Id of the security group that EKS made: control plane, managed nodes and Karpenter's nodes are in it."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "oidc_issuer" {
  description = "Issuer of the cluster's service account tokens."
  value       = aws_eks_cluster.this.identity[0].oidc[0].issuer
}

output "cluster_role_arn" {
  description = "ARN of the control plane's role."
  value       = aws_iam_role.cluster.arn
}

output "node_role_arn" {
  description = "ARN of the managed nodes' role."
  value       = aws_iam_role.node.arn
}

output "node_role_name" {
  description = "Name of the managed nodes' role."
  value       = aws_iam_role.node.name
}

output "node_group_arn" {
  description = "ARN of the managed group; null in Auto Mode."
  value       = one(aws_eks_node_group.this[*].arn)
}

output "secrets_key_arn" {
  description = "ARN of the key that encrypts Kubernetes Secrets."
  value       = aws_kms_key.secrets.arn
}

output "log_group_name" {
  description = "Log group of the control plane."
  value       = aws_cloudwatch_log_group.control_plane.name
}

output "addon_arns" {
  description = "ARNs of the add-ons, by name."
  value       = { for name, it in merge(aws_eks_addon.before_nodes, aws_eks_addon.after_nodes) : name => it.arn }
}
