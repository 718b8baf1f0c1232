variable "name" {
  description = "Name of the budget."
  type        = string
}

variable "monthly_limit_usd" {
  description = "What a month may cost, in US dollars."
  type        = number

  validation {
    condition     = var.monthly_limit_usd >= 1
    error_message = "monthly_limit_usd: at least 1 expected, found ${var.monthly_limit_usd}; docs/terraform.md has what dev and prod cost."
  }
}

variable "emails" {
  description = "Who is told when four fifths are spent, and when the forecast passes the limit."
  type        = set(string)

  validation {
    condition     = length(var.emails) >= 1 && length(var.emails) <= 10 && alltrue([for it in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", it))])
    error_message = "emails: 1 to 10 addresses expected, found [${join(", ", var.emails)}]."
  }
}

variable "cost_tag" {
  description = "Tag and value of what counts. It counts nothing until the tag is made a cost allocation tag in the billing console; null counts the whole account."
  type        = object({ key = string, value = string })
  default     = null
}
