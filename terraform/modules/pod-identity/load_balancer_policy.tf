# What the AWS Load Balancer Controller may do: change what it tagged as this cluster's, and make what it tags so.

locals {
  elb           = "arn:${local.partition}:elasticloadbalancing:${local.region}:${local.account}"
  ec2           = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  balancers     = ["${local.elb}:loadbalancer/app/*", "${local.elb}:loadbalancer/net/*"]
  target_groups = ["${local.elb}:targetgroup/*"]
  listeners     = ["${local.elb}:listener/app/*", "${local.elb}:listener/net/*"]
  rules         = ["${local.elb}:listener-rule/app/*", "${local.elb}:listener-rule/net/*"]
  tagging       = { StringEquals = { "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name } }
  tagged        = { StringEquals = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = var.cluster_name } }

  load_balancer_statements = [
    {
      # Describe and list calls of EC2, ELB, ACM and WAF know no resource level; the region is the bound.
      Sid    = "Look"
      Effect = "Allow"
      Action = [
        "acm:ListCertificates",
        "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances",
        "ec2:DescribeInternetGateways", "ec2:DescribeIpamPools", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections",
        "ec2:DescribeVpcs",
        "elasticloadbalancing:DescribeCapacityReservation", "elasticloadbalancing:DescribeListenerAttributes",
        "elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeSSLPolicies", "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth", "elasticloadbalancing:DescribeTrustStores",
      ]
      Resource  = ["*"]
      Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
    },
    {
      Sid      = "LookAtCertificates"
      Effect   = "Allow"
      Action   = ["acm:DescribeCertificate"]
      Resource = ["arn:${local.partition}:acm:${local.region}:${local.account}:certificate/*"]
    },
    {
      Sid      = "AttachWebAcl"
      Effect   = "Allow"
      Action   = ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL", "wafv2:GetWebACLForResource"]
      Resource = ["arn:${local.partition}:wafv2:${local.region}:${local.account}:regional/webacl/*", "${local.elb}:loadbalancer/app/*"]
    },
    {
      # ELB knows no resource level for attaching a firewall; the statement above bounds which firewalls.
      Sid       = "AttachWebAclToBalancer"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:SetWebAcl"]
      Resource  = ["*"]
      Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
    },
    {
      Sid      = "FindSecurityGroups"
      Effect   = "Allow"
      Action   = ["ec2:GetSecurityGroupsForVpc"]
      Resource = ["${local.ec2}:vpc/*"]
    },
    {
      Sid      = "MakeSecurityGroups"
      Effect   = "Allow"
      Action   = ["ec2:CreateSecurityGroup"]
      Resource = ["${local.ec2}:vpc/*"]
    },
    {
      Sid       = "MakeTaggedSecurityGroups"
      Effect    = "Allow"
      Action    = ["ec2:CreateSecurityGroup"]
      Resource  = ["${local.ec2}:security-group/*"]
      Condition = local.tagging
    },
    {
      Sid       = "TagNewSecurityGroups"
      Effect    = "Allow"
      Action    = ["ec2:CreateTags"]
      Resource  = ["${local.ec2}:security-group/*"]
      Condition = { StringEquals = { "ec2:CreateAction" = "CreateSecurityGroup", "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name } }
    },
    {
      Sid       = "ChangeOwnSecurityGroups"
      Effect    = "Allow"
      Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags", "ec2:RevokeSecurityGroupIngress"]
      Resource  = ["${local.ec2}:security-group/*"]
      Condition = local.tagged
    },
    {
      # The nodes' group carries the cluster's tag, not the controller's.
      Sid       = "LetBalancersReachNodes"
      Effect    = "Allow"
      Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
      Resource  = ["${local.ec2}:security-group/*"]
      Condition = { StringEquals = { "aws:ResourceTag/kubernetes.io/cluster/${var.cluster_name}" = "owned" } }
    },
    {
      Sid       = "MakeTaggedBalancers"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
      Resource  = concat(local.balancers, local.target_groups)
      Condition = local.tagging
    },
    {
      Sid       = "MakeListeners"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule"]
      Resource  = concat(local.balancers, local.listeners)
      Condition = local.tagged
    },
    {
      Sid      = "TagNewBalancers"
      Effect   = "Allow"
      Action   = ["elasticloadbalancing:AddTags"]
      Resource = concat(local.balancers, local.target_groups, local.listeners, local.rules)
      Condition = {
        StringEquals = {
          "elasticloadbalancing:CreateAction"    = ["CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup"]
          "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name
        }
      }
    },
    {
      Sid    = "ChangeOwnBalancers"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:AddTags", "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyLoadBalancerAttributes",
        "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
      ]
      Resource  = concat(local.balancers, local.target_groups)
      Condition = local.tagged
    },
    {
      Sid    = "ChangeOwnListeners"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags", "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyListenerAttributes",
        "elasticloadbalancing:ModifyRule", "elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:RemoveTags",
        "elasticloadbalancing:SetRulePriorities",
      ]
      Resource  = concat(local.listeners, local.rules)
      Condition = local.tagged
    },
  ]
}
