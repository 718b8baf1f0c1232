variable "prefix" {
  description = "First part of every repository's name."
  type        = string
  default     = "mcp-eks"

  validation {
    condition     = can(regex("^[a-z0-9]+([._-][a-z0-9]+)*$", var.prefix))
    error_message = "prefix: \"${var.prefix}\" must be lower-case letters and digits, with single dots, hyphens or underscores between, like \"mcp-eks\"."
  }
}

variable "repositories" {
  description = "Images, by the last part of the repository's name."
  type        = set(string)
  default     = ["dashboard", "operator", "servers"]

  validation {
    condition     = length(var.repositories) > 0 && alltrue([for it in var.repositories : can(regex("^[a-z0-9]+([._-][a-z0-9]+)*$", it))])
    error_message = "repositories: at least one name of lower-case letters and digits expected, with single dots, hyphens or underscores between; found [${join(", ", var.repositories)}]."
  }
}

variable "keep_days" {
  description = "After how many days an image without a release's tag goes."
  type        = number
  default     = 90

  validation {
    condition     = var.keep_days >= 14 && var.keep_days <= 3650
    error_message = "keep_days: 14 to 3650 expected, found ${var.keep_days}: an image that still runs must not go while its release is being mended."
  }
}

variable "keep_releases" {
  description = "How many images tagged v… stay, however old: what runs may be older than keep_days."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_releases >= 3 && var.keep_releases <= 1000
    error_message = "keep_releases: 3 to 1000 expected, found ${var.keep_releases}."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the images; null takes the one of ECR."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn: the ARN of a key expected, not of an alias."
  }
}

variable "force_delete" {
  description = "Whether destroying a repository destroys the images in it."
  type        = bool
  default     = false
}
