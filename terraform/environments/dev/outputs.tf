output "region" {
  description = "AWS region."
  value       = var.region
}

output "cluster_name" {
  description = "Name of the cluster: `aws eks update-kubeconfig --name`."
  value       = module.eks.cluster_name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = module.eks.cluster_arn
}

output "cluster_endpoint" {
  description = "Address of the API server."
  value       = module.eks.cluster_endpoint
}

output "cluster_security_group_id" {
  description = "Security group of control plane and nodes."
  value       = module.eks.cluster_security_group_id
}

output "vpc_id" {
  description = "Id of the VPC, for the load balancer controller."
  value       = module.vpc.vpc_id
}

output "private_subnet_ids" {
  description = "Ids of the private subnets."
  value       = module.vpc.private_subnet_ids
}

output "public_subnet_ids" {
  description = "Ids of the public subnets."
  value       = module.vpc.public_subnet_ids
}

output "nat_public_ips" {
  description = "Addresses that traffic to the internet comes from."
  value       = module.vpc.nat_public_ips
}

output "repository_urls" {
  description = "Where images are pushed, by image."
  value       = module.ecr.repository_urls
}

output "role_arns" {
  description = "Roles of the controllers, by what they are for."
  value       = module.pod_identity.role_arns
}

output "server_role_arns" {
  description = "Roles of MCP servers, by server: `spec.identity` of an McpServer."
  value       = module.pod_identity.server_role_arns
}

output "server_role_path" {
  description = "IAM path under which the operator finds the roles it may give to servers."
  value       = module.pod_identity.server_role_path
}

output "karpenter" {
  description = "What Karpenter's chart and node classes ask for; null in Auto Mode."
  value = one([for it in module.karpenter : {
    controller_role_arn = it.controller_role_arn
    interruption_queue  = it.queue_name
    node_role_name      = it.node_role_name
  }])
}

output "file_system_id" {
  description = "Id of the file system, for the volumeHandle of a PersistentVolume."
  value       = module.storage.file_system_id
}

output "bucket_names" {
  description = "Buckets: artifacts, logs."
  value       = module.storage.bucket_names
}

output "database" {
  description = "What the servers' settings say about PostgreSQL."
  value = {
    host       = module.postgres.address
    port       = module.postgres.port
    name       = module.postgres.database_name
    secret_arn = module.postgres.secret_arn
  }
}

output "log_group_names" {
  description = "Log groups, by what is in them."
  value       = module.observability.log_group_names
}

output "otlp_endpoint" {
  description = "Where servers send traces."
  value       = module.observability.otlp_endpoint
}

output "alarm_topic_arn" {
  description = "Topic that alarms go to."
  value       = module.observability.alarm_topic_arn
}

output "certificate_arn" {
  description = "Certificate for load balancers; null without a domain."
  value       = module.edge.certificate_arn
}

output "web_acl_arn" {
  description = "Firewall for application load balancers."
  value       = module.edge.web_acl_arn
}

output "github_push_role_arn" {
  description = "Role of workflows that push images; null without a repository."
  value       = one(module.github_oidc[*].push_role_arn)
}

output "agentcore_gateway_url" {
  description = "Address that agents call; null without a gateway."
  value       = one(module.agentcore[*].gateway_url)
}
