//! What the operator counts about itself, for `/metrics`.
//!
//! In: calls of the shell, one method a thing that happens. Out: OpenMetrics text. Holds no label whose values grow
//! with the number of servers. The core rooms do not know it.

mod conditions;

pub mod names;
mod process;
mod queue;
pub mod requests;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::runtime::reflector::Store;
use mcp_crds::McpServer;
use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};

pub use self::queue::{Backlog, Queue, Work};
use self::{conditions::Conditions, names::Definition, requests::Requests};
use crate::status::transitions::Transition;

/// The one controller.
const CONTROLLER: &str = "mcpserver";

/// Name and value of one label.
type Label = (&'static str, String);
type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, until something changes.
    Success,
    /// Done for now, with a time to look again.
    RequeueAfter,
    /// Somebody else wrote first.
    Conflict,
    /// It failed.
    Error,
    /// It panicked.
    Panic,
}

/// Every metric, and the registry that prints them.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// What waits and what is under way.
    pub queue: Queue,
    /// Requests to the API server.
    pub requests: Requests,
    /// Watches.
    pub watches: Watches,
    reconciles: Family<[Label; 2], Counter>,
    errors: Counter,
    panics: Counter,
    reconcile_seconds: Histogram,
    max_workers: Gauge,
    leader: Family<[Label; 1], Gauge>,
    events: Family<[Label; 1], Counter>,
    probes: Family<[Label; 2], Counter>,
    probe_seconds: HistogramFamily<[Label; 1]>,
    transitions: Family<[Label; 3], Counter>,
    transition_seconds: HistogramFamily<[Label; 3]>,
}

/// Counters of the watches, one value a kind.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    errors: Family<[Label; 1], Counter>,
    lists: Family<[Label; 1], Counter>,
    objects: Family<[Label; 1], Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let controller = || [("controller", CONTROLLER.to_owned())];
        let watches = Watches {
            errors: register(&mut registry, &names::WATCH_ERRORS, Family::default()),
            lists: register(&mut registry, &names::WATCH_LISTS, Family::default()),
            objects: register(&mut registry, &names::OBJECTS, Family::default()),
        };
        let seconds: HistogramFamily<_> = Family::new_with_constructor(reconcile_buckets);
        register(&mut registry, &names::RECONCILE_SECONDS, seconds.clone());
        let build: Family<[Label; 1], Gauge> = register(&mut registry, &names::BUILD, Family::default());
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        let metrics = Self {
            queue: Queue::new(&mut registry),
            requests: Requests::new(&mut registry),
            watches,
            reconciles: register(&mut registry, &names::RECONCILES, Family::default()),
            errors: labelled(&mut registry, &names::RECONCILE_ERRORS, &controller()),
            panics: labelled(&mut registry, &names::RECONCILE_PANICS, &controller()),
            reconcile_seconds: seconds.get_or_create(&controller()).clone(),
            max_workers: labelled(&mut registry, &names::MAX_WORKERS, &controller()),
            leader: register(&mut registry, &names::LEADER, Family::default()),
            events: register(&mut registry, &names::EVENTS, Family::default()),
            probes: register(&mut registry, &names::PROBES, Family::default()),
            probe_seconds: register(
                &mut registry,
                &names::PROBE_SECONDS,
                Family::new_with_constructor(request_buckets as fn() -> Histogram),
            ),
            transitions: register(&mut registry, &names::TRANSITIONS, Family::default()),
            transition_seconds: register(
                &mut registry,
                &names::TRANSITION_SECONDS,
                Family::new_with_constructor(transition_buckets as fn() -> Histogram),
            ),
            registry: Mutex::default(),
        };
        registry.register_collector(Box::new(process::Process));
        *lock(&metrics.registry) = registry;
        metrics
    }
}

impl Metrics {
    /// Sets what is known when the controller starts: how much it does at once, and where the servers are.
    pub fn starting(&self, concurrency: u16, servers: Store<McpServer>) {
        self.max_workers.set(i64::from(concurrency));
        self.collect(Conditions::new(servers));
    }

    /// Adds metrics that are computed when they are asked for.
    pub fn collect(&self, collector: impl Collector) {
        lock(&self.registry).register_collector(Box::new(collector));
    }

    /// A reconcile ended.
    pub fn reconciled(&self, outcome: Outcome, took: Duration) {
        let result = match outcome {
            Outcome::Success => "success",
            Outcome::RequeueAfter => "requeue_after",
            Outcome::Conflict => "requeue",
            Outcome::Error | Outcome::Panic => "error",
        };
        self.reconciles.get_or_create(&[("controller", CONTROLLER.to_owned()), ("result", result.to_owned())]).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
        self.queue.worked(took, matches!(outcome, Outcome::Conflict | Outcome::Error | Outcome::Panic));
        if matches!(outcome, Outcome::Error | Outcome::Panic) {
            self.errors.inc();
        }
        if outcome == Outcome::Panic {
            self.panics.inc();
        }
    }

    /// Whether this process leads.
    pub fn leads(&self, lease: &str, leads: bool) {
        self.leader.get_or_create(&[("name", lease.to_owned())]).set(i64::from(leads));
    }

    /// An Event was published, or could not be.
    pub fn event(&self, published: bool) {
        let result = if published { "published" } else { "failed" };
        self.events.get_or_create(&[("result", result.to_owned())]).inc();
    }

    /// A probe ended. `target` is `pod` or `service`; `result` comes from a closed list.
    pub fn probed(&self, target: &'static str, result: &'static str, took: Duration) {
        self.probes.get_or_create(&[("target", target.to_owned()), ("result", result.to_owned())]).inc();
        self.probe_seconds.get_or_create(&[("target", target.to_owned())]).observe(took.as_secs_f64());
    }

    /// A status was published in which conditions changed.
    pub fn transitions(&self, transitions: &[Transition<'_>]) {
        for transition in transitions {
            let kind = ("type", transition.kind.as_str().to_owned());
            let to = transition.to.to_owned();
            let reason = ("reason", transition.reason.to_owned());
            self.transitions.get_or_create(&[kind.clone(), ("status", to.clone()), reason]).inc();
            if let Some((from, seconds)) = transition.from {
                let labels = [kind, ("status", from.to_owned()), ("to_status", to)];
                self.transition_seconds.get_or_create(&labels).observe(seconds);
            }
        }
    }

    /// Every metric in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &lock(&self.registry))?;
        Ok(text)
    }
}

impl Watches {
    /// The watch of a kind failed.
    pub fn failed(&self, kind: &'static str) {
        self.errors.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// A kind is listed from the beginning.
    pub fn lists(&self, kind: &'static str) {
        self.lists.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// So many objects of a kind are held.
    pub fn holds(&self, kind: &'static str, objects: usize) {
        self.objects.get_or_create(&[("kind", kind.to_owned())]).set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// How many objects of a kind are held.
    #[must_use]
    pub fn held(&self, kind: &'static str) -> i64 {
        self.objects.get(&[("kind", kind.to_owned())]).map_or(0, |objects| objects.get())
    }
}

/// Registers a metric under its documented name and help.
fn register<M: Metric + Clone>(registry: &mut Registry, definition: &Definition, metric: M) -> M {
    registry.register(definition.registered(), definition.help, metric.clone());
    metric
}

/// Registers a family of which one member is used.
fn labelled<L, M>(registry: &mut Registry, definition: &Definition, labels: &L) -> M
where
    L: EncodeLabelSet + Clone + Eq + std::hash::Hash + fmt::Debug + Send + Sync + 'static,
    M: Metric + Clone + Default,
    Family<L, M>: Metric,
{
    register(registry, definition, Family::<L, M>::default()).get_or_create(labels).clone()
}

fn reconcile_buckets() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

fn request_buckets() -> Histogram {
    Histogram::new([0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0])
}

fn queue_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 10.0, 6))
}

fn transition_buckets() -> Histogram {
    Histogram::new([1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 86400.0])
}

fn lock(registry: &Mutex<Registry>) -> std::sync::MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
