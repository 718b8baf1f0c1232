# Who changed what in the account, kept under Object Lock; changes of security groups and of IAM raise an alarm.

locals {
  watched_calls = {
    security-group-changes = {
      metric  = "SecurityGroupChanges"
      says    = "A security group was changed"
      pattern = "{ ($.eventSource = \"ec2.amazonaws.com\") && ($.eventName = \"*SecurityGroup*\") && ($.eventName != \"Describe*\") && ($.readOnly IS FALSE) }"
    }
    iam-changes = {
      metric  = "IamChanges"
      says    = "A policy or a trust of IAM was changed"
      pattern = "{ ($.eventSource = \"iam.amazonaws.com\") && ($.readOnly IS FALSE) && (($.eventName = \"*Policy*\") || ($.eventName = \"*AssumeRolePolicy\") || ($.eventName = \"*AccessKey\")) }"
    }
  }
}

resource "aws_cloudwatch_log_group" "trail" {
  #checkov:skip=CKV_AWS_158: CloudWatch Logs encrypts with a key of its own
  #checkov:skip=CKV_AWS_338: searched for 90 days; the archive keeps it longer
  count = var.trail ? 1 : 0

  name              = "/aws/cloudtrail/${var.name}"
  retention_in_days = var.audit_retention_days
}

resource "aws_iam_role" "trail" {
  count = var.trail ? 1 : 0

  name = "${var.name}-cloudtrail"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "cloudtrail.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "trail" {
  count = var.trail ? 1 : 0

  name = "write-log"
  role = aws_iam_role.trail[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.trail[0].arn}:log-stream:${local.account}_CloudTrail_${local.region}*"]
    }]
  })
}

resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_35: encrypted by the bucket; a key of its own adds a bill and no reader less
  #checkov:skip=CKV_AWS_252: alarms tell of what matters; a message for each delivered file tells nobody anything
  count = var.trail ? 1 : 0

  name                          = var.name
  s3_bucket_name                = var.log_archive
  s3_key_prefix                 = "cloudtrail"
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  cloud_watch_logs_group_arn    = "${aws_cloudwatch_log_group.trail[0].arn}:*"
  cloud_watch_logs_role_arn     = aws_iam_role.trail[0].arn

  depends_on = [aws_iam_role_policy.trail]
}

resource "aws_cloudwatch_log_metric_filter" "trail" {
  for_each = { for name, it in local.watched_calls : name => it if var.trail }

  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.trail[0].name
  pattern        = each.value.pattern

  metric_transformation {
    name      = each.value.metric
    namespace = "McpEks/CloudTrail"
    value     = "1"
  }
}
