//! Any other MCP server, by its image.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, rule};

/// Any MCP server, from its container image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageServer {
    /// The image, by tag or digest, for example ghcr.io/acme/tools:1.4 or 123456789012.dkr.ecr.us-west-2.amazonaws.com/tools@sha256:...
    #[serde(rename = "ref")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rule::image())]
    pub reference: String,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// Arguments of the entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// TCP port on which it serves MCP.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path of the MCP endpoint.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rule::url_path())]
    pub path: String,
    /// How the process speaks MCP.
    #[serde(default)]
    #[schemars(transform = Transport::explain)]
    pub transport: Transport,
}

choice! {
    /// How a process speaks MCP.
    Transport {
        /// Over HTTP, on port and path.
        StreamableHttp,
        /// Over stdin and stdout; a bridge beside it serves HTTP.
        Stdio,
    }
}

fn default_port() -> i32 {
    8080
}

fn default_path() -> String {
    "/mcp".to_owned()
}
