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
}

variables {
  name            = "mcp-test"
  repository      = "example/mcp-eks"
  repository_arns = ["arn:aws:ecr:us-west-2:123456789012:repository/mcp-eks/operator"]
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
}

run "only_main_and_releases_push" {
  assert {
    condition     = toset(jsondecode(aws_iam_role.push.assume_role_policy).Statement[0].Condition.StringLike["token.actions.githubusercontent.com:sub"]) == toset(["repo:example/mcp-eks:ref:refs/heads/main", "repo:example/mcp-eks:ref:refs/tags/v*"])
    error_message = "others may push"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 1
    error_message = "no identity provider"
  }
}

run "a_provider_that_exists_is_left_alone" {
  variables {
    create_provider = false
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && endswith(output.provider_arn, "oidc-provider/token.actions.githubusercontent.com")
    error_message = "a second provider was made"
  }
}

run "every_repository_of_an_owner_is_refused" {
  command = plan
  variables {
    repository = "example/*"
  }
  expect_failures = [var.repository]
}

run "every_branch_is_refused" {
  command = plan
  variables {
    push_refs = ["*"]
  }
  expect_failures = [var.push_refs]
}

run "nothing_to_push_to_is_refused" {
  command = plan
  variables {
    repository_arns = []
  }
  expect_failures = [var.repository_arns]
}
