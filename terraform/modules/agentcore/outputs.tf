output "gateway_url" {
  description = "Address that agents call, signed with IAM."
  value       = aws_cloudformation_stack.this.outputs["GatewayUrl"]
}

output "gateway_arn" {
  description = "ARN of the gateway, for policies that allow bedrock-agentcore:InvokeGateway."
  value       = aws_cloudformation_stack.this.outputs["GatewayArn"]
}

output "gateway_id" {
  description = "Id of the gateway, for `aws bedrock-agentcore-control synchronize-gateway-targets`."
  value       = aws_cloudformation_stack.this.outputs["GatewayId"]
}

output "target_ids" {
  description = "Ids of the targets, by name."
  value       = { for logical, it in local.targets : it.name => aws_cloudformation_stack.this.outputs[logical] }
}

output "role_arn" {
  description = "ARN of the gateway's role."
  value       = aws_iam_role.gateway.arn
}

output "stack_id" {
  description = "ARN of the CloudFormation stack."
  value       = aws_cloudformation_stack.this.id
}
