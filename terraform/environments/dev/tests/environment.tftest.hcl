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
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-west-2a", "us-west-2b", "us-west-2c"] }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-west-2:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-west-2:123456789012:log-group:mock" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-west-2:123456789012:mock" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-west-2:123456789012:mock" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-west-2:123456789012:rule/mock" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mock" }
  }
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-west-2:123456789012:file-system/fs-0123456789abcdef0" }
  }
  mock_resource "aws_kinesis_firehose_delivery_stream" {
    defaults = { arn = "arn:aws:firehose:us-west-2:123456789012:deliverystream/mock" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:us-west-2:123456789012:regional/webacl/mock/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_db_instance" {
    defaults = { master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:rds!db-mock" }] }
  }
  mock_resource "aws_ecr_repository" {
    defaults = { arn = "arn:aws:ecr:us-west-2:123456789012:repository/mock", registry_id = "123456789012" }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      vpc_config            = { cluster_security_group_id = "sg-mock" }
      certificate_authority = [{ data = "bW9jaw==" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.example" }] }]
    }
  }
}

run "the_values_as_committed_make_an_environment" {
  command = plan
  assert {
    condition     = output.cluster_name == var.name && length(output.private_subnet_ids) == 3 && output.region == var.region
    error_message = "another cluster"
  }
  assert {
    condition     = toset(keys(output.role_arns)) == toset(["operator", "load-balancer-controller", "keda", "ebs-csi", "efs-csi", "secrets-store", "log-shipping", "otel-collector"])
    error_message = "roles: ${join(", ", keys(output.role_arns))}"
  }
  assert {
    condition     = toset(keys(aws_eks_pod_identity_association.controller)) == toset(["operator", "load-balancer-controller", "keda", "secrets-store", "otel-collector"])
    error_message = "associations: ${join(", ", keys(aws_eks_pod_identity_association.controller))}"
  }
  assert {
    condition     = output.karpenter.interruption_queue == "${var.name}-karpenter"
    error_message = "Karpenter has no queue"
  }
}

run "every_part_can_be_switched_on" {
  command = plan
  variables {
    budget               = { monthly_limit_usd = 500, emails = ["platform@example.com"] }
    github               = { repository = "example/mcp-eks", create_provider = true }
    alarm_emails         = ["platform@example.com"]
    admin_principal_arns = ["arn:aws:iam::123456789012:role/platform"]
  }
  assert {
    condition     = length(module.github_oidc) == 1 && length(module.budget) == 1
    error_message = "a part is missing"
  }
}

run "auto_mode_has_no_karpenter_of_our_own" {
  command = plan
  variables {
    compute_mode = "auto"
  }
  assert {
    condition     = output.karpenter == null
    error_message = "Karpenter was left"
  }
}

run "a_zone_as_region_is_refused" {
  command = plan
  variables {
    region = "us-west-2a"
  }
  expect_failures = [var.region]
}

run "parts_left_out_of_real_aws_are_refused" {
  command = plan
  variables {
    emulator = true
  }
  expect_failures = [var.emulator]
}

run "an_endpoint_of_an_unknown_service_is_refused" {
  command = plan
  variables {
    endpoints = { lambda = "http://127.0.0.1:4566" }
  }
  expect_failures = [var.endpoints]
}

run "an_account_of_eleven_digits_is_refused" {
  command = plan
  variables {
    account_id = "12345678901"
  }
  expect_failures = [var.account_id]
}

run "every_secret_of_the_account_is_refused" {
  command = plan
  variables {
    secret_names = ["*"]
  }
  expect_failures = [var.secret_names]
}

run "a_policy_that_is_not_there_is_refused" {
  command = plan
  variables {
    servers = { aws = { namespace = "tools", service_account = "aws", policy = "administrator" } }
  }
  expect_failures = [var.servers]
}

run "a_long_name_is_refused" {
  command = plan
  variables {
    name = "mcp-environment-of-development"
  }
  expect_failures = [var.name]
}
