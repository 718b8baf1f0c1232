# One page: calls, failures, load balancers, nodes.

locals {
  widgets = [
    {
      title   = "Tool calls and failures"
      metrics = [[local.own_namespace, local.tool_calls, "ClusterName", var.cluster_name, { stat = "Sum", label = "calls" }], [local.own_namespace, local.tool_calls, "ClusterName", var.cluster_name, "outcome", "ok", { stat = "Sum", label = "ok" }]]
    },
    {
      title   = "What servers and operator complain of"
      metrics = [for name, it in local.own_alarms : [local.own_namespace, it.metric, "ClusterName", var.cluster_name, { stat = it.stat, label = name }]]
    },
    {
      title   = "Nodes and pods"
      metrics = [["ContainerInsights", "cluster_node_count", "ClusterName", var.cluster_name], ["ContainerInsights", "cluster_failed_node_count", "ClusterName", var.cluster_name]]
    },
    {
      title   = "Load balancers: 5xx"
      metrics = [for it in ["load-balancer-5xx", "server-5xx"] : [{ expression = "SELECT SUM(${local.query_alarms[it].metric}) FROM \"${local.load_balancers}\"", label = it, id = replace(it, "-", "_") }]]
    },
    {
      title   = "Load balancers: time in seconds"
      metrics = [[{ expression = "SELECT AVG(TargetResponseTime) FROM \"${local.load_balancers}\"", label = "mean", id = "mean" }]]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [for index, it in [for it in local.widgets : it if length(it.metrics) > 0] : {
      type       = "metric"
      x          = index % 2 * 12
      y          = floor(index / 2) * 6
      width      = 12
      height     = 6
      properties = { title = it.title, metrics = it.metrics, region = local.region, period = 300, view = "timeSeries" }
    }]
  })
}
