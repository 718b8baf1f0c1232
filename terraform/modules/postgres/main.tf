# One PostgreSQL for audit records and for the servers that want a database.

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Database subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres${var.engine_version}"
  description = "TLS for everyone, and a log of slow and structural statements"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157: one zone is the cheap default; prod sets multi_az
  #checkov:skip=CKV_AWS_293: on by default; dev switches it off, so that `make aws-down` leaves nothing
  #checkov:skip=CKV_AWS_118: Performance Insights shows waits; enhanced monitoring is billed by the second
  #checkov:skip=CKV_AWS_354: encrypted with the account's key of RDS, which costs nothing
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.engine_version
  instance_class = var.instance_class
  db_name        = var.database_name

  storage_type          = "gp3"
  storage_encrypted     = true
  allocated_storage     = var.storage_gib.initial
  max_allocated_storage = var.storage_gib.max

  # RDS makes the password, keeps it in Secrets Manager and changes it every week: it is in no state file.
  username                            = "mcp_admin"
  manage_master_user_password         = true
  iam_database_authentication_enabled = true

  db_subnet_group_name   = aws_db_subnet_group.this.name
  parameter_group_name   = aws_db_parameter_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  multi_az               = var.multi_az
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  backup_retention_period    = var.backup_keep_days
  backup_window              = "03:00-04:00"
  maintenance_window         = "sun:04:30-sun:05:30"
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true

  performance_insights_enabled          = true
  performance_insights_retention_period = 7
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]

  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = !var.deletion_protection
  final_snapshot_identifier = var.deletion_protection ? "${var.name}-final" : null
  delete_automated_backups  = !var.deletion_protection

  tags = merge({ Name = var.name }, var.backup_tag == "" ? {} : { "mcp-eks.dev/backup" = var.backup_tag })

  depends_on = [aws_cloudwatch_log_group.this]
}

# Made before the database: RDS would make them without an end to what they keep.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158: CloudWatch Logs encrypts with a key of its own
  #checkov:skip=CKV_AWS_338: a month finds a slow statement; audit records are rows, not log lines
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = 30
}
