//! Which conditions changed their status or reason from one status to the next. Pure.
//!
//! In: the conditions that are published, and those that replace them. Out: one [`Transition`] a change of status, for
//! the metrics; [`notes`](super::notes) makes the Events.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::vocabulary::ConditionType;

/// A condition whose status changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition<'a> {
    /// Its type.
    pub kind: ConditionType,
    /// The status it left, and the seconds it had been in it; nothing for a condition that is new.
    pub from: Option<(&'a str, f64)>,
    /// The status it entered.
    pub to: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// The changes of status from `last` to `next`.
#[must_use]
pub fn transitions<'a>(last: &'a [Condition], next: &'a [Condition]) -> Vec<Transition<'a>> {
    let changed = |after: &'a Condition| {
        let kind = ConditionType::ALL.into_iter().find(|kind| kind.as_str() == after.type_)?;
        let before = last.iter().find(|before| before.type_ == after.type_);
        if before.is_some_and(|before| before.status == after.status) {
            return None;
        }
        let from = before.map(|before| {
            let stayed = after.last_transition_time.0.duration_since(before.last_transition_time.0);
            (before.status.as_str(), stayed.as_secs_f64().max(0.0))
        });
        Some(Transition { kind, from, to: &after.status, reason: &after.reason })
    };
    next.iter().filter_map(changed).collect()
}
