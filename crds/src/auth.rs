//! Who may call the server, and how often.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, pod::MountedKey, rule};

choice! {
    /// How clients prove who they are.
    AuthMode {
        /// They need not: everybody who reaches the server may call it.
        None,
        /// By a key in the header Authorization.
        ApiKey,
        /// By a token of an OAuth authorization server.
        Jwt,
    }
}

/// Who may call the server, and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.mode == 'ApiKey') == has(self.apiKey) && (self.mode == 'Jwt') == has(self.jwt)")
    .message("set apiKey with mode ApiKey, jwt with mode Jwt, and neither with mode None"))]
pub struct Auth {
    /// How clients prove who they are.
    #[serde(default)]
    #[schemars(transform = AuthMode::explain)]
    pub mode: AuthMode,
    /// The keys of mode ApiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
    /// The tokens of mode Jwt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// How often one caller may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// Keys that clients send.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Key of a Secret that holds the accepted keys, one a line; mounted as a file.
    pub secret_ref: MountedKey,
}

/// Tokens that clients send.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// URL of the authorization server, as it stands in the claim iss.
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = rule::matches("^https://[^/]+.*$", "not a URL with TLS: write https://HOST/PATH, as it stands in the claim iss"))]
    pub issuer: String,
    /// What the claim aud must hold.
    #[schemars(length(min = 1, max = 512))]
    pub audience: String,
    /// Where the keys of the authorization server are; without it, where its metadata says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = rule::matches("^https://[^/]+.*$", "not a URL with TLS: write https://HOST/PATH"))]
    pub jwks_uri: Option<String>,
    /// Scopes that every token must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub scopes: Vec<String>,
}

/// How often one caller may call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests a second, on average.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_second: i32,
    /// Requests at once; twice the average, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200_000))]
    pub burst: Option<i32>,
}
