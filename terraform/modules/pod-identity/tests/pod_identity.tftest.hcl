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
  cluster_name = "mcp-test"
}

run "the_example_makes_no_role_that_can_do_nothing" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = toset(keys(output.role_arns)) == toset(["operator", "load-balancer-controller", "keda", "ebs-csi", "efs-csi", "log-shipping", "otel-collector"])
    error_message = "roles: ${join(", ", keys(output.role_arns))}"
  }
}

run "every_role_trusts_one_service_account_of_one_cluster" {
  assert {
    condition = alltrue([for name, it in aws_iam_role.this : jsondecode(it.assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount"                         = "123456789012"
      "aws:RequestTag/eks-cluster-name"           = "mcp-test"
      "aws:RequestTag/kubernetes-namespace"       = output.service_accounts[name].namespace
      "aws:RequestTag/kubernetes-service-account" = output.service_accounts[name].name
    }])
    error_message = "a role trusts more than its ServiceAccount"
  }
}

run "the_operator_can_give_servers_roles_and_not_its_own" {
  assert {
    condition     = one([for it in jsondecode(output.operator_policy).Statement : it.Resource if it.Sid == "GivePodsServerRoles"]) == ["arn:aws:iam::123456789012:role/mcp-eks/mcp-test/servers/*"]
    error_message = "PassRole on the servers' path alone expected"
  }
  assert {
    condition     = alltrue([for it in aws_iam_role.this : it.path == "/mcp-eks/mcp-test/"])
    error_message = "a controller's role lies where the operator may give it away"
  }
  assert {
    condition     = !strcontains(output.operator_policy, "$${") && !strcontains(output.operator_policy, "\"*\"")
    error_message = "a placeholder was left, or a bare *"
  }
}

run "a_star_stands_only_where_aws_has_no_resource_level" {
  variables {
    hosted_zone_arns = ["arn:aws:route53:::hostedzone/Z0123456789"]
    secret_arns      = ["arn:aws:secretsmanager:us-west-2:123456789012:secret:mcp-eks/dev/*"]
    queue_arns       = ["arn:aws:sqs:us-west-2:123456789012:jobs"]
  }
  assert {
    condition = toset(flatten([for it in aws_iam_role_policy.this : [for s in jsondecode(it.policy).Statement : s.Sid if contains(s.Resource, "*")]])) == toset([
      "AttachWebAclToBalancer", "FindZones", "Look", "NameNodesAndTrace", "ReadMetrics", "WriteMetrics", "WriteTraces",
    ])
    error_message = "a statement has a * that is not listed here"
  }
  assert {
    condition     = alltrue([for it in aws_iam_role_policy.this : alltrue([for s in jsondecode(it.policy).Statement : !anytrue([for a in s.Action : strcontains(a, "*")])])])
    error_message = "an action has a wildcard"
  }
}

run "add_ons_make_their_own_association" {
  assert {
    condition     = length(setintersection(keys(output.association_ids), ["ebs-csi", "efs-csi", "log-shipping"])) == 0
    error_message = "an add-on's ServiceAccount is associated twice"
  }
}

run "an_unknown_role_is_refused" {
  command = plan
  variables {
    roles = ["karpenter"]
  }
  expect_failures = [var.roles]
}

run "an_add_on_associated_by_hand_is_refused" {
  command = plan
  variables {
    associate = ["ebs-csi"]
  }
  expect_failures = [var.associate]
}

run "the_root_path_for_servers_is_refused" {
  command = plan
  variables {
    server_role_path = "/"
  }
  expect_failures = [var.server_role_path]
}

run "every_zone_of_the_account_is_refused" {
  command = plan
  variables {
    hosted_zone_arns = ["arn:aws:route53:::hostedzone/*"]
  }
  expect_failures = [var.hosted_zone_arns]
}

run "every_secret_of_the_account_is_refused" {
  command = plan
  variables {
    secret_arns = ["arn:aws:secretsmanager:us-west-2:123456789012:secret:*"]
  }
  expect_failures = [var.secret_arns]
}

run "every_queue_of_the_account_is_refused" {
  command = plan
  variables {
    queue_arns = ["arn:aws:sqs:us-west-2:123456789012:*"]
  }
  expect_failures = [var.queue_arns]
}

run "a_service_account_in_capitals_is_refused" {
  command = plan
  variables {
    service_accounts = { operator = { namespace = "MCP", name = "operator" } }
  }
  expect_failures = [var.service_accounts]
}

run "a_servers_role_lies_where_the_operator_may_hand_it_out_and_trusts_that_server_alone" {
  variables {
    servers = { aws = { namespace = "tools", service_account = "aws", policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:ListBucket\"],\"Resource\":[\"*\"]}]}" } }
  }
  assert {
    condition     = aws_iam_role.server["aws"].path == "/mcp-eks/mcp-test/servers/" && aws_iam_role.server["aws"].tags["mcp-eks.dev/allowed"] == "mcp-test/tools"
    error_message = "the operator cannot find or may not use the role"
  }
  assert {
    condition = jsondecode(aws_iam_role.server["aws"].assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount"                         = "123456789012"
      "aws:RequestTag/eks-cluster-name"           = "mcp-test"
      "aws:RequestTag/kubernetes-namespace"       = "tools"
      "aws:RequestTag/kubernetes-service-account" = "aws"
    }
    error_message = "the role trusts more than its ServiceAccount"
  }
}

run "a_server_that_may_do_everything_is_refused" {
  command = plan
  variables {
    servers = { aws = { namespace = "tools", service_account = "aws", policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:*\"],\"Resource\":[\"*\"]}]}" } }
  }
  expect_failures = [var.servers]
}

run "a_policy_that_is_no_json_is_refused" {
  command = plan
  variables {
    servers = { aws = { namespace = "tools", service_account = "aws", policy = "ReadOnlyAccess" } }
  }
  expect_failures = [var.servers]
}
