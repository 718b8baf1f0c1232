variable "cluster_name" {
  description = "EKS cluster whose ServiceAccounts get the roles."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name: \"${var.cluster_name}\" is no name of an EKS cluster: letters, digits, hyphens and underscores, at most 100."
  }
}

variable "roles" {
  description = "Which roles to make."
  type        = set(string)
  default     = ["operator", "load-balancer-controller", "external-dns", "keda", "ebs-csi", "efs-csi", "secrets-store", "log-shipping", "otel-collector"]

  validation {
    condition     = alltrue([for it in var.roles : contains(["operator", "load-balancer-controller", "external-dns", "keda", "ebs-csi", "efs-csi", "secrets-store", "log-shipping", "otel-collector"], it)])
    error_message = "roles: known are operator, load-balancer-controller, external-dns, keda, ebs-csi, efs-csi, secrets-store, log-shipping, otel-collector; found [${join(", ", var.roles)}]. Karpenter's role is in the module karpenter."
  }
}

variable "associate" {
  description = "Which roles get an association here. Those of add-ons (ebs-csi, efs-csi, log-shipping) are made with the add-on, from the role's ARN."
  type        = set(string)
  default     = ["operator", "load-balancer-controller", "external-dns", "keda", "secrets-store", "otel-collector"]

  validation {
    condition     = length(setintersection(var.associate, ["ebs-csi", "efs-csi", "log-shipping"])) == 0
    error_message = "associate: ebs-csi, efs-csi and log-shipping are EKS add-ons, whose associations the modules eks and observability make; leave them out of [${join(", ", var.associate)}]."
  }
}

variable "service_accounts" {
  description = "Namespace and name of ServiceAccounts that differ from the charts' own, by role."
  type        = map(object({ namespace = string, name = string }))
  default     = {}

  validation {
    condition     = alltrue([for it in values(var.service_accounts) : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", it.namespace)) && can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", it.name))])
    error_message = "service_accounts: names as Kubernetes allows them expected (lower-case letters, digits, hyphens), found ${jsonencode(var.service_accounts)}."
  }
}

variable "server_role_path" {
  description = "IAM path of the roles that the operator may give to servers; null takes /mcp-eks/<cluster>/servers/. The roles of this module lie beside it, not under it: the operator cannot hand them out."
  type        = string
  default     = null

  validation {
    condition     = var.server_role_path == null || can(regex("^/([A-Za-z0-9_.-]+/)+$", var.server_role_path))
    error_message = "server_role_path: a path of its own like \"/mcp-eks/dev/servers/\" expected; \"/\" would let the operator give away every role of the account."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds every role made here; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn: the ARN of a policy expected."
  }
}

variable "hosted_zone_arns" {
  description = "Zones that external-dns may change; without one its role is not made."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.hosted_zone_arns : can(regex("^arn:aws[a-z-]*:route53:::hostedzone/[A-Z0-9]+$", it))])
    error_message = "hosted_zone_arns: ARNs like arn:aws:route53:::hostedzone/Z0123456789 expected, without wildcard; found [${join(", ", var.hosted_zone_arns)}]."
  }
}

variable "secret_arns" {
  description = "Secrets that pods may mount through the Secrets Store CSI driver; without one its role is not made."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.secret_arns : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*]+[*?]*$", it)) && !endswith(it, ":secret:*")])
    error_message = "secret_arns: ARNs of single secrets, or with the prefix of a family of them, expected; found [${join(", ", var.secret_arns)}]."
  }
}

variable "queue_arns" {
  description = "SQS queues whose length KEDA may read."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.queue_arns : can(regex("^arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[^*]+$", it))])
    error_message = "queue_arns: ARNs of queues expected, without wildcard; found [${join(", ", var.queue_arns)}]."
  }
}

variable "servers" {
  description = "Roles for MCP servers, by name: the ServiceAccount that may take one, and its policy as JSON (`mcp-aws iam-policy` prints that of the AWS server)."
  type        = map(object({ namespace = string, service_account = string, policy = string }))
  default     = {}

  validation {
    condition     = alltrue([for name, it in var.servers : can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", name)) && can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", it.namespace)) && can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", it.service_account))])
    error_message = "servers: names of at most 32 lower-case letters, digits and hyphens, and namespaces and ServiceAccounts as Kubernetes allows them expected; found ${join(", ", [for name, it in var.servers : "${name} = ${it.namespace}/${it.service_account}"])}."
  }

  validation {
    condition     = alltrue([for it in values(var.servers) : can(jsondecode(it.policy).Statement[0].Action)])
    error_message = "servers: each policy must be an IAM policy as JSON with at least one statement; take jsonencode, or file() of what `mcp-aws iam-policy` printed."
  }

  validation {
    condition     = alltrue([for it in values(var.servers) : alltrue([for s in try(jsondecode(it.policy).Statement, []) : alltrue([for a in flatten([try(s.Action, [])]) : !endswith(a, "*") || length(split(":", a)) == 2 && !endswith(a, ":*")])])])
    error_message = "servers: a policy allows every action (\"*\" or \"service:*\"); name the actions that the server's tools need."
  }
}
