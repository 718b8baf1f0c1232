//! Who may reach the pods and what they may reach, typed for a NetworkPolicy.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicyPeer},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use mcp_crds::network;

use super::{Problems, metadata};
use crate::desired::network::{Cidr, Network, Reach};

/// Everywhere, of either family: ports that are given without addresses.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

const NOT_A_BLOCK: &str =
    "is not a block of addresses: write its first address and a length, for example 10.0.0.0/16 or fd00::/8";

pub(super) fn network(spec: Option<&network::Network>, problems: &mut Problems) -> Network {
    let spec = spec.cloned().unwrap_or_default();
    let peers = spec.ingress_from.into_iter().enumerate();
    Network {
        enabled: spec.enabled,
        ingress_from: peers.map(|(index, from)| peer(index, from, problems)).collect(),
        egress: egress(spec.egress.unwrap_or_default(), problems),
    }
}

fn egress(spec: network::Egress, problems: &mut Problems) -> Vec<Reach> {
    for port in spec.ports.iter().filter(|port| !(1..=65535).contains(*port)) {
        problems.add(format!("spec.network.egress.ports[{port}]"), "is not a TCP port: use 1 to 65535");
    }
    let mut cidrs = Vec::new();
    for text in &spec.cidrs {
        let field = format!("spec.network.egress.cidrs[{text}]");
        match text.parse::<Cidr>() {
            Ok(block) if block.is_node_local() => {
                problems.add(field, "holds nothing but services of the node, which no server may reach: take it out");
            }
            Ok(block) => cidrs.push(block),
            Err(()) => problems.add(field, NOT_A_BLOCK),
        }
    }
    if spec.cidrs.is_empty() {
        cidrs.extend(EVERYWHERE.iter().filter_map(|block| block.parse::<Cidr>().ok()));
    }
    if spec.cidrs.is_empty() && spec.ports.is_empty() { Vec::new() } else { vec![Reach { cidrs, ports: spec.ports }] }
}

fn peer(index: usize, from: network::Peer, problems: &mut Problems) -> NetworkPolicyPeer {
    let field = format!("spec.network.ingressFrom[{index}]");
    if from.cidr.is_some() == (from.namespace_selector.is_some() || from.pod_selector.is_some()) {
        problems.add(&field, "set either cidr, or namespaceSelector, podSelector or both");
    }
    if let Some(cidr) = from.cidr.as_ref().filter(|cidr| cidr.parse::<Cidr>().is_err()) {
        problems.add(format!("{field}.cidr"), format!("{cidr:?} {NOT_A_BLOCK}"));
    }
    let mut typed = |name: &str, selector: Option<network::Selector>| {
        let labels = selector?.match_labels;
        metadata::check_labels(&format!("{field}.{name}.matchLabels"), &labels, problems);
        let labels: BTreeMap<_, _> = labels.into_iter().map(|(key, value)| (key, value.0)).collect();
        Some(LabelSelector { match_labels: (!labels.is_empty()).then_some(labels), ..LabelSelector::default() })
    };
    NetworkPolicyPeer {
        namespace_selector: typed("namespaceSelector", from.namespace_selector),
        pod_selector: typed("podSelector", from.pod_selector),
        ip_block: from.cidr.map(|cidr| IPBlock { cidr, except: None }),
    }
}
