mock_provider "aws" {
  mock_resource "aws_db_instance" {
    defaults = { master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:rds!db-mock" }] }
  }
}

variables {
  name                   = "mcp-test"
  vpc_id                 = "vpc-1"
  subnet_ids             = ["subnet-1", "subnet-2", "subnet-3"]
  client_security_groups = { servers = "sg-1" }
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = startswith(output.secret_arn, "arn:aws:secretsmanager:")
    error_message = "no secret"
  }
}

run "the_servers_alone_reach_the_database_and_it_reaches_nobody" {
  assert {
    condition     = [for it in aws_vpc_security_group_ingress_rule.this : [it.referenced_security_group_id, it.from_port, it.to_port]] == [["sg-1", 5432, 5432]]
    error_message = "5432 from the servers alone expected"
  }
  assert {
    condition     = !aws_db_instance.this.publicly_accessible && length(coalesce(aws_security_group.this.egress, [])) == 0
    error_message = "the database is public, or talks to others"
  }
}

run "the_database_is_encrypted_backed_up_and_protected" {
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.backup_retention_period == 7 && aws_db_instance.this.deletion_protection && aws_db_instance.this.final_snapshot_identifier == "mcp-test-final"
    error_message = "encryption, backups and protection expected"
  }
  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null
    error_message = "the password must be RDS's own"
  }
  assert {
    condition     = one([for it in aws_db_parameter_group.this.parameter : it.value if it.name == "rds.force_ssl"]) == "1"
    error_message = "TLS is not enforced"
  }
}

run "one_subnet_is_refused" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}

run "a_database_that_nobody_reaches_is_refused" {
  command = plan
  variables {
    client_security_groups = {}
  }
  expect_failures = [var.client_security_groups]
}

run "a_minor_version_is_refused" {
  command = plan
  variables {
    engine_version = "17.4"
  }
  expect_failures = [var.engine_version]
}

run "a_class_of_ec2_is_refused" {
  command = plan
  variables {
    instance_class = "t4g.micro"
  }
  expect_failures = [var.instance_class]
}

run "a_disk_that_cannot_grow_is_refused" {
  command = plan
  variables {
    storage_gib = { initial = 100, max = 100 }
  }
  expect_failures = [var.storage_gib]
}

run "a_database_name_with_a_hyphen_is_refused" {
  command = plan
  variables {
    database_name = "mcp-audit"
  }
  expect_failures = [var.database_name]
}

run "no_backup_is_refused" {
  command = plan
  variables {
    backup_keep_days = 0
  }
  expect_failures = [var.backup_keep_days]
}
