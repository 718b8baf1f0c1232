variable "name" {
  description = "Name of the gateway."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-zA-Z]([0-9a-zA-Z-]{0,46}[0-9a-zA-Z])?$", var.name))
    error_message = "name: 1 to 48 letters, digits and hyphens expected, found \"${var.name}\"."
  }
}

variable "targets" {
  description = "MCP servers behind the gateway: their addresses, by a name of your own. AgentCore reaches addresses with a certificate of a public authority."
  type        = map(object({ endpoint = string }))

  validation {
    condition     = length(var.targets) > 0 && alltrue([for it in values(var.targets) : can(regex("^https://[A-Za-z0-9.-]+(:[0-9]+)?/.*$", it.endpoint))])
    error_message = "targets: at least one address like \"https://files.example.com/mcp\" expected, found ${jsonencode(values(var.targets)[*].endpoint)}: AgentCore speaks TLS alone."
  }

  validation {
    condition     = alltrue([for it in keys(var.targets) : can(regex("^[0-9a-zA-Z]([0-9a-zA-Z-]{0,98}[0-9a-zA-Z])?$", it))])
    error_message = "targets: names of letters, digits and hyphens expected, found [${join(", ", keys(var.targets))}]."
  }
}

variable "oauth" {
  description = "Credentials that the gateway shows the servers: ARN of an OAuth2 credential provider of AgentCore and of its secret, and scopes. Null for servers without authentication, which must then be reachable by the gateway alone."
  type        = object({ provider_arn = string, secret_arn = string, scopes = list(string) })
  default     = null
}

variable "exception_level" {
  description = "\"DEBUG\" tells callers why a call failed; null tells them that it did."
  type        = string
  default     = null

  validation {
    condition     = var.exception_level == null || var.exception_level == "DEBUG"
    error_message = "exception_level: \"DEBUG\" or null expected, found \"${coalesce(var.exception_level, "null")}\"."
  }
}
