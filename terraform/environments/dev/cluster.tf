# The cluster, its nodes, and who its controllers are to AWS.

module "eks" {
  source = "../../modules/eks"

  name                         = var.name
  kubernetes_version           = var.kubernetes_version
  compute_mode                 = var.compute_mode
  support_type                 = var.emulator ? null : "STANDARD"
  subnet_ids                   = module.vpc.private_subnet_ids
  control_plane_subnet_ids     = module.vpc.control_plane_subnet_ids
  endpoint_public_access_cidrs = var.endpoint_public_access_cidrs
  admin_principal_arns         = var.admin_principal_arns
  node_instance_types          = var.node_group.instance_types
  node_group_size              = { min = var.node_group.min, desired = var.node_group.desired, max = var.node_group.max }
  log_retention_days           = var.log_retention_days.audit
  deletion_protection          = var.protected

  addon_roles = {
    aws-ebs-csi-driver = { service_account = "ebs-csi-controller-sa", role_arn = module.pod_identity.role_arns["ebs-csi"] }
    aws-efs-csi-driver = { service_account = "efs-csi-controller-sa", role_arn = module.pod_identity.role_arns["efs-csi"] }
  }
}

module "karpenter" {
  source = "../../modules/karpenter"
  count  = var.compute_mode == "karpenter" ? 1 : 0

  cluster_name = module.eks.cluster_name
  role_path    = "/mcp-eks/${var.name}/"
}

# Roles before the cluster (add-ons want them), associations after it: the name is known, and the network add-on waits.
module "pod_identity" {
  source = "../../modules/pod-identity"

  cluster_name     = var.name
  associate        = []
  hosted_zone_arns = var.domain == null ? [] : ["arn:${local.partition}:route53:::hostedzone/${var.domain.zone_id}"]
  servers = { for name, it in var.servers : name => {
    namespace       = it.namespace
    service_account = it.service_account
    policy = templatefile("${path.module}/../../../config/iam/${it.policy}.json", {
      partition = local.partition
      region    = var.region
      account   = local.account
    })
  } }

  secret_arns = [for it in var.secret_names : "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${it}*"]
}

resource "aws_eks_pod_identity_association" "controller" {
  for_each = { for name, it in module.pod_identity.service_accounts : name => it if !contains(["ebs-csi", "efs-csi", "log-shipping"], name) }

  cluster_name    = module.eks.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.name
  role_arn        = module.pod_identity.role_arns[each.key]
}
