# Amazon Bedrock AgentCore: agents call one gateway with IAM, and it calls the servers. By CloudFormation, because
# version 5 of the provider has no resource for it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  agentcore = "arn:${data.aws_partition.current.partition}:bedrock-agentcore:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"

  # Logical names are letters and digits alone.
  targets = { for name, it in var.targets : "Target${replace(title(name), "-", "")}" => merge(it, { name = name }) }

  credentials = var.oauth == null ? {} : {
    CredentialProviderConfigurations = [{
      CredentialProviderType = "OAUTH"
      CredentialProvider     = { OauthCredentialProvider = { ProviderArn = var.oauth.provider_arn, Scopes = var.oauth.scopes } }
    }]
  }

  template = {
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "AgentCore gateway ${var.name}, and the MCP servers behind it"
    Resources = merge(
      {
        Gateway = {
          Type = "AWS::BedrockAgentCore::Gateway"
          Properties = merge(
            {
              Name                  = var.name
              RoleArn               = aws_iam_role.gateway.arn
              ProtocolType          = "MCP"
              AuthorizerType        = "AWS_IAM"
              ProtocolConfiguration = { Mcp = { SearchType = "SEMANTIC" } }
            },
            var.exception_level == null ? {} : { ExceptionLevel = var.exception_level },
          )
        }
      },
      { for logical, it in local.targets : logical => {
        Type = "AWS::BedrockAgentCore::GatewayTarget"
        Properties = merge(
          {
            Name                = it.name
            GatewayIdentifier   = { "Fn::GetAtt" = ["Gateway", "GatewayIdentifier"] }
            TargetConfiguration = { Mcp = { McpServer = { Endpoint = it.endpoint } } }
          },
          local.credentials,
        )
      } },
    )
    Outputs = merge(
      {
        GatewayUrl = { Value = { "Fn::GetAtt" = ["Gateway", "GatewayUrl"] } }
        GatewayArn = { Value = { "Fn::GetAtt" = ["Gateway", "GatewayArn"] } }
        GatewayId  = { Value = { "Fn::GetAtt" = ["Gateway", "GatewayIdentifier"] } }
      },
      { for logical, it in local.targets : logical => { Value = { "Fn::GetAtt" = [logical, "TargetId"] } } },
    )
  }
}

resource "aws_cloudformation_stack" "this" {
  #checkov:skip=CKV_AWS_124: Terraform waits for the stack and tells of its failure
  name          = "${var.name}-agentcore"
  template_body = jsonencode(local.template)

  depends_on = [aws_iam_role_policy.gateway]
}

resource "aws_iam_role" "gateway" {
  name = "${var.name}-agentcore-gateway"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "bedrock-agentcore.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnLike      = { "aws:SourceArn" = "${local.agentcore}:gateway/*" }
      }
    }]
  })
}

# Without credentials to show, the gateway's role needs no rights at all.
resource "aws_iam_role_policy" "gateway" {
  count = var.oauth == null ? 0 : 1

  name = "show-credentials"
  role = aws_iam_role.gateway.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "GetTokens"
        Effect = "Allow"
        Action = ["bedrock-agentcore:GetResourceOauth2Token", "bedrock-agentcore:GetWorkloadAccessToken"]
        Resource = [
          var.oauth.provider_arn, "${local.agentcore}:token-vault/default",
          "${local.agentcore}:workload-identity-directory/default", "${local.agentcore}:workload-identity-directory/default/workload-identity/${var.name}-*",
        ]
      },
      {
        Sid      = "ReadClientSecret"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [var.oauth.secret_arn]
      },
    ]
  })
}
