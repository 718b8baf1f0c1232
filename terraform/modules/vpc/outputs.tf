output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_arn" {
  description = "ARN of the VPC."
  value       = aws_vpc.this.arn
}

output "cidr" {
  description = "IPv4 range of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "azs" {
  description = "The three availability zones, in the order of the subnets."
  value       = local.azs
}

output "private_subnet_ids" {
  description = "Ids of the private subnets, in the order of the zones."
  value       = [for zone in keys(local.zone) : aws_subnet.private[zone].id]
}

output "public_subnet_ids" {
  description = "Ids of the public subnets, in the order of the zones."
  value       = [for zone in keys(local.zone) : aws_subnet.public[zone].id]
}

output "database_subnet_ids" {
  description = "Ids of the database subnets, in the order of the zones."
  value       = [for zone in keys(local.zone) : aws_subnet.database[zone].id]
}

output "control_plane_subnet_ids" {
  description = "Ids of the control plane's subnets, in the order of the zones."
  value       = [for zone in keys(local.zone) : aws_subnet.control_plane[zone].id]
}

output "private_route_table_ids" {
  description = "Ids of the private route tables, in the order of the zones."
  value       = [for zone in keys(local.zone) : aws_route_table.private[zone].id]
}

output "nat_public_ips" {
  description = "Addresses that traffic to the internet comes from, for the allow-lists of others."
  value       = [for it in aws_eip.nat : it.public_ip]
}

output "endpoint_ids" {
  description = "Ids of the VPC endpoints, by service."
  value       = merge({ s3 = aws_vpc_endpoint.s3.id }, { for name, it in aws_vpc_endpoint.interface : name => it.id })
}

output "endpoints_security_group_id" {
  description = "Id of the security group of the interface endpoints."
  value       = aws_security_group.endpoints.id
}

output "flow_log_group_arn" {
  description = "ARN of the log group that flow logs go to."
  value       = aws_cloudwatch_log_group.flow.arn
}
