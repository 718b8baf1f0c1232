//! How a server is reached from outside of the cluster, typed: what an NLB and an ALB have in common.
//!
//! In: `spec.expose`, and what the operator's settings say of load balancers. Out: [`Exposure`], from which [`super::nlb`]
//! and [`super::ingress`] write the words of the AWS Load Balancer Controller. Nothing here calls AWS: that controller does.

use std::collections::BTreeMap;

use mcp_crds::{
    McpServerSpec,
    expose::{ExposeType, Scheme},
};

use super::{Valid, network::Cidr, pod::HEALTH_PORT, validate::Runs};

/// The controller's class of Network Load Balancers.
/// Source: <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/nlb/#configuration>.
pub const CONTROLLER_CLASS: &str = "service.k8s.aws/nlb";
/// The same of EKS Auto Mode.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nlb.html>.
pub const AUTO_MODE_CLASS: &str = "eks.amazonaws.com/nlb";
/// The usual name of the IngressClass of Application Load Balancers, which is that of the controller's chart.
pub const INGRESS_CLASS: &str = "alb";

/// TLS 1.2 and 1.3, and no older ones: the policy that AWS recommends.
/// Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html>.
pub(super) const TLS_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// Seconds after which a silent connection ends, where the spec says nothing: a stream may wait long for the next event.
pub const IDLE_SECONDS: i32 = 3600;
/// The idle timeout of an NLB's TLS listener, which nobody can change.
/// Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html>.
pub const TLS_IDLE_SECONDS: i32 = 350;

/// Seconds between two health checks, seconds for an answer, and how many alike change a target's state. An NLB takes no
/// shorter interval than 5.
pub(super) const CHECK: (i32, i32, i32) = (10, 5, 2);

/// What the operator knows of the load balancers of its cluster: its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancers {
    /// Value of `loadBalancerClass`: which controller makes Network Load Balancers.
    pub network_class: String,
    /// Value of `ingressClassName`: which one makes Application Load Balancers.
    pub ingress_class: String,
    /// Where load balancers call from: the blocks of their subnets.
    pub subnets: Vec<Cidr>,
}

impl Default for Balancers {
    fn default() -> Self {
        Self {
            network_class: CONTROLLER_CLASS.to_owned(),
            ingress_class: INGRESS_CLASS.to_owned(),
            subnets: Vec::new(),
        }
    }
}

impl Balancers {
    /// Label by which a namespace has the controller keep pods unready until their targets are healthy.
    /// Source: <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/>, and for
    /// EKS Auto Mode <https://docs.aws.amazon.com/eks/latest/userguide/auto-elb-example.html>.
    #[must_use]
    pub fn gate_label(&self) -> &'static str {
        match self.network_class.as_str() {
            AUTO_MODE_CLASS => "eks.amazonaws.com/pod-readiness-gate-inject",
            _ => "elbv2.k8s.aws/pod-readiness-gate-inject",
        }
    }

    /// Whether a namespace with these labels asks for that.
    #[must_use]
    pub fn gates(&self, namespace: &BTreeMap<String, String>) -> bool {
        namespace.get(self.gate_label()).is_some_and(|value| value == "enabled")
    }
}

/// A load balancer in front of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Which kind.
    pub kind: Balancer,
    /// Whether the whole internet can open a connection.
    pub internet_facing: bool,
    /// ARN of the certificate; without one there is no TLS.
    pub certificate: Option<String>,
    /// From where connections are taken; from everywhere, if empty.
    pub source_ranges: Vec<Cidr>,
    /// Seconds after which a silent connection ends.
    pub idle_seconds: i32,
}

/// A kind of load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// A Network Load Balancer, by the Service.
    Network {
        /// Whether it sends connections to other zones.
        cross_zone: bool,
    },
    /// An Application Load Balancer, by an Ingress.
    Application {
        /// ARN of a web ACL.
        web_acl: Option<String>,
        /// The group of Ingresses that share it.
        group: Option<String>,
    },
}

impl Exposure {
    /// Whether it is a Network Load Balancer.
    #[must_use]
    pub fn is_network(&self) -> bool {
        matches!(self.kind, Balancer::Network { .. })
    }

    /// The port at which clients expect it, without writing one into the URL.
    pub(super) fn port(&self) -> i32 {
        if self.certificate.is_some() { 443 } else { 80 }
    }

    /// Begin of its URL.
    pub(super) fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// In the controller's words, who can open a connection.
    pub(super) fn reach(&self) -> &'static str {
        if self.internet_facing { "internet-facing" } else { "internal" }
    }

    /// Its source ranges as text.
    pub(super) fn ranges(&self) -> Vec<String> {
        self.source_ranges.iter().map(ToString::to_string).collect()
    }
}

/// Kind of the object that has the address of a server's load balancer: none, if the spec asks for no load balancer.
#[must_use]
pub fn carrier(spec: &McpServerSpec) -> Option<super::ChildKind> {
    match spec.expose.as_ref()?.type_ {
        ExposeType::ClusterIP => None,
        ExposeType::LoadBalancer => Some(super::ChildKind::Service),
        ExposeType::Ingress => Some(super::ChildKind::Ingress),
    }
}

/// Whether a spec lets the whole internet in.
pub(super) fn is_internet_facing(spec: &McpServerSpec) -> bool {
    spec.expose
        .as_ref()
        .is_some_and(|expose| expose.type_ != ExposeType::ClusterIP && expose.scheme == Scheme::InternetFacing)
}

/// What a load balancer asks a pod to learn whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// A number, or `traffic-port`.
    pub(super) port: String,
    /// Asked by HTTP; an open port is enough without it.
    pub(super) path: Option<String>,
}

/// A bundled server says on its health port whether it takes calls; of any other server the MCP port is asked.
pub(super) fn check(server: &Valid) -> Check {
    match &server.runs {
        Runs::Bundled(_) => Check { port: HEALTH_PORT.to_string(), path: Some("/readyz".to_owned()) },
        Runs::Image(_) => Check { port: "traffic-port".to_owned(), path: server.probes.path.clone() },
    }
}

/// Tags of everything that the controller makes for a server, beside its own.
pub(super) fn tags(server: &Valid) -> String {
    format!("mcp-eks.dev/namespace={},mcp-eks.dev/server={}", server.namespace, server.name)
}
