//! Every metric of the operator: name, kind, labels and help. A test holds the list against
//! `docs/reference/metrics.md` in both directions.
//!
//! Names that the field knows (controller-runtime, client-go, Prometheus' process metrics, Karpenter's status
//! conditions) mean here what they mean there, or the help says in what they differ.

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

impl Kind {
    /// The kind as Prometheus writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Name as it is queried: that of a counter ends in `_total`.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Definition {
    /// Name under which it is registered: the encoder adds a counter's `_total`, and a stop to the help.
    #[must_use]
    pub fn registered(&self) -> &'static str {
        self.name.strip_suffix("_total").filter(|_| self.kind == Kind::Counter).unwrap_or(self.name)
    }

    /// Its row in the reference.
    #[must_use]
    pub fn row(&self) -> String {
        let labels: Vec<_> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", self.name, self.kind.as_str(), labels.join(", "), self.help)
    }
}

macro_rules! definitions {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub const $id: Definition =
            Definition { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// Every metric.
        pub const ALL: &[Definition] = &[$($id),*];
    };
}

definitions! {
    RECONCILES = Counter "controller_runtime_reconcile_total" ["controller", "result"] "Reconciles by result: success, requeue_after, requeue (somebody else wrote first), error";
    RECONCILE_ERRORS = Counter "controller_runtime_reconcile_errors_total" ["controller"] "Reconciles that ended in an error; a conflict is none";
    RECONCILE_PANICS = Counter "controller_runtime_reconcile_panics_total" ["controller"] "Reconciles that panicked: bugs";
    RECONCILE_SECONDS = Histogram "controller_runtime_reconcile_time_seconds" ["controller"] "Length of a reconcile";
    WORKERS = Gauge "controller_runtime_active_workers" ["controller"] "Reconciles under way";
    MAX_WORKERS = Gauge "controller_runtime_max_concurrent_reconciles" ["controller"] "Most reconciles at the same time";
    QUEUE_DEPTH = Gauge "workqueue_depth" ["name", "controller"] "Objects with an event that no reconcile has taken up yet; retries that wait for their time are not counted";
    QUEUE_ADDS = Counter "workqueue_adds_total" ["name", "controller"] "Objects put into the queue by events; events of an object that waits already add nothing";
    QUEUE_SECONDS = Histogram "workqueue_queue_duration_seconds" ["name", "controller"] "Time from an object's first event to its reconcile, the debounce of 0.1 s included";
    WORK_SECONDS = Histogram "workqueue_work_duration_seconds" ["name", "controller"] "Time that taking care of an object took";
    QUEUE_RETRIES = Counter "workqueue_retries_total" ["name", "controller"] "Objects put back after a failure, to be tried again after a wait";
    UNFINISHED_WORK = Gauge "workqueue_unfinished_work_seconds" ["name", "controller"] "Sum of the ages of the reconciles under way";
    LONGEST_WORK = Gauge "workqueue_longest_running_processor_seconds" ["name", "controller"] "Age of the oldest reconcile under way";
    LEADER = Gauge "leader_election_master_status" ["name"] "1 while this process leads, 0 while it stands by";
    REQUESTS = Counter "rest_client_requests_total" ["code", "method", "host"] "Requests to the API server by status code; `<error>` where no answer came in time";
    REQUEST_SECONDS = Histogram "rest_client_request_duration_seconds" ["verb", "host"] "Time to the answer's head; watches are left out";
    WATCH_ERRORS = Counter "mcp_eks_watch_errors_total" ["kind"] "Errors of a kind's watch; it is opened again after a wait";
    WATCH_LISTS = Counter "mcp_eks_watch_lists_total" ["kind"] "Times a kind was listed in full: once at the start, and after each watch that could not be resumed";
    OBJECTS = Gauge "mcp_eks_cached_objects" ["kind"] "Objects of a kind that the operator holds in memory";
    EVENTS = Counter "mcp_eks_events_total" ["result"] "Events about servers by result: published, failed";
    PROBES = Counter "mcp_eks_probes_total" ["target", "result"] "Probes of servers by what was spoken to (pod, service) and result";
    PROBE_SECONDS = Histogram "mcp_eks_probe_duration_seconds" ["target"] "Length of a probe";
    CONDITIONS = Gauge "operator_mcpserver_status_condition_count" ["type", "status", "reason"] "McpServers by condition";
    CONDITION_SECONDS = Gauge "operator_mcpserver_status_condition_current_status_seconds" ["type", "status"] "How long the McpServer that is in this status longest has been in it; one value over all McpServers";
    TRANSITIONS = Counter "operator_mcpserver_status_condition_transitions_total" ["type", "status", "reason"] "Changes of a condition's status, by the status entered";
    TRANSITION_SECONDS = Histogram "operator_mcpserver_status_condition_transition_seconds" ["type", "status", "to_status"] "Time a condition was in a status before it went to another";
    BUILD = Gauge "mcp_eks_build_info" ["version"] "1; the version is in the label";
    CPU_SECONDS = Counter "process_cpu_seconds_total" [] "CPU time of the process";
    RESIDENT_BYTES = Gauge "process_resident_memory_bytes" [] "Resident memory";
    VIRTUAL_BYTES = Gauge "process_virtual_memory_bytes" [] "Virtual memory";
    OPEN_FDS = Gauge "process_open_fds" [] "Open file descriptors";
    MAX_FDS = Gauge "process_max_fds" [] "Most file descriptors it may open";
    START_TIME = Gauge "process_start_time_seconds" [] "When the process started, in seconds since 1970";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    const REFERENCE: &str = include_str!("../../../docs/reference/metrics.md");

    #[test]
    fn every_metric_is_unique_and_documented_as_it_is() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        let missing: Vec<_> = ALL.iter().map(super::Definition::row).filter(|row| !REFERENCE.contains(row)).collect();
        assert!(missing.is_empty(), "docs/reference/metrics.md lacks these rows:\n{}", missing.join("\n"));
    }

    #[test]
    fn the_reference_documents_nothing_that_does_not_exist() {
        for row in REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
            assert!(ALL.iter().any(|metric| metric.name == row), "{row} is documented, but no metric");
        }
    }
}
