variable "name" {
  description = "Prefix of everything made here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 32 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "vpc_id" {
  description = "VPC of the file system."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the mount targets by a name of your own, one a zone. A map, because ids are not known before the VPC is made."
  type        = map(string)

  validation {
    condition     = length(var.subnet_ids) >= 1 && length(var.subnet_ids) <= 6
    error_message = "subnet_ids: one subnet a zone expected, 1 to 6 of them; found ${length(var.subnet_ids)}."
  }
}

variable "client_security_groups" {
  description = "Security groups of the nodes that mount the file system, by a name of your own."
  type        = map(string)
}

variable "infrequent_access_after_days" {
  description = "After how many days unread files move to the storage class for infrequent access."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 7, 14, 30, 60, 90, 180, 270, 365], var.infrequent_access_after_days)
    error_message = "infrequent_access_after_days: ${var.infrequent_access_after_days} is no period of EFS; take 1, 7, 14, 30, 60, 90, 180, 270 or 365."
  }
}

variable "audit_lock_days" {
  description = "How long nobody can delete or change an object in the log archive, in days."
  type        = number
  default     = 90

  validation {
    condition     = var.audit_lock_days >= 90 && var.audit_lock_days <= 3650
    error_message = "audit_lock_days: audit records are kept for at least 90 days, and at most 3650; found ${var.audit_lock_days}."
  }
}

variable "audit_lock_mode" {
  description = "GOVERNANCE (a role with a right of its own can lift the lock) or COMPLIANCE (nobody can, the account's root neither)."
  type        = string
  default     = "GOVERNANCE"

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.audit_lock_mode)
    error_message = "audit_lock_mode: GOVERNANCE or COMPLIANCE expected, found \"${var.audit_lock_mode}\"."
  }
}

variable "backup_keep_days" {
  description = "How long daily backups are kept, in days."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_keep_days >= 7 && var.backup_keep_days <= 365
    error_message = "backup_keep_days: 7 to 365 expected, found ${var.backup_keep_days}."
  }
}

variable "force_destroy" {
  description = "Whether destroying buckets and vault destroys what is in them. Objects under lock stay all the same."
  type        = bool
  default     = false
}
