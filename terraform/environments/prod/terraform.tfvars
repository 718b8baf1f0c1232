# Production: a zone may fail, AWS is reached without the internet, and what holds data refuses to be destroyed.

name   = "mcp-prod"
region = "us-west-2"

kubernetes_version = "1.35"
compute_mode       = "karpenter"
node_group         = { instance_types = ["t3.large"], min = 3, desired = 3, max = 6 }

endpoint_public_access_cidrs = []
admin_principal_arns         = []

network = {
  cidr                  = "10.1.0.0/16"
  private_subnets       = ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/20"]
  public_subnets        = ["10.1.64.0/20", "10.1.80.0/20", "10.1.96.0/20"]
  database_subnets      = ["10.1.208.0/24", "10.1.209.0/24", "10.1.210.0/24"]
  control_plane_subnets = ["10.1.240.0/28", "10.1.240.16/28", "10.1.240.32/28"]
  single_nat_gateway    = false

  interface_endpoints = [
    "bedrock-runtime", "ec2", "ecr.api", "ecr.dkr", "ecs", "eks-auth", "logs", "monitoring", "rds", "secretsmanager", "sts",
  ]
  interface_endpoint_zones = 3
}

log_retention_days = { flow = 30, application = 90, audit = 365 }

database = {
  instance_class   = "db.t4g.medium"
  storage_gib      = { initial = 50, max = 500 }
  multi_az         = true
  backup_keep_days = 35
  max_connections  = 350
}

backup_keep_days = 90
protected        = true

alarm_emails      = []
budget            = null
domain            = null
secret_names      = ["mcp-eks/mcp-prod/"]
servers           = { aws = { namespace = "mcp-eks-samples", service_account = "aws", policy = "aws-server-policy" } }
github            = null
agentcore_targets = {}
