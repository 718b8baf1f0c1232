//! How long a step on the normal way may wait for the next one before it is published.
//!
//! In: uids of servers, and the time. Out: how much longer to hold a status that `status::progress` calls progress. While
//! a server starts it takes several steps within a second or two, and a write for each would slow down all others.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Longest hold: people look at a server that starts every few seconds.
pub const HOLD: Duration = Duration::from_secs(3);
/// A server that is gone never asks again; what is held for it is dropped by then.
const FORGOTTEN: Duration = Duration::from_mins(1);

/// Since when steps are held back, by server.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<String, Instant>>);

impl Pace {
    /// How much longer a step may wait; none when its time is up.
    #[must_use]
    pub fn hold(&self, uid: &str, now: Instant) -> Option<Duration> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = held.get(uid).copied() else {
            held.retain(|_, since| now.duration_since(*since) < FORGOTTEN);
            held.insert(uid.to_owned(), now);
            return Some(HOLD);
        };
        HOLD.checked_sub(now.duration_since(since)).filter(|left| !left.is_zero())
    }

    /// Nothing is held any more: it was published, or taken back.
    pub fn settled(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_waits_for_the_next_one_and_never_longer_than_the_hold() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.hold("a", start), Some(HOLD));
        assert_eq!(pace.hold("a", start + HOLD / 3), Some(HOLD * 2 / 3), "another step does not begin anew");
        assert_eq!(pace.hold("b", start + HOLD / 3), Some(HOLD), "each server has its own");
        assert_eq!(pace.hold("a", start + HOLD), None);
        pace.settled("a");
        assert_eq!(pace.hold("a", start + HOLD), Some(HOLD));
    }

    #[test]
    fn what_is_held_for_servers_that_are_gone_is_dropped() {
        let (pace, start) = (Pace::default(), Instant::now());
        for n in 0..100 {
            let _ = pace.hold(&n.to_string(), start);
        }
        let _ = pace.hold("late", start + FORGOTTEN);
        assert_eq!(pace.0.lock().unwrap().len(), 1);
    }
}
