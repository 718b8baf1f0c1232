variable "name" {
  description = "Prefix of everything made here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 32 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "zone_id" {
  description = "Route 53 zone of the names; null makes no certificate and no records, the firewall alone."
  type        = string
  default     = null

  validation {
    condition     = var.zone_id == null || can(regex("^Z[A-Z0-9]{1,31}$", var.zone_id))
    error_message = "zone_id: the id of a hosted zone expected, like Z0123456789ABCDEFGHIJ, without \"/hostedzone/\"."
  }
}

variable "domain_names" {
  description = "Names that the certificate is for, the first as its subject."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.domain_names : can(regex("^(\\*\\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", it))])
    error_message = "domain_names: names like \"mcp.example.com\" expected, in lower case and without \"https://\"; found [${join(", ", var.domain_names)}]."
  }

  validation {
    condition     = length(var.domain_names) == 0 || var.zone_id != null
    error_message = "domain_names: a certificate is proven by records in a zone; set zone_id too."
  }
}

variable "records" {
  description = "Names that point at load balancers, each with the balancer's own name and zone. For names that external-dns does not make: those of several regions."
  type        = map(object({ dns_name = string, zone_id = string }))
  default     = {}

  validation {
    condition     = length(var.records) == 0 || var.zone_id != null
    error_message = "records: a zone is needed to write them to; set zone_id too."
  }
}

variable "latency_routing" {
  description = "Whether records answer with the region nearest to the caller whose health check passes, so that the same names can be made in other regions."
  type        = bool
  default     = false
}

variable "health_check_path" {
  description = "Path that a health check asks for over HTTPS."
  type        = string
  default     = "/readyz"

  validation {
    condition     = startswith(var.health_check_path, "/")
    error_message = "health_check_path: must begin with a slash, found \"${var.health_check_path}\"."
  }
}

variable "rate_limit" {
  description = "How many requests one address may send in five minutes before the firewall refuses it."
  type        = number
  default     = 2000

  validation {
    condition     = var.rate_limit >= 10 && var.rate_limit <= 2000000000
    error_message = "rate_limit: 10 to 2000000000 expected, found ${var.rate_limit}."
  }
}

variable "log_retention_days" {
  description = "How long the firewall's log is kept, in days that CloudWatch Logs knows."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.log_retention_days)
    error_message = "log_retention_days: ${var.log_retention_days} is no period of CloudWatch Logs; take 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "firewall_log" {
  description = "Whether the firewall writes down what it saw."
  type        = bool
  default     = true
}
