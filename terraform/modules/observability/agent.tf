# The add-on that fills the log groups, reads the servers' metrics, and takes their traces by OTLP for X-Ray.

locals {
  agent = {
    logs = {
      metrics_collected = {
        kubernetes = { enhanced_container_insights = true }
        prometheus = {
          cluster_name           = var.cluster_name
          log_group_name         = local.groups.prometheus
          prometheus_config_path = "/etc/prometheusconfig/prometheus.yaml"
          emf_processor = {
            metric_namespace = local.own_namespace
            metric_declaration = [for by, names in local.own_metrics : {
              source_labels    = ["job"]
              label_matcher    = "^${by}$"
              metric_selectors = [for it in names : "^${it}$"]
              dimensions       = [for it in [["ClusterName"], ["ClusterName", "outcome"]] : it if by == "servers" || length(it) == 1]
            } if length(names) > 0]
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

# Whose /metrics are read: the pods that the operator made, and the operator, by their labels. Without the target allocator
# every node's agent would read every pod, and every count would be as many times too large.
locals {
  scraped = {
    servers  = { label = "managed_by", port = "health" }
    operator = { label = "part_of", port = "admin" }
  }

  scrape_configs = [for job, it in local.scraped : {
    job_name              = job
    scrape_interval       = "60s"
    kubernetes_sd_configs = [{ role = "pod" }]
    relabel_configs = [
      {
        source_labels = ["__meta_kubernetes_pod_label_app_kubernetes_io_${it.label}", "__meta_kubernetes_pod_container_port_name"]
        separator     = "/"
        regex         = "mcp-eks/${it.port}"
        action        = "keep"
      },
    ]
    metric_relabel_configs = [
      { source_labels = ["__name__"], regex = join("|", local.own_metrics[job]), action = "keep" },
    ]
  } if length(local.own_metrics[job]) > 0]
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
    agent = {
      config     = local.agent
      prometheus = { targetAllocator = { enabled = true }, config = { scrape_configs = local.scrape_configs } }
    }
    containerLogs = { enabled = true }
  })

  depends_on = [aws_cloudwatch_log_group.this, aws_eks_pod_identity_association.agent]
}
