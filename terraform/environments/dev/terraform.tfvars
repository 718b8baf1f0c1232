# Development: cheap, one zone's worth of what is billed by the hour, and destroyed without a trace.

name   = "mcp-dev"
region = "us-west-2"

kubernetes_version = "1.35"
compute_mode       = "karpenter"
node_group         = { instance_types = ["t3.medium"], min = 2, desired = 2, max = 3 }

# Add your own address to reach the API server from outside: ["203.0.113.7/32"].
endpoint_public_access_cidrs = []
admin_principal_arns         = []

network = {
  cidr                  = "10.0.0.0/16"
  private_subnets       = ["10.0.0.0/20", "10.0.16.0/20", "10.0.32.0/20"]
  public_subnets        = ["10.0.64.0/20", "10.0.80.0/20", "10.0.96.0/20"]
  database_subnets      = ["10.0.208.0/24", "10.0.209.0/24", "10.0.210.0/24"]
  control_plane_subnets = ["10.0.240.0/28", "10.0.240.16/28", "10.0.240.32/28"]
  single_nat_gateway    = true

  # NAT serves the others; credentials keep off the internet.
  interface_endpoints      = ["eks-auth", "secretsmanager", "sts"]
  interface_endpoint_zones = 1
}

log_retention_days = { flow = 7, application = 7, audit = 90 }

database = {
  instance_class   = "db.t4g.micro"
  storage_gib      = { initial = 20, max = 50 }
  multi_az         = false
  backup_keep_days = 7
  max_connections  = 70
}

backup_keep_days = 14
protected        = false

alarm_emails      = []
budget            = null
domain            = null
secret_names      = ["mcp-eks/mcp-dev/"]
servers           = { aws = { namespace = "mcp-eks-samples", service_account = "aws", policy = "aws-server-policy" } }
github            = null
agentcore_targets = {}
