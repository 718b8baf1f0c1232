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
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-west-2:123456789012:mock" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-west-2:123456789012:rule/mock" }
  }
}

variables {
  cluster_name = "mcp-test"
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = output.queue_name == "mcp-example-karpenter"
    error_message = "the queue has another name"
  }
}

run "karpenter_ends_machines_of_its_cluster_alone" {
  assert {
    condition     = alltrue([for it in local.policies.machines : contains(keys(it), "Condition") || it.Sid == "UseImagesAndNetwork"])
    error_message = "a statement about machines has no condition"
  }
  assert {
    condition     = alltrue([for it in local.policies.machines : it.Condition.StringEquals["aws:ResourceTag/kubernetes.io/cluster/mcp-test"] == "owned" if it.Sid == "EndOwn"])
    error_message = "Karpenter may end machines of others"
  }
}

run "four_kinds_of_event_reach_the_queue" {
  assert {
    condition     = toset(keys(aws_cloudwatch_event_target.interruption)) == toset(["spot", "rebalance", "state", "health"])
    error_message = "an event is missing"
  }
}

run "the_controller_is_assumed_by_pods_of_this_account" {
  assert {
    condition     = jsondecode(aws_iam_role.controller.assume_role_policy).Statement[0].Principal.Service == "pods.eks.amazonaws.com" && jsondecode(aws_iam_role.controller.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "another trust policy expected"
  }
  assert {
    condition     = jsondecode(aws_iam_role.controller.assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-service-account"] == aws_eks_pod_identity_association.controller.service_account
    error_message = "the role trusts other pods than those it is associated with"
  }
}

run "a_cluster_name_with_a_slash_is_refused" {
  command = plan
  variables {
    cluster_name = "a/b"
  }
  expect_failures = [var.cluster_name]
}

run "a_path_without_slashes_is_refused" {
  command = plan
  variables {
    role_path = "mcp-eks"
  }
  expect_failures = [var.role_path]
}

run "messages_kept_for_a_second_are_refused" {
  command = plan
  variables {
    message_retention_seconds = 1
  }
  expect_failures = [var.message_retention_seconds]
}
