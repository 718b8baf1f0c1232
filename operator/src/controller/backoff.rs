//! How long a failing object waits: by uid, doubling, with a jitter that differs from object to object.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::error::Class;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_mins(5);
/// First wait of what a person has to mend.
const SLOW: Duration = Duration::from_secs(15);
/// An object that has not failed for this long starts anew, and is forgotten.
const FORGET: Duration = Duration::from_mins(15);

/// Consecutive failures by uid.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<String, Failures>>);

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
    wait: Duration,
}

/// An object that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its uid.
    pub uid: String,
    /// Consecutive failures.
    pub failures: u32,
    /// Time until it is looked at again.
    pub again_in: Duration,
}

impl Backoff {
    /// Counts a failure. Returns how long to wait.
    #[must_use]
    pub fn failed(&self, uid: &str, class: Class) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, of| of.last.elapsed() < FORGET);
        let count = failures.get(uid).map_or(1, |before| before.count + 1);
        let wait = wait(uid, count, class);
        failures.insert(uid.to_owned(), Failures { count, last: Instant::now(), wait });
        wait
    }

    /// Everything that fails, what fails most first.
    #[must_use]
    pub fn failing(&self) -> Vec<Failing> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = |(uid, of): (&String, &Failures)| Failing {
            uid: uid.clone(),
            failures: of.count,
            again_in: of.wait.saturating_sub(of.last.elapsed()),
        };
        let mut all: Vec<_> = failures.iter().map(failing).collect();
        all.sort_by_key(|of| std::cmp::Reverse(of.failures));
        all
    }

    /// Forgets the failures of an object that succeeded.
    pub fn succeeded(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn wait(uid: &str, failures: u32, class: Class) -> Duration {
    let first = match class {
        Class::Conflict if failures == 1 => return Duration::from_millis(50),
        Class::Denied | Class::Refused => SLOW,
        Class::Conflict | Class::Throttled | Class::Transient | Class::Bug => FIRST,
    };
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LAST);
    let mut hasher = DefaultHasher::new();
    (uid, failures).hash(&mut hasher);
    // Between 80 and 100 per cent.
    doubled.mul_f64(1.0 - f64::from(u8::try_from(hasher.finish() % 21).unwrap_or(0)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Class, Duration, LAST};

    #[test]
    fn waits_double_up_to_a_bound_and_start_anew_after_a_success() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.failed("a", Class::Transient)).collect();
        assert!(waits[0] <= Duration::from_secs(1) && waits[0] >= Duration::from_millis(800));
        assert!(waits[3] > waits[0].mul_f64(4.0), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LAST));
        backoff.succeeded("a");
        assert_eq!(backoff.failed("a", Class::Transient), waits[0]);
    }

    #[test]
    fn who_fails_is_listed_until_it_succeeds() {
        let backoff = Backoff::default();
        let _ = (backoff.failed("a", Class::Transient), backoff.failed("b", Class::Transient));
        let wait = backoff.failed("b", Class::Denied);
        let failing = backoff.failing();
        let listed: Vec<_> = failing.iter().map(|of| (of.uid.as_str(), of.failures)).collect();
        assert_eq!(listed, [("b", 2), ("a", 1)]);
        assert!(failing[0].again_in <= wait && failing[0].again_in > wait / 2, "{failing:?}");
        backoff.succeeded("b");
        assert_eq!(backoff.failing().len(), 1);
    }

    #[test]
    fn objects_do_not_wait_in_step() {
        let backoff = Backoff::default();
        let waits: std::collections::BTreeSet<_> =
            (0..20).map(|uid| backoff.failed(&uid.to_string(), Class::Transient)).collect();
        assert!(waits.len() > 5);
    }
}
