output "controller_role_arn" {
  description = "ARN of Karpenter's own role."
  value       = aws_iam_role.controller.arn
}

output "association_id" {
  description = "Id of the Pod Identity association of Karpenter's ServiceAccount."
  value       = aws_eks_pod_identity_association.controller.association_id
}

output "association_arn" {
  description = "ARN of the Pod Identity association of Karpenter's ServiceAccount."
  value       = aws_eks_pod_identity_association.controller.association_arn
}

output "node_role_arn" {
  description = "ARN of the nodes' role."
  value       = aws_iam_role.node.arn
}

output "node_role_name" {
  description = "Name of the nodes' role, for spec.role of an EC2NodeClass."
  value       = aws_iam_role.node.name
}

output "queue_name" {
  description = "Name of the interruption queue, for settings.interruptionQueue of Karpenter's chart."
  value       = aws_sqs_queue.interruption.name
}

output "queue_arn" {
  description = "ARN of the interruption queue."
  value       = aws_sqs_queue.interruption.arn
}

output "rule_arns" {
  description = "ARNs of the event rules, by what they tell of."
  value       = { for name, it in aws_cloudwatch_event_rule.interruption : name => it.arn }
}
