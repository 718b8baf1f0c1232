#![expect(clippy::needless_pass_by_value, reason = "json! literals read best as arguments")]

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use mcp_crds::{
    McpServer, McpServerStatus,
    auth::{Auth, AuthMode},
};
use serde_json::json;

use crate::{
    desired::Problem,
    probe::{
        Report,
        outcome::{Failure, Wants},
    },
    status::{Facts, Verdict, compute, exposed::Exposing, pods::Hindered, scaling::Scaling},
    vocabulary::Reason,
};

fn server(runs: serde_json::Value) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "generation": 3}, "spec": {"server": runs},
    }))
    .unwrap()
}

fn image() -> McpServer {
    server(json!({"image": {"ref": "a"}}))
}

/// Both pods of a Deployment are ready.
fn deployment() -> Deployment {
    let count = json!({
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Available", "status": "True"}],
    });
    serde_json::from_value(json!({"metadata": {"generation": 1}, "status": count})).unwrap()
}

static NONE: Hindered = Hindered::new();

fn facts(deployment: Deployment, probe: Report) -> Facts<'static> {
    let address = Some("http://files/mcp".to_owned());
    let (verdict, deployment) = (Verdict::Applied, Some(deployment));
    Facts {
        verdict,
        deployment,
        pods: &[],
        hindered: &NONE,
        reachable: true,
        address,
        probe,
        scaling: Scaling::default(),
        exposing: Exposing::default(),
        identity: None,
    }
}

fn after(server: &McpServer, last: &McpServerStatus, verdict: Verdict, probe: Report) -> McpServerStatus {
    compute(server, last, &Facts { verdict, ..facts(deployment(), probe) }, Timestamp::UNIX_EPOCH)
}

fn status(server: &McpServer, probe: Report) -> McpServerStatus {
    after(server, &McpServerStatus::default(), Verdict::Applied, probe)
}

fn failed(reason: Reason, quote: &str) -> Report {
    let what = "does not speak MCP: it answers POST /mcp".to_owned();
    Report::Failed("pod files-2".to_owned(), Failure { reason, what, quote: quote.to_owned(), passing: false })
}

fn wants(shown: bool) -> Report {
    Report::AuthRequired("pod files-1".to_owned(), Wants { scheme: "Bearer".to_owned(), shown })
}

fn spoke() -> Report {
    Report::Spoke(Arc::default())
}

/// Conditions as `Type=Status/Reason`, but those that say the same in every test here.
fn summary(status: &McpServerStatus) -> Vec<String> {
    let known = |kind: &str| matches!(kind, "Accepted" | "Available");
    let others = status.conditions.iter().filter(|c| !known(&c.type_));
    others.map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect()
}

#[test]
fn pods_that_are_up_and_do_not_speak_mcp_are_not_ready_and_never_stalled() {
    for reason in [Reason::ProbeFailed, Reason::ProbeTimeout, Reason::HostNotAllowed, Reason::ProtocolMismatch] {
        let status = status(&image(), failed(reason, "<html>"));
        let word = reason.as_str();
        let expected =
            [format!("Ready=False/{word}"), format!("Verified=False/{word}"), format!("Reconciling=True/{word}")];
        assert_eq!(summary(&status), expected);
        let message = &status.conditions[0].message;
        assert!(message.starts_with("pod files-2 does not speak MCP") && message.contains("<html>"), "{message}");
    }
}

#[test]
fn while_the_first_answer_is_awaited_it_is_working_on_it() {
    let expected = ["Ready=False/Probing", "Verified=Unknown/Probing", "Reconciling=True/Probing"];
    assert_eq!(summary(&status(&image(), Report::Pending)), expected);
}

#[test]
fn a_verdict_stands_until_there_is_another() {
    for verdict in [spoke(), failed(Reason::ProbeFailed, "a"), wants(false)] {
        let first = status(&image(), verdict.clone());
        assert_eq!(after(&image(), &first, Verdict::Applied, Report::Pending), first, "after a restart: {verdict:?}");
        assert_eq!(after(&image(), &first, Verdict::Applied, verdict), first, "and when it answers the same");
    }
    let pending = status(&image(), Report::Pending);
    assert_eq!(summary(&after(&image(), &pending, Verdict::Applied, spoke()))[0], "Ready=True/Serving");
}

#[test]
fn other_words_of_a_server_for_the_same_trouble_are_no_reason_to_write() {
    let first = status(&image(), failed(Reason::ProbeFailed, "error at 10:00"));
    assert_eq!(after(&image(), &first, Verdict::Applied, failed(Reason::ProbeFailed, "error at 10:05")), first);
}

#[test]
fn a_server_that_its_spec_makes_ask_for_credentials_takes_the_operators_token() {
    let mut ours = server(json!({"database": {"sqlite": {}}}));
    assert_eq!(summary(&status(&ours, wants(false)))[0], "Ready=False/ProbeFailed", "nothing asks it to");
    ours.spec.auth = Some(Auth { mode: AuthMode::ApiKey, ..Auth::default() });
    assert_eq!(summary(&status(&ours, spoke()))[0], "Ready=True/Serving");
    let refused = status(&ours, wants(true));
    assert_eq!(summary(&refused)[..2], ["Ready=False/ProbeFailed", "Verified=False/ProbeFailed"]);
    assert!(refused.conditions[0].message.contains("does not take the operator's token"), "{:?}", refused.conditions);
}

#[test]
fn pods_that_a_rollout_replaces_may_know_another_key() {
    let mut ours = server(json!({"database": {"sqlite": {}}}));
    ours.spec.auth = Some(Auth { mode: AuthMode::ApiKey, ..Auth::default() });
    let mut rolling = deployment();
    rolling.status.as_mut().unwrap().updated_replicas = Some(1);
    let found = compute(&ours, &McpServerStatus::default(), &facts(rolling, wants(true)), Timestamp::UNIX_EPOCH);
    assert!(summary(&found).contains(&"Verified=Unknown/AuthRequired".to_owned()), "{:?}", found.conditions);
}

#[test]
fn without_a_key_such_a_server_is_ready_by_the_kubelets_word() {
    let mut ours = server(json!({"database": {"sqlite": {}}}));
    ours.spec.auth = Some(Auth { mode: AuthMode::ApiKey, ..Auth::default() });
    let found = status(&ours, wants(false));
    assert_eq!(summary(&found), ["Ready=True/AuthRequired", "Verified=Unknown/AuthRequired"]);
    assert!(found.conditions[0].message.contains("wants credentials (Bearer)"), "{:?}", found.conditions);
}

#[test]
fn a_server_of_somebody_else_that_wants_credentials_is_ready_by_the_kubelets_word() {
    let theirs = status(&image(), wants(false));
    assert_eq!(summary(&theirs), ["Ready=True/AuthRequired", "Verified=Unknown/AuthRequired"]);
    assert!(theirs.conditions[0].message.contains("by the kubelet's word alone"), "{theirs:?}");
    let ours = server(json!({"filesystem": {"roots": [{"name": "data", "volume": "data"}]}}));
    assert_eq!(summary(&status(&ours, wants(false)))[0], "Ready=False/ProbeFailed");
}

#[test]
fn the_pods_of_the_last_valid_spec_are_ready_if_they_speak_mcp() {
    let invalid = || {
        Verdict::Invalid(vec![Problem {
            field: "spec.server".to_owned(),
            message: "set exactly one".to_owned(),
            reason: Reason::InvalidSpec,
        }])
    };
    let status = |probe| after(&image(), &McpServerStatus::default(), invalid(), probe);
    assert_eq!(
        summary(&status(spoke())),
        ["Ready=True/Serving", "Verified=True/ToolsListed", "Stalled=True/InvalidSpec"]
    );
    let expected = ["Ready=False/ProbeFailed", "Verified=False/ProbeFailed", "Stalled=True/InvalidSpec"];
    assert_eq!(summary(&status(failed(Reason::ProbeFailed, ""))), expected);
}

#[test]
fn what_a_server_says_of_itself_stands_until_it_has_another_word_or_none() {
    let first = status(&image(), spoke());
    assert_eq!(first.mcp.as_ref().unwrap().tool_count, Some(0));
    assert_eq!(after(&image(), &first, Verdict::Applied, Report::Pending).mcp, first.mcp);
    assert_eq!(after(&image(), &first, Verdict::Applied, failed(Reason::ProbeFailed, "")).mcp, None);
}
