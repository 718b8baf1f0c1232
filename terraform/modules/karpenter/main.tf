# Who Karpenter is to AWS, by Pod Identity.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  cluster   = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${var.cluster_name}"
}

resource "aws_iam_role" "controller" {
  name                 = "${var.cluster_name}-karpenter"
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary_arn

  # Only the pods of one ServiceAccount of one cluster, as the roles of the module pod-identity.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = local.account
          "aws:RequestTag/eks-cluster-name"           = var.cluster_name
          "aws:RequestTag/kubernetes-namespace"       = var.namespace
          "aws:RequestTag/kubernetes-service-account" = var.service_account
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "controller" {
  for_each = local.policies

  name   = each.key
  role   = aws_iam_role.controller.id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_eks_pod_identity_association" "controller" {
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.controller.arn
}
