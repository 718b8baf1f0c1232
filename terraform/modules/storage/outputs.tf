output "file_system_id" {
  description = "Id of the file system, for the volumeHandle of a PersistentVolume."
  value       = aws_efs_file_system.this.id
}

output "file_system_arn" {
  description = "ARN of the file system."
  value       = aws_efs_file_system.this.arn
}

output "mount_target_ids" {
  description = "Ids of the mount targets, by zone."
  value       = { for zone, it in aws_efs_mount_target.this : zone => it.id }
}

output "efs_security_group_id" {
  description = "Id of the file system's security group."
  value       = aws_security_group.efs.id
}

output "bucket_names" {
  description = "Names of the buckets: artifacts, logs."
  value       = { for name, it in aws_s3_bucket.this : name => it.id }
}

output "bucket_arns" {
  description = "ARNs of the buckets: artifacts, logs."
  value       = { for name, it in aws_s3_bucket.this : name => it.arn }
}

output "log_archive" {
  description = "Name of the bucket under Object Lock, once its policy lets CloudTrail write."
  value       = aws_s3_bucket_policy.this["logs"].bucket
}

output "backup_vault_arn" {
  description = "ARN of the vault."
  value       = aws_backup_vault.this.arn
}

output "backup_plan_arn" {
  description = "ARN of the backup plan."
  value       = aws_backup_plan.this.arn
}

output "backup_role_arn" {
  description = "ARN of the role that backs up and restores."
  value       = aws_iam_role.backup.arn
}
