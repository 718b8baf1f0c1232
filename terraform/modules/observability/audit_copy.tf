# A copy of every audit record into the archive under Object Lock, which outlives the log group and whoever may empty it.

resource "aws_iam_role" "audit" {
  for_each = { firehose = "firehose.amazonaws.com", logs = "logs.amazonaws.com" }

  name = "${var.name}-audit-${each.key}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = each.value }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "audit_firehose" {
  name = "write-archive"
  role = aws_iam_role.audit["firehose"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteRecords"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
        Resource = ["${local.archive}/audit/*", "${local.archive}/audit-failed/*"]
      },
      {
        Sid      = "FindBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = [local.archive]
      },
    ]
  })
}

resource "aws_kinesis_firehose_delivery_stream" "audit" {
  #checkov:skip=CKV_AWS_241: encrypted with the key of Firehose, which costs nothing
  name        = "${var.name}-audit"
  destination = "extended_s3"

  server_side_encryption {
    enabled = true
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.audit["firehose"].arn
    bucket_arn          = local.archive
    prefix              = "audit/!{timestamp:yyyy/MM/dd}/"
    error_output_prefix = "audit-failed/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
    buffering_size      = 5
    buffering_interval  = 300
  }

  depends_on = [aws_iam_role_policy.audit_firehose]
}

resource "aws_iam_role_policy" "audit_logs" {
  name = "hand-over"
  role = aws_iam_role.audit["logs"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
      Resource = [aws_kinesis_firehose_delivery_stream.audit.arn]
    }]
  })
}

resource "aws_cloudwatch_log_subscription_filter" "audit" {
  name            = "${var.name}-audit"
  log_group_name  = aws_cloudwatch_log_group.this["audit"].name
  filter_pattern  = ""
  destination_arn = aws_kinesis_firehose_delivery_stream.audit.arn
  role_arn        = aws_iam_role.audit["logs"].arn

  depends_on = [aws_iam_role_policy.audit_logs]
}
