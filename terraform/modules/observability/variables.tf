variable "name" {
  description = "Prefix of everything made here."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 32 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "cluster_name" {
  description = "EKS cluster that is watched."
  type        = string
}

variable "agent" {
  description = "Whether to install the add-on that ships logs, metrics and traces."
  type        = bool
  default     = true
}

variable "agent_role_arn" {
  description = "Role of that add-on: log-shipping of the module pod-identity."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", var.agent_role_arn))
    error_message = "agent_role_arn: the ARN of an IAM role expected, found \"${var.agent_role_arn}\"; role_arns[\"log-shipping\"] of the module pod-identity has it."
  }
}

variable "application_retention_days" {
  description = "How long the pods' logs are kept, in days that CloudWatch Logs knows."
  type        = number
  default     = 7

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.application_retention_days)
    error_message = "application_retention_days: ${var.application_retention_days} is no period of CloudWatch Logs; take 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

variable "audit_retention_days" {
  description = "How long audit records are kept where they can be searched, in days that CloudWatch Logs knows."
  type        = number
  default     = 90

  validation {
    condition     = contains([90, 120, 150, 180, 365, 400, 731, 1827, 3653], var.audit_retention_days)
    error_message = "audit_retention_days: audit records are kept for at least 90 days; take 90, 120, 150, 180, 365, 400, 731, 1827 or 3653, found ${var.audit_retention_days}."
  }
}

variable "log_archive" {
  description = "Bucket under Object Lock that CloudTrail and audit records go to: log_archive of the module storage."
  type        = string
}

variable "alarm_emails" {
  description = "Who gets an e-mail when an alarm goes off; each has to confirm the first one."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", it))])
    error_message = "alarm_emails: addresses expected, found [${join(", ", var.alarm_emails)}]."
  }
}

variable "server_alarms" {
  description = "Which alarms to have on metrics of the servers and the operator."
  type        = set(string)
  default     = ["tool-errors", "breaker-open", "throttling", "pool-exhausted", "audit-failing", "audit-lost", "operator-errors", "operator-panics"]

  validation {
    condition     = alltrue([for it in var.server_alarms : contains(["tool-errors", "breaker-open", "throttling", "pool-exhausted", "audit-failing", "audit-lost", "operator-errors", "operator-panics"], it)])
    error_message = "server_alarms: known are tool-errors, breaker-open, throttling, pool-exhausted, audit-failing, audit-lost, operator-errors, operator-panics; found [${join(", ", var.server_alarms)}]."
  }
}

variable "max_error_percent" {
  description = "Share of failed tool calls over five minutes above which the alarm goes off, in percent."
  type        = number
  default     = 5

  validation {
    condition     = var.max_error_percent > 0 && var.max_error_percent < 100
    error_message = "max_error_percent: more than 0 and less than 100 expected, found ${var.max_error_percent}."
  }
}

variable "max_latency_seconds" {
  description = "Mean time behind a load balancer over five minutes above which the alarm goes off, in seconds."
  type        = number
  default     = 2

  validation {
    condition     = var.max_latency_seconds > 0 && var.max_latency_seconds <= 60
    error_message = "max_latency_seconds: more than 0 and at most 60 expected, found ${var.max_latency_seconds}."
  }
}

variable "database" {
  description = "RDS instance that is watched: its identifier, and how many connections are too many. Null for none."
  type        = object({ instance_id = string, max_connections = number })
  default     = null
}

variable "trail" {
  description = "Whether to make a trail here; false where an organisation has one."
  type        = bool
  default     = true
}

variable "tracing" {
  description = "Whether to make the X-Ray group and sampling rule of the servers' traces."
  type        = bool
  default     = true
}

variable "trace_sampling" {
  description = "Share of requests that are traced, from 0 to 1, beyond the first one a second."
  type        = number
  default     = 0.05

  validation {
    condition     = var.trace_sampling >= 0 && var.trace_sampling <= 1
    error_message = "trace_sampling: a share from 0 to 1 expected, found ${var.trace_sampling}."
  }
}
