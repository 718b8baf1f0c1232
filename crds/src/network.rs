//! Who may reach the pods, and what they may reach.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule;

/// Who may reach the pods, and what they may reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Whether there is a NetworkPolicy.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Who may call the server; the pods of its own namespace, if empty. The operator always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ingress_from: Vec<Peer>,
    /// What the pods may reach beside DNS and what their kind of server needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
}

impl Default for Network {
    fn default() -> Self {
        Self { enabled: yes(), ingress_from: Vec::new(), egress: None }
    }
}

/// Somebody who may call the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cidr) != (has(self.namespaceSelector) || has(self.podSelector))")
    .message("set either cidr, or namespaceSelector, podSelector or both: a caller is a block of addresses or a set of pods"))]
pub struct Peer {
    /// Namespaces of the calling pods; the server's own, if not set, and all, if it has no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// The calling pods; all of the namespaces, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<Selector>,
    /// A block of addresses, for example 10.0.0.0/16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 43))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("not a block of addresses: write it in CIDR notation, for example 10.0.0.0/16 or fd00::/8"))]
    pub cidr: Option<String>,
}

/// Objects that carry certain labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that the object carries, every one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: BTreeMap<String, LabelValue>,
}

/// Value of a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LabelValue(#[schemars(length(max = 63))] pub String);

/// What the pods may reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Names of hosts that a bundled server may call; it enforces them itself, a NetworkPolicy knows no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "not a list of host names: write each in lower case and without port, for example api.example.com"
    ))]
    pub hosts: Vec<String>,
    /// Blocks of addresses that the pods may reach; every address but link-local ones, if empty and ports are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 3, max = 43)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::cidrs())]
    pub cidrs: Vec<String>,
    /// TCP ports that the pods may reach there; every port, if empty and blocks are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ports: Vec<i32>,
}

fn yes() -> bool {
    true
}
