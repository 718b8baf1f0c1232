//! The NetworkPolicy: who may talk to the pods, and to whom they may talk. What is not listed is denied.
//!
//! In: the MCP port, for the operator's namespace, and for the own one or whom the spec names. The health port is for kubelet
//! alone, which needs no rule, since a node may always reach its own pods; and for load balancers, by the blocks of their subnets. Out: what the server needs by its nature, and what the spec
//! names; the instance metadata is never among it. Policies know addresses alone, no names.
//! Source: <https://kubernetes.io/docs/concepts/services-networking/network-policies/>.

mod cidr;

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

pub use self::cidr::Cidr;
use super::{ChildKind, Valid, labels, pod::HEALTH_PORT, validate::Runs};

/// Label that every namespace carries by itself: its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Everywhere, of either family.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The node's own services, instance metadata among them: no server has any business there.
/// Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html>.
pub(super) const NODE_LOCAL: [&str; 3] = ["169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"];

/// Instance metadata alone: a resolver may be at any other address of the node.
const METADATA: [&str; 2] = ["169.254.169.254/32", "fd00:ec2::254/128"];

/// The EKS Pod Identity Agent.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html>.
const IDENTITY_AGENT: [&str; 2] = ["169.254.170.23/32", "fd00:ec2::23/128"];

const HTTPS: i32 = 443;

/// What a spec says of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Whether there is a policy at all.
    pub enabled: bool,
    /// Who may call, besides the operator; the own namespace, if empty.
    pub ingress_from: Vec<NetworkPolicyPeer>,
    /// Where the server may go, besides what it needs by its nature.
    pub egress: Vec<Reach>,
}

impl Default for Network {
    fn default() -> Self {
        Self { enabled: true, ingress_from: Vec::new(), egress: Vec::new() }
    }
}

/// Addresses, and the ports there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The addresses.
    pub cidrs: Vec<Cidr>,
    /// TCP ports; none for all of them.
    pub ports: Vec<i32>,
}

/// What a kind of server needs by its nature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// It looks up names.
    pub names: bool,
    /// It calls others at these TCP ports, whose addresses nobody can list: AWS, a database that a Secret names.
    pub ports: Vec<i32>,
    /// It gets credentials from the Pod Identity Agent.
    pub identity: bool,
}

impl Needs {
    fn of(server: &Valid) -> Self {
        let own = match &server.runs {
            Runs::Bundled(bundled) => bundled.needs.clone(),
            // Nobody knows whom it calls but its spec; with names it can at least say whom it could not reach.
            Runs::Image(_) => Self { names: true, ..Self::default() },
        };
        if server.identity.is_none() {
            return own;
        }
        // Credentials are for AWS, whose addresses nobody can list.
        let ports = if own.ports.contains(&HTTPS) { own.ports } else { [own.ports, vec![HTTPS]].concat() };
        Self { ports, identity: true, ..own }
    }
}

pub(super) fn build(server: &Valid) -> Option<NetworkPolicy> {
    let network = &server.network;
    network.enabled.then(|| NetworkPolicy {
        metadata: labels::metadata(ChildKind::NetworkPolicy, server),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::selector(server)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(std::iter::once(ingress(server)).chain(from_load_balancer(server)).collect()),
            // No rule at all is what denies everything; an empty list is not stored.
            egress: Some(egress(&Needs::of(server), &network.egress)).filter(|rules| !rules.is_empty()),
        }),
    })
}

fn ingress(server: &Valid) -> NetworkPolicyIngressRule {
    let own = NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some([(NAMESPACE_NAME.to_owned(), server.operator_namespace.clone())].into()),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    };
    let named = &server.network.ingress_from;
    let callers = if named.is_empty() { vec![own] } else { named.clone() };
    NetworkPolicyIngressRule {
        from: Some(std::iter::once(operator).chain(callers).collect()),
        ports: Some(vec![port("TCP", server.runs.port())]),
    }
}

/// What a load balancer asks: calls it hands on, and whether the pod is well.
fn from_load_balancer(server: &Valid) -> Option<NetworkPolicyIngressRule> {
    let subnets = &server.balancers.subnets;
    if server.exposure.is_none() || subnets.is_empty() {
        return None;
    }
    let health = server.runs.bundled().map(|_| HEALTH_PORT);
    Some(NetworkPolicyIngressRule {
        from: Some(subnets.iter().map(|subnet| block(&subnet.to_string(), &[])).collect()),
        ports: Some(std::iter::once(server.runs.port()).chain(health).map(|number| port("TCP", number)).collect()),
    })
}

/// Rules for what a server needs by its nature, and for what its spec names.
#[must_use]
pub fn egress(needs: &Needs, named: &[Reach]) -> Vec<NetworkPolicyEgressRule> {
    let mut rules = Vec::new();
    if needs.names || !needs.ports.is_empty() || !named.is_empty() {
        rules.push(resolver());
    }
    if !needs.ports.is_empty() {
        let ports = needs.ports.iter().map(|number| port("TCP", *number)).collect();
        rules.push(rule(EVERYWHERE.iter().map(|cidr| block(cidr, &NODE_LOCAL)), ports));
    }
    if needs.identity {
        rules.push(rule(IDENTITY_AGENT.iter().map(|cidr| block(cidr, &[])), vec![port("TCP", 80)]));
    }
    for reach in named {
        let blocks = reach.cidrs.iter().map(|cidr| block(&cidr.to_string(), &NODE_LOCAL));
        rules.push(rule(blocks, reach.ports.iter().map(|number| port("TCP", *number)).collect()));
    }
    rules
}

/// DNS, wherever the cluster has it: pods, a cache at an address of the node, a process of the node. Some networks match
/// pods by selectors alone, never by address, so both are written.
fn resolver() -> NetworkPolicyEgressRule {
    let pods = NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let rest = EVERYWHERE.iter().map(|cidr| block(cidr, &METADATA));
    rule(std::iter::once(pods).chain(rest), vec![port("UDP", 53), port("TCP", 53)])
}

fn rule(to: impl Iterator<Item = NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(to.collect()), ports: Some(ports).filter(|ports| !ports.is_empty()) }
}

/// A block without those of the forbidden ones that lie in it.
fn block(cidr: &str, forbidden: &[&str]) -> NetworkPolicyPeer {
    let inside = |forbidden: &&&str| {
        let parts = cidr.parse::<Cidr>().ok().zip(forbidden.parse::<Cidr>().ok());
        parts.is_some_and(|(whole, part)| whole.contains(part))
    };
    let except: Vec<_> = forbidden.iter().filter(inside).map(|cidr| (*cidr).to_owned()).collect();
    NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: cidr.to_owned(), except: Some(except).filter(|except| !except.is_empty()) }),
        ..NetworkPolicyPeer::default()
    }
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(number)),
        ..NetworkPolicyPort::default()
    }
}
