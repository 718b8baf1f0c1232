mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"] }
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
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-west-2:123456789012:log-group:mock" }
  }
}

variables {
  name         = "mcp-test"
  cluster_name = "mcp-test"
}

run "the_example_has_three_zones_and_one_nat_gateway" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = length(output.private_subnet_ids) == 3
    error_message = "three private subnets expected"
  }
}

run "by_default_every_tier_is_over_three_zones" {
  assert {
    condition     = alltrue([for tier in [aws_subnet.private, aws_subnet.public, aws_subnet.database, aws_subnet.control_plane] : toset([for it in tier : it.availability_zone]) == toset(["us-west-2a", "us-west-2b", "us-west-2c"])])
    error_message = "a tier is not over three zones"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_vpc_endpoint.interface) == 11
    error_message = "one NAT gateway and eleven interface endpoints expected"
  }
  assert {
    condition     = alltrue([for it in aws_subnet.private : it.tags["kubernetes.io/role/internal-elb"] == "1" && it.tags["karpenter.sh/discovery"] == "mcp-test"])
    error_message = "private subnets lack the tags of load balancers or Karpenter"
  }
  assert {
    condition     = alltrue([for it in aws_subnet.public : it.tags["kubernetes.io/role/elb"] == "1" && !it.map_public_ip_on_launch])
    error_message = "public subnets lack the tag of load balancers, or give every machine an address"
  }
}

run "a_nat_gateway_a_zone_serves_its_own_zone" {
  variables {
    single_nat_gateway = false
  }
  assert {
    condition     = alltrue([for zone in ["a", "b", "c"] : aws_route.private[zone].nat_gateway_id == aws_nat_gateway.this[zone].id])
    error_message = "a private subnet leaves through another zone"
  }
}

run "a_range_that_is_no_network_is_refused" {
  command = plan
  variables {
    private_subnets = ["10.0.1.0/20", "10.0.16.0/20", "10.0.32.0/20"]
  }
  expect_failures = [var.private_subnets]
}

run "a_public_range_that_is_no_network_is_refused" {
  command = plan
  variables {
    public_subnets = ["10.0.64.0/20", "10.0.81.0/20", "10.0.96.0/20"]
  }
  expect_failures = [var.public_subnets]
}

run "a_database_range_that_is_no_network_is_refused" {
  command = plan
  variables {
    database_subnets = ["10.0.208.0/24", "10.0.209.1/24", "10.0.210.0/24"]
  }
  expect_failures = [var.database_subnets]
}

run "a_control_plane_range_that_is_too_small_is_refused" {
  command = plan
  variables {
    control_plane_subnets = ["10.0.240.0/29", "10.0.240.16/28", "10.0.240.32/28"]
  }
  expect_failures = [var.control_plane_subnets]
}

run "overlapping_ranges_are_refused" {
  command = plan
  variables {
    public_subnets = ["10.0.0.0/20", "10.0.80.0/20", "10.0.96.0/20"]
  }
  expect_failures = [aws_vpc.this]
}

run "a_small_range_inside_a_large_one_is_refused" {
  command = plan
  variables {
    database_subnets = ["10.0.33.0/24", "10.0.209.0/24", "10.0.210.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "a_range_outside_the_vpc_is_refused" {
  command = plan
  variables {
    database_subnets = ["10.1.208.0/24", "10.0.209.0/24", "10.0.210.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "a_vpc_range_that_is_no_network_is_refused" {
  command = plan
  variables {
    cidr = "10.0.1.0/16"
  }
  expect_failures = [var.cidr]
}

run "a_vpc_that_is_too_small_is_refused" {
  command = plan
  variables {
    cidr = "10.0.0.0/24"
  }
  expect_failures = [var.cidr]
}

run "two_zones_are_refused" {
  command = plan
  variables {
    azs = ["us-west-2a", "us-west-2b"]
  }
  expect_failures = [var.azs]
}

run "a_whole_service_name_is_refused" {
  command = plan
  variables {
    interface_endpoints = ["com.amazonaws.us-west-2.sts"]
  }
  expect_failures = [var.interface_endpoints]
}

run "four_zones_of_endpoints_are_refused" {
  command = plan
  variables {
    interface_endpoint_zones = 4
  }
  expect_failures = [var.interface_endpoint_zones]
}

run "a_retention_that_cloudwatch_does_not_know_is_refused" {
  command = plan
  variables {
    flow_log_retention_days = 8
  }
  expect_failures = [var.flow_log_retention_days]
}

run "a_name_in_capitals_is_refused" {
  command = plan
  variables {
    name = "MCP"
  }
  expect_failures = [var.name]
}
