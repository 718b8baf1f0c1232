# Logs, alarms and the trail of a cluster that exists.
module "observability" {
  source = "../.."

  name           = "mcp-example"
  cluster_name   = "mcp-example"
  agent_role_arn = "arn:aws:iam::123456789012:role/mcp-eks/mcp-example/mcp-example-log-shipping"
  log_archive    = "mcp-example-logs-123456789012"
  alarm_emails   = ["platform@example.com"]
}

output "alarm_topic_arn" {
  description = "For alarms of your own."
  value       = module.observability.alarm_topic_arn
}
