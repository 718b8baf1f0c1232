# The network itself. Subnets, routes, endpoints and flow logs have files of their own.

data "aws_region" "current" {}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }

  # Here and not beside the variables, because each looks at all tiers at once.
  lifecycle {
    precondition {
      condition     = length(local.overlaps) == 0
      error_message = "Subnets overlap: ${join("; ", local.overlaps)}. Move one of each pair to a free range of ${var.cidr}."
    }
    precondition {
      condition     = length(local.outside) == 0
      error_message = "Subnets outside the VPC's range ${var.cidr}: ${join(", ", local.outside)}. Change them, or cidr."
    }
  }
}

# Whatever forgets to name a security group can talk to nobody.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}
