use std::{
    collections::BTreeSet,
    future::{pending, ready},
};

use http::{Request, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::runtime::{
    reflector::{self, ObjectRef},
    watcher::Event,
};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::{status::transitions::transitions, vocabulary::ConditionType};

fn object(name: &str) -> ObjectRef<McpServer> {
    ObjectRef::new(name).within("team")
}

/// A server whose Ready has a status and a reason.
fn server(name: &str, status: &str, reason: &str) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": name, "namespace": "team", "uid": name},
        "spec": {"server": {"image": {"ref": "a"}}},
        "status": {"conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]},
    }))
    .unwrap()
}

fn condition(status: &str, at: i64) -> Condition {
    Condition {
        type_: ConditionType::Ready.as_str().to_owned(),
        status: status.to_owned(),
        reason: "Serving".to_owned(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: Time(jiff::Timestamp::from_second(at).unwrap()),
    }
}

/// Metrics after everything that can happen has happened once.
async fn lively() -> Metrics {
    let metrics = Metrics::default();
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Apply(server("a", "True", "Serving")));
    writer.apply_watcher_event(&Event::Apply(server("b", "False", "WaitingForPods")));
    metrics.starting(16, store);
    metrics.queue.asked(&object("a"));
    drop(metrics.queue.begin(&object("a")));
    for outcome in
        [Outcome::Success, Outcome::RequeueAfter, Outcome::Conflict, Outcome::Error, Outcome::Panic, Outcome::Success]
    {
        metrics.reconciled(outcome, Duration::from_millis(30));
    }
    metrics.watches.failed("pods");
    metrics.watches.lists("pods");
    metrics.watches.holds("pods", 7);
    metrics.leads("mcp-eks-operator", true);
    metrics.event(true);
    metrics.probed("pod", "answered", Duration::from_millis(3));
    metrics.transitions(&transitions(&[condition("False", 10)], &[condition("True", 30)]));
    let answer =
        service_fn(|_: Request<()>| ready(Ok::<_, kube::Error>(Response::builder().status(409).body(()).unwrap())));
    let request = Request::patch("/api/v1/namespaces/team/services/a").body(()).unwrap();
    metrics.requests.layer("cluster:6443").layer(answer).oneshot(request).await.unwrap();
    metrics
}

#[tokio::test]
async fn what_is_printed_is_what_is_documented() {
    let text = lively().await.text().unwrap();
    let described = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let printed: BTreeSet<_> = described.collect();
    let documented: BTreeSet<_> = names::ALL.iter().map(|metric| (metric.registered(), metric.kind.as_str())).collect();
    assert_eq!(printed, documented);
    for metric in names::ALL {
        let Some(sample) = text
            .lines()
            .find(|line| line.strip_prefix(metric.name).is_some_and(|rest| rest.starts_with(['{', ' ', '_'])))
        else {
            assert!(metric.name.is_empty(), "{} has no sample", metric.name);
            continue;
        };
        for label in metric.labels {
            assert!(sample.contains(&format!("{label}=\"")), "{sample} lacks {label}");
        }
    }
}

#[tokio::test]
async fn every_number_is_that_of_what_happened() {
    let text = lively().await.text().unwrap();
    for expected in [
        "controller_runtime_reconcile_total{controller=\"mcpserver\",result=\"success\"} 2",
        "controller_runtime_reconcile_total{controller=\"mcpserver\",result=\"error\"} 2",
        "controller_runtime_reconcile_total{controller=\"mcpserver\",result=\"requeue\"} 1",
        "controller_runtime_reconcile_errors_total{controller=\"mcpserver\"} 2",
        "controller_runtime_reconcile_panics_total{controller=\"mcpserver\"} 1",
        "controller_runtime_max_concurrent_reconciles{controller=\"mcpserver\"} 16",
        "controller_runtime_active_workers{controller=\"mcpserver\"} 0",
        "workqueue_retries_total{name=\"mcpserver\",controller=\"mcpserver\"} 3",
        "leader_election_master_status{name=\"mcp-eks-operator\"} 1",
        "rest_client_requests_total{code=\"409\",method=\"PATCH\",host=\"cluster:6443\"} 1",
        "mcp_eks_cached_objects{kind=\"pods\"} 7",
        "operator_mcpserver_status_condition_count{type=\"Ready\",status=\"True\",reason=\"Serving\"} 1",
        "operator_mcpserver_status_condition_transitions_total{type=\"Ready\",status=\"True\",reason=\"Serving\"} 1",
        "operator_mcpserver_status_condition_transition_seconds_sum{type=\"Ready\",status=\"False\",to_status=\"True\"} 20.0",
    ] {
        assert!(text.lines().any(|line| line == expected), "no line {expected} in\n{text}");
    }
}

#[test]
fn what_waits_is_counted_once_until_its_turn_comes() {
    let metrics = Metrics::default();
    let has = |expected: &str| metrics.text().unwrap().lines().any(|line| line == expected);
    let queue = "{name=\"mcpserver\",controller=\"mcpserver\"}";
    metrics.queue.asked(&object("a"));
    metrics.queue.asked(&object("a"));
    metrics.queue.asked(&object("b"));
    metrics.queue.asked(&object("c"));
    assert!(has(&format!("workqueue_depth{queue} 3")) && has(&format!("workqueue_adds_total{queue} 3")));
    metrics.queue.gone(&object("c"));
    let work = metrics.queue.begin(&object("a"));
    assert!(
        has(&format!("workqueue_depth{queue} 1"))
            && has("controller_runtime_active_workers{controller=\"mcpserver\"} 1")
    );
    assert_eq!(metrics.queue.running()[0].0, object("a"));
    drop(work);
    assert!(has("controller_runtime_active_workers{controller=\"mcpserver\"} 0"));
}

#[test]
fn conditions_of_a_server_that_is_gone_are_gone_and_foreign_words_are_no_labels() {
    let metrics = Metrics::default();
    let (store, mut writer) = reflector::store();
    metrics.starting(1, store);
    writer.apply_watcher_event(&Event::Apply(server("a", "False", "InvalidSpec")));
    writer.apply_watcher_event(&Event::Apply(server("b", "True", "MadeUpByATenant")));
    let text = metrics.text().unwrap();
    assert!(text.contains("reason=\"InvalidSpec\"} 1") && !text.contains("MadeUpByATenant"), "{text}");
    writer.apply_watcher_event(&Event::Delete(server("a", "False", "InvalidSpec")));
    assert!(!metrics.text().unwrap().contains("InvalidSpec"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_counts_as_one_without_an_answer() {
    let metrics = Metrics::default();
    let hangs = service_fn(|_: Request<()>| pending::<Result<Response<()>, kube::Error>>());
    let call = metrics.requests.layer("h").layer(hangs).oneshot(Request::get("/api").body(()).unwrap());
    tokio::time::timeout(Duration::from_secs(1), call).await.unwrap_err();
    let text = metrics.text().unwrap();
    assert!(text.contains("rest_client_requests_total{code=\"<error>\",method=\"GET\",host=\"h\"} 1"), "{text}");
    let watch = service_fn(|_: Request<()>| ready(Ok::<_, kube::Error>(Response::new(()))));
    let request = Request::get("/api/v1/pods?watch=true").body(()).unwrap();
    metrics.requests.layer("h").layer(watch).oneshot(request).await.unwrap();
    assert!(metrics.text().unwrap().contains("rest_client_request_duration_seconds_count{verb=\"GET\",host=\"h\"} 1"));
}
