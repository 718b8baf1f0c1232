# Roles of the servers, under the one path that the operator may hand out. The operator makes the associations, with the pods.

resource "aws_iam_role" "server" {
  for_each = var.servers

  name                 = "${var.cluster_name}-server-${each.key}"
  path                 = local.server_role_path
  description          = "MCP server ${each.value.namespace}/${each.value.service_account} of the EKS cluster ${var.cluster_name}"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.trust["servers/${each.key}"]

  # The owner's consent, which the operator looks for where a class asks for it.
  tags = { "mcp-eks.dev/allowed" = "${var.cluster_name}/${each.value.namespace}" }
}

resource "aws_iam_role_policy" "server" {
  for_each = var.servers

  name   = each.key
  role   = aws_iam_role.server[each.key].id
  policy = each.value.policy
}
