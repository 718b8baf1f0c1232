//! Where pods run, how many may be missing, and how their health is looked at.

use std::{borrow::Cow, collections::BTreeMap};

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{choice::choice, network::LabelValue, rule};

/// Where pods run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, LabelValue>,
    /// Taints that the pods bear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tolerations: Vec<Toleration>,
    /// How evenly pods lie over zones, nodes or other domains. Not set: over zones and nodes, as far as possible; an empty
    /// list: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["topologyKey".into()]))]
    pub topology_spread: Option<Vec<Spread>>,
    /// Name of a PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Name of a RuntimeClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
}

choice! {
    /// How a toleration compares.
    TolerationOperator {
        /// The taint has this key and value.
        Equal,
        /// The taint has this key, or any if there is none.
        Exists,
    }
}

choice! {
    /// What a taint does.
    TaintEffect {
        /// Pods are not placed on the node.
        NoSchedule,
        /// Pods are placed elsewhere if possible.
        PreferNoSchedule,
        /// Pods that run there leave, too.
        NoExecute,
    }
}

/// A taint that the pods bear.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.operator == 'Exists' ? !has(self.value) : has(self.key)")
    .message("operator Equal needs a key, and operator Exists takes no value"))]
#[x_kube(validation = Rule::new("!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')")
    .message("tolerationSeconds needs effect NoExecute: only then does a pod leave after a while"))]
pub struct Toleration {
    /// Key of the taint; every taint, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub key: Option<String>,
    /// How key and value compare.
    #[serde(default)]
    #[schemars(transform = TolerationOperator::explain)]
    pub operator: TolerationOperator,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint; every effect, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = TaintEffect::explain)]
    pub effect: Option<TaintEffect>,
    /// Seconds for which the taint is borne.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub toleration_seconds: Option<i64>,
}

choice! {
    /// What happens when pods cannot lie evenly.
    WhenUnsatisfiable {
        /// They lie as evenly as possible.
        ScheduleAnyway,
        /// A pod waits.
        DoNotSchedule,
    }
}

/// How evenly pods lie over domains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Label of nodes whose value names the domain, for example topology.kubernetes.io/zone.
    #[schemars(length(min = 1, max = 316))]
    pub topology_key: String,
    /// By how many pods two domains may differ.
    #[serde(default = "max_skew")]
    #[schemars(range(min = 1, max = 100))]
    pub max_skew: i32,
    /// What happens when that cannot be.
    #[serde(default)]
    #[schemars(transform = WhenUnsatisfiable::explain)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

fn max_skew() -> i32 {
    1
}

/// How many pods may be missing while nodes are drained. Not set: one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::exactly_one(&["minAvailable", "maxUnavailable"], "set exactly one of minAvailable and maxUnavailable in spec.disruption"))]
pub struct Disruption {
    /// The fewest pods that stay, as a number or in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<Share>,
    /// The most pods that may be missing, as a number or in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Share>,
}

/// A number of pods, or a percentage of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Share {
    /// A number.
    Number(i32),
    /// A percentage, for example 50%.
    Percent(String),
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of pods, for example 1, or a percentage of them, for example 50%.",
            "x-kubernetes-int-or-string": true,
            "maxLength": 4,
            "x-kubernetes-validations": [{
                "rule": "type(self) == int ? self >= 0 && self <= 1000 : string(self).matches('^([0-9]|[1-9][0-9]|100)%$')",
                "message": "not a number of pods: write for example 1 or 50%",
            }],
        })
    }
}

/// How the health of a pod is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// Seconds that the server may take to start.
    #[serde(default = "startup")]
    #[schemars(range(min = 1, max = 3600))]
    pub startup_seconds: i32,
    /// Path on the MCP port that answers 200 when a server of spec.server.image can work; without it, an open port counts.
    /// Bundled servers have probes of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rule::url_path())]
    pub path: Option<String>,
    /// Seconds between two looks at a pod that runs.
    #[serde(default = "period")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: i32,
    /// Seconds that an answer may take.
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i32,
}

impl Default for Probes {
    fn default() -> Self {
        Self { startup_seconds: startup(), path: None, period_seconds: period(), timeout_seconds: timeout() }
    }
}

fn startup() -> i32 {
    120
}

fn period() -> i32 {
    5
}

fn timeout() -> i32 {
    3
}
