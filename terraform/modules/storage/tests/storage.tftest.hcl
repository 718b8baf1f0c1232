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
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mock" }
  }
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-west-2:123456789012:file-system/fs-0123456789abcdef0" }
  }
}

variables {
  name                   = "mcp-test"
  vpc_id                 = "vpc-1"
  subnet_ids             = { a = "subnet-1", b = "subnet-2", c = "subnet-3" }
  client_security_groups = { nodes = "sg-1" }
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = output.file_system_id != ""
    error_message = "no file system"
  }
}

run "files_are_encrypted_in_every_zone_and_reached_by_nodes_alone" {
  assert {
    condition     = aws_efs_file_system.this.encrypted && length(aws_efs_mount_target.this) == 3
    error_message = "an encrypted file system with a mount target a zone expected"
  }
  assert {
    condition     = [for it in aws_vpc_security_group_ingress_rule.efs : [it.referenced_security_group_id, it.from_port, it.to_port]] == [["sg-1", 2049, 2049]]
    error_message = "others than the nodes reach the file system"
  }
}

run "audit_records_are_locked_for_ninety_days" {
  assert {
    condition     = aws_s3_bucket.this["logs"].object_lock_enabled && aws_s3_bucket_object_lock_configuration.logs.rule[0].default_retention[0].days == 90
    error_message = "a lock of 90 days expected"
  }
}

run "buckets_are_closed_to_the_public_and_to_plain_http" {
  assert {
    condition     = alltrue([for it in aws_s3_bucket_public_access_block.this : it.block_public_acls && it.block_public_policy && it.ignore_public_acls && it.restrict_public_buckets])
    error_message = "a bucket may become public"
  }
  assert {
    condition     = alltrue([for it in aws_s3_bucket_policy.this : jsondecode(it.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"])
    error_message = "a bucket answers without TLS"
  }
}

run "the_backup_takes_what_carries_the_tag" {
  assert {
    condition     = one(aws_backup_selection.this.selection_tag).value == aws_efs_file_system.this.tags["mcp-eks.dev/backup"]
    error_message = "the file system is not backed up"
  }
}

run "an_audit_kept_for_a_week_is_refused" {
  command = plan
  variables {
    audit_lock_days = 7
  }
  expect_failures = [var.audit_lock_days]
}

run "an_unknown_lock_is_refused" {
  command = plan
  variables {
    audit_lock_mode = "none"
  }
  expect_failures = [var.audit_lock_mode]
}

run "a_period_that_efs_does_not_know_is_refused" {
  command = plan
  variables {
    infrequent_access_after_days = 10
  }
  expect_failures = [var.infrequent_access_after_days]
}

run "no_subnet_is_refused" {
  command = plan
  variables {
    subnet_ids = {}
  }
  expect_failures = [var.subnet_ids]
}

run "a_backup_kept_for_a_day_is_refused" {
  command = plan
  variables {
    backup_keep_days = 1
  }
  expect_failures = [var.backup_keep_days]
}
