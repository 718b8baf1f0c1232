variable "name" {
  description = "Name of the VPC, and prefix of everything in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 32 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "cluster_name" {
  description = "EKS cluster that Karpenter finds the private subnets for, by the tag karpenter.sh/discovery."
  type        = string
}

variable "cidr" {
  description = "IPv4 range of the VPC, from /16 to /20."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    error_message = "cidr: ${var.cidr} is no network${try("; the network that holds it is ${cidrhost(var.cidr, 0)}/${split("/", var.cidr)[1]}", ", write it like 10.0.0.0/16")}."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "cidr: ${var.cidr} must have a prefix from /16 to /20: AWS takes none larger than /16, and three zones of pods do not fit below /20."
  }
}

variable "azs" {
  description = "Availability zones; empty takes the first three of the region."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.azs) == 0 || (length(var.azs) == 3 && length(distinct(var.azs)) == 3)
    error_message = "azs: three different zones are needed, or none to take the region's first three; found [${join(", ", var.azs)}]."
  }
}

variable "private_subnets" {
  description = "Ranges of the private subnets, one a zone: nodes, pods, internal load balancers."
  type        = list(string)
  default     = ["10.0.0.0/20", "10.0.16.0/20", "10.0.32.0/20"]

  validation {
    condition     = length(var.private_subnets) == 3
    error_message = "private_subnets: one range for each of three zones is needed, found ${length(var.private_subnets)}."
  }

  validation {
    condition     = alltrue([for it in var.private_subnets : try(cidrhost(it, 0) == split("/", it)[0], false)])
    error_message = "private_subnets: ${join("; ", [for it in var.private_subnets : try("${it} is no network, the network that holds it is ${cidrhost(it, 0)}/${split("/", it)[1]}", "${it} is no IPv4 range") if !try(cidrhost(it, 0) == split("/", it)[0], false)])}."
  }
}

variable "public_subnets" {
  description = "Ranges of the public subnets, one a zone: NAT gateways, internet-facing load balancers."
  type        = list(string)
  default     = ["10.0.64.0/20", "10.0.80.0/20", "10.0.96.0/20"]

  validation {
    condition     = length(var.public_subnets) == 3
    error_message = "public_subnets: one range for each of three zones is needed, found ${length(var.public_subnets)}."
  }

  validation {
    condition     = alltrue([for it in var.public_subnets : try(cidrhost(it, 0) == split("/", it)[0], false)])
    error_message = "public_subnets: ${join("; ", [for it in var.public_subnets : try("${it} is no network, the network that holds it is ${cidrhost(it, 0)}/${split("/", it)[1]}", "${it} is no IPv4 range") if !try(cidrhost(it, 0) == split("/", it)[0], false)])}."
  }
}

variable "database_subnets" {
  description = "Ranges of the database subnets, one a zone; they have no way out of the VPC."
  type        = list(string)
  default     = ["10.0.208.0/24", "10.0.209.0/24", "10.0.210.0/24"]

  validation {
    condition     = length(var.database_subnets) == 3
    error_message = "database_subnets: one range for each of three zones is needed, found ${length(var.database_subnets)}."
  }

  validation {
    condition     = alltrue([for it in var.database_subnets : try(cidrhost(it, 0) == split("/", it)[0], false)])
    error_message = "database_subnets: ${join("; ", [for it in var.database_subnets : try("${it} is no network, the network that holds it is ${cidrhost(it, 0)}/${split("/", it)[1]}", "${it} is no IPv4 range") if !try(cidrhost(it, 0) == split("/", it)[0], false)])}."
  }
}

variable "control_plane_subnets" {
  description = "Ranges for the network interfaces of the EKS control plane, one a zone, /28 or larger."
  type        = list(string)
  default     = ["10.0.240.0/28", "10.0.240.16/28", "10.0.240.32/28"]

  validation {
    condition     = length(var.control_plane_subnets) == 3
    error_message = "control_plane_subnets: one range for each of three zones is needed, found ${length(var.control_plane_subnets)}."
  }

  validation {
    condition     = alltrue([for it in var.control_plane_subnets : try(cidrhost(it, 0) == split("/", it)[0] && tonumber(split("/", it)[1]) <= 28, false)])
    error_message = "control_plane_subnets: ${join("; ", [for it in var.control_plane_subnets : try("${it} is no network of /28 or larger, the one that holds it is ${cidrhost(it, 0)}/${min(28, tonumber(split("/", it)[1]))}", "${it} is no IPv4 range") if !try(cidrhost(it, 0) == split("/", it)[0] && tonumber(split("/", it)[1]) <= 28, false)])}."
  }
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones (cheap), or one a zone (a zone's failure stays in it)."
  type        = bool
  default     = true
}

variable "interface_endpoints" {
  description = "AWS services reached through the VPC's own network, by the last part of the endpoint's name. S3 has a gateway endpoint, which costs nothing, in any case."
  type        = set(string)
  default     = ["bedrock-runtime", "ec2", "ecr.api", "ecr.dkr", "ecs", "eks-auth", "logs", "monitoring", "rds", "secretsmanager", "sts"]

  validation {
    condition     = alltrue([for it in var.interface_endpoints : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)?$", it))])
    error_message = "interface_endpoints: write the last part of the service's name, \"sts\" and not \"com.amazonaws.us-west-2.sts\"; found [${join(", ", var.interface_endpoints)}]."
  }

  validation {
    condition     = !contains(var.interface_endpoints, "s3")
    error_message = "interface_endpoints: leave \"s3\" out: it has a gateway endpoint, which costs nothing."
  }
}

variable "interface_endpoint_zones" {
  description = "In how many zones each interface endpoint has an address; every one is billed by the hour."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 3], var.interface_endpoint_zones)
    error_message = "interface_endpoint_zones: 1, 2 or 3 expected, found ${var.interface_endpoint_zones}."
  }
}

variable "flow_log_retention_days" {
  description = "How long flow logs are kept, in days that CloudWatch Logs knows."
  type        = number
  default     = 7

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.flow_log_retention_days)
    error_message = "flow_log_retention_days: ${var.flow_log_retention_days} is no period of CloudWatch Logs; take 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}
