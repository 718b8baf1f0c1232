# A small database that the cluster's nodes reach.
module "postgres" {
  source = "../.."

  name                   = "mcp-example"
  vpc_id                 = "vpc-0aaaaaaaaaaaaaaa1"
  subnet_ids             = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2"]
  client_security_groups = { nodes = "sg-0aaaaaaaaaaaaaaa1" }
}

output "secret_arn" {
  description = "Where the password is."
  value       = module.postgres.secret_arn
}
