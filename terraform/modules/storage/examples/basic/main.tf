# A file system in two zones, buckets and backups.
module "storage" {
  source = "../.."

  name                   = "mcp-example"
  vpc_id                 = "vpc-0aaaaaaaaaaaaaaa1"
  subnet_ids             = { a = "subnet-0aaaaaaaaaaaaaaa1", b = "subnet-0aaaaaaaaaaaaaaa2" }
  client_security_groups = { nodes = "sg-0aaaaaaaaaaaaaaa1" }
}

output "file_system_id" {
  description = "For the volumeHandle of a PersistentVolume."
  value       = module.storage.file_system_id
}
