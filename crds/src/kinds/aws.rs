//! The bundled AWS server.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Writes;
use crate::{choice::choice, rule};

/// The bundled AWS server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsServer {
    /// Region of calls that name none; without it, the region of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rule::matches("^[a-z]{2}(-[a-z]+)+-[0-9]+$", "not a region: write for example us-west-2"))]
    pub region: Option<String>,
    /// Whether tools that change AWS resources are there.
    #[serde(default)]
    #[schemars(transform = Writes::explain)]
    pub writes: Writes,
    /// Whether tools that read content are there: logs_query, s3_get_object.
    #[serde(default)]
    #[schemars(transform = Sensitive::explain)]
    pub sensitive: Sensitive,
    /// Other accounts that calls may name, each by a role of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["alias".into()]))]
    pub accounts: Vec<Account>,
    /// Turns on the tools that call Amazon Bedrock, which cost money by the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bedrock: Option<Bedrock>,
}

choice! {
    /// Whether tools that read content are there.
    Sensitive {
        /// There is none.
        Off,
        /// They run when called.
        Allow,
    }
}

/// Another AWS account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The name by which calls mean the account.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rule::matches(rule::LABEL, "an alias has lower-case letters, digits and '-', for example staging"))]
    pub alias: String,
    /// The role in that account that the server assumes.
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(validation = rule::role_arn())]
    pub role_arn: String,
}

/// What may be asked of Amazon Bedrock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bedrock {
    /// Ids of the models that may be called; there is no model beyond them.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub models: Vec<String>,
    /// The most tokens that one call may ask for.
    #[serde(default = "max_tokens")]
    #[schemars(range(min = 1, max = 200_000))]
    pub max_tokens: i32,
}

fn max_tokens() -> i32 {
    1024
}
