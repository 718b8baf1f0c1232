//! How many pods, by load and by the clock; KEDA does it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, rule};

/// How many pods, by load and by the clock. Without a trigger it is CPU at 80 percent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("minReplicas is more than maxReplicas: lower it, or raise maxReplicas"))]
#[x_kube(validation = Rule::new("self.minReplicas > 0 || has(self.prometheus) || has(self.schedule)")
    .message("minReplicas 0 needs a prometheus or schedule trigger: CPU and memory cannot tell when to start the first pod; set minReplicas to 1 or add one"))]
#[x_kube(validation = Rule::new("!has(self.schedule) || self.schedule.all(entry, entry.replicas <= self.maxReplicas)")
    .message("a schedule asks for more than maxReplicas: lower its replicas, or raise maxReplicas"))]
pub struct Autoscaling {
    /// The fewest pods; 0 only for stateless sessions.
    #[serde(default = "min_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_replicas: i32,
    /// The most pods.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// Scales by CPU, relative to spec.resources.requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Utilization>,
    /// Scales by memory, relative to spec.resources.requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Utilization>,
    /// Pods to have at certain hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedule: Vec<Schedule>,
    /// Scales by a query to Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Holds the number of pods where it is.
    #[serde(default)]
    pub paused: bool,
    /// How fast the number of pods may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
}

/// Average use of a resource, over all pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Utilization {
    /// Percent of what the pods request.
    #[serde(default = "utilization")]
    #[schemars(range(min = 1, max = 1000))]
    pub utilization: i32,
}

/// Pods to have between two moments that come again and again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Schedule {
    /// Name of the entry.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rule::matches(rule::LABEL, "a name has lower-case letters, digits and '-', for example office-hours"))]
    pub name: String,
    /// Time zone by its IANA name, for example Europe/Berlin.
    #[schemars(length(min = 1, max = 64))]
    pub timezone: String,
    /// When it begins, in cron's five fields, for example 0 8 * * 1-5.
    #[schemars(length(min = 9, max = 128))]
    #[x_kube(validation = rule::matches(CRON, "not five fields of cron: write minute hour day month weekday, for example 0 8 * * 1-5"))]
    pub start: String,
    /// When it ends, in cron's five fields.
    #[schemars(length(min = 9, max = 128))]
    #[x_kube(validation = rule::matches(CRON, "not five fields of cron: write minute hour day month weekday, for example 0 18 * * 1-5"))]
    pub end: String,
    /// Pods to have in between, at least.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: i32,
}

const CRON: &str = "^[^ ]+( [^ ]+){4}$";

/// A query to Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// URL of Prometheus.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = rule::matches("^https?://[^/]+.*$", "not a URL: write http://HOST:9090"))]
    pub server_address: String,
    /// The query; its answer is one number.
    #[schemars(length(min = 1, max = 2048))]
    pub query: String,
    /// The value that one pod bears, for example 100 or 0.5.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rule::matches("^[0-9]+([.][0-9]+)?$", "not a number: write for example '100' or '0.5'"))]
    pub threshold: String,
}

/// How fast the number of pods may change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Upwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<Pace>,
    /// Downwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<Pace>,
}

/// How fast the number of pods may change in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    /// Seconds for which the load must stay before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,
    /// What may change in a period; the policy that allows most counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub policies: Vec<Policy>,
}

choice! {
    /// What a policy counts.
    PolicyType {
        /// Pods.
        Pods,
        /// Percent of the pods there are.
        Percent,
    }
}

/// What may change in a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// What is counted.
    #[serde(rename = "type")]
    #[schemars(transform = PolicyType::explain)]
    pub type_: PolicyType,
    /// How many.
    #[schemars(range(min = 1, max = 1000))]
    pub value: i32,
    /// Length of the period in seconds.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

fn min_replicas() -> i32 {
    1
}

fn utilization() -> i32 {
    80
}
