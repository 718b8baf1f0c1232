//! What waits and what is under way, as far as it can be seen from outside kube-runtime's scheduler.
//!
//! In: every object that an event asks to look at, and every reconcile's begin and end. Out: the `workqueue_*` metrics
//! and a list of the work under way. A retry waits inside the scheduler and is not seen before it starts: it counts
//! neither as waiting nor as added.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::runtime::reflector::ObjectRef;
use mcp_crds::McpServer;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

use super::{CONTROLLER, HistogramFamily, Label, labelled, names, queue_buckets, register};

/// The queue of the controller.
#[derive(Clone, Debug)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    adds: Counter,
    retries: Counter,
    queue_seconds: Histogram,
    work_seconds: Histogram,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<ObjectRef<McpServer>, Instant>,
    running: HashMap<ObjectRef<McpServer>, Instant>,
    /// When a reconcile last ended.
    ended: Option<Instant>,
}

/// The oldest work there is, for the watchdog.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// Under way for longest, and for how long.
    pub running: Option<(String, Duration)>,
    /// Waits for longest, and for how long.
    pub waiting: Option<(String, Duration)>,
    /// Since a reconcile last ended, if one has.
    pub since_end: Option<Duration>,
}

/// A reconcile under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Work {
    state: Arc<Mutex<State>>,
    object: ObjectRef<McpServer>,
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.running.remove(&self.object);
        state.ended = Some(Instant::now());
    }
}

impl Queue {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let histogram = |registry: &mut Registry, definition| {
            let family: HistogramFamily<[Label; 2]> = Family::new_with_constructor(queue_buckets);
            register(registry, definition, family).get_or_create(&labels()).clone()
        };
        let queue = Self {
            state: Arc::default(),
            adds: labelled(registry, &names::QUEUE_ADDS, &labels()),
            retries: labelled(registry, &names::QUEUE_RETRIES, &labels()),
            queue_seconds: histogram(registry, &names::QUEUE_SECONDS),
            work_seconds: histogram(registry, &names::WORK_SECONDS),
        };
        registry.register_collector(Box::new(Now(queue.state.clone())));
        queue
    }

    /// An event asks to look at an object.
    pub fn asked(&self, object: &ObjectRef<McpServer>) {
        let mut state = lock(&self.state);
        if !state.waiting.contains_key(object) {
            state.waiting.insert(object.clone(), Instant::now());
            self.adds.inc();
        }
    }

    /// The reconcile of an object begins.
    #[must_use]
    pub fn begin(&self, object: &ObjectRef<McpServer>) -> Work {
        let mut state = lock(&self.state);
        if let Some(since) = state.waiting.remove(object) {
            self.queue_seconds.observe(since.elapsed().as_secs_f64());
        }
        state.running.insert(object.clone(), Instant::now());
        Work { state: self.state.clone(), object: object.clone() }
    }

    /// An object was gone when its turn came.
    pub fn gone(&self, object: &ObjectRef<McpServer>) {
        lock(&self.state).waiting.remove(object);
    }

    /// The oldest work there is.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let oldest = |work: &HashMap<ObjectRef<McpServer>, Instant>| {
            let (object, since) = work.iter().min_by_key(|(_, since)| **since)?;
            Some((format!("{}/{}", object.namespace.as_deref().unwrap_or_default(), object.name), since.elapsed()))
        };
        let state = lock(&self.state);
        let since_end = state.ended.map(|ended| ended.elapsed());
        Backlog { running: oldest(&state.running), waiting: oldest(&state.waiting), since_end }
    }

    /// How many objects wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    /// Objects under work and for how long, the oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<(ObjectRef<McpServer>, Duration)> {
        let state = lock(&self.state);
        let mut running: Vec<_> =
            state.running.iter().map(|(object, since)| (object.clone(), since.elapsed())).collect();
        running.sort_by_key(|(_, age)| std::cmp::Reverse(*age));
        running
    }

    /// An object was taken care of; `again` when it failed and is tried again.
    pub(super) fn worked(&self, took: Duration, again: bool) {
        self.work_seconds.observe(took.as_secs_f64());
        if again {
            self.retries.inc();
        }
    }
}

fn labels() -> [Label; 2] {
    [("name", CONTROLLER.to_owned()), ("controller", CONTROLLER.to_owned())]
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is computed when it is asked for.
#[derive(Debug)]
struct Now(Arc<Mutex<State>>);

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let state = lock(&self.0);
        let ages = || state.running.values().map(|since| since.elapsed().as_secs_f64());
        let (depth, workers) = (state.waiting.len(), state.running.len());
        let controller = [("controller", CONTROLLER.to_owned())];
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        number(&mut encoder, &names::WORKERS, &controller, count(workers))?;
        number(&mut encoder, &names::QUEUE_DEPTH, &labels(), count(depth))?;
        number(&mut encoder, &names::UNFINISHED_WORK, &labels(), ages().sum::<f64>())?;
        number(&mut encoder, &names::LONGEST_WORK, &labels(), ages().fold(0.0, f64::max))
    }
}

/// Writes a gauge with one member.
fn number<V, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &names::Definition,
    labels: &[Label; N],
    value: V,
) -> Result<(), fmt::Error>
where
    ConstGauge<V>: EncodeMetric,
{
    let gauge = ConstGauge::new(value);
    let mut metric: MetricEncoder<'_> =
        encoder.encode_descriptor(definition.registered(), definition.help, None, gauge.metric_type())?;
    gauge.encode(metric.encode_family(labels)?)
}
