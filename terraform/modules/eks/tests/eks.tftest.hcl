mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      certificate_authority = [{ data = "bW9jaw==" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.example" }] }]
    }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-west-2:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
}

variables {
  name                     = "mcp-test"
  subnet_ids               = ["subnet-1", "subnet-2", "subnet-3"]
  control_plane_subnet_ids = ["subnet-4", "subnet-5", "subnet-6"]
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = output.cluster_name == "mcp-example"
    error_message = "the example's cluster has another name"
  }
}

run "by_default_the_cluster_is_private_logged_and_encrypted" {
  assert {
    condition     = aws_eks_cluster.this.version == "1.35" && aws_eks_cluster.this.access_config[0].authentication_mode == "API"
    error_message = "version 1.35 and access through the API expected"
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "the API server must be private unless ranges are listed"
  }
  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == aws_kms_key.secrets.arn
    error_message = "all five logs and a key for Secrets expected"
  }
  assert {
    condition     = toset(keys(output.addon_arns)) == toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "metrics-server", "aws-ebs-csi-driver", "aws-efs-csi-driver"])
    error_message = "add-ons: ${join(", ", keys(output.addon_arns))}"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true" && jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).env.ENABLE_PREFIX_DELEGATION == "true"
    error_message = "network policy and prefix delegation expected"
  }
  assert {
    condition     = aws_eks_node_group.this[0].scaling_config[0].desired_size == 2 && aws_eks_node_group.this[0].instance_types[0] == "t3.medium"
    error_message = "two t3.medium expected"
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.node[0].user_data), "maxPods: 110") && aws_launch_template.node[0].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "110 pods a node, and metadata at one hop, expected"
  }
}

run "an_allow_list_opens_the_endpoint_to_it_alone" {
  variables {
    endpoint_public_access_cidrs = ["203.0.113.7/32"]
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "public access for the list alone expected"
  }
}

run "auto_mode_has_no_nodes_of_its_own" {
  variables {
    compute_mode = "auto"
  }
  assert {
    condition     = length(aws_eks_node_group.this) == 0 && aws_eks_cluster.this.compute_config[0].enabled && length(aws_eks_addon.before_nodes) == 0
    error_message = "Auto Mode still has a managed group"
  }
  assert {
    condition     = length(aws_iam_role_policy_attachment.cluster) == 5 && contains(jsondecode(aws_iam_role.cluster.assume_role_policy).Statement[0].Action, "sts:TagSession")
    error_message = "Auto Mode needs five policies, and TagSession"
  }
}

run "an_add_on_with_a_role_gets_it_by_pod_identity" {
  variables {
    addon_roles = { aws-ebs-csi-driver = { service_account = "ebs-csi-controller-sa", role_arn = "arn:aws:iam::123456789012:role/ebs" } }
  }
  assert {
    condition     = aws_eks_pod_identity_association.addon["aws-ebs-csi-driver"].role_arn == "arn:aws:iam::123456789012:role/ebs" && aws_eks_pod_identity_association.addon["aws-ebs-csi-driver"].service_account == "ebs-csi-controller-sa"
    error_message = "the add-on has no association"
  }
}

run "a_version_out_of_support_is_refused" {
  command = plan
  variables {
    kubernetes_version = "1.33"
  }
  expect_failures = [var.kubernetes_version]
}

run "a_version_not_yet_tested_is_refused" {
  command = plan
  variables {
    kubernetes_version = "1.37"
  }
  expect_failures = [var.kubernetes_version]
}

run "an_endpoint_open_to_the_world_is_refused" {
  command = plan
  variables {
    endpoint_public_access_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.endpoint_public_access_cidrs]
}

run "an_endpoint_open_to_half_the_world_is_refused" {
  command = plan
  variables {
    endpoint_public_access_cidrs = ["128.0.0.0/1"]
  }
  expect_failures = [var.endpoint_public_access_cidrs]
}

run "an_address_without_its_length_is_refused" {
  command = plan
  variables {
    endpoint_public_access_cidrs = ["203.0.113.7"]
  }
  expect_failures = [var.endpoint_public_access_cidrs]
}

run "one_subnet_is_refused" {
  command = plan
  variables {
    control_plane_subnet_ids = ["subnet-4"]
  }
  expect_failures = [var.control_plane_subnet_ids]
}

run "nodes_in_one_subnet_are_refused" {
  command = plan
  variables {
    subnet_ids = ["subnet-1", "subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}

run "an_unknown_compute_mode_is_refused" {
  command = plan
  variables {
    compute_mode = "fargate"
  }
  expect_failures = [var.compute_mode]
}

run "more_desired_than_maximum_is_refused" {
  command = plan
  variables {
    node_group_size = { min = 1, desired = 5, max = 3 }
  }
  expect_failures = [var.node_group_size]
}

run "an_instance_type_without_a_size_is_refused" {
  command = plan
  variables {
    node_instance_types = ["t3"]
  }
  expect_failures = [var.node_instance_types]
}

run "a_session_as_administrator_is_refused" {
  command = plan
  variables {
    admin_principal_arns = ["arn:aws:sts::123456789012:assumed-role/platform/me"]
  }
  expect_failures = [var.admin_principal_arns]
}

run "an_add_on_version_that_is_none_is_refused" {
  command = plan
  variables {
    addon_versions = { coredns = "latest" }
  }
  expect_failures = [var.addon_versions]
}

run "logs_kept_for_a_week_are_refused" {
  command = plan
  variables {
    log_retention_days = 7
  }
  expect_failures = [var.log_retention_days]
}
