//! The audit: who did what with which tool, in records that cannot be changed unseen.
//!
//! In: calls as they begin and end, and refusals. Out: one chain of lines for each sink of this process. A call that
//! changes something is recorded before it begins; where records are required it does not begin without. Nothing a call
//! waits for here is unbounded, and reads never fail for want of a record.

#[cfg(feature = "cloudwatch-logs")]
mod cloudwatch;
mod command;
mod keep;
mod postgres;
mod queue;
mod record;
mod stdout;
mod verify;

use std::{
    io::{stderr, stdout as standard_output},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::{Map, Value};
use tokio::sync::{mpsc::Receiver, oneshot};

pub(crate) use command::{commands, run};
pub(crate) use postgres::Settings as Postgres;
use queue::{Item, Queue, State, Wants};
use record::{Chain, Event, Record};

use crate::{metrics::Metrics, origin::Origin, redact, tool::Tool, trail::Left};

/// Refusals a second that are recorded one by one, and at once: strangers must not be able to fill the store.
const REFUSALS: (u32, u32) = (10, 100);
/// The longest the last records may take when the process ends.
const CLOSING: Duration = Duration::from_secs(2);

/// Where records go, and whether calls wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) stdout: bool,
    pub(crate) postgres: Option<Postgres>,
    /// The log group in CloudWatch Logs.
    #[cfg(feature = "cloudwatch-logs")]
    pub(crate) log_group: Option<String>,
    pub(crate) required: bool,
    /// Who writes: the name or uid of the pod.
    pub(crate) writer: String,
}

/// The audit of one process.
#[derive(Debug)]
pub(crate) struct Audit {
    queues: Vec<Queue>,
    required: bool,
    server: Arc<str>,
    calls: AtomicU64,
    refusals: DefaultDirectRateLimiter,
    suppressed: AtomicU64,
}

/// The writers of one process, to be waited for at its end.
#[derive(Debug)]
pub(crate) struct Writers {
    ends: Vec<oneshot::Receiver<()>>,
}

/// A call under way, as the audit knows it. Dropped without an end, it records that its caller went away.
#[derive(Debug)]
pub(crate) struct Open {
    audit: Arc<Audit>,
    number: u64,
    origin: Arc<Origin>,
    /// Nothing for a read of a resource.
    tool: Option<&'static str>,
    changes: bool,
    arguments: Option<Value>,
    begun: Instant,
    ended: bool,
}

impl Audit {
    /// Starts the writers. Within a runtime.
    pub(crate) fn start(
        settings: &Settings,
        server: &str,
        stdio: bool,
        metrics: &Arc<Metrics>,
    ) -> (Arc<Self>, Writers) {
        let (mut queues, mut ends) = (Vec::new(), Vec::new());
        let process = uuid::Uuid::now_v7();
        let chain = |sink: &str| Chain::new(format!("{}.{process}.{sink}", settings.writer));
        if settings.stdout {
            let (queue, items) = Queue::new(Wants::Everything, State::new("stdout", Arc::clone(metrics)));
            let (state, chain) = (Arc::clone(&queue.state), chain("stdout"));
            let write = move || {
                if stdio { stdout::write(items, &state, chain, stderr()) } else { to_stdout(items, &state, chain) }
            };
            let (end, ended) = oneshot::channel();
            // Without a thread there is no sink, and whoever needs one is told so at every call.
            let spawned = thread::Builder::new().name("audit".into()).spawn(move || {
                write();
                let _ = end.send(());
            });
            if spawned.is_err() {
                queue.state.set_failing(true);
            }
            queues.push(queue);
            ends.push(ended);
        }
        if let Some(settings) = settings.postgres.clone() {
            let (queue, ended) = started("postgres", metrics, chain("postgres"), postgres::Tables::new(settings));
            queues.push(queue);
            ends.push(ended);
        }
        #[cfg(feature = "cloudwatch-logs")]
        if let Some(group) = settings.log_group.clone() {
            let store = cloudwatch::CloudWatch::new(group);
            let (queue, ended) = started("cloudwatch-logs", metrics, chain("cloudwatch-logs"), store);
            queues.push(queue);
            ends.push(ended);
        }
        let (rate, burst) = REFUSALS;
        let one = std::num::NonZeroU32::MIN;
        let quota = Quota::per_second(one.saturating_add(rate - 1)).allow_burst(one.saturating_add(burst - 1));
        let audit = Self {
            queues,
            required: settings.required,
            server: server.into(),
            calls: AtomicU64::new(0),
            refusals: RateLimiter::direct(quota),
            suppressed: AtomicU64::new(0),
        };
        (Arc::new(audit), Writers { ends })
    }

    /// A call begins.
    pub(crate) fn begin(self: &Arc<Self>, origin: &Arc<Origin>, tool: &Tool, arguments: &Map<String, Value>) -> Open {
        let changes = !tool.hints.read_only;
        let told = self.queues.iter().any(|queue| changes || queue.wants == Wants::Everything);
        Open {
            audit: Arc::clone(self),
            number: self.calls.fetch_add(1, Ordering::Relaxed),
            origin: Arc::clone(origin),
            tool: Some(tool.name),
            changes,
            arguments: told.then(|| redact::arguments(arguments, tool.sensitive, tool.plain)),
            begun: Instant::now(),
            ended: false,
        }
    }

    /// A read of a resource begins.
    pub(crate) fn begin_read(self: &Arc<Self>, origin: &Arc<Origin>) -> Open {
        Open {
            audit: Arc::clone(self),
            number: self.calls.fetch_add(1, Ordering::Relaxed),
            origin: Arc::clone(origin),
            tool: None,
            changes: false,
            arguments: None,
            begun: Instant::now(),
            ended: false,
        }
    }

    /// A request was refused, for a reason with a name. `tool` is what the client asked for, if that is known.
    pub(crate) fn refuse(&self, origin: &Origin, tool: Option<&str>, reason: &str) {
        if self.queues.is_empty() {
            return;
        }
        if self.refusals.check().is_err() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let record = Record::new(&self.server, Event::Refused)
            .of(origin)
            .decision("refused", Some(reason))
            .suppressed(self.suppressed.swap(0, Ordering::Relaxed));
        let record = record.tool(tool, None);
        for queue in &self.queues {
            queue.offer(record.clone());
        }
    }

    fn record(&self, event: Event, open: &Open) -> Record {
        let arguments = if event == Event::Done && open.changes { None } else { open.arguments.clone() };
        Record::new(&self.server, event).of(&open.origin).call(open.number).tool(open.tool, arguments)
    }

    fn told<'a>(&'a self, open: &Open) -> impl Iterator<Item = &'a Queue> {
        let changes = open.changes;
        self.queues.iter().filter(move |queue| changes || queue.wants == Wants::Everything)
    }
}

/// Starts the writer before a store that may be away.
fn started(
    name: &'static str,
    metrics: &Arc<Metrics>,
    chain: Chain,
    store: impl keep::Store + 'static,
) -> (Queue, oneshot::Receiver<()>) {
    let (queue, items) = Queue::new(Wants::Changes, State::new(name, Arc::clone(metrics)));
    let state = Arc::clone(&queue.state);
    let (end, ended) = oneshot::channel();
    tokio::spawn(async move {
        keep::write(items, state, chain, store).await;
        let _ = end.send(());
    });
    (queue, ended)
}

fn to_stdout(items: Receiver<Item>, state: &Arc<State>, chain: Chain) {
    stdout::write(items, state, chain, standard_output().lock());
}

impl Open {
    /// Records that a call which changes something is about to begin; `false` when it may not, because that cannot be
    /// stored. Of a call that only reads there is nothing to record yet.
    pub(crate) async fn intend(&self) -> bool {
        if !self.changes {
            return true;
        }
        let audit = &self.audit;
        let record = audit.record(Event::Intended, self).decision("allowed", None);
        let each = audit.queues.iter().map(|queue| {
            let record = record.clone();
            async move {
                if audit.required {
                    queue.store(record).await
                } else {
                    queue.push(record).await;
                    true
                }
            }
        });
        // Where a record is required there has to be somewhere to keep it.
        (!audit.required || !audit.queues.is_empty()) && futures::future::join_all(each).await.into_iter().all(|it| it)
    }

    /// Records the end of the call.
    pub(crate) async fn done(mut self, result: &str, bytes: Option<usize>, left: Left) {
        self.ended = true;
        let audit = &self.audit;
        if audit.told(&self).next().is_none() {
            return;
        }
        let record = audit.record(Event::Done, &self).decision("allowed", Some(result));
        let record = record.ended(left, self.begun.elapsed(), bytes);
        for queue in audit.told(&self) {
            queue.push(record.clone()).await;
        }
    }

    /// Records that the call was refused.
    pub(crate) fn refused(mut self, reason: &str) {
        self.ended = true;
        let record = self.audit.record(Event::Refused, &self).decision("refused", Some(reason));
        for queue in &self.audit.queues {
            queue.offer(record.clone());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let record = self.audit.record(Event::Done, self).decision("allowed", Some("cancelled"));
        let record = record.ended(Left::default(), self.begun.elapsed(), None);
        for queue in self.audit.told(self) {
            queue.offer(record.clone());
        }
    }
}

impl Writers {
    /// Closes the chains and waits until everything is written, as long as that may take.
    pub(crate) async fn close(self, audit: &Audit) {
        for queue in &audit.queues {
            queue.push(Record::new(&audit.server, Event::Closed)).await;
        }
        let all = futures::future::join_all(self.ends);
        if tokio::time::timeout(CLOSING, all).await.is_err() {
            tracing::error!("the last audit records could not be written before the end");
        }
    }
}
