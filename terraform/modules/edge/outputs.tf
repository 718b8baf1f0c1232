output "certificate_arn" {
  description = "ARN of the certificate once it is issued, for alb.ingress.kubernetes.io/certificate-arn; null without names."
  value       = one(aws_acm_certificate_validation.this[*].certificate_arn)
}

output "web_acl_arn" {
  description = "ARN of the firewall, for alb.ingress.kubernetes.io/wafv2-acl-arn."
  value       = aws_wafv2_web_acl.this.arn
}

output "web_acl_id" {
  description = "Id of the firewall."
  value       = aws_wafv2_web_acl.this.id
}

output "firewall_log_group_arn" {
  description = "ARN of the firewall's log group."
  value       = aws_cloudwatch_log_group.firewall.arn
}

output "health_check_ids" {
  description = "Ids of the health checks, by name."
  value       = { for name, it in aws_route53_health_check.this : name => it.id }
}

output "record_names" {
  description = "Names that were made, in full."
  value       = { for name, it in aws_route53_record.this : name => it.fqdn }
}
