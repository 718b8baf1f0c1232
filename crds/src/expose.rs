//! How clients outside the cluster reach the server.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, rule};

choice! {
    /// How the server is reached.
    ExposeType {
        /// From inside the cluster.
        ClusterIP,
        /// Through a Network Load Balancer.
        LoadBalancer,
        /// Through an Application Load Balancer, by an Ingress.
        Ingress,
    }
}

choice! {
    /// Who can open a connection to a load balancer.
    Scheme {
        /// Whoever is in the VPC.
        Internal,
        /// The whole internet.
        InternetFacing,
    }
}

choice! {
    /// Where a Network Load Balancer sends calls.
    CrossZone {
        /// To every pod.
        Enabled,
        /// To pods in that zone.
        Disabled,
    }
}

/// How clients reach the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'ClusterIP' || (self.scheme == 'Internal' && !has(self.tls) && !has(self.sourceRanges) && !has(self.idleTimeoutSeconds))")
    .message("scheme, tls, sourceRanges and idleTimeoutSeconds are of a load balancer: set type to LoadBalancer or Ingress, or leave them out"))]
pub struct Expose {
    /// How the server is reached.
    #[serde(default, rename = "type")]
    #[schemars(transform = ExposeType::explain)]
    pub type_: ExposeType,
    /// Who can open a connection to the load balancer.
    #[serde(default)]
    #[schemars(transform = Scheme::explain)]
    pub scheme: Scheme,
    /// Names under which clients call the server, beside those of its Service; a bundled server refuses every other Host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "not a list of host names: write each in lower case and without port, for example mcp.example.com"
    ))]
    pub hosts: Vec<String>,
    /// Origins of web pages that may call the server; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 8, max = 261)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match(
        "^https?://[a-z0-9.-]+(:[0-9]+)?$",
        "not a list of origins: write scheme and host in lower case, without a path, for example https://app.example.com"
    ))]
    pub allowed_origins: Vec<String>,
    /// TLS at the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Blocks of addresses from which the load balancer takes connections; all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 3, max = 43)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::cidrs())]
    pub source_ranges: Vec<String>,
    /// Seconds after which the load balancer ends a silent connection; streams need long ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 4000))]
    pub idle_timeout_seconds: Option<i32>,
    /// Where a Network Load Balancer sends calls.
    #[serde(default)]
    #[schemars(transform = CrossZone::explain)]
    pub cross_zone: CrossZone,
    /// ARN of the web ACL of AWS WAF before an Application Load Balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub waf_acl_arn: Option<String>,
    /// Group of servers that share one Application Load Balancer, told apart by hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub group: Option<String>,
    /// Says that everybody on the internet may call this server without proving who they are.
    #[serde(default)]
    pub acknowledge_unauthenticated: bool,
}

/// TLS at the load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// ARN of the certificate in AWS Certificate Manager.
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(validation = rule::matches(
        "^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$",
        "not the ARN of a certificate: write arn:aws:acm:REGION:123456789012:certificate/ID"
    ))]
    pub certificate_arn: String,
}
