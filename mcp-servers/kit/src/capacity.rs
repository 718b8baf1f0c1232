//! How many calls may be under way at once, by what their answers cost: a pod has a limit on memory, not on calls.
//!
//! In: a call that wants to begin. Out: its [`Place`], which is free again when nothing of the call is left: no work, no
//! answer, no byte of the answer that waits in this process for a client to take it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// Which calls share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Answers of up to 64 KiB, which is nearly all of them.
    Standard,
    /// Answers larger than that: media.
    Large,
}

impl Class {
    /// How many calls of this class may be under way, their unread answers included.
    pub(crate) const fn places(self) -> usize {
        match self {
            // A slow upstream keeps a hundred clients waiting at once, and none of them is to be refused.
            Self::Standard => 128,
            // One takes about 24 MiB at its peak: file, base64, message.
            Self::Large => 3,
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Large => "large",
        }
    }
}

/// The places of one process.
#[derive(Debug)]
pub(crate) struct Capacity {
    standard: (Arc<Semaphore>, Gauge),
    large: (Arc<Semaphore>, Gauge),
}

/// The right to be under way.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.dec();
    }
}

impl Capacity {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let of = |class: Class| (Arc::new(Semaphore::new(class.places())), metrics.places(class));
        Self { standard: of(Class::Standard), large: of(Class::Large) }
    }

    /// Waits for a place; `None` when there was none for so long.
    pub(crate) async fn enter(&self, class: Class, patience: Duration) -> Option<Arc<Place>> {
        let (semaphore, taken) = match class {
            Class::Standard => &self.standard,
            Class::Large => &self.large,
        };
        let permit = match Arc::clone(semaphore).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(patience, Arc::clone(semaphore).acquire_owned()).await.ok()?.ok()?,
        };
        taken.inc();
        Some(Arc::new(Place { taken: taken.clone(), _permit: permit }))
    }
}

/// Where a call leaves its place for as long as its answer needs it. The transport holds this beside every byte.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Vec<Arc<Place>>>);

impl Slot {
    pub(crate) fn keep(&self, place: &Arc<Place>) {
        // More than one only where a batch has several calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_class_that_is_full_waits_and_does_not_hinder_the_other() {
        let capacity = Capacity::new(&Metrics::new());
        let patience = Duration::from_millis(50);
        let mut places = Vec::new();
        for _ in 0..Class::Large.places() {
            places.push(capacity.enter(Class::Large, patience).await.unwrap());
        }
        assert!(capacity.enter(Class::Large, patience).await.is_none());
        assert!(capacity.enter(Class::Standard, patience).await.is_some());
        let waiting = capacity.enter(Class::Large, Duration::from_mins(1));
        places.pop();
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn a_place_is_taken_while_the_slot_is_there() {
        let metrics = Metrics::new();
        let capacity = Capacity::new(&metrics);
        let slot = Arc::new(Slot::default());
        slot.keep(&capacity.enter(Class::Large, Duration::ZERO).await.unwrap());
        assert!(metrics.text().unwrap().contains(r#"mcp_call_places_taken{class="large"} 1"#));
        drop(slot);
        assert!(metrics.text().unwrap().contains(r#"mcp_call_places_taken{class="large"} 0"#));
    }
}
