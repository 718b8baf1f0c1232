//! The AWS server: its region, the accounts and models that calls may name, and AWS itself behind port 443.

use mcp_crds::kinds::{
    AwsServer,
    aws::{Account, Sensitive},
};
use serde_json::{Value, json};

use super::{super::Problems, upstream};
use crate::desired::{
    bundled::{Amounts, Bundled},
    network::Needs,
};

/// Where AWS answers, at addresses nobody can list.
const AWS_PORT: i32 = 443;

pub(super) fn server(server: &AwsServer, problems: &mut Problems) -> Bundled {
    problems.duplicates("spec.server.aws.accounts", server.accounts.iter().map(|account| account.alias.as_str()));
    let mut bundled = Bundled {
        binary: "mcp-aws",
        // Also without spec.identity: an association for the ServiceAccount may come from elsewhere, as from Terraform.
        needs: Needs { identity: true, ..Needs::default() },
        resources: Amounts { cpu: "50m", memory: "64Mi", most_memory: "384Mi" },
        ..Bundled::default()
    };
    upstream::call(&mut bundled, AWS_PORT);
    if let Some(region) = &server.region {
        bundled.set("region", region.clone());
    }
    if server.sensitive == Sensitive::Allow {
        bundled.set("sensitive", "allow");
    }
    if !server.accounts.is_empty() {
        bundled.set("accounts", server.accounts.iter().map(account).collect::<Vec<_>>());
    }
    if let Some(bedrock) = &server.bedrock {
        bundled.set("bedrockModels", bedrock.models.clone());
        bundled.set("bedrockMaxTokens", bedrock.max_tokens);
    }
    bundled
}

fn account(account: &Account) -> Value {
    json!({"alias": account.alias, "roleArn": account.role_arn})
}
