# AWS, or what stands in for it: `endpoints` sends single services elsewhere.

provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  # Of an emulator, nothing is asked that only AWS could answer.
  s3_use_path_style           = length(var.endpoints) > 0
  skip_metadata_api_check     = length(var.endpoints) > 0
  skip_credentials_validation = length(var.endpoints) > 0

  dynamic "endpoints" {
    for_each = length(var.endpoints) > 0 ? [var.endpoints] : []
    content {
      acm            = lookup(endpoints.value, "acm", null)
      backup         = lookup(endpoints.value, "backup", null)
      budgets        = lookup(endpoints.value, "budgets", null)
      cloudformation = lookup(endpoints.value, "cloudformation", null)
      cloudtrail     = lookup(endpoints.value, "cloudtrail", null)
      cloudwatch     = lookup(endpoints.value, "cloudwatch", null)
      ec2            = lookup(endpoints.value, "ec2", null)
      ecr            = lookup(endpoints.value, "ecr", null)
      efs            = lookup(endpoints.value, "efs", null)
      eks            = lookup(endpoints.value, "eks", null)
      eventbridge    = lookup(endpoints.value, "eventbridge", null)
      firehose       = lookup(endpoints.value, "firehose", null)
      iam            = lookup(endpoints.value, "iam", null)
      kms            = lookup(endpoints.value, "kms", null)
      logs           = lookup(endpoints.value, "logs", null)
      rds            = lookup(endpoints.value, "rds", null)
      route53        = lookup(endpoints.value, "route53", null)
      s3             = lookup(endpoints.value, "s3", null)
      secretsmanager = lookup(endpoints.value, "secretsmanager", null)
      sns            = lookup(endpoints.value, "sns", null)
      sqs            = lookup(endpoints.value, "sqs", null)
      sts            = lookup(endpoints.value, "sts", null)
      wafv2          = lookup(endpoints.value, "wafv2", null)
      xray           = lookup(endpoints.value, "xray", null)
    }
  }

  default_tags {
    tags = {
      project     = "mcp-eks"
      environment = var.name
    }
  }
}
