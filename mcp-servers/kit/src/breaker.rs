//! Circuit breakers, one for each upstream: who fails again and again is left alone for a while, then tried carefully.
//!
//! Five failures in a row open it; for 60 s nothing is asked; then three calls are let through as trials, and it closes
//! when all three succeed. The machine is pure (time is an argument); around it are a lock, a clock and the counters.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::metrics::Metrics;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open.
const OPEN: Duration = Duration::from_mins(1);
/// Calls that must succeed before it closes.
const TRIALS: u32 = 3;
/// Upstreams that are told apart; more share one breaker, so that names cannot fill the memory.
const UPSTREAMS: usize = 256;

/// Where one breaker stands. Times count from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen { begun: u32, succeeded: u32 },
}

/// How a call of an upstream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The upstream answered, be it with a refusal.
    Answered,
    /// It failed or took too long.
    Failed,
    /// Nobody knows: the caller went away.
    Unknown,
}

impl State {
    /// Whether a call may go through now, and what that makes of the state.
    const fn admit(self, now: Duration) -> Option<Self> {
        match self {
            Self::Closed { .. } => Some(self),
            Self::Open { until } if now.as_nanos() >= until.as_nanos() => {
                Some(Self::HalfOpen { begun: 1, succeeded: 0 })
            }
            Self::HalfOpen { begun, succeeded } if begun < TRIALS => {
                Some(Self::HalfOpen { begun: begun + 1, succeeded })
            }
            Self::Open { .. } | Self::HalfOpen { .. } => None,
        }
    }

    /// What the end of a call makes of the state.
    fn settle(self, outcome: Outcome, now: Duration) -> Self {
        let open = Self::Open { until: now + OPEN };
        match (self, outcome) {
            (Self::Closed { .. }, Outcome::Answered) => Self::Closed { failures: 0 },
            (Self::Closed { failures }, Outcome::Failed) if failures + 1 < FAILURES => {
                Self::Closed { failures: failures + 1 }
            }
            (Self::Closed { .. } | Self::HalfOpen { .. }, Outcome::Failed) => open,
            (Self::HalfOpen { succeeded, .. }, Outcome::Answered) if succeeded + 1 >= TRIALS => {
                Self::Closed { failures: 0 }
            }
            (Self::HalfOpen { begun, succeeded }, Outcome::Answered) => {
                Self::HalfOpen { begun, succeeded: succeeded + 1 }
            }
            (Self::HalfOpen { begun, succeeded }, Outcome::Unknown) => {
                Self::HalfOpen { begun: begun.saturating_sub(1), succeeded }
            }
            (same @ (Self::Closed { .. } | Self::Open { .. }), _) => same,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// One breaker. Its era begins anew with every change, so that a call from before has no say in what comes after.
#[derive(Clone, Copy, Debug)]
struct Breaker {
    state: State,
    era: u64,
}

impl Breaker {
    fn turn(&mut self, state: State) -> bool {
        let changed = state.label() != self.state.label();
        self.era += u64::from(changed);
        self.state = state;
        changed
    }
}

/// The breakers of one process.
#[derive(Debug)]
pub(crate) struct Breakers {
    start: Instant,
    all: Mutex<HashMap<String, Breaker>>,
    metrics: Arc<Metrics>,
}

/// The right to call an upstream once.
#[derive(Debug)]
pub(crate) struct Pass {
    breakers: Arc<Breakers>,
    upstream: String,
    era: u64,
    outcome: Outcome,
    deadline: Instant,
}

impl Breakers {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { start: Instant::now(), all: Mutex::default(), metrics }
    }

    /// Lets a call through, or not.
    pub(crate) fn admit(self: &Arc<Self>, upstream: &str, deadline: Instant) -> Option<Pass> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.len() < UPSTREAMS || all.contains_key(upstream);
        let upstream = if known { upstream } else { "other" };
        let closed = Breaker { state: State::Closed { failures: 0 }, era: 0 };
        let breaker = all.entry(upstream.to_owned()).or_insert(closed);
        let state = breaker.state.admit(self.start.elapsed())?;
        if breaker.turn(state) {
            self.tell(upstream, state);
        }
        let (breakers, era, upstream) = (Arc::clone(self), breaker.era, upstream.to_owned());
        Some(Pass { breakers, upstream, era, outcome: Outcome::Unknown, deadline })
    }

    fn settle(&self, upstream: &str, era: u64, outcome: Outcome) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = all.get_mut(upstream).filter(|breaker| breaker.era == era) {
            let state = breaker.state.settle(outcome, self.start.elapsed());
            if breaker.turn(state) {
                self.tell(upstream, state);
            }
        }
    }

    fn tell(&self, upstream: &str, state: State) {
        tracing::warn!(upstream, state = state.label(), "a circuit breaker changed");
        self.metrics.breaker(upstream, state.label());
    }
}

impl Pass {
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // A call that was cut at the end of its time says something about the upstream; one whose caller left does not.
        let late = self.outcome == Outcome::Unknown && Instant::now() >= self.deadline;
        let outcome = if late { Outcome::Failed } else { self.outcome };
        self.breakers.settle(&self.upstream, self.era, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn after(outcomes: &[Outcome]) -> State {
        outcomes.iter().fold(State::Closed { failures: 0 }, |state, outcome| state.settle(*outcome, NOW))
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        use Outcome::{Answered, Failed, Unknown};
        assert_eq!(after(&[Failed; 4]), State::Closed { failures: 4 });
        assert_eq!(after(&[Failed; 5]), State::Open { until: NOW + OPEN });
        assert_eq!(after(&[Failed, Failed, Failed, Failed, Answered, Failed]), State::Closed { failures: 1 });
        assert_eq!(after(&[Failed, Failed, Failed, Failed, Unknown, Failed]), State::Open { until: NOW + OPEN });
    }

    #[test]
    fn it_stays_open_for_its_time_and_then_takes_three_trials() {
        let open = State::Open { until: NOW + OPEN };
        assert_eq!(open.admit(NOW + Duration::from_millis(59_999)), None);
        let mut state = open;
        for begun in 1..=TRIALS {
            state = state.admit(NOW + OPEN).unwrap();
            assert_eq!(state, State::HalfOpen { begun, succeeded: 0 });
        }
        assert_eq!(state.admit(NOW + OPEN * 9), None, "a fourth waits for the three");
        for _ in 0..TRIALS {
            state = state.settle(Outcome::Answered, NOW);
        }
        assert_eq!(state, State::Closed { failures: 0 });
    }

    #[test]
    fn one_failed_trial_opens_it_again_and_an_abandoned_one_is_given_back() {
        let trials = State::HalfOpen { begun: 3, succeeded: 2 };
        assert_eq!(trials.settle(Outcome::Failed, NOW), State::Open { until: NOW + OPEN });
        let back = trials.settle(Outcome::Unknown, NOW);
        assert_eq!(back, State::HalfOpen { begun: 2, succeeded: 2 });
        assert!(back.admit(NOW).is_some());
    }

    #[test]
    fn a_call_from_before_has_no_say_in_the_trials() {
        let breakers = Arc::new(Breakers::new(Arc::new(Metrics::new())));
        let later = Instant::now() + Duration::from_mins(5);
        let slow = breakers.admit("db", later).unwrap();
        for _ in 0..FAILURES {
            breakers.admit("db", later).unwrap().settle(Outcome::Failed);
        }
        assert!(breakers.admit("db", later).is_none());
        assert!(breakers.admit("cache", later).is_some(), "another upstream is another breaker");
        let trials = State::HalfOpen { begun: 1, succeeded: 0 };
        breakers.all.lock().unwrap().get_mut("db").unwrap().turn(trials);
        slow.settle(Outcome::Failed);
        assert_eq!(breakers.all.lock().unwrap()["db"].state, trials);
    }

    #[test]
    fn a_call_cut_at_its_time_is_a_failure_and_an_abandoned_one_is_not() {
        let breakers = Arc::new(Breakers::new(Arc::new(Metrics::new())));
        for _ in 0..FAILURES * 2 {
            drop(breakers.admit("left", Instant::now() + Duration::from_mins(5)));
            drop(breakers.admit("slow", Instant::now()));
        }
        assert!(breakers.admit("left", Instant::now()).is_some());
        assert!(breakers.admit("slow", Instant::now()).is_none());
    }
}
