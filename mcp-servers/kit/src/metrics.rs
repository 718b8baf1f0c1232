//! Counters of one process, in the text format Prometheus reads. Label values come from closed sets: a client cannot
//! make new series by asking for names that do not exist.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::{capacity::Class, trail::AwsCall};

/// AWS operations and regions that are told apart; more share one series, so that names cannot fill the memory.
const AWS_SERIES: usize = 512;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    tool: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ToolLabels {
    tool: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BreakerLabels {
    upstream: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OpenLabels {
    upstream: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AwsLabels {
    service: String,
    operation: String,
    region: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SinkLabels {
    sink: &'static str,
}

/// An operation by OpenTelemetry's names.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct OperationLabels {
    pub(crate) mcp_method_name: &'static str,
    /// Empty where no tool of this server is meant.
    pub(crate) gen_ai_tool_name: &'static str,
    /// `tool_error`, a JSON-RPC code, or empty: our own codes, so there are few.
    pub(crate) error_type: String,
    pub(crate) network_transport: &'static str,
}

/// All metrics of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    direct: Counter,
    calls: Family<CallLabels, Counter>,
    durations: Family<ToolLabels, Histogram>,
    running: Gauge,
    places: Family<ClassLabels, Gauge>,
    breakers: Family<BreakerLabels, Gauge>,
    changes: Family<BreakerLabels, Counter>,
    open: Family<OpenLabels, Gauge>,
    aws: Aws,
    pools: Pools,
    audit: AuditCounters,
    operations: Family<OperationLabels, Histogram>,
    sessions: Sessions,
}

/// What is counted of sessions.
#[derive(Debug)]
struct Sessions {
    open: Gauge,
    ended: Family<ReasonLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
}

/// What is counted of the audit.
#[derive(Debug)]
struct AuditCounters {
    written: Family<SinkLabels, Counter>,
    lost: Family<SinkLabels, Counter>,
    failing: Family<SinkLabels, Gauge>,
}

/// What is counted of AWS calls.
#[derive(Debug)]
struct Aws {
    known: Mutex<HashSet<AwsLabels>>,
    durations: Family<AwsLabels, Histogram>,
    throttled: Family<AwsLabels, Counter>,
}

/// What is counted of pools of connections.
#[derive(Debug)]
struct Pools {
    waits: Family<PoolLabels, Counter>,
    waited: Family<PoolLabels, Histogram>,
}

/// Counts a call as running until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let (requests, calls) = (Family::default(), Family::default());
        let durations = Family::<ToolLabels, Histogram>::new_with_constructor(fine);
        let up = Gauge::<i64>::default();
        up.set(1);
        let (running, places) = (Gauge::default(), Family::default());
        registry.register("mcp_up", "1 while the process runs", up);
        registry.register("mcp_tool_calls_running", "Tool calls under way", running.clone());
        registry.register("mcp_http_requests", "HTTP requests to /mcp by status", requests.clone());
        let direct = Counter::default();
        registry.register("mcp_direct_calls", "Tool calls over HTTP that took the direct way", direct.clone());
        registry.register("mcp_tool_calls", "Tool calls by tool and outcome", calls.clone());
        registry.register("mcp_tool_call_duration_seconds", "Time a tool call took", durations.clone());
        let told =
            "Calls that take a place of their class: under way, or answered to a client that has not read it yet";
        registry.register("mcp_call_places_taken", told, places.clone());
        let (breakers, changes) = (Family::default(), Family::default());
        registry.register("mcp_breaker_state", "1 for the state each circuit breaker is in", breakers.clone());
        registry.register(
            "mcp_breaker_changes",
            "Changes of circuit breakers, by the state they led to",
            changes.clone(),
        );
        let open = Family::default();
        registry.register("mcp_breaker_open", "1 while a circuit breaker is open or on trial", open.clone());
        let (aws, pools) = (Aws::new(&mut registry), Pools::new(&mut registry));
        let audit = AuditCounters::new(&mut registry);
        let sessions = Sessions::new(&mut registry);
        let operations = Family::<OperationLabels, Histogram>::new_with_constructor(coarse);
        registry.register(
            "mcp_server_operation_duration_seconds",
            "Time a request of MCP took (mcp.server.operation.duration of OpenTelemetry)",
            operations.clone(),
        );
        Self {
            registry,
            requests,
            direct,
            calls,
            durations,
            running,
            places,
            breakers,
            changes,
            open,
            aws,
            pools,
            audit,
            operations,
            sessions,
        }
    }

    /// A request that was answered.
    pub(crate) fn operation(&self, labels: &OperationLabels, duration: Duration) {
        self.operations.get_or_create(labels).observe(duration.as_secs_f64());
    }

    pub(crate) fn audit_written(&self, sink: &'static str, records: u64) {
        self.audit.written.get_or_create(&SinkLabels { sink }).inc_by(records);
    }

    pub(crate) fn audit_lost(&self, sink: &'static str) {
        self.audit.lost.get_or_create(&SinkLabels { sink }).inc();
    }

    pub(crate) fn audit_failing(&self, sink: &'static str, failing: bool) {
        self.audit.failing.get_or_create(&SinkLabels { sink }).set(i64::from(failing));
    }

    pub(crate) fn session_opened(&self) {
        self.sessions.open.inc();
    }

    pub(crate) fn session_ended(&self, reason: &'static str) {
        self.sessions.open.dec();
        self.sessions.ended.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// A session that was asked for and not opened.
    pub(crate) fn session_refused(&self, reason: &'static str) {
        self.sessions.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// A call of an AWS service that ended.
    pub(crate) fn aws_call(&self, call: &AwsCall) {
        let labels = self.aws.labels(call);
        self.aws.durations.get_or_create(&labels).observe(call.duration.as_secs_f64());
        self.aws.throttled.get_or_create(&labels).inc_by(call.throttled.into());
    }

    /// A call that had to wait for a connection.
    pub(crate) fn pool_wait(&self, pool: &'static str, waited: Duration) {
        let labels = PoolLabels { pool };
        self.pools.waits.get_or_create(&labels).inc();
        self.pools.waited.get_or_create(&labels).observe(waited.as_secs_f64());
    }

    pub(crate) fn running(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }

    pub(crate) fn places(&self, class: Class) -> Gauge {
        self.places.get_or_create(&ClassLabels { class: class.label() }).clone()
    }

    /// A circuit breaker that is in another state now.
    pub(crate) fn breaker(&self, upstream: &str, now: &'static str) {
        let labels = |state| BreakerLabels { upstream: upstream.to_owned(), state };
        for state in ["closed", "open", "half_open"] {
            self.breakers.get_or_create(&labels(state)).set(i64::from(state == now));
        }
        self.changes.get_or_create(&labels(now)).inc();
        let labels = OpenLabels { upstream: upstream.to_owned() };
        self.open.get_or_create(&labels).set(i64::from(now != "closed"));
    }

    pub(crate) fn request(&self, status: u16) {
        self.requests.get_or_create(&RequestLabels { status }).inc();
    }

    /// A call that took the direct way.
    pub(crate) fn direct_call(&self) {
        self.direct.inc();
    }

    pub(crate) fn tool_call(&self, tool: &'static str, outcome: &'static str, duration: Duration) {
        self.calls.get_or_create(&CallLabels { tool, outcome }).inc();
        self.durations.get_or_create(&ToolLabels { tool }).observe(duration.as_secs_f64());
    }

    /// A call that was refused before it began.
    pub(crate) fn refused(&self, tool: &'static str, outcome: &'static str) {
        self.calls.get_or_create(&CallLabels { tool, outcome }).inc();
    }

    /// A call of a tool that does not exist: one series for all such names.
    pub(crate) fn unknown_tool(&self) {
        self.calls.get_or_create(&CallLabels { tool: "unknown", outcome: "unknown_tool" }).inc();
    }

    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Aws {
    fn new(registry: &mut Registry) -> Self {
        let durations = Family::<AwsLabels, Histogram>::new_with_constructor(coarse);
        let throttled = Family::default();
        registry.register(
            "mcp_aws_call_duration_seconds",
            "Time a call of an AWS service took, with its retries",
            durations.clone(),
        );
        registry.register("mcp_aws_throttled", "Attempts AWS refused because there were too many", throttled.clone());
        Self { known: Mutex::default(), durations, throttled }
    }

    fn labels(&self, call: &AwsCall) -> AwsLabels {
        let labels =
            AwsLabels { service: call.service.clone(), operation: call.operation.clone(), region: call.region.clone() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&labels) {
            return labels;
        }
        if known.len() < AWS_SERIES {
            known.insert(labels.clone());
            return labels;
        }
        let other = || "other".to_owned();
        AwsLabels { service: other(), operation: other(), region: other() }
    }
}

impl Sessions {
    fn new(registry: &mut Registry) -> Self {
        let (open, ended, refused) = (Gauge::default(), Family::default(), Family::default());
        registry.register("mcp_sessions_open", "Sessions of the 2025 revisions that are open", open.clone());
        registry.register("mcp_sessions_ended", "Sessions that ended, by why", ended.clone());
        registry.register("mcp_sessions_refused", "Sessions that were not opened, by why", refused.clone());
        Self { open, ended, refused }
    }
}

impl AuditCounters {
    fn new(registry: &mut Registry) -> Self {
        let (written, lost, failing) = (Family::default(), Family::default(), Family::default());
        registry.register("mcp_audit_records", "Audit records stored, by where they go", written.clone());
        registry.register("mcp_audit_lost", "Audit records that could not be kept", lost.clone());
        registry.register("mcp_audit_failing", "1 while audit records cannot be stored", failing.clone());
        Self { written, lost, failing }
    }
}

impl Pools {
    fn new(registry: &mut Registry) -> Self {
        let (waits, waited) = (Family::default(), Family::<PoolLabels, Histogram>::new_with_constructor(coarse));
        registry.register("mcp_pool_waits", "Calls that had to wait for a connection of a pool", waits.clone());
        registry.register("mcp_pool_wait_seconds", "How long they waited", waited.clone());
        Self { waits, waited }
    }
}

/// From 100 µs to 26 s.
fn fine() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 4.0, 10))
}

/// The bounds OpenTelemetry gives for operations of MCP.
fn coarse() -> Histogram {
    Histogram::new([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_regions_cannot_fill_the_memory() {
        let metrics = Metrics::new();
        for number in 0..AWS_SERIES + 10 {
            let call = AwsCall::new("ec2", "DescribeInstances", format!("region-{number}"), Duration::from_millis(3));
            metrics.aws_call(&call.throttled(1));
        }
        let text = metrics.text().unwrap();
        let series = text.lines().filter(|line| line.starts_with("mcp_aws_throttled_total")).count();
        assert_eq!(series, AWS_SERIES + 1);
        assert!(
            text.contains(r#"mcp_aws_throttled_total{service="other",operation="other",region="other"} 10"#),
            "{text}"
        );
    }
}
