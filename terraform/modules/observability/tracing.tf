# Which requests are traced, and where X-Ray shows them together.

resource "aws_xray_group" "this" {
  count = var.tracing ? 1 : 0

  group_name        = var.name
  filter_expression = "annotation.cluster = \"${var.cluster_name}\""

  insights_configuration {
    insights_enabled = false
  }
}

resource "aws_xray_sampling_rule" "this" {
  count = var.tracing ? 1 : 0

  rule_name      = substr(var.name, 0, 32)
  priority       = 9000
  version        = 1
  reservoir_size = 1
  fixed_rate     = var.trace_sampling
  service_name   = "mcp-*"
  service_type   = "*"
  host           = "*"
  http_method    = "*"
  url_path       = "*"
  resource_arn   = "*"
}
