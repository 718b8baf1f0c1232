variable "cluster_name" {
  description = "EKS cluster that Karpenter makes nodes for."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name: \"${var.cluster_name}\" is no name of an EKS cluster: letters, digits, hyphens and underscores, at most 100."
  }
}

variable "namespace" {
  description = "Namespace that Karpenter runs in."
  type        = string
  default     = "kube-system"
}

variable "service_account" {
  description = "ServiceAccount that Karpenter runs as."
  type        = string
  default     = "karpenter"
}

variable "role_path" {
  description = "IAM path of the controller's role."
  type        = string
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_.-]+/)*$", var.role_path))
    error_message = "role_path: \"${var.role_path}\" must begin and end with a slash, like \"/mcp-eks/dev/\"."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds the controller's role; null for none."
  type        = string
  default     = null
}

variable "cni_policy_on_nodes" {
  description = "Whether nodes carry the network add-on's rights; false where the add-on has a role of its own by Pod Identity."
  type        = bool
  default     = true
}

variable "message_retention_seconds" {
  description = "How long a message about an interruption is kept. A spot instance has two minutes, so an old message helps nobody."
  type        = number
  default     = 300

  validation {
    condition     = var.message_retention_seconds >= 60 && var.message_retention_seconds <= 1209600
    error_message = "message_retention_seconds: 60 to 1209600 expected, found ${var.message_retention_seconds}."
  }
}
