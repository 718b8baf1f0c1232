mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-west-2" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-west-2:123456789012:log-group:mock" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-west-2:123456789012:mock" }
  }
  mock_resource "aws_kinesis_firehose_delivery_stream" {
    defaults = { arn = "arn:aws:firehose:us-west-2:123456789012:deliverystream/mock" }
  }
}

variables {
  name         = "mcp-test"
  cluster_name = "mcp-test"
  log_archive  = "mcp-test-logs-123456789012"

  agent_role_arn = "arn:aws:iam::123456789012:role/agent"
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = output.alarm_topic_arn == "arn:aws:sns:us-west-2:123456789012:mock"
    error_message = "no topic"
  }
}

run "every_alarm_looks_at_five_minutes_tells_somebody_and_names_its_metric_and_publisher" {
  variables {
    database = { instance_id = "mcp-test", max_connections = 70 }
  }
  assert {
    condition     = alltrue([for it in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.load_balancers), aws_cloudwatch_metric_alarm.tool_errors) : contains(it.alarm_actions, aws_sns_topic.alarms.arn) && can(regex(": [A-Za-z0-9_]+ over 300 s\\. Published by ", it.alarm_description))])
    error_message = "an alarm tells nobody, or does not say which metric it looks at, how long, and who publishes it"
  }
  assert {
    condition     = alltrue([for it in aws_cloudwatch_metric_alarm.this : it.period == 300 && strcontains(it.alarm_description, ": ${it.metric_name} over")])
    error_message = "periods of 300 s expected, and descriptions of the metric that is looked at"
  }
  assert {
    condition = toset(keys(output.alarm_arns)) == toset([
      "tool-errors", "breaker-open", "throttling", "pool-exhausted", "audit-failing", "audit-lost", "operator-errors", "operator-panics",
      "failed-nodes", "database-connections", "database-disk", "security-group-changes", "iam-changes",
      "load-balancer-5xx", "server-5xx", "unhealthy-hosts", "latency",
    ])
    error_message = "alarms: ${join(", ", keys(output.alarm_arns))}"
  }
}

# The tables are held against the code by the servers' and the operator's own tests.
run "every_metric_of_our_own_with_an_alarm_is_published_as_the_tables_say" {
  assert {
    condition = alltrue([
      for it in aws_cloudwatch_metric_alarm.this : strcontains(
        join("\n", [file("../../../docs/servers/metrics.md"), file("../../../docs/reference/metrics.md")]),
        "| `${it.metric_name}` | ${it.statistic == "Sum" ? "counter" : "gauge"} |",
      ) if it.namespace == "McpEks"
    ])
    error_message = "no table has these as a counter (Sum) or a gauge (Maximum): ${join(", ", [for it in aws_cloudwatch_metric_alarm.this : it.metric_name if it.namespace == "McpEks"])}"
  }
  assert {
    condition = alltrue([
      for it in flatten([for one in aws_cloudwatch_metric_alarm.tool_errors : [for q in one.metric_query : q.metric]]) :
      strcontains(file("../../../docs/servers/metrics.md"), "| `${it.metric_name}` | counter | `tool`, `outcome` |") && it.namespace == "McpEks"
    ])
    error_message = "the share of failed calls is made of a counter that no table has"
  }
  assert {
    condition     = length([for it in aws_cloudwatch_metric_alarm.this : it if it.namespace == "McpEks"]) == 7 && length(aws_cloudwatch_metric_alarm.tool_errors) == 1
    error_message = "nothing was compared"
  }
}

# As the CloudWatch user guides of the services list them.
run "every_other_metric_with_an_alarm_is_one_that_aws_publishes" {
  variables {
    database = { instance_id = "mcp-test", max_connections = 70 }
  }
  assert {
    condition = alltrue([for it in aws_cloudwatch_metric_alarm.this : contains([
      "AWS/RDS DatabaseConnections", "AWS/RDS FreeStorageSpace", "ContainerInsights cluster_failed_node_count",
    ], "${it.namespace} ${it.metric_name}") if !startswith(it.namespace, "McpEks")])
    error_message = "an alarm is on a metric that AWS does not publish"
  }
  assert {
    condition     = toset([for it in aws_cloudwatch_metric_alarm.this : it.metric_name if it.namespace == "McpEks/CloudTrail"]) == toset([for it in aws_cloudwatch_log_metric_filter.trail : it.metric_transformation[0].name])
    error_message = "alarms and metric filters on the trail differ"
  }
  assert {
    condition = alltrue([for it in aws_cloudwatch_metric_alarm.load_balancers : anytrue([for name in [
      "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count", "UnHealthyHostCount", "TargetResponseTime",
    ] : strcontains(one(it.metric_query).expression, "(${name}) FROM \"AWS/ApplicationELB\"")])])
    error_message = "an alarm asks load balancers for what they do not publish"
  }
}

run "the_agent_reads_what_alarms_look_at_and_nothing_else" {
  assert {
    condition = toset(flatten([for it in jsondecode(aws_eks_addon.agent[0].configuration_values).agent.prometheus.config.scrape_configs : split("|", it.metric_relabel_configs[0].regex)])) == toset(concat(
      ["mcp_tool_calls_total"], [for it in aws_cloudwatch_metric_alarm.this : it.metric_name if it.namespace == "McpEks"],
    ))
    error_message = "the agent reads other metrics than alarms look at"
  }
  # As operator/src/desired/labels.rs and config/manager/deployment.yaml have them.
  assert {
    condition = { for it in jsondecode(aws_eks_addon.agent[0].configuration_values).agent.prometheus.config.scrape_configs : it.job_name => "${join(",", it.relabel_configs[0].source_labels)}=${it.relabel_configs[0].regex}" } == {
      servers  = "__meta_kubernetes_pod_label_app_kubernetes_io_managed_by,__meta_kubernetes_pod_container_port_name=mcp-eks/health"
      operator = "__meta_kubernetes_pod_label_app_kubernetes_io_part_of,__meta_kubernetes_pod_container_port_name=mcp-eks/admin"
    }
    error_message = "the agent looks for pods by other labels or ports than ours"
  }
}

run "without_an_operators_alarm_its_metrics_are_not_read" {
  variables {
    server_alarms = ["breaker-open"]
  }
  assert {
    condition     = [for it in jsondecode(aws_eks_addon.agent[0].configuration_values).agent.prometheus.config.scrape_configs : it.job_name] == ["servers"]
    error_message = "the operator is read for nothing"
  }
}

run "logs_end_after_a_week_and_audit_after_ninety_days" {
  assert {
    condition     = aws_cloudwatch_log_group.this["application"].retention_in_days == 7 && aws_cloudwatch_log_group.this["audit"].retention_in_days == 90
    error_message = "7 and 90 days expected"
  }
  assert {
    condition     = aws_cloudwatch_log_subscription_filter.audit.destination_arn == aws_kinesis_firehose_delivery_stream.audit.arn
    error_message = "audit records do not reach the archive"
  }
}

run "the_add_on_has_a_role_of_its_own_and_takes_traces" {
  assert {
    condition     = aws_eks_pod_identity_association.agent[0].role_arn == "arn:aws:iam::123456789012:role/agent"
    error_message = "the add-on has no role"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.agent[0].configuration_values).agent.config.traces.traces_collected.otlp.http_endpoint == "0.0.0.0:4318"
    error_message = "the add-on takes no traces"
  }
}

run "the_trail_can_be_an_organisations" {
  variables {
    trail   = false
    tracing = false
  }
  assert {
    condition     = output.trail_arn == null && output.trace_group_arn == null && !contains(keys(output.alarm_arns), "iam-changes")
    error_message = "something was left of the trail or of X-Ray"
  }
}

run "audit_for_a_week_is_refused" {
  command = plan
  variables {
    audit_retention_days = 7
  }
  expect_failures = [var.audit_retention_days]
}

run "a_retention_that_cloudwatch_does_not_know_is_refused" {
  command = plan
  variables {
    application_retention_days = 8
  }
  expect_failures = [var.application_retention_days]
}

run "an_unknown_alarm_is_refused" {
  command = plan
  variables {
    server_alarms = ["errors"]
  }
  expect_failures = [var.server_alarms]
}

run "every_call_allowed_to_fail_is_refused" {
  command = plan
  variables {
    max_error_percent = 100
  }
  expect_failures = [var.max_error_percent]
}

run "more_traces_than_requests_are_refused" {
  command = plan
  variables {
    trace_sampling = 5
  }
  expect_failures = [var.trace_sampling]
}

run "a_role_by_its_name_is_refused" {
  command = plan
  variables {
    agent_role_arn = "log-shipping"
  }
  expect_failures = [var.agent_role_arn]
}

run "minutes_of_latency_are_refused" {
  command = plan
  variables {
    max_latency_seconds = 600
  }
  expect_failures = [var.max_latency_seconds]
}

run "an_address_without_an_at_is_refused" {
  command = plan
  variables {
    alarm_emails = ["platform"]
  }
  expect_failures = [var.alarm_emails]
}
