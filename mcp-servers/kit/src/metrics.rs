//! Counters of one process, in the text format Prometheus reads. Label values come from closed sets: a client cannot
//! make new series by asking for names that do not exist.

use std::time::Duration;

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

use crate::capacity::Class;

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

/// All metrics of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    durations: Family<ToolLabels, Histogram>,
    running: Gauge,
    places: Family<ClassLabels, Gauge>,
    breakers: Family<BreakerLabels, Gauge>,
    changes: Family<BreakerLabels, Counter>,
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
        let durations = Family::<ToolLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_1, 4.0, 10))
        });
        let up = Gauge::<i64>::default();
        up.set(1);
        let (running, places) = (Gauge::default(), Family::default());
        registry.register("mcp_up", "1 while the process runs", up);
        registry.register("mcp_tool_calls_running", "Tool calls under way", running.clone());
        registry.register("mcp_http_requests", "HTTP requests to /mcp by status", requests.clone());
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
        Self { registry, requests, calls, durations, running, places, breakers, changes }
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
    }

    pub(crate) fn request(&self, status: u16) {
        self.requests.get_or_create(&RequestLabels { status }).inc();
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
