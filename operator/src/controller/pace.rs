//! How long a step on the normal way may wait for the next one before it is published.
//!
//! In: uids of servers, what `status::progress` calls the step, how many servers wait for their turn, and the time. Out: how
//! much longer to hold it. While a server starts it takes several steps within a second or two, and a write for each would
//! slow down all others; the more servers start at once, the longer each takes, and the longer its steps wait.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::status::progress::Step;

/// Longest hold of a server that starts alone: people look at it every few seconds.
pub const HOLD: Duration = Duration::from_secs(3);
/// By so much each server on its way, or before its turn, makes the hold longer: about what one takes on two cores, so that
/// the next step of a server, which comes when the others have had their turn, finds the one before it unpublished.
const HOLD_PER_SERVER: Duration = Duration::from_millis(100);
/// Longest hold in the largest crowd.
pub const HOLD_IN_CROWD: Duration = Duration::from_mins(2);
/// So many servers on their way at once are a crowd: nobody watches each.
const CROWD: usize = 32;
/// A server that is gone never asks again; what is held for it is dropped by then.
const FORGOTTEN: Duration = Duration::from_mins(3);

/// Since when steps are held back, by server.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<String, Instant>>);

impl Pace {
    /// How much longer a step may wait; none when its time is up, or when it is the first of a server that starts alone.
    #[must_use]
    pub fn hold(&self, uid: &str, step: Step, waiting: usize, now: Instant) -> Option<Duration> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = held.len().saturating_add(waiting);
        let in_crowd = servers >= CROWD;
        let servers = u32::try_from(servers).unwrap_or(u32::MAX);
        let longest = HOLD_PER_SERVER.saturating_mul(servers).clamp(HOLD, HOLD_IN_CROWD);
        let Some(since) = held.get(uid).copied() else {
            if step == Step::First && !in_crowd {
                return None;
            }
            held.retain(|_, since| now.duration_since(*since) < FORGOTTEN);
            held.insert(uid.to_owned(), now);
            return Some(longest);
        };
        longest.checked_sub(now.duration_since(since)).filter(|left| !left.is_zero())
    }

    /// Nothing is held any more: it was published, or taken back.
    pub fn settled(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many servers, all on their way since then.
    fn crowd(pace: &Pace, of: usize, since: Instant) {
        for n in 0..of {
            let _ = pace.hold(&n.to_string(), Step::Next, 0, since);
        }
    }

    #[test]
    fn a_step_waits_for_the_next_one_and_never_longer_than_the_hold() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.hold("a", Step::Next, 0, start), Some(HOLD));
        assert_eq!(
            pace.hold("a", Step::Next, 0, start + HOLD / 3),
            Some(HOLD * 2 / 3),
            "another step does not begin anew"
        );
        assert_eq!(pace.hold("b", Step::Next, 0, start + HOLD / 3), Some(HOLD), "each server has its own");
        assert_eq!(pace.hold("a", Step::Next, 0, start + HOLD), None);
        pace.settled("a");
        assert_eq!(pace.hold("a", Step::Next, 0, start + HOLD), Some(HOLD));
    }

    #[test]
    fn the_first_status_of_a_server_that_starts_alone_is_published_at_once() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.hold("a", Step::First, 0, start), None);
        assert_eq!(pace.hold("a", Step::Next, 0, start), Some(HOLD));
    }

    #[test]
    fn in_a_crowd_the_first_status_waits_too() {
        let (pace, start) = (Pace::default(), Instant::now());
        crowd(&pace, CROWD, start);
        assert!(pace.hold("new", Step::First, 0, start).is_some());
        for n in 0..CROWD {
            pace.settled(&n.to_string());
        }
        assert_eq!(pace.hold("new", Step::First, 0, start + HOLD), None, "the crowd is gone, and its time is up");
    }

    #[test]
    fn whoever_waits_for_its_turn_is_of_the_crowd_too() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.hold("a", Step::First, 300, start), Some(Duration::from_secs(30)));
        assert_eq!(
            pace.hold("a", Step::Next, 100, start + HOLD),
            Some(Duration::from_millis(7_100)),
            "the queue is shorter"
        );
    }

    #[test]
    fn the_larger_the_crowd_the_longer_all_wait_and_never_without_end() {
        for (of, longest) in [(20, HOLD), (300, Duration::from_secs(30)), (5000, HOLD_IN_CROWD)] {
            let (pace, start) = (Pace::default(), Instant::now());
            crowd(&pace, of, start);
            assert_eq!(pace.hold("0", Step::Next, 0, start), Some(longest), "one of {of}");
            assert_eq!(pace.hold("0", Step::Next, 0, start + longest), None, "one of {of}");
        }
    }

    #[test]
    fn what_is_held_for_servers_that_are_gone_is_dropped() {
        let (pace, start) = (Pace::default(), Instant::now());
        crowd(&pace, CROWD, start);
        let _ = pace.hold("late", Step::Next, 0, start + FORGOTTEN);
        assert_eq!(pace.0.lock().unwrap().len(), 1);
    }
}
