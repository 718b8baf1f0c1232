variable "name" {
  description = "Prefix of everything made here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 32 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the database, in at least two zones, without a way out."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: RDS needs subnets in at least two zones, found ${length(distinct(var.subnet_ids))}; the output database_subnet_ids of the module vpc has three."
  }
}

variable "client_security_groups" {
  description = "Who reaches port 5432, by a name of your own: the security groups of the pods (SecurityGroupPolicy) or, less narrow, of the nodes."
  type        = map(string)

  validation {
    condition     = length(var.client_security_groups) > 0
    error_message = "client_security_groups: at least one is needed, or nobody reaches the database; { nodes = module.eks.cluster_security_group_id } lets the nodes in."
  }
}

variable "engine_version" {
  description = "Major version of PostgreSQL; RDS chooses the minor one and keeps it patched."
  type        = string
  default     = "17"

  validation {
    condition     = contains(["16", "17", "18"], var.engine_version)
    error_message = "engine_version: a major version expected, 16, 17 or 18; found \"${var.engine_version}\"."
  }
}

variable "instance_class" {
  description = "Size of the machine."
  type        = string
  default     = "db.t4g.micro"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.instance_class))
    error_message = "instance_class: a class like \"db.t4g.micro\" expected, found \"${var.instance_class}\"."
  }
}

variable "storage_gib" {
  description = "Disk at the start, and how far it may grow, in GiB."
  type        = object({ initial = number, max = number })
  default     = { initial = 20, max = 100 }

  validation {
    condition     = var.storage_gib.initial >= 20 && var.storage_gib.max >= ceil(var.storage_gib.initial * 1.1)
    error_message = "storage_gib: initial at least 20 and max at least a tenth more than initial expected, found ${var.storage_gib.initial} and ${var.storage_gib.max}."
  }
}

variable "database_name" {
  description = "Database that is made with the instance."
  type        = string
  default     = "mcp"

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name: lower-case letters, digits and underscores from a letter on expected, at most 63; found \"${var.database_name}\"."
  }
}

variable "multi_az" {
  description = "Whether a standby in another zone takes over when this one fails; doubles the price."
  type        = bool
  default     = false
}

variable "backup_keep_days" {
  description = "How far back the database can be restored to any second, in days."
  type        = number
  default     = 7

  validation {
    condition     = var.backup_keep_days >= 1 && var.backup_keep_days <= 35
    error_message = "backup_keep_days: 1 to 35 expected, found ${var.backup_keep_days}; longer ones come from AWS Backup (module storage)."
  }
}

variable "backup_tag" {
  description = "Value of the tag mcp-eks.dev/backup, by which a backup plan of the module storage finds the database; empty for none."
  type        = string
  default     = ""
}

variable "deletion_protection" {
  description = "Whether RDS refuses to delete the database, and takes a last snapshot when it is allowed to."
  type        = bool
  default     = true
}
