# Where the pods' logs go. Made before the add-on, which would make them without an end to what they keep.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  archive   = "arn:${local.partition}:s3:::${var.log_archive}"

  groups = merge(
    { for it in ["application", "dataplane", "host", "performance", "prometheus"] : it => "/aws/containerinsights/${var.cluster_name}/${it}" },
    { audit = "/mcp-eks/${var.cluster_name}/audit" },
  )
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158: CloudWatch Logs encrypts with a key of its own; the servers keep secrets out of their logs
  #checkov:skip=CKV_AWS_338: 7 days for applications and 90 for audit are what the requirements ask for; both are inputs
  for_each = local.groups

  name              = each.value
  retention_in_days = each.key == "audit" ? var.audit_retention_days : var.application_retention_days
}
