# The AWS base of one environment. The files are the same for every environment; terraform.tfvars has what differs.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}

module "vpc" {
  source = "../../modules/vpc"

  name                     = var.name
  cluster_name             = var.name
  cidr                     = var.network.cidr
  private_subnets          = var.network.private_subnets
  public_subnets           = var.network.public_subnets
  database_subnets         = var.network.database_subnets
  control_plane_subnets    = var.network.control_plane_subnets
  single_nat_gateway       = var.network.single_nat_gateway
  interface_endpoints      = var.network.interface_endpoints
  interface_endpoint_zones = var.network.interface_endpoint_zones
  flow_log_retention_days  = var.log_retention_days.flow
}

module "edge" {
  source = "../../modules/edge"

  name         = var.name
  zone_id      = try(var.domain.zone_id, null)
  domain_names = try(var.domain.names, [])
  firewall_log = !var.emulator
}

module "ecr" {
  source = "../../modules/ecr"

  prefix       = var.name
  force_delete = !var.protected
}
