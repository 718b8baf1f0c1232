//! The operator's settings: flags, each also an environment variable.

use std::net::SocketAddr;

use clap::{ArgAction, Parser, ValueEnum};

/// Turns McpServer objects into running MCP servers.
///
/// Runs in the cluster from its image, or beside it: then it takes the cluster and user of the current kubeconfig.
#[derive(Clone, Debug, Parser)]
#[command(name = "mcp-operator", version)]
pub struct Settings {
    /// Image of the bundled tool servers.
    #[arg(long, env = "MCP_EKS_SERVERS_IMAGE", default_value = concat!("ghcr.io/mcp-eks/servers:", env!("CARGO_PKG_VERSION")))]
    pub servers_image: String,
    /// DNS domain of the cluster: the last part of Service names.
    #[arg(long, env = "MCP_EKS_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Namespace of the operator: NetworkPolicies let it call every server.
    #[arg(long, env = "MCP_EKS_NAMESPACE", default_value = "mcp-eks-system")]
    pub namespace: String,
    /// Address of /livez and /readyz.
    #[arg(long, env = "MCP_EKS_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,
    /// Objects reconciled at the same time.
    #[arg(long, env = "MCP_EKS_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// The one namespace to watch; without it all of them. Needs no right beyond that namespace.
    #[arg(long, env = "MCP_EKS_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Several operators at a time, of which one works: it holds a Lease, the others are warm.
    #[arg(long, env = "MCP_EKS_LEADER_ELECT", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,
    /// Namespace of that Lease; without it the operator's own, or that of the kubeconfig.
    #[arg(long, env = "MCP_EKS_LEADER_ELECT_NAMESPACE")]
    pub leader_elect_namespace: Option<String>,
    /// Name of that Lease: operators that watch different namespaces need different ones.
    #[arg(long, env = "MCP_EKS_LEADER_ELECT_NAME", default_value = "mcp-eks-operator")]
    pub leader_elect_name: String,
    /// What to log, as directives: info, debug, mcp_operator=debug,kube=warn.
    #[arg(long, env = "MCP_EKS_LOG", default_value = "info")]
    pub log: String,
    /// Where traces go, over OTLP with HTTP and protobuf: http://collector:4318. Without it none are sent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// How to log.
    #[arg(long, env = "MCP_EKS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}
