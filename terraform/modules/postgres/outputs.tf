output "address" {
  description = "Host name of the database."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the database."
  value       = aws_db_instance.this.port
}

output "database_name" {
  description = "Database that was made with the instance."
  value       = aws_db_instance.this.db_name
}

output "instance_id" {
  description = "Identifier of the instance, for alarms and `aws rds`."
  value       = aws_db_instance.this.identifier
}

output "instance_arn" {
  description = "ARN of the instance."
  value       = aws_db_instance.this.arn
}

output "secret_arn" {
  description = "ARN of the secret with the administrator's name and password."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "security_group_id" {
  description = "Id of the database's security group."
  value       = aws_security_group.this.id
}
