variable "name" {
  description = "Name of the environment: of its cluster, its network, and prefix of everything else."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name: \"${var.name}\" must be 3 to 20 lower-case letters, digits and hyphens, from a letter to a letter or digit, for example \"mcp-dev\"."
  }
}

variable "region" {
  description = "AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-[0-9]$", var.region))
    error_message = "region: a region like \"us-west-2\" expected, found \"${var.region}\"; a zone (\"us-west-2a\") is none."
  }
}

variable "account_id" {
  description = "The only account that this environment may be applied to; null takes any."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: twelve digits in quotes expected (a number would lose leading zeros)."
  }
}

variable "endpoints" {
  description = "Addresses of emulators, by service; empty is AWS."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for it in values(var.endpoints) : can(regex("^https?://", it))])
    error_message = "endpoints: addresses like \"http://127.0.0.1:4566\" expected, found ${jsonencode(var.endpoints)}."
  }

  validation {
    condition = alltrue([for it in keys(var.endpoints) : contains([
      "acm", "backup", "budgets", "cloudformation", "cloudtrail", "cloudwatch", "ec2", "ecr", "efs", "eks", "eventbridge", "firehose",
      "iam", "kms", "logs", "rds", "route53", "s3", "secretsmanager", "sns", "sqs", "sts", "wafv2", "xray",
    ], it)])
    error_message = "endpoints: providers.tf lists the services that this environment uses; found [${join(", ", keys(var.endpoints))}]."
  }
}

variable "emulator" {
  description = "Whether to leave out what the emulator cannot do: see docs/terraform.md for each resource and why."
  type        = bool
  default     = false

  validation {
    condition     = !var.emulator || length(var.endpoints) > 0
    error_message = "emulator: leaves out parts of the environment, and no service is sent to an emulator; set endpoints too, or emulator = false."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
}

variable "compute_mode" {
  description = "Who makes nodes: \"karpenter\" or \"auto\"."
  type        = string
}

variable "node_group" {
  description = "The managed group: instance types, and how many nodes it has at least and at most."
  type        = object({ instance_types = list(string), min = number, desired = number, max = number })
}

variable "endpoint_public_access_cidrs" {
  description = "Ranges that may reach the API server from the internet; empty keeps it private to the VPC."
  type        = list(string)
}

variable "admin_principal_arns" {
  description = "IAM roles or users that administer the cluster, beside its creator."
  type        = set(string)
}

variable "network" {
  description = "The VPC's range and subnets, how many NAT gateways, which interface endpoints and in how many zones."
  type = object({
    cidr                     = string
    private_subnets          = list(string)
    public_subnets           = list(string)
    database_subnets         = list(string)
    control_plane_subnets    = list(string)
    single_nat_gateway       = bool
    interface_endpoints      = set(string)
    interface_endpoint_zones = number
  })
}

variable "log_retention_days" {
  description = "How long logs are kept: of the network, of applications, and audit records."
  type        = object({ flow = number, application = number, audit = number })
}

variable "database" {
  description = "PostgreSQL: size, disk, standby, and how many connections are too many."
  type = object({
    instance_class   = string
    storage_gib      = object({ initial = number, max = number })
    multi_az         = bool
    backup_keep_days = number
    max_connections  = number
  })
}

variable "backup_keep_days" {
  description = "How long daily backups of files and database are kept, in days."
  type        = number
}

variable "protected" {
  description = "Whether what holds data refuses to be destroyed: database, buckets, images, backups, the cluster's key."
  type        = bool
}

variable "alarm_emails" {
  description = "Who gets an e-mail when an alarm goes off."
  type        = set(string)
}

variable "budget" {
  description = "What a month may cost in US dollars, and who is told; null for no budget."
  type        = object({ monthly_limit_usd = number, emails = set(string) })
}

variable "domain" {
  description = "Zone of Route 53 and names of the certificate; null for none."
  type        = object({ zone_id = string, names = list(string) })
}

variable "secret_names" {
  description = "Prefixes of names in Secrets Manager that pods may mount, like \"mcp-eks/dev/\"."
  type        = set(string)

  validation {
    condition     = alltrue([for it in var.secret_names : can(regex("^[A-Za-z0-9/_+=.@-]{3,}$", it))])
    error_message = "secret_names: prefixes of at least three letters, without wildcard, expected; found [${join(", ", var.secret_names)}]."
  }
}

variable "servers" {
  description = "Roles for MCP servers, by name: the ServiceAccount that may take one, and which policy of config/iam it gets."
  type        = map(object({ namespace = string, service_account = string, policy = string }))

  validation {
    condition     = alltrue([for it in values(var.servers) : can(regex("^[a-z0-9-]+$", it.policy)) && fileexists("${path.module}/../../../config/iam/${it.policy}.json")])
    error_message = "servers: names of policies in config/iam, without \".json\", expected, for example \"aws-server-policy\"; found [${join(", ", [for it in values(var.servers) : it.policy])}]."
  }
}

variable "github" {
  description = "Repository whose workflows push images, and whether to make the account's identity provider; null for none."
  type        = object({ repository = string, create_provider = bool })
}

variable "agentcore_targets" {
  description = "MCP servers behind an AgentCore gateway, by name; empty for no gateway."
  type        = map(object({ endpoint = string }))
}
