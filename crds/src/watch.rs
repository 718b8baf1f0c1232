//! What is recorded of a server: audit, telemetry, conformance.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, pod::MountedKey, rule};

choice! {
    /// Where audit records go.
    AuditSink {
        /// To stdout, as JSON lines.
        Stdout,
        /// Into an append-only table of PostgreSQL.
        Postgres,
        /// To CloudWatch Logs, directly.
        CloudWatchLogs,
    }
}

/// Which calls are recorded, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.sinks.exists(sink, sink == 'Postgres') == has(self.postgres)")
    .message("set postgres with the sink Postgres, and only then"))]
pub struct Audit {
    /// Where audit records go, for example Stdout (JSON lines), Postgres (an append-only table), CloudWatchLogs (directly).
    #[serde(default = "stdout")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub sinks: Vec<AuditSink>,
    /// Refuses calls that change something while their record cannot be stored.
    #[serde(default)]
    pub required: bool,
    /// The PostgreSQL behind the sink Postgres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<AuditPostgres>,
}

/// The PostgreSQL with the table of audit records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPostgres {
    /// Key of a Secret that holds the connection URI, postgres://USER:PASSWORD@HOST:5432/DATABASE; mounted as a file.
    pub secret_ref: MountedKey,
    /// Key of a ConfigMap that holds the certificates to trust, for example the bundle of RDS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<MountedKey>,
}

/// Metrics and traces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// URL of an OTLP collector for traces; none are sent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = rule::matches("^https?://[^/]+.*$", "not a URL: write http://HOST:4317"))]
    pub otlp_endpoint: Option<String>,
    /// Who collects metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// Who collects metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Metrics {
    /// Makes a PodMonitor, so that a Prometheus Operator scrapes the pods.
    #[serde(default)]
    pub pod_monitor: bool,
}

choice! {
    /// When the official conformance suite runs against the server.
    ConformanceSchedule {
        /// Never.
        Never,
        /// After each rollout.
        OnChange,
    }
}

/// Whether the server is held against the official conformance suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Conformance {
    /// When the suite runs.
    #[serde(default)]
    #[schemars(transform = ConformanceSchedule::explain)]
    pub schedule: ConformanceSchedule,
    /// Revisions of the protocol whose requirements count, for example 2025-11-25; the newest that the server speaks, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 10, max = 10)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match("^20[0-9]{2}-[0-9]{2}-[0-9]{2}$", "not a list of protocol revisions: write dates such as '2025-11-25', in quotes"))]
    pub requirements: Vec<String>,
}

fn stdout() -> Vec<AuditSink> {
    vec![AuditSink::Stdout]
}
