# The add-on that fills the log groups, reads the servers' metrics, and takes their traces by OTLP for X-Ray.

locals {
  agent = {
    logs = {
      metrics_collected = {
        kubernetes = { enhanced_container_insights = true }
        prometheus = {
          cluster_name   = var.cluster_name
          log_group_name = local.groups.prometheus
          emf_processor = {
            metric_namespace = "McpEks"
            metric_declaration = [{
              source_labels    = ["app_kubernetes_io_part_of"]
              label_matcher    = "^mcp-eks$"
              metric_selectors = [for it in local.server_metrics : "^${it}$"]
              dimensions       = [["ClusterName"], ["ClusterName", "outcome"]]
            }]
          }
        }
      }
    }
    traces = {
      traces_collected = {
        otlp = { grpc_endpoint = "0.0.0.0:4317", http_endpoint = "0.0.0.0:4318" }
      }
    }
  }
}

# Before the add-on: credentials are given at a pod's admission, so a pod that came first has none.
resource "aws_eks_pod_identity_association" "agent" {
  count = var.agent ? 1 : 0

  cluster_name    = var.cluster_name
  namespace       = "amazon-cloudwatch"
  service_account = "cloudwatch-agent"
  role_arn        = var.agent_role_arn
}

resource "aws_eks_addon" "agent" {
  count = var.agent ? 1 : 0

  cluster_name                = var.cluster_name
  addon_name                  = "amazon-cloudwatch-observability"
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  configuration_values = jsonencode({
    agent         = { config = local.agent }
    containerLogs = { enabled = true }
  })

  depends_on = [aws_cloudwatch_log_group.this, aws_eks_pod_identity_association.agent]
}
