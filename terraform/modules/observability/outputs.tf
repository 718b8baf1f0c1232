output "log_group_names" {
  description = "Names of the log groups, by what is in them."
  value       = { for name, it in aws_cloudwatch_log_group.this : name => it.name }
}

output "log_group_arns" {
  description = "ARNs of the log groups, by what is in them."
  value       = { for name, it in aws_cloudwatch_log_group.this : name => it.arn }
}

output "alarm_topic_arn" {
  description = "ARN of the topic that alarms go to."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_arns" {
  description = "ARNs of the alarms, by name."
  value = merge(
    { for name, it in aws_cloudwatch_metric_alarm.this : name => it.arn },
    { for name, it in aws_cloudwatch_metric_alarm.load_balancers : name => it.arn },
    { for it in aws_cloudwatch_metric_alarm.tool_errors : "tool-errors" => it.arn },
  )
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "trail_arn" {
  description = "ARN of the trail; null without one."
  value       = one(aws_cloudtrail.this[*].arn)
}

output "audit_stream_arn" {
  description = "ARN of the stream that copies audit records into the archive."
  value       = aws_kinesis_firehose_delivery_stream.audit.arn
}

output "trace_group_arn" {
  description = "ARN of the X-Ray group; null without one."
  value       = one(aws_xray_group.this[*].arn)
}

output "otlp_endpoint" {
  description = "Where servers send traces by OTLP over HTTP."
  value       = "http://cloudwatch-agent.amazon-cloudwatch:4318"
}
