# What EKS installs and keeps up to date. Auto Mode brings network, DNS, proxy, block storage and Pod Identity itself.

locals {
  before_nodes = local.auto ? {} : {
    vpc-cni = jsonencode({
      enableNetworkPolicy = "true"
      env                 = { ENABLE_PREFIX_DELEGATION = "true", WARM_PREFIX_TARGET = "1" }
    })
    kube-proxy             = null
    eks-pod-identity-agent = null
  }

  after_nodes = merge(
    { metrics-server = null, aws-efs-csi-driver = null },
    local.auto ? {} : { coredns = null, aws-ebs-csi-driver = null },
  )
}

# Before the add-ons, not as part of them: credentials are given at a pod's admission, so a pod that came first has none.
resource "aws_eks_pod_identity_association" "addon" {
  for_each = var.addon_roles

  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = each.value.service_account
  role_arn        = each.value.role_arn
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_pod_identity_association.addon]
}

resource "aws_eks_addon" "after_nodes" {
  for_each = local.after_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_node_group.this, aws_eks_pod_identity_association.addon]
}
