# Files that several pods share, over every zone: EFS, encrypted, cheaper when unread.

resource "aws_efs_file_system" "this" {
  #checkov:skip=CKV2_AWS_18: the backup plan selects by tag, which checkov does not follow
  #checkov:skip=CKV_AWS_184: encrypted with the account's key of EFS, which costs nothing
  creation_token   = var.name
  encrypted        = true
  performance_mode = "generalPurpose"
  throughput_mode  = "elastic"

  lifecycle_policy {
    transition_to_ia = var.infrequent_access_after_days == 1 ? "AFTER_1_DAY" : "AFTER_${var.infrequent_access_after_days}_DAYS"
  }

  lifecycle_policy {
    transition_to_primary_storage_class = "AFTER_1_ACCESS"
  }

  tags = {
    Name                 = var.name
    "mcp-eks.dev/backup" = var.name
  }
}

resource "aws_security_group" "efs" {
  name        = "${var.name}-efs"
  description = "NFS from the nodes to the file system"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-efs" }
}

resource "aws_vpc_security_group_ingress_rule" "efs" {
  for_each = var.client_security_groups

  security_group_id            = aws_security_group.efs.id
  description                  = "NFS from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_efs_mount_target" "this" {
  for_each = var.subnet_ids

  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = each.value
  security_groups = [aws_security_group.efs.id]
}

# No mount without TLS, and none but through a mount target.
resource "aws_efs_file_system_policy" "this" {
  file_system_id = aws_efs_file_system.this.id

  # With an Id, as in the API reference's examples: where one is added for us, the next plan would take it away again.
  policy = jsonencode({
    Version = "2012-10-17"
    Id      = var.name
    Statement = [
      {
        Sid       = "MountThroughTargets"
        Effect    = "Allow"
        Principal = { AWS = "*" }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.this.arn
        Condition = { Bool = { "elasticfilesystem:AccessedViaMountTarget" = "true" } }
      },
      {
        Sid       = "TlsAlone"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientRootAccess", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.this.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
