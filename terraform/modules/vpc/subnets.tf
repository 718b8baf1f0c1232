# Four tiers of subnets over three zones.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394: three are taken, by name and in order; azs pins them
  state = "available"

  # Local zones have no NAT gateways and no EKS control plane.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  azs  = length(var.azs) == 3 ? var.azs : slice(data.aws_availability_zones.available.names, 0, 3)
  zone = { for index, az in ["a", "b", "c"] : az => index }

  ranges = concat(var.private_subnets, var.public_subnets, var.database_subnets, var.control_plane_subnets)

  # Two ranges overlap when they are one network under the shorter prefix. Of a range that is none, others speak.
  overlaps = flatten([
    for i, a in local.ranges : [
      for j, b in local.ranges : "${a} and ${b}" if i < j && try(
        cidrhost("${split("/", a)[0]}/${min(tonumber(split("/", a)[1]), tonumber(split("/", b)[1]))}", 0)
        == cidrhost("${split("/", b)[0]}/${min(tonumber(split("/", a)[1]), tonumber(split("/", b)[1]))}", 0),
        false
      )
    ]
  ])

  outside = [
    for it in local.ranges : it if try(
      tonumber(split("/", it)[1]) < tonumber(split("/", var.cidr)[1])
      || cidrhost("${split("/", it)[0]}/${split("/", var.cidr)[1]}", 0) != cidrhost(var.cidr, 0),
      false
    )
  ]
}

resource "aws_subnet" "private" {
  for_each = local.zone

  vpc_id            = aws_vpc.this.id
  cidr_block        = var.private_subnets[each.value]
  availability_zone = local.azs[each.value]

  tags = {
    Name                              = "${var.name}-private-${each.key}"
    "kubernetes.io/role/internal-elb" = "1"
    "karpenter.sh/discovery"          = var.cluster_name
  }
}

resource "aws_subnet" "public" {
  for_each = local.zone

  vpc_id            = aws_vpc.this.id
  cidr_block        = var.public_subnets[each.value]
  availability_zone = local.azs[each.value]

  # Load balancers and NAT gateways bring their own addresses; nothing else here needs one.
  map_public_ip_on_launch = false

  tags = {
    Name                     = "${var.name}-public-${each.key}"
    "kubernetes.io/role/elb" = "1"
  }
}

resource "aws_subnet" "database" {
  for_each = local.zone

  vpc_id            = aws_vpc.this.id
  cidr_block        = var.database_subnets[each.value]
  availability_zone = local.azs[each.value]

  tags = { Name = "${var.name}-database-${each.key}" }
}

resource "aws_subnet" "control_plane" {
  for_each = local.zone

  vpc_id            = aws_vpc.this.id
  cidr_block        = var.control_plane_subnets[each.value]
  availability_zone = local.azs[each.value]

  tags = { Name = "${var.name}-control-plane-${each.key}" }
}
