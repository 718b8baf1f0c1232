# When somebody must look. Every alarm names its metric, its period, and who publishes it.

locals {
  # On what the servers and the operator publish themselves: the names are those of their /metrics, and a test looks for each
  # in the tables that their own tests hold against the code (docs/servers/metrics.md, docs/reference/metrics.md).
  own_alarms = { for name, it in {
    breaker-open    = { metric = "mcp_breaker_open", stat = "Maximum", threshold = 0, by = "servers", says = "A circuit breaker is open: an AWS service or a database does not answer" }
    throttling      = { metric = "mcp_aws_throttled_total", stat = "Sum", threshold = 10, by = "servers", says = "AWS refuses calls of the servers because there are too many" }
    pool-exhausted  = { metric = "mcp_pool_waits_total", stat = "Sum", threshold = 10, by = "servers", says = "Calls wait for a database connection" }
    audit-failing   = { metric = "mcp_audit_failing", stat = "Maximum", threshold = 0, by = "servers", says = "Audit records cannot be stored" }
    audit-lost      = { metric = "mcp_audit_lost_total", stat = "Sum", threshold = 0, by = "servers", says = "Audit records were lost" }
    operator-errors = { metric = "controller_runtime_reconcile_errors_total", stat = "Sum", threshold = 20, by = "operator", says = "Reconciles of McpServers fail again and again" }
    operator-panics = { metric = "controller_runtime_reconcile_panics_total", stat = "Sum", threshold = 0, by = "operator", says = "A reconcile panicked, which is a bug" }
  } : name => it if contains(var.server_alarms, name) }

  tool_calls = "mcp_tool_calls_total"

  # What the agent has to read, by who publishes it: no more than alarms and dashboard look at, for each is billed.
  own_metrics = {
    for by in ["servers", "operator"] : by => sort(distinct(concat(
      by == "servers" ? [local.tool_calls] : [],
      [for it in local.own_alarms : it.metric if it.by == by],
    )))
  }

  period = 300

  own_namespace  = "McpEks"
  load_balancers = "AWS/ApplicationELB"

  alarms = merge(
    { for name, it in local.own_alarms : name => {
      metric     = it.metric, namespace = local.own_namespace, stat = it.stat, threshold = it.threshold
      dimensions = { ClusterName = var.cluster_name }, publisher = "the ${it.by}, by the CloudWatch agent"
      says       = it.says
    } },
    {
      failed-nodes = {
        metric     = "cluster_failed_node_count", namespace = "ContainerInsights", stat = "Maximum", threshold = 0
        dimensions = { ClusterName = var.cluster_name }, publisher = "the CloudWatch agent"
        says       = "A node of the cluster is not ready"
      }
    },
    { for name, it in {
      database-connections = { metric = "DatabaseConnections", stat = "Maximum", threshold = try(var.database.max_connections, 0), below = false, says = "The database is about to refuse connections" }
      database-disk        = { metric = "FreeStorageSpace", stat = "Minimum", threshold = 2147483648, below = true, says = "Less than 2 GiB of the database's disk are free" }
      } : name => merge(it, {
        namespace  = "AWS/RDS"
        dimensions = { DBInstanceIdentifier = try(var.database.instance_id, "") }
        publisher  = "Amazon RDS"
    }) if var.database != null },
    { for name, it in local.watched_calls : name => {
      metric     = it.metric, namespace = "McpEks/CloudTrail", stat = "Sum", threshold = 0
      dimensions = {}, publisher = "a metric filter on CloudTrail's log group"
      says       = it.says
    } if var.trail },
  )

  # The load balancer controller makes balancers whose names nobody knows before: a query finds them.
  query_alarms = {
    load-balancer-5xx = { stat = "SUM", metric = "HTTPCode_ELB_5XX_Count", threshold = 10, says = "Load balancers answer with 5xx" }
    server-5xx        = { stat = "SUM", metric = "HTTPCode_Target_5XX_Count", threshold = 10, says = "Servers behind load balancers answer with 5xx" }
    unhealthy-hosts   = { stat = "MAX", metric = "UnHealthyHostCount", threshold = 0, says = "A load balancer finds a pod unhealthy" }
    latency           = { stat = "AVG", metric = "TargetResponseTime", threshold = var.max_latency_seconds, says = "Servers behind load balancers are slow" }
  }
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26: CloudWatch cannot publish to a topic under SNS's own key; an alarm's text is no secret worth a key by the month
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.says}: ${each.value.metric} over ${local.period} s. Published by ${each.value.publisher}."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.stat
  period              = local.period
  evaluation_periods  = 1
  comparison_operator = try(each.value.below, false) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# A share of two counters. Few calls say nothing: below 20 the alarm keeps still.
resource "aws_cloudwatch_metric_alarm" "tool_errors" {
  count = contains(var.server_alarms, "tool-errors") ? 1 : 0

  alarm_name          = "${var.name}-tool-errors"
  alarm_description   = "More than ${var.max_error_percent} % of tool calls failed: ${local.tool_calls} over ${local.period} s. Published by the servers, by the CloudWatch agent."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.max_error_percent
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "failed"
    label       = "Failed tool calls, in percent"
    expression  = "IF(calls >= 20, 100 * (calls - FILL(good, 0)) / calls, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { calls = {}, good = { outcome = "ok" } }
    content {
      id = metric_query.key
      metric {
        namespace   = local.own_namespace
        metric_name = local.tool_calls
        dimensions  = merge({ ClusterName = var.cluster_name }, metric_query.value)
        period      = local.period
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "load_balancers" {
  for_each = local.query_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.says}: ${each.value.metric} over ${local.period} s. Published by Elastic Load Balancing."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "q"
    label       = each.value.metric
    expression  = "SELECT ${each.value.stat}(${each.value.metric}) FROM \"${local.load_balancers}\""
    period      = local.period
    return_data = true
  }
}
