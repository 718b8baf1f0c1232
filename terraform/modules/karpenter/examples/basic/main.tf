# Karpenter for a cluster that exists.
module "karpenter" {
  source = "../.."

  cluster_name = "mcp-example"
}

output "queue_name" {
  description = "For settings.interruptionQueue of Karpenter's chart."
  value       = module.karpenter.queue_name
}
