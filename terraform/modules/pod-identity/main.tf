# One role for each controller, taken by its ServiceAccount through EKS Pod Identity.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  path      = "/mcp-eks/${var.cluster_name}/"

  server_role_path = coalesce(var.server_role_path, "${local.path}servers/")

  # As the charts and add-ons name them.
  service_accounts = merge({
    operator                 = { namespace = "mcp-eks-system", name = "mcp-eks-operator" }
    load-balancer-controller = { namespace = "kube-system", name = "aws-load-balancer-controller" }
    external-dns             = { namespace = "external-dns", name = "external-dns" }
    keda                     = { namespace = "keda", name = "keda-operator" }
    ebs-csi                  = { namespace = "kube-system", name = "ebs-csi-controller-sa" }
    efs-csi                  = { namespace = "kube-system", name = "efs-csi-controller-sa" }
    secrets-store            = { namespace = "mcp-servers", name = "mcp-secrets" }
    log-shipping             = { namespace = "amazon-cloudwatch", name = "cloudwatch-agent" }
    otel-collector           = { namespace = "observability", name = "otel-collector" }
  }, var.service_accounts)

  # A role that could do nothing is not made.
  empty = concat(
    length(var.hosted_zone_arns) == 0 ? ["external-dns"] : [],
    length(var.secret_arns) == 0 ? ["secrets-store"] : [],
  )
  roles = setsubtract(var.roles, local.empty)

  takers = merge(
    { for role in local.roles : role => local.service_accounts[role] },
    { for name, it in var.servers : "servers/${name}" => { namespace = it.namespace, name = it.service_account } },
  )

  # Only the pods of one ServiceAccount of one cluster: EKS sets these tags on the session, nobody else can.
  trust = { for role, it in local.takers : role => jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = local.account
          "aws:RequestTag/eks-cluster-name"           = var.cluster_name
          "aws:RequestTag/kubernetes-namespace"       = it.namespace
          "aws:RequestTag/kubernetes-service-account" = it.name
        }
      }
    }]
  }) }

  managed = { for role, name in local.managed_policies : role => "arn:${local.partition}:iam::aws:policy/${name}" if contains(local.roles, role) }
  inline  = { for role, policy in local.inline_policies : role => policy if contains(local.roles, role) }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${var.cluster_name}-${each.key}"
  path                 = local.path
  description          = "${local.service_accounts[each.key].namespace}/${local.service_accounts[each.key].name} of the EKS cluster ${var.cluster_name}"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.trust[each.key]
}

resource "aws_iam_role_policy" "this" {
  for_each = local.inline

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = each.value
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.managed

  role       = aws_iam_role.this[each.key].name
  policy_arn = each.value
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = setintersection(var.associate, local.roles)

  cluster_name    = var.cluster_name
  namespace       = local.service_accounts[each.key].namespace
  service_account = local.service_accounts[each.key].name
  role_arn        = aws_iam_role.this[each.key].arn
}
