//! The watchdog behind `/livez`: red when nothing can progress and only a new process helps.
//!
//! In: beats of the runtime and of the controller's loop, and the controller's queue. Out: what is stuck, in words.
//!
//! An API server that is away, a right or a definition that is missing, a failing object: none of them is for a
//! restart to mend, and none is red. Calls have a deadline, so a reconcile that cannot reach the API server ends all the
//! same, and that it ended is progress. What waits before everything was listed waits for the API server.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use futures::{Stream, stream};
use tokio::time::{Instant, interval, sleep};

use crate::metrics::{Backlog, Queue};

/// After this long without progress the process is given up. A reconcile is cut off after 70 s at the latest.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two beats.
const BEAT: Duration = Duration::from_secs(5);

/// When the process showed signs of life. Clones are one.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    runtime: Mutex<Instant>,
    /// None until the controller runs.
    controller: Mutex<Option<Instant>>,
}

/// What is known about the process at one moment.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// Since the runtime last ran a task of ours.
    pub runtime: Duration,
    /// Since the controller's loop last took an event, if it runs.
    pub controller: Option<Duration>,
    /// Whether every kind was listed once: before that, work waits for the API server.
    pub listed: bool,
    /// What waits and what is under way.
    pub backlog: Backlog,
}

/// What is stuck; nothing when the process is alive.
#[must_use]
pub fn stuck(signs: &Signs) -> Vec<String> {
    let mut stuck = Vec::new();
    let mut tell = |text: String| stuck.push(text);
    if signs.runtime >= PATIENCE {
        tell(format!("the runtime has run nothing for {} s", signs.runtime.as_secs()));
    }
    if let Some(age) = signs.controller.filter(|age| *age >= PATIENCE) {
        tell(format!("the controller has taken no event for {} s", age.as_secs()));
    }
    let Backlog { running, waiting, since_end } = &signs.backlog;
    if let Some((object, age)) = running.as_ref().filter(|(_, age)| *age >= PATIENCE) {
        tell(format!("{object} has been reconciled for {} s, past every deadline", age.as_secs()));
    }
    if let Some((object, age)) = waiting.as_ref().filter(|(_, age)| *age >= PATIENCE)
        && signs.listed
        && since_end.is_none_or(|since| since >= PATIENCE)
    {
        tell(format!("{object} has waited for {} s, and no reconcile has ended meanwhile", age.as_secs()));
    }
    stuck
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Beats { runtime: Mutex::new(Instant::now()), controller: Mutex::new(None) }))
    }
}

impl Progress {
    /// Beats as long as the runtime runs tasks.
    pub async fn beat(self) {
        loop {
            *self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            sleep(BEAT).await;
        }
    }

    /// A stream without items: that somebody polls it is the beat.
    pub fn polled(&self) -> impl Stream<Item = ()> + Send + 'static {
        let progress = self.clone();
        let mut ticks = interval(BEAT);
        stream::poll_fn(move |context| {
            while ticks.poll_tick(context).is_ready() {
                *progress.0.controller.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            Poll::Pending
        })
    }

    /// What is stuck now.
    #[must_use]
    pub fn stuck(&self, queue: &Queue, listed: bool) -> Vec<String> {
        let runtime = self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        let controller = *self.0.controller.lock().unwrap_or_else(PoisonError::into_inner);
        let controller = controller.map(|beat| beat.elapsed());
        stuck(&Signs { runtime, controller, listed, backlog: queue.backlog() })
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::time::advance;

    use super::{BEAT, Backlog, Duration, PATIENCE, Progress, Signs, sleep, stuck};
    use crate::metrics::Metrics;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_what_a_new_process_mends_is_red() {
        let alive = Signs { controller: Some(s(1)), listed: true, ..Signs::default() };
        let object = |age: u64| Some(("a/files".to_owned(), s(age)));
        let backlog = |running, waiting, since_end| Backlog { running, waiting, since_end };
        let with = |backlog| Signs { backlog, ..alive.clone() };
        let cases = [
            ("at rest, for ever", with(backlog(None, None, Some(s(99_999)))), None),
            ("it has just started", Signs::default(), None),
            ("the runtime is wedged", Signs { runtime: s(90), ..alive.clone() }, Some("the runtime")),
            ("the runtime was busy", Signs { runtime: s(89), ..alive.clone() }, None),
            (
                "the controller's loop is dead",
                Signs { controller: Some(s(90)), ..alive.clone() },
                Some("the controller"),
            ),
            ("a reconcile runs into its deadline: the API server hangs", with(backlog(object(60), None, None)), None),
            (
                "a reconcile outlives its deadline",
                with(backlog(object(90), None, Some(s(1)))),
                Some("past every deadline"),
            ),
            ("much to do, and it is being done", with(backlog(object(1), object(500), Some(s(1)))), None),
            ("work waits and none is done", with(backlog(None, object(90), Some(s(90)))), Some("a/files has waited")),
            ("work waits and none was ever done", with(backlog(None, object(90), None)), Some("a/files has waited")),
            (
                "work waits because the API server was never reached",
                Signs { listed: false, ..with(backlog(None, object(500), None)) },
                None,
            ),
        ];
        for (case, signs, expected) in cases {
            let told = stuck(&signs);
            match expected {
                Some(expected) => assert!(told.iter().any(|text| text.contains(expected)), "{case}: {told:?}"),
                None => assert!(told.is_empty(), "{case}: {told:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_not_polled_is_noticed_and_forgiven() {
        let metrics = Metrics::default();
        let progress = Progress::default();
        let beat = tokio::spawn(progress.clone().beat());
        let stuck = || progress.stuck(&metrics.queue, true);
        sleep(PATIENCE * 2).await;
        assert!(stuck().is_empty(), "the controller does not run yet");
        let mut events = Box::pin(progress.polled());
        let polled = async { tokio::time::timeout(PATIENCE * 2, events.next()).await };
        polled.await.unwrap_err();
        assert!(stuck().is_empty());
        sleep(PATIENCE).await;
        assert!(stuck()[0].contains("the controller has taken no event"), "{:?}", stuck());
        tokio::time::timeout(BEAT, events.next()).await.unwrap_err();
        assert!(stuck().is_empty(), "it goes on");
        beat.abort();
        advance(PATIENCE).await;
        assert!(stuck()[0].contains("the runtime"), "{:?}", stuck());
    }
}
