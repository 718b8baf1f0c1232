mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
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
  mock_resource "aws_cloudformation_stack" {
    defaults = {
      outputs = {
        GatewayUrl     = "https://mock.gateway.bedrock-agentcore.us-west-2.amazonaws.com/mcp"
        GatewayArn     = "arn:aws:bedrock-agentcore:us-west-2:123456789012:gateway/mock"
        GatewayId      = "mock"
        TargetFiles    = "T1"
        TargetMyOrders = "T2"
      }
    }
  }
}

variables {
  name    = "mcp-test"
  targets = { files = { endpoint = "https://files.example.com/mcp" }, "my-orders" = { endpoint = "https://orders.example.com/mcp" } }
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = startswith(output.gateway_url, "https://")
    error_message = "no address"
  }
}

run "agents_come_in_with_iam_and_every_server_is_a_target" {
  assert {
    condition     = local.template.Resources.Gateway.Properties.AuthorizerType == "AWS_IAM" && output.target_ids["my-orders"] == "T2"
    error_message = "IAM and two targets expected"
  }
  assert {
    condition     = length(aws_iam_role_policy.gateway) == 0
    error_message = "the gateway has rights that it does not need"
  }
}

run "credentials_give_the_gateway_the_right_to_them_alone" {
  variables {
    oauth = {
      provider_arn = "arn:aws:bedrock-agentcore:us-west-2:123456789012:token-vault/default/oauth2credentialprovider/mcp"
      secret_arn   = "arn:aws:secretsmanager:us-west-2:123456789012:secret:mcp-oauth-AbCdEf"
      scopes       = ["mcp"]
    }
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.gateway[0].policy).Statement[1].Resource == ["arn:aws:secretsmanager:us-west-2:123456789012:secret:mcp-oauth-AbCdEf"]
    error_message = "another secret"
  }
  assert {
    condition     = local.template.Resources.TargetFiles.Properties.CredentialProviderConfigurations[0].CredentialProviderType == "OAUTH"
    error_message = "the target has no credentials"
  }
}

run "a_server_without_tls_is_refused" {
  command = plan
  variables {
    targets = { files = { endpoint = "http://files.example.com/mcp" } }
  }
  expect_failures = [var.targets]
}

run "a_name_with_a_dot_is_refused" {
  command = plan
  variables {
    name = "mcp.test"
  }
  expect_failures = [var.name]
}

run "an_unknown_exception_level_is_refused" {
  command = plan
  variables {
    exception_level = "TRACE"
  }
  expect_failures = [var.exception_level]
}
