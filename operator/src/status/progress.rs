//! Whether a status says nothing but how far things have come. Pure.
//!
//! In: the status that is published, and the one that would replace it. Out: which kind of step that is, if it is one. A
//! step on the normal way is soon followed by the next, and may wait for it; whatever a person would act on may not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::McpServerStatus;

use crate::vocabulary::{ConditionType, Reason};

/// A status on the normal way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was published before.
    First,
    /// Only numbers, words and reasons differ from what is published.
    Next,
}

/// Which step on its normal way a server takes; none for whatever a person would act on.
#[must_use]
pub fn step(last: &McpServerStatus, next: &McpServerStatus) -> Option<Step> {
    // The schema's default says -1: no generation was looked at yet.
    if last.observed_generation.is_none_or(|generation| generation < 1) {
        let starts = |condition: &Condition| usual(&condition.reason) && !is_ready(condition);
        return next.conditions.iter().all(starts).then_some(Step::First);
    }
    let same_way = |(before, after): (&Condition, &Condition)| {
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
    let is_next = last.conditions.len() == next.conditions.len()
        && last.conditions.iter().zip(&next.conditions).all(same_way)
        && told(last) == told(next);
    is_next.then_some(Step::Next)
}

/// Pods that are there, and that speak MCP: what clients wait for, Ready, follows.
fn arrives(condition: &Condition) -> bool {
    let arrives = [ConditionType::Available, ConditionType::Verified];
    condition.status == "True" && arrives.iter().any(|kind| kind.as_str() == condition.type_)
}

/// What people and programs wait for.
fn is_ready(condition: &Condition) -> bool {
    condition.type_ == ConditionType::Ready.as_str() && condition.status == "True"
}

/// Reasons of a server that works, or is on its normal way there.
fn usual(reason: &str) -> bool {
    let usual = [
        Reason::Valid,
        Reason::Progressing,
        Reason::WaitingForPods,
        Reason::Probing,
        Reason::ToolsListed,
        Reason::Serving,
    ];
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
            ("Verified=Unknown/WaitingForPods", "Verified=True/ToolsListed", true),
            ("Verified=True/ToolsListed", "Verified=False/NotMcp", false),
            ("Ready=False/Probing", "Ready=True/Serving", false),
            ("Ready=True/Serving", "Ready=False/WaitingForPods", false),
            ("Ready=False/WaitingForPods", "Ready=False/PodsCrashLooping", false),
            ("Ready=False/PodsCrashLooping", "Ready=False/PodsCrashLooping", false),
            ("Reconciling=True/Progressing", "Stalled=True/InvalidSpec", false),
        ];
        for (before, after, expected) in cases {
            let expected = expected.then_some(Step::Next);
            assert_eq!(step(&status(0, &[before]), &status(1, &[after])), expected, "{before} → {after}");
        }
    }

    #[test]
    fn the_first_status_is_a_step_unless_a_person_would_act_on_it() {
        // As the API server makes it.
        let nothing = McpServerStatus { observed_generation: Some(-1), ..McpServerStatus::default() };
        let cases = [
            ("Ready=False/WaitingForPods", Some(Step::First)),
            ("Accepted=True/Valid", Some(Step::First)),
            ("Available=True/Serving", Some(Step::First)),
            ("Ready=True/Serving", None),
            ("Ready=False/PodsCrashLooping", None),
            ("Stalled=True/InvalidSpec", None),
        ];
        for (first, expected) in cases {
            assert_eq!(step(&nothing, &status(1, &[first])), expected, "{first}");
        }
    }

    #[test]
    fn another_spec_and_an_address_are_no_step() {
        let before = status(0, &["Ready=False/Progressing"]);
        let later = status(1, &["Ready=False/WaitingForPods"]);
        assert_eq!(step(&before, &McpServerStatus { observed_generation: Some(2), ..later.clone() }), None);
        assert_eq!(step(&before, &McpServerStatus { address: Some(Address::default()), ..later }), None);
    }
}
