# What each role may do. Where a resource is "*", AWS knows no narrower one for the action; each such place says so.

locals {
  # AWS keeps these up with its own add-ons.
  managed_policies = {
    ebs-csi = "service-role/AmazonEBSCSIDriverPolicy"
    efs-csi = "service-role/AmazonEFSCSIDriverPolicy"
  }

  log_groups = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"

  inline_policies = {
    # The same file that `config/` ships for those who make the role by hand.
    operator = templatefile("${path.module}/../../../config/iam/operator-policy.json", {
      partition = local.partition
      region    = local.region
      account   = local.account
      cluster   = var.cluster_name
      role_path = local.server_role_path
    })

    load-balancer-controller = jsonencode({ Version = "2012-10-17", Statement = local.load_balancer_statements })

    external-dns = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "ChangeRecords"
          Effect   = "Allow"
          Action   = ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets", "route53:ListTagsForResource"]
          Resource = var.hosted_zone_arns
        },
        {
          # Route 53 knows no resource level for listing zones.
          Sid      = "FindZones"
          Effect   = "Allow"
          Action   = ["route53:ListHostedZones", "route53:ListHostedZonesByName"]
          Resource = ["*"]
        },
      ]
    })

    keda = jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          # CloudWatch knows no resource level for reading metrics.
          Sid      = "ReadMetrics"
          Effect   = "Allow"
          Action   = ["cloudwatch:GetMetricData"]
          Resource = ["*"]
        }],
        length(var.queue_arns) == 0 ? [] : [{
          Sid      = "ReadQueues"
          Effect   = "Allow"
          Action   = ["sqs:GetQueueAttributes"]
          Resource = var.queue_arns
        }],
      )
    })

    secrets-store = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid      = "ReadListedSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = var.secret_arns
      }]
    })

    log-shipping = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", "logs:PutRetentionPolicy"]
          Resource = ["${local.log_groups}:/aws/containerinsights/${var.cluster_name}/*", "${local.log_groups}:/mcp-eks/${var.cluster_name}/*"]
        },
        {
          # CloudWatch knows no resource level for writing metrics; the namespace is the bound.
          Sid       = "WriteMetrics"
          Effect    = "Allow"
          Action    = ["cloudwatch:PutMetricData"]
          Resource  = ["*"]
          Condition = { StringEquals = { "cloudwatch:namespace" = ["ContainerInsights", "ContainerInsights/Prometheus", "McpEks"] } }
        },
        {
          # EC2's Describe calls, log group listing and X-Ray know no resource level; the region is the bound.
          Sid    = "NameNodesAndTrace"
          Effect = "Allow"
          Action = [
            "ec2:DescribeTags", "ec2:DescribeVolumes", "logs:DescribeLogGroups",
            "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
          ]
          Resource  = ["*"]
          Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
        },
      ]
    })

    otel-collector = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        # X-Ray knows no resource level for writing traces; the region is the bound.
        Sid       = "WriteTraces"
        Effect    = "Allow"
        Action    = ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource  = ["*"]
        Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
      }]
    })
  }
}
