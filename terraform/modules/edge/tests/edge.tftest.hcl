mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "us-west-2" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:us-west-2:123456789012:regional/webacl/mock/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-west-2:123456789012:log-group:aws-waf-logs-mock" }
  }
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:us-west-2:123456789012:certificate/00000000-0000-0000-0000-000000000000"
      domain_validation_options = [{
        domain_name           = "mcp.example.com"
        resource_record_name  = "_proof.mcp.example.com"
        resource_record_type  = "CNAME"
        resource_record_value = "_value.acm-validations.aws"
      }]
    }
  }
}

mock_provider "aws" {
  alias = "ireland"

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/mock/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:aws-waf-logs-mock" }
  }
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
      domain_validation_options = [{
        domain_name           = "mcp.example.com"
        resource_record_name  = "_proof.mcp.example.com"
        resource_record_type  = "CNAME"
        resource_record_value = "_value.acm-validations.aws"
      }]
    }
  }
}

variables {
  name = "mcp-test"
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = startswith(output.web_acl_arn, "arn:aws:wafv2:")
    error_message = "no firewall"
  }
}

run "two_regions_share_a_name" {
  module {
    source = "./examples/two-regions"
  }
  providers = {
    aws.oregon  = aws
    aws.ireland = aws.ireland
  }
  assert {
    condition     = length(output.health_checks.oregon) == 1 && length(output.health_checks.ireland) == 1
    error_message = "a health check a region expected"
  }
}

run "without_a_zone_there_is_the_firewall_alone" {
  assert {
    condition     = output.certificate_arn == null && length(aws_route53_record.proof) == 0
    error_message = "a certificate without a zone"
  }
  assert {
    condition     = one([for it in aws_wafv2_web_acl.this.rule : it.statement[0].rate_based_statement[0].limit if it.name == "throttle"]) == 2000
    error_message = "throttling at 2000 expected"
  }
}

run "latency_decides_between_regions_and_health_within" {
  variables {
    zone_id         = "Z0123456789ABCDEFGHIJ"
    latency_routing = true
    records         = { "mcp.example.com" = { dns_name = "mcp-1.us-west-2.elb.amazonaws.com", zone_id = "Z1H1FL5HABSF5" } }
  }
  assert {
    condition     = aws_route53_record.this["mcp.example.com"].latency_routing_policy[0].region == "us-west-2" && aws_route53_record.this["mcp.example.com"].set_identifier == "us-west-2"
    error_message = "the record is not by latency"
  }
}

run "a_certificate_without_a_zone_is_refused" {
  command = plan
  variables {
    domain_names = ["mcp.example.com"]
  }
  expect_failures = [var.domain_names]
}

run "an_address_instead_of_a_name_is_refused" {
  command = plan
  variables {
    zone_id      = "Z0123456789ABCDEFGHIJ"
    domain_names = ["https://mcp.example.com"]
  }
  expect_failures = [var.domain_names]
}

run "a_zone_by_its_path_is_refused" {
  command = plan
  variables {
    zone_id = "/hostedzone/Z0123456789ABCDEFGHIJ"
  }
  expect_failures = [var.zone_id]
}

run "records_without_a_zone_are_refused" {
  command = plan
  variables {
    records = { "mcp.example.com" = { dns_name = "mcp-1.us-west-2.elb.amazonaws.com", zone_id = "Z1H1FL5HABSF5" } }
  }
  expect_failures = [var.records]
}

run "a_limit_below_that_of_waf_is_refused" {
  command = plan
  variables {
    rate_limit = 1
  }
  expect_failures = [var.rate_limit]
}
