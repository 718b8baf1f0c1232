//! What is known of each target, when it is asked again, and what it all means. Pure: the time is an argument.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    outcome::{Failure, Outcome, Spoken, Wants, backoff},
    target::{Target, Targets},
};

/// What is known of one target.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What status may say.
    news: Option<Outcome>,
    /// Failures in a row.
    failures: u32,
    /// When it was asked, or when it last failed.
    since: Option<Instant>,
    /// Whether an answer is awaited.
    asking: bool,
    /// Whether it spoke before this operator began, as far as the status tells.
    spoke_once: bool,
}

impl Known {
    /// What is known of a target at the start: what the status tells.
    #[must_use]
    pub fn from_status(verified: bool) -> Self {
        Self { spoke_once: verified, ..Self::default() }
    }

    /// How long until it is asked again; none while an answer is awaited.
    #[must_use]
    pub fn due(&self, now: Instant, interval: Duration) -> Option<Duration> {
        let wait = if self.failures > 0 { backoff(self.failures, interval) } else { interval };
        let due = self.since.map_or(now, |since| since + wait);
        (!self.asking).then(|| due.saturating_duration_since(now))
    }

    /// It is being asked.
    pub fn begin(&mut self, now: Instant) {
        self.asking = true;
        self.since = Some(now);
    }

    /// It was heard. Returns whether that concerns anybody: it is news, or it is to be asked again sooner than planned.
    pub fn heard(&mut self, outcome: Outcome, now: Instant) -> bool {
        self.asking = false;
        let spoke = match &self.news {
            None => self.spoke_once,
            Some(news) => matches!(news, Outcome::Spoke(_) | Outcome::AuthRequired(_)),
        };
        let believed = match &outcome {
            Outcome::Failed(failure) => {
                self.failures = self.failures.saturating_add(1);
                self.since = Some(now);
                self.failures >= failure.patience(spoke)
            }
            Outcome::Spoke(_) | Outcome::AuthRequired(_) => {
                self.failures = 0;
                true
            }
        };
        let news = believed && !self.news.as_ref().is_some_and(|known| known.is_like(&outcome));
        if news {
            self.news = Some(outcome);
        }
        news || self.failures > 0
    }

    /// What status may say.
    #[must_use]
    pub fn news(&self) -> Option<&Outcome> {
        self.news.as_ref()
    }
}

/// What is known of every target of a server.
pub(super) type Targeted = HashMap<Target, Known>;

/// What is known of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// No pod gets traffic: there is nobody to ask.
    Nobody,
    /// Somebody has not answered yet.
    Pending,
    /// Every pod that gets traffic and the Service listed their tools.
    Spoke(Arc<Spoken>),
    /// One of them wants credentials, and none failed.
    AuthRequired(String, Wants),
    /// The first that failed, by name.
    Failed(String, Failure),
}

/// Sums up a server. In the order of names, so that the same state always reads the same.
#[must_use]
pub(super) fn report(targets: &Targets, known: &Targeted) -> Report {
    let mut wants = None;
    for target in targets.pods.iter().chain([&targets.service]) {
        match known.get(target).and_then(Known::news) {
            None => return Report::Pending,
            Some(Outcome::Failed(failure)) => return Report::Failed(target.name.clone(), failure.clone()),
            Some(Outcome::AuthRequired(credentials)) => {
                wants.get_or_insert_with(|| Report::AuthRequired(target.name.clone(), credentials.clone()));
            }
            Some(Outcome::Spoke(_)) => {}
        }
    }
    let spokesman = targets.pods.get(targets.spokesman).and_then(|target| known.get(target)?.news());
    match (wants, spokesman) {
        (Some(wants), _) => wants,
        (None, Some(Outcome::Spoke(spoken))) => Report::Spoke(spoken.clone()),
        (None, _) => Report::Pending,
    }
}

/// Whether it is the Service's turn: every pod has spoken, so that its answer cannot depend on which one got it.
#[must_use]
pub(super) fn pods_spoke(targets: &Targets, known: &Targeted) -> bool {
    let spoke = |target| {
        let news = known.get(target).and_then(Known::news);
        matches!(news, Some(Outcome::Spoke(_) | Outcome::AuthRequired(_)))
    };
    targets.pods.iter().all(spoke)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Reason;

    const INTERVAL: Duration = Duration::from_mins(5);

    fn spoke() -> Outcome {
        Outcome::Spoke(Arc::default())
    }

    fn failed(reason: Reason, passing: bool) -> Outcome {
        Outcome::Failed(Failure { reason, what: "no".to_owned(), quote: String::new(), passing })
    }

    #[test]
    fn what_answers_is_asked_at_intervals_and_is_no_news() {
        let (mut known, start) = (Known::default(), Instant::now());
        assert_eq!(known.due(start, INTERVAL), Some(Duration::ZERO));
        known.begin(start);
        assert_eq!(known.due(start, INTERVAL), None);
        assert!(known.heard(spoke(), start + Duration::from_secs(1)));
        assert_eq!(known.due(start, INTERVAL), Some(INTERVAL));
        known.begin(start + INTERVAL);
        assert!(!known.heard(spoke(), start + INTERVAL), "the same answer wakes nobody");
    }

    #[test]
    fn what_does_not_speak_mcp_is_news_at_once_and_mended_at_once() {
        let (mut known, start) = (Known::default(), Instant::now());
        assert!(known.heard(failed(Reason::ProbeFailed, false), start));
        assert_eq!(known.news(), Some(&failed(Reason::ProbeFailed, false)));
        assert_eq!(known.due(start, INTERVAL), Some(Duration::from_secs(1)));
        assert!(known.heard(spoke(), start));
        assert_eq!(known.news(), Some(&spoke()));
    }

    #[test]
    fn what_may_pass_by_itself_is_believed_the_second_time() {
        let start = Instant::now();
        let believed_after = |known: Known, failure: &Outcome| {
            let mut known = known;
            (1..5).find(|_| {
                known.heard(failure.clone(), start);
                known.news() == Some(failure)
            })
        };
        let known = |news| Known { news: Some(news), ..Known::default() };
        let (refused, hung) = (failed(Reason::ProbeFailed, true), failed(Reason::ProbeTimeout, true));
        assert_eq!(believed_after(Known::default(), &refused), Some(2), "a Service whose rules are on their way");
        assert_eq!(believed_after(known(spoke()), &hung), Some(2), "a pause of a server that spoke");
        assert_eq!(
            believed_after(Known::from_status(true), &hung),
            Some(2),
            "it spoke to the operator before this one"
        );
        assert_eq!(
            believed_after(Known::default(), &hung),
            Some(1),
            "a server that never spoke, after seconds of waiting"
        );
    }
}
