variable "name" {
  description = "Name of the cluster, and prefix of everything that belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 32 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes. Older ones are out of standard support and cost six times as much an hour."
  type        = string
  default     = "1.35"

  validation {
    condition     = contains(["1.35", "1.36"], var.kubernetes_version)
    error_message = "kubernetes_version: \"${var.kubernetes_version}\" is not one this module was tested with; take \"1.35\" or \"1.36\"."
  }
}

variable "support_type" {
  description = "STANDARD upgrades the cluster when standard support of its version ends; EXTENDED stays, at six times the price. Null leaves it as it is."
  type        = string
  default     = "STANDARD"

  validation {
    condition     = var.support_type == null || contains(["STANDARD", "EXTENDED"], coalesce(var.support_type, "none"))
    error_message = "support_type: \"STANDARD\" or \"EXTENDED\" expected, found \"${coalesce(var.support_type, "null")}\"."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the nodes, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: at least two different subnets are needed, found ${length(distinct(var.subnet_ids))}; the output private_subnet_ids of the module vpc has three."
  }
}

variable "control_plane_subnet_ids" {
  description = "Subnets of the control plane's network interfaces, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(distinct(var.control_plane_subnet_ids)) >= 2
    error_message = "control_plane_subnet_ids: EKS needs at least two subnets, found ${length(distinct(var.control_plane_subnet_ids))}; the output control_plane_subnet_ids of the module vpc has three."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Ranges that may reach the API server from the internet; empty keeps it private to the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.endpoint_public_access_cidrs : try(cidrhost(it, 0) == split("/", it)[0], false)])
    error_message = "endpoint_public_access_cidrs: [${join(", ", var.endpoint_public_access_cidrs)}] has an entry that is no network; write one address as 203.0.113.7/32, a network with its first address as 203.0.113.0/24."
  }

  validation {
    condition     = alltrue([for it in var.endpoint_public_access_cidrs : try(tonumber(split("/", it)[1]) >= 16, false)])
    error_message = "endpoint_public_access_cidrs: [${join(", ", var.endpoint_public_access_cidrs)}] opens the API server to (nearly) the whole world; name your own addresses, /16 or smaller, or leave it empty and come through the VPC."
  }
}

variable "creator_is_admin" {
  description = "Whether the identity that runs Terraform administers the cluster. Switch it off where pipelines create and others administer; changing it later makes a new cluster."
  type        = bool
  default     = true
}

variable "admin_principal_arns" {
  description = "IAM roles or users that administer the cluster, beside its creator."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.admin_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", it))])
    error_message = "admin_principal_arns: ARNs of IAM roles or users expected, like arn:aws:iam::123456789012:role/platform; found [${join(", ", var.admin_principal_arns)}]. A role's ARN, not that of a session (arn:aws:sts:…)."
  }
}

variable "compute_mode" {
  description = "Who makes nodes: \"karpenter\" (a managed group for Karpenter and the add-ons, Karpenter for the rest) or \"auto\" (EKS Auto Mode, no group and no Karpenter of our own). Chosen with the cluster: a change later needs a new one."
  type        = string
  default     = "karpenter"

  validation {
    condition     = contains(["karpenter", "auto"], var.compute_mode)
    error_message = "compute_mode: \"karpenter\" or \"auto\" expected, found \"${var.compute_mode}\"."
  }
}

variable "node_instance_types" {
  description = "Instance types of the managed group."
  type        = list(string)
  default     = ["t3.medium"]

  validation {
    condition     = length(var.node_instance_types) > 0 && alltrue([for it in var.node_instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", it))])
    error_message = "node_instance_types: at least one type like \"t3.medium\" expected, found [${join(", ", var.node_instance_types)}]."
  }
}

variable "node_group_size" {
  description = "How many nodes the managed group has, at least and at most. Two, in two zones, let Karpenter and CoreDNS survive one."
  type        = object({ min = number, desired = number, max = number })
  default     = { min = 2, desired = 2, max = 3 }

  validation {
    condition     = var.node_group_size.min >= 1 && var.node_group_size.min <= var.node_group_size.desired && var.node_group_size.desired <= var.node_group_size.max
    error_message = "node_group_size: 1 <= min <= desired <= max expected, found min ${var.node_group_size.min}, desired ${var.node_group_size.desired}, max ${var.node_group_size.max}."
  }
}

variable "node_disk_gib" {
  description = "Disk of a managed node, in GiB: images and logs."
  type        = number
  default     = 30

  validation {
    condition     = var.node_disk_gib >= 20 && var.node_disk_gib <= 500
    error_message = "node_disk_gib: 20 to 500 expected, found ${var.node_disk_gib}."
  }
}

variable "max_pods" {
  description = "Pods a managed node may run. With prefix delegation a t3.medium has addresses for 110; without it for 17."
  type        = number
  default     = 110

  validation {
    condition     = var.max_pods >= 17 && var.max_pods <= 250
    error_message = "max_pods: 17 to 250 expected, found ${var.max_pods}; AWS advises 110 for machines of fewer than 30 processors."
  }
}

variable "addon_versions" {
  description = "Versions of add-ons that must not be the default of the cluster's version, by name of the add-on."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, version in var.addon_versions : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "addon_versions: versions like \"v1.20.4-eksbuild.1\" expected; `aws eks describe-addon-versions` lists them. Found ${jsonencode(var.addon_versions)}."
  }
}

variable "addon_roles" {
  description = "Roles by Pod Identity of the add-ons that call AWS, by name of the add-on."
  type        = map(object({ service_account = string, role_arn = string }))
  default     = {}

  validation {
    condition     = alltrue([for it in keys(var.addon_roles) : contains(["aws-ebs-csi-driver", "aws-efs-csi-driver", "vpc-cni"], it)])
    error_message = "addon_roles: only aws-ebs-csi-driver, aws-efs-csi-driver and vpc-cni take one here; found [${join(", ", keys(var.addon_roles))}]."
  }
}

variable "log_retention_days" {
  description = "How long the control plane's logs are kept, audit log among them, in days that CloudWatch Logs knows."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 731, 1827, 3653], var.log_retention_days)
    error_message = "log_retention_days: ${var.log_retention_days} is no period that fits an audit log; take 30, 60, 90, 120, 150, 180, 365, 400, 731, 1827 or 3653."
  }
}

variable "deletion_protection" {
  description = "Whether the key of the secrets stays for 30 days after the cluster is destroyed (true), or for 7."
  type        = bool
  default     = true
}
