//! The operator's settings: flags, each also an environment variable.

use std::net::SocketAddr;

use clap::{ArgAction, Parser, ValueEnum};

use crate::{
    desired::{
        exposure::{AUTO_MODE_CLASS, Balancers, CONTROLLER_CLASS, INGRESS_CLASS},
        network::Cidr,
    },
    identity, probe,
};

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
    /// Namespaces in which pods roll when a Secret changes that they read at their start. The operator sees names and
    /// versions there, for which each needs config/roll-on-secrets/role.yaml.
    #[arg(long, env = "MCP_EKS_ROLL_ON_SECRETS", value_name = "NAMESPACE", value_delimiter = ',', num_args = 0..)]
    pub roll_on_secrets: Vec<String>,
    /// Several operators at a time, of which one works: it holds a Lease, the others are warm.
    #[arg(long, env = "MCP_EKS_LEADER_ELECT", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,
    /// Namespace of that Lease; without it the operator's own, or that of the kubeconfig.
    #[arg(long, env = "MCP_EKS_LEADER_ELECT_NAMESPACE")]
    pub leader_elect_namespace: Option<String>,
    /// Name of that Lease: operators that watch different namespaces need different ones.
    #[arg(long, env = "MCP_EKS_LEADER_ELECT_NAME", default_value = "mcp-eks-operator")]
    pub leader_elect_name: String,
    /// How often and where servers are asked whether they speak MCP.
    #[command(flatten)]
    pub probe: probe::Settings,
    /// Who makes load balancers, and where they call from.
    #[command(flatten)]
    pub balancers: BalancerSettings,
    /// Which EKS cluster this is, and how it is talked to.
    #[command(flatten)]
    pub eks: identity::eks::Settings,
    /// What to log, as directives: info, debug, mcp_operator=debug,kube=warn.
    // rmcp logs an error for every server that does not speak MCP, in the server's words: status says it once.
    #[arg(long, env = "MCP_EKS_LOG", default_value = "info,rmcp=off")]
    pub log: String,
    /// Where traces go, over OTLP with HTTP and protobuf: http://collector:4318. Without it none are sent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// How to log.
    #[arg(long, env = "MCP_EKS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Who makes load balancers, and where they call from.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct BalancerSettings {
    /// Class of Network Load Balancers: service.k8s.aws/nlb of the AWS Load Balancer Controller, or eks.amazonaws.com/nlb of
    /// EKS Auto Mode.
    #[arg(long, env = "MCP_EKS_LOAD_BALANCER_CLASS", default_value = CONTROLLER_CLASS, value_parser = [CONTROLLER_CLASS, AUTO_MODE_CLASS])]
    pub load_balancer_class: String,
    /// Name of the IngressClass of Application Load Balancers.
    #[arg(long, env = "MCP_EKS_INGRESS_CLASS", default_value = INGRESS_CLASS)]
    pub ingress_class: String,
    /// Blocks of the subnets that load balancers are in: NetworkPolicies let them in to the servers that ask for one.
    #[arg(long, env = "MCP_EKS_LOAD_BALANCER_CIDRS", value_name = "CIDR", value_delimiter = ',', num_args = 0.., value_parser = cidr)]
    pub load_balancer_cidrs: Vec<Cidr>,
}

impl BalancerSettings {
    /// In the words of builders.
    #[must_use]
    pub fn balancers(&self) -> Balancers {
        Balancers {
            network_class: self.load_balancer_class.clone(),
            ingress_class: self.ingress_class.clone(),
            subnets: self.load_balancer_cidrs.clone(),
        }
    }
}

fn cidr(text: &str) -> Result<Cidr, String> {
    text.parse().map_err(|()| {
        format!("expected the first address of a block and a length, such as 10.0.0.0/20 or fd00::/8, found {text:?}")
    })
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Settings;

    #[test]
    fn the_command_line_is_sound() {
        Settings::command().debug_assert();
    }

    #[test]
    fn blocks_of_load_balancers_are_a_list_and_one_that_is_none_is_refused() {
        let parse = |text: &str| Settings::try_parse_from(["mcp-operator", &format!("--load-balancer-cidrs={text}")]);
        assert_eq!(parse("10.0.0.0/20,10.0.16.0/20").unwrap().balancers.balancers().subnets.len(), 2);
        assert!(parse("10.0.0.1/20").is_err_and(|error| error.to_string().contains("10.0.0.0/20")));
    }

    #[test]
    fn an_interval_is_bounded_and_says_how_it_is_written() {
        let parse = |text: &str| Settings::try_parse_from(["mcp-operator", &format!("--probe-interval={text}")]);
        assert_eq!(parse("90s").unwrap().probe.interval.as_secs(), 90);
        for wrong in ["0s", "-5m", "5", "25h"] {
            assert!(parse(wrong).is_err_and(|error| error.to_string().contains("90s or 5m")), "{wrong}");
        }
    }
}
