# What watches, and what the outside world comes in by.

module "observability" {
  source = "../../modules/observability"

  name                       = var.name
  cluster_name               = module.eks.cluster_name
  agent_role_arn             = module.pod_identity.role_arns["log-shipping"]
  application_retention_days = var.log_retention_days.application
  audit_retention_days       = var.log_retention_days.audit
  log_archive                = module.storage.log_archive
  alarm_emails               = var.alarm_emails
  database                   = { instance_id = module.postgres.instance_id, max_connections = var.database.max_connections }
  tracing                    = !var.emulator
}

module "budget" {
  source = "../../modules/budget"
  count  = var.budget == null ? 0 : 1

  name              = var.name
  monthly_limit_usd = var.budget.monthly_limit_usd
  emails            = var.budget.emails
}

module "github_oidc" {
  source = "../../modules/github-oidc"
  count  = var.github == null ? 0 : 1

  name            = var.name
  repository      = var.github.repository
  create_provider = var.github.create_provider
  repository_arns = values(module.ecr.repository_arns)
}

module "agentcore" {
  source = "../../modules/agentcore"
  count  = length(var.agentcore_targets) > 0 && !var.emulator ? 1 : 0

  name    = var.name
  targets = var.agentcore_targets
}
