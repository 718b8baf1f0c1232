//! The conditions of one pass: set in order, transition times kept where the status of a type did not change.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::vocabulary::{ConditionType, Reason};

/// Longest message, in characters: the whole status stays under 4 KiB, whatever an error says.
const MESSAGE_LIMIT: usize = 600;

/// Collects the conditions of a pass.
#[derive(Debug)]
pub struct Conditions<'a> {
    last: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    set: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Starts from the last conditions.
    #[must_use]
    pub fn new(last: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { last, generation, now, set: Vec::new() }
    }

    /// Sets a condition; types that are never set in a pass disappear.
    pub fn set(&mut self, kind: ConditionType, status: bool, reason: Reason, message: &str) {
        let status = if status { "True" } else { "False" };
        let unchanged =
            self.last.iter().find(|condition| condition.type_ == kind.as_str() && condition.status == status);
        self.set.push(Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: bounded(message),
            observed_generation: self.generation,
            last_transition_time: unchanged.map_or(Time(self.now), |condition| condition.last_transition_time.clone()),
        });
    }

    /// The conditions, in the order in which they were set.
    #[must_use]
    pub fn finish(self) -> Vec<Condition> {
        self.set
    }
}

/// Control characters out, length bounded.
fn bounded(message: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut text: String = message.chars().take(MESSAGE_LIMIT).map(clean).collect();
    if message.chars().count() > MESSAGE_LIMIT {
        text.push('…');
    }
    text
}
