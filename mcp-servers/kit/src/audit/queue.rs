//! The bounded queue before a sink: whoever records waits a moment for room, and then goes on without or is refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::record::Record;
use crate::metrics::Metrics;

/// Records that wait for a sink at most.
pub(super) const ROOM: usize = 1024;
/// The longest a call waits for room.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest a call waits until its record is stored.
const STORED: Duration = Duration::from_secs(5);

/// Which calls a sink is told of. Refusals go to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Everything,
    /// Calls of tools that change something.
    Changes,
}

/// A record on its way, and who wants to know that it is stored.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) record: Record,
    pub(super) stored: Option<oneshot::Sender<()>>,
}

/// What a queue and its writer share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) name: &'static str,
    metrics: Arc<Metrics>,
    failing: AtomicBool,
    lost: AtomicU64,
}

impl State {
    pub(super) fn new(name: &'static str, metrics: Arc<Metrics>) -> Self {
        metrics.audit_failing(name, false);
        Self { name, metrics, failing: AtomicBool::new(false), lost: AtomicU64::new(0) }
    }

    /// Says that the sink takes nothing, or does again.
    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Release);
        self.metrics.audit_failing(self.name, failing);
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    pub(super) fn wrote(&self, records: usize) {
        self.metrics.audit_written(self.name, records as u64);
    }

    /// How many records were lost since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::AcqRel)
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
        self.metrics.audit_lost(self.name);
    }
}

/// The way to one sink.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) wants: Wants,
    pub(super) state: Arc<State>,
    sender: mpsc::Sender<Item>,
}

impl Queue {
    pub(super) fn new(wants: Wants, state: State) -> (Self, mpsc::Receiver<Item>) {
        let (sender, receiver) = mpsc::channel(ROOM);
        (Self { wants, state: Arc::new(state), sender }, receiver)
    }

    /// Hands a record over, or counts it as lost: now or never.
    pub(super) fn offer(&self, record: Record) {
        if self.sender.try_send(Item { record, stored: None }).is_err() {
            self.state.lose();
        }
    }

    /// The same after waiting for room, unless the sink is failing anyway.
    pub(super) async fn push(&self, record: Record) {
        if self.sender.capacity() > 0 || self.state.is_failing() {
            return self.offer(record);
        }
        match tokio::time::timeout(PATIENCE, self.sender.reserve()).await {
            Ok(Ok(permit)) => permit.send(Item { record, stored: None }),
            _ => self.state.lose(),
        }
    }

    /// Hands a record over and waits until it is stored; `false` when that cannot be promised.
    pub(super) async fn store(&self, record: Record) -> bool {
        if self.state.is_failing() {
            return false;
        }
        let (stored, told) = oneshot::channel();
        let handed = async {
            self.sender.send(Item { record, stored: Some(stored) }).await.ok()?;
            told.await.ok()
        };
        matches!(tokio::time::timeout(STORED, handed).await, Ok(Some(())))
    }
}
