variable "name" {
  description = "Prefix of the roles."
  type        = string
}

variable "repository" {
  description = "Repository whose workflows get the roles, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.repository))
    error_message = "repository: \"owner/name\" without wildcard expected, found \"${var.repository}\": a star would let in repositories that others make."
  }
}

variable "push_refs" {
  description = "Branches and tags whose workflows may push images."
  type        = set(string)
  default     = ["refs/heads/main", "refs/tags/v*"]

  validation {
    condition     = length(var.push_refs) > 0 && alltrue([for it in var.push_refs : can(regex("^refs/(heads|tags)/[^*]+\\*?$", it))])
    error_message = "push_refs: whole references like \"refs/heads/main\" or \"refs/tags/v*\" expected, found [${join(", ", var.push_refs)}]; a star alone would let every branch push."
  }
}

variable "repository_arns" {
  description = "ECR repositories that those workflows push to."
  type        = list(string)

  validation {
    condition     = length(var.repository_arns) > 0
    error_message = "repository_arns: at least one is needed; values(module.ecr.repository_arns) has them."
  }
}

variable "create_provider" {
  description = "Whether to make the account's identity provider for GitHub; false where it exists, for there can be only one."
  type        = bool
  default     = true
}
