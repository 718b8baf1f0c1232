//! Whether a status says nothing but how far things have come. Pure.
//!
//! In: the status that is published, and the one that would replace it. Out: yes or no. A step on the normal way is
//! soon followed by the next, and may wait for it; whatever a person would act on may not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::McpServerStatus;

use crate::vocabulary::{ConditionType, Reason};

/// Whether only numbers, words and reasons of the normal way differ.
#[must_use]
pub fn is_progress(last: &McpServerStatus, next: &McpServerStatus) -> bool {
    let step = |(before, after): (&Condition, &Condition)| {
        before == after
            || (before.type_ == after.type_
                && before.observed_generation == after.observed_generation
                && (before.status == after.status || arrives(after))
                && usual(&after.reason))
    };
    let told = |status: &McpServerStatus| McpServerStatus {
        conditions: Vec::new(),
        replicas: None,
        ready_replicas: None,
        ..status.clone()
    };
    last.conditions.len() == next.conditions.len()
        && last.conditions.iter().zip(&next.conditions).all(step)
        && told(last) == told(next)
}

/// Pods that are there: what clients wait for, Ready, follows once they have been asked.
fn arrives(condition: &Condition) -> bool {
    condition.type_ == ConditionType::Available.as_str() && condition.status == "True"
}

/// Reasons of a server that works, or is on its normal way there.
fn usual(reason: &str) -> bool {
    let usual = [Reason::Progressing, Reason::WaitingForPods, Reason::Probing, Reason::Serving];
    usual.iter().any(|usual| usual.as_str() == reason)
}

#[cfg(test)]
mod tests {
    use mcp_crds::Address;

    use super::{super::conditions::examples::conditions, *};

    /// A status of generation 1 with conditions from words such as `Ready=False/Progressing`.
    fn status(ready: i32, lines: &[&str]) -> McpServerStatus {
        let mut conditions = conditions(lines);
        for condition in &mut conditions {
            condition.message = format!("{ready} are ready");
        }
        McpServerStatus {
            observed_generation: Some(1),
            ready_replicas: Some(ready),
            conditions,
            ..McpServerStatus::default()
        }
    }

    #[test]
    fn a_step_on_the_way_is_progress_and_what_a_person_would_act_on_is_not() {
        let cases = [
            ("Ready=False/Progressing", "Ready=False/WaitingForPods", true),
            ("Ready=False/WaitingForPods", "Ready=False/Probing", true),
            ("Ready=True/Serving", "Ready=True/Serving", true),
            ("Ready=False/PodsCrashLooping", "Ready=False/WaitingForPods", true),
            ("Available=False/WaitingForPods", "Available=True/Serving", true),
            ("Available=True/Serving", "Available=False/WaitingForPods", false),
            ("Ready=False/Probing", "Ready=True/Serving", false),
            ("Ready=True/Serving", "Ready=False/WaitingForPods", false),
            ("Ready=False/WaitingForPods", "Ready=False/PodsCrashLooping", false),
            ("Ready=False/PodsCrashLooping", "Ready=False/PodsCrashLooping", false),
            ("Reconciling=True/Progressing", "Stalled=True/InvalidSpec", false),
        ];
        for (before, after, expected) in cases {
            assert_eq!(is_progress(&status(0, &[before]), &status(1, &[after])), expected, "{before} → {after}");
        }
    }

    #[test]
    fn the_first_status_another_spec_and_an_address_are_no_progress() {
        let before = status(0, &["Ready=False/Progressing"]);
        let later = status(1, &["Ready=False/WaitingForPods"]);
        assert!(!is_progress(&McpServerStatus::default(), &later));
        assert!(!is_progress(&before, &McpServerStatus { observed_generation: Some(2), ..later.clone() }));
        assert!(!is_progress(&before, &McpServerStatus { address: Some(Address::default()), ..later }));
    }
}
