//! Which changes of status are news for people: the Events of a pass. Pure.
//!
//! In: the conditions that are published, and those that replace them. Out: notes, none when nothing changed, and one a
//! reason however many conditions carry it. What is on its normal way is no news; what leaves it is, and arriving is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::vocabulary::{ConditionType, Reason};

/// Longest text of an Event, in bytes, by the Kubernetes API.
const TEXT_LIMIT: usize = 1024;

/// How an Event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Normal,
    /// Somebody may have to act.
    Warning,
}

/// One Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it is shown.
    pub severity: Severity,
    /// The condition's reason.
    pub reason: Reason,
    /// The condition's message.
    pub text: String,
}

/// The Events for the way from `last` to `next`.
#[must_use]
pub fn notes(last: &[Condition], next: &[Condition]) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for after in next {
        let Some(reason) = news(last.iter().find(|before| before.type_ == after.type_), after) else { continue };
        if notes.iter().all(|note| note.reason != reason) {
            notes.push(Note { severity: severity(reason), reason, text: bounded(&after.message) });
        }
    }
    notes
}

/// The reason, if a condition's change is news.
fn news(before: Option<&Condition>, after: &Condition) -> Option<Reason> {
    // They say again what the others say, and come and go with them.
    let echoes = [ConditionType::Available, ConditionType::Verified, ConditionType::Reconciling];
    if echoes.iter().any(|kind| kind.as_str() == after.type_) {
        return None;
    }
    let reason = *Reason::ALL.iter().find(|reason| reason.as_str() == after.reason)?;
    match before {
        Some(before) if before.status == after.status && before.reason == after.reason => None,
        Some(before) if before.status != after.status => Some(reason),
        _ => (!on_its_way(reason)).then_some(reason),
    }
}

/// Reasons of a server that is on its normal way: news only when they end what was.
const fn on_its_way(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Valid
            | Reason::Progressing
            | Reason::WaitingForPods
            | Reason::WaitingForDeletion
            | Reason::Probing
            | Reason::WaitingForAssociation
            | Reason::ScaledToZero
            | Reason::WaitingForLoadBalancer
            | Reason::Autoscaling
            | Reason::WaitingForKeda
            | Reason::WaitingForMetrics
            | Reason::HandingBack
    )
}

/// Everything warns but what is good, or asked for.
const fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::Serving
        | Reason::Valid
        | Reason::Progressing
        | Reason::WaitingForDeletion
        | Reason::Probing
        | Reason::WaitingForAssociation
        | Reason::Associated
        | Reason::ScaledToZero
        | Reason::LoadBalancerReady
        | Reason::WaitingForLoadBalancer
        | Reason::Autoscaling
        | Reason::WaitingForKeda
        | Reason::WaitingForMetrics
        | Reason::ScalingPaused
        | Reason::HandingBack => Severity::Normal,
        _ => Severity::Warning,
    }
}

fn bounded(text: &str) -> String {
    let end = (0..=text.len().min(TEXT_LIMIT)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::conditions::examples::conditions, *};

    const NEW: &[&str] = &[
        "Ready=False/Progressing",
        "Accepted=True/Valid",
        "Available=False/WaitingForPods",
        "Reconciling=True/Progressing",
    ];
    const SERVING: &[&str] =
        &["Ready=True/Serving", "Accepted=True/Valid", "Available=True/Serving", "Verified=True/ToolsListed"];
    const ASKED: &[&str] =
        &["Ready=False/Probing", "Accepted=True/Valid", "Available=True/Serving", "Verified=Unknown/Probing"];
    const MUTE: &[&str] =
        &["Ready=False/ProbeFailed", "Accepted=True/Valid", "Available=True/Serving", "Verified=False/ProbeFailed"];
    const INVALID: &[&str] =
        &["Ready=True/Serving", "Accepted=False/InvalidSpec", "Available=True/Serving", "Stalled=True/InvalidSpec"];
    const STARTING: &[&str] = &["Ready=False/WaitingForPods", "Accepted=True/Valid", "Available=False/WaitingForPods"];
    const CRASHING: &[&str] = &["Ready=False/PodsCrashLooping", "Accepted=True/Valid"];
    const ZERO: &[&str] = &["Ready=False/ScaledToZero", "Accepted=True/Valid"];

    #[test]
    fn an_event_is_a_change_that_people_want_to_know() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&[], NEW, &[]),
            (NEW, STARTING, &[]),
            (STARTING, ASKED, &[]),
            (ASKED, SERVING, &["Normal Serving"]),
            (ASKED, MUTE, &["Warning ProbeFailed"]),
            (STARTING, SERVING, &["Normal Serving"]),
            (STARTING, CRASHING, &["Warning PodsCrashLooping"]),
            (CRASHING, STARTING, &[]),
            (SERVING, STARTING, &["Warning WaitingForPods"]),
            (SERVING, INVALID, &["Warning InvalidSpec"]),
            (&[], INVALID, &["Normal Serving", "Warning InvalidSpec"]),
            (INVALID, SERVING, &["Normal Valid"]),
            (&[], ZERO, &[]),
            (SERVING, ZERO, &["Normal ScaledToZero"]),
        ];
        for (last, next, expected) in cases {
            let notes = notes(&conditions(last), &conditions(next));
            let said: Vec<_> =
                notes.iter().map(|note| format!("{:?} {}", note.severity, note.reason.as_str())).collect();
            assert_eq!(said, *expected, "{last:?} → {next:?}");
        }
    }

    #[test]
    fn a_second_pass_and_a_restart_say_nothing() {
        for stage in [NEW, SERVING, INVALID, STARTING, CRASHING, ZERO] {
            assert_eq!(notes(&conditions(stage), &conditions(stage)), [], "{stage:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_of_any_length_fits_into_an_event(message in "\\PC{0,1200}") {
            let mut next = conditions(&["Ready=False/PodsCrashLooping"]);
            next[0].message = message.clone();
            let notes = notes(&[], &next);
            prop_assert!(notes[0].text.len() <= TEXT_LIMIT && message.starts_with(&notes[0].text));
        }
    }
}
