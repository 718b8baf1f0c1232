# What holds data: files, objects, backups, rows.

module "storage" {
  source = "../../modules/storage"

  name                   = var.name
  vpc_id                 = module.vpc.vpc_id
  subnet_ids             = zipmap(["a", "b", "c"], module.vpc.private_subnet_ids)
  client_security_groups = { nodes = module.eks.cluster_security_group_id }
  audit_lock_days        = var.log_retention_days.audit
  backup_keep_days       = var.backup_keep_days
  force_destroy          = !var.protected
}

# The nodes' group and not the servers' own: security groups for pods do not work on t3 machines.
module "postgres" {
  source = "../../modules/postgres"

  name                   = var.name
  vpc_id                 = module.vpc.vpc_id
  subnet_ids             = module.vpc.database_subnet_ids
  client_security_groups = { nodes = module.eks.cluster_security_group_id }
  instance_class         = var.database.instance_class
  storage_gib            = var.database.storage_gib
  multi_az               = var.database.multi_az
  backup_keep_days       = var.database.backup_keep_days
  backup_tag             = var.name
  deletion_protection    = var.protected
}
