//! What pods, servers and the API server may say: words of any length in any script.

use std::sync::Arc;

use mcp_operator::{
    desired,
    probe::{
        Report, Spoken,
        heard::Listing,
        outcome::{Failure, Wants},
    },
    status::Verdict,
    vocabulary::Reason,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::specs::name;

/// Words of any length in any script.
pub(crate) fn words() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", ".{3000,3100}", Just("\u{202e}\u{0}\n\"".repeat(2000))]
}

pub(crate) fn probe() -> impl Strategy<Value = Report> {
    let failed = |(what, quote)| {
        let failure = Failure { reason: Reason::ProbeFailed, what, quote, passing: false };
        Report::Failed("pod files-1".to_owned(), failure)
    };
    let spoke = |(words, number): (String, usize)| {
        let many = |words: &str| (0..number).map(|n| format!("{n}{words}")).collect::<Vec<_>>();
        Report::Spoke(Arc::new(Spoken::from(Listing {
            version: words.clone(),
            versions: many(&words),
            server: Some((words.clone(), words.clone())),
            capabilities: many(&words).into_iter().map(|word| (word, json!({}))).collect(),
            tools: Vec::new(),
        })))
    };
    prop_oneof![
        Just(Report::Nobody),
        Just(Report::Pending),
        (words(), words()).prop_map(failed),
        (words(), any::<bool>())
            .prop_map(|(scheme, shown)| { Report::AuthRequired("the Service".to_owned(), Wants { scheme, shown }) }),
        (words(), 0..20_usize).prop_map(spoke),
    ]
}

pub(crate) fn pod() -> impl Strategy<Value = Value> {
    let waiting =
        prop::sample::select(vec!["ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError", "Other"]);
    let state = prop_oneof![
        (waiting, words()).prop_map(|(reason, message)| json!({"waiting": {"reason": reason, "message": message}})),
        (any::<i32>(), words()).prop_map(
            |(code, message)| json!({"terminated": {"exitCode": code, "message": message, "reason": "Error"}})
        ),
        Just(json!({"running": {}})),
    ];
    let scheduled = words().prop_map(
        |message| json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}),
    );
    (name(), state.clone(), state, prop::option::of(scheduled), any::<bool>()).prop_map(
        |(name, state, last, scheduled, ready)| {
            let conditions: Vec<_> = scheduled
                .into_iter()
                .chain([json!({"type": "Ready", "status": if ready { "True" } else { "False" }})])
                .collect();
            json!({
                "metadata": {"name": name, "namespace": "team"},
                "status": {"phase": "Pending", "conditions": conditions, "containerStatuses": [{
                    "name": "server", "image": "x", "imageID": "x", "ready": ready, "restartCount": 3,
                    "state": state, "lastState": last,
                }]},
            })
        },
    )
}

pub(crate) fn verdict() -> impl Strategy<Value = Verdict> {
    let problems = prop::collection::vec((words(), words()), 1..20).prop_map(|problems| {
        let problem = |(field, message)| desired::Problem {
            field,
            message,
            reason: mcp_operator::vocabulary::Reason::InvalidSpec,
        };
        Verdict::Invalid(problems.into_iter().map(problem).collect())
    });
    prop_oneof![
        Just(Verdict::Applied),
        problems,
        prop::collection::vec(words(), 1..4).prop_map(Verdict::Conflict),
        prop::collection::vec(words(), 1..4).prop_map(Verdict::Waiting),
        words().prop_map(|message| Verdict::Failed { reason: Reason::ApplyRefused, message }),
    ]
}
