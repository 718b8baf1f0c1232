//! One reconcile against an API server that is a function: exact calls, and what becomes of its bad days.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs, future,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client, ResourceExt,
    client::Body,
    runtime::{controller::Action, reflector, watcher},
};
use mcp_crds::McpServer;
use mcp_operator::{
    context::{Context, Optional, Stores},
    controller::{agent::Agent, backoff::Backoff, pace::Pace, reconcile::reconcile},
    desired::{Defaults, scaled_object},
    error::{Class, Error},
    events::Events,
    index::Index,
    keeper::{self, Keeper},
    kubelet::Said,
    leader::Leadership,
    observe::Recent,
    probe::{self, Probes},
    progress::Progress,
    secrets::Secrets,
};
use serde_json::{Value, json};

/// What the API server was asked, as `METHOD kind`.
type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// How it answers a call, if not as usual.
type Mood = fn(&Method, &str) -> Option<Answer>;

#[derive(Clone, Copy)]
enum Answer {
    Refuse(u16, &'static str),
    Found(&'static str),
    Hang,
}

fn api_server(mood: Mood) -> (Client, Calls) {
    let calls = Calls::default();
    let seen = calls.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let seen = seen.clone();
        async move {
            let (parts, body) = request.into_parts();
            let kind = kind_of(parts.uri.path());
            let body: Value = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
            let count = {
                let mut seen = seen.lock().unwrap();
                seen.push((format!("{} {kind}", parts.method), body.clone()));
                seen.len()
            };
            let first = body.pointer("/metadata/resourceVersion").is_some();
            match mood(&parts.method, &kind) {
                None if first && matches!(mood(&Method::GET, &kind), Some(Answer::Found(_))) => {
                    Ok(refusal(409, "the object has been modified"))
                }
                Some(Answer::Hang) => future::pending::<Result<_, kube::Error>>().await,
                Some(Answer::Refuse(code, message)) => Ok(refusal(code, message)),
                Some(Answer::Found(object)) => Ok(answer(StatusCode::OK, &serde_json::from_str(object).unwrap())),
                None if parts.method == Method::GET => Ok(refusal(404, "not found")),
                None => Ok(answer(StatusCode::OK, &stored(whole(body, &kind, &seen), count))),
            }
        }
    });
    (Client::new(service, "default"), calls)
}

/// What an apply of a part makes of the object: here that is the number of pods, handed over.
fn whole(body: Value, kind: &str, seen: &Mutex<Vec<(String, Value)>>) -> Value {
    let (Some(replicas), "deployments") = (body.pointer("/spec/replicas"), kind) else { return body };
    if body.pointer("/spec/template").is_some() {
        return body;
    }
    let seen = seen.lock().unwrap();
    let made = seen.iter().rev().find(|(_, object)| object.pointer("/spec/template").is_some());
    let mut object = made.unwrap().1.clone();
    object["spec"]["replicas"] = replicas.clone();
    object
}

/// `deployments` or `mcpservers/status`, from a path.
fn kind_of(path: &str) -> String {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        [.., kind, _, "status"] => format!("{kind}/status"),
        [.., "namespaces", _, kind] | [.., kind, _] => (*kind).to_owned(),
        _ => path.to_owned(),
    }
}

/// An applied object as the API server would hand it back.
fn stored(mut object: Value, version: usize) -> Value {
    object["metadata"]["resourceVersion"] = json!((1000 + version).to_string());
    object["metadata"]["uid"] = object["metadata"]["uid"].as_str().unwrap_or("uid-of-child").into();
    if object["kind"] == "McpServer" {
        // An answer to a status write is the whole object.
        object["spec"] = json!({"server": {"image": {"ref": "a"}}});
    }
    object
}

fn answer(code: StatusCode, body: &Value) -> Response<Body> {
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}

fn refusal(code: u16, message: &str) -> Response<Body> {
    let reason = if code == 404 { "NotFound" } else { "Refused" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason,
    });
    answer(StatusCode::from_u16(code).unwrap(), &status)
}

/// On the heap: it is too large for the future of a test.
fn context(client: Client) -> Box<Context> {
    let stores = Stores {
        service_accounts: reflector::store().0,
        settings: reflector::store().0,
        network_policies: reflector::store().0,
        services: reflector::store().0,
        ingresses: reflector::store().0,
        deployments: reflector::store().0,
        disruption_budgets: reflector::store().0,
        pods: reflector::store().0,
        said: Said::default(),
        pods_by_server: Index::new(|pod: &Pod| pod.labels().values().cloned().collect()),
        config_maps: reflector::store().0,
        secrets: Secrets::default(),
        classes: reflector::store().0,
        namespaces: reflector::store().0,
        scaled_objects: Optional::absent(scaled_object::resource()),
    };
    let defaults = Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: mcp_operator::desired::exposure::Balancers::default(),
    };
    Box::new(Context {
        keeper: Keeper::new(client.clone(), "mcp-eks-system", reflector::store().0),
        events: Events::new(client.clone(), Arc::default()),
        client,
        stores,
        leadership: Leadership::without_election(),
        defaults,
        progress: Progress::default(),
        recent: Recent::default(),
        pace: Pace::default(),
        backoff: Backoff::default(),
        metrics: Arc::default(),
        identity: None,
        agent: Agent::default(),
        probes: Probes::new(
            probe::Settings { interval: Duration::from_mins(5), service_address: None },
            Arc::default(),
        ),
    })
}

fn server() -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"server": {"image": {"ref": "a"}}},
    }))
    .unwrap()
}

async fn run(mood: Mood) -> (Result<Action, Error>, Vec<String>, Value) {
    let (client, calls) = api_server(mood);
    let outcome = reconcile(&server(), &context(client)).await;
    let calls = calls.lock().unwrap();
    let status = calls.iter().rev().find(|(call, _)| call.ends_with("/status")).map(|(_, body)| body.clone());
    (outcome, calls.iter().map(|(call, _)| call.clone()).collect(), status.unwrap_or_default())
}

/// Conditions of a published status, as `Type=Status/Reason`.
fn conditions(status: &Value) -> Vec<String> {
    let text = |condition: &Value, member: &str| condition[member].as_str().unwrap_or_default().to_owned();
    let conditions = status["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().map(|c| format!("{}={}/{}", text(c, "type"), text(c, "status"), text(c, "reason"))).collect()
}

#[tokio::test]
async fn a_new_server_costs_a_write_a_child_and_one_status() {
    let (client, calls) = api_server(|_, _| None);
    let context = context(client);
    reconcile(&server(), &context).await.unwrap();
    let expected = [
        "PATCH serviceaccounts",
        "PATCH networkpolicies",
        "PATCH services",
        "PATCH deployments",
        "PATCH poddisruptionbudgets",
        "PATCH mcpservers/status",
    ];
    assert_eq!(calls.lock().unwrap().drain(..).map(|(call, _)| call).collect::<Vec<_>>(), expected);
    // The stores are still empty: what was answered stands in for them.
    let action = reconcile(&server(), &context).await.unwrap();
    assert_eq!(calls.lock().unwrap().len(), 0, "a second look writes nothing");
    assert_ne!(action, Action::await_change(), "and is repeated when the answers have expired");
}

/// A server of ours that asks who calls.
fn guarded() -> McpServer {
    let mut server = server();
    server.spec = serde_json::from_value(json!({
        "server": {"database": {"sqlite": {}}},
        "auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}},
    }))
    .unwrap();
    server
}

#[tokio::test]
async fn a_server_that_asks_who_calls_is_told_the_probes_key_which_is_made_once() {
    let (client, calls) = api_server(|_, _| None);
    let context = context(client);
    for name in ["one", "two"] {
        let mut server = guarded();
        (server.metadata.name, server.metadata.uid) = (Some(name.to_owned()), Some(format!("uid-{name}")));
        reconcile(&server, &context).await.unwrap();
    }
    let calls = calls.lock().unwrap();
    let of = |kind: &str| -> Vec<&Value> { calls.iter().filter(|(call, _)| call == kind).map(|(_, it)| it).collect() };
    let [secret] = of("POST secrets")[..] else { panic!("{calls:?}") };
    assert_eq!(secret["metadata"]["name"], keeper::SECRET);
    let public = context.keeper.known().unwrap().public().to_owned();
    for settings in of("PATCH configmaps") {
        let text = settings["data"]["settings.yaml"].as_str().unwrap();
        assert!(text.contains(&format!("probeKey: {public}")), "{text}");
    }
    let private = secret["data"][keeper::FILE].as_str().unwrap();
    let elsewhere = calls.iter().filter(|(call, _)| call != "POST secrets");
    assert!(elsewhere.map(|(_, body)| body.to_string()).all(|body| !body.contains(private)), "it stays where it is");
}

#[tokio::test]
async fn a_server_waits_for_the_probes_key_and_says_why() {
    let mood: Mood = |_, kind| (kind == "secrets").then_some(Answer::Refuse(403, "cannot create secrets"));
    let (client, calls) = api_server(mood);
    assert_eq!(reconcile(&guarded(), &context(client)).await.unwrap_err().class(), Class::Denied);
    let calls = calls.lock().unwrap();
    let made: Vec<_> = calls.iter().map(|(call, _)| call.as_str()).collect();
    assert_eq!(made, ["POST secrets", "PATCH mcpservers/status", "POST events"]);
    let status = &calls[1].1;
    assert_eq!(conditions(status).last().unwrap(), "Reconciling=True/ApplyRefused");
    assert!(status.to_string().contains("create Secret mcp-eks-operator-probe: cannot create secrets"), "{status}");
}

#[tokio::test]
async fn a_secret_without_a_key_is_left_alone_and_named() {
    let (client, calls) = api_server(|_, _| None);
    let mut context = context(client.clone());
    let (store, mut writer) = reflector::store();
    let secret =
        json!({"metadata": {"name": keeper::SECRET, "namespace": "mcp-eks-system"}, "data": {"private.der": "bm8="}});
    writer.apply_watcher_event(&watcher::Event::Apply(serde_json::from_value(secret).unwrap()));
    context.keeper = Keeper::new(client, "mcp-eks-system", store);
    reconcile(&guarded(), &context).await.unwrap_err();
    let status = calls.lock().unwrap()[0].1.to_string();
    assert!(status.contains("expected an Ed25519 key") && status.contains("delete the Secret"), "{status}");
}

#[tokio::test]
async fn a_server_on_its_way_out_is_left_alone() {
    let (client, calls) = api_server(|_, _| None);
    let mut server = server();
    server.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(reconcile(&server, &context(client)).await.unwrap(), Action::await_change());
    assert_eq!(calls.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_refused_child_is_the_reason_and_nothing_is_written_after_it() {
    let (outcome, calls, status) = run(|method, kind| {
        (*method == Method::PATCH && kind == "services").then_some(Answer::Refuse(403, "exceeded quota: services"))
    })
    .await;
    assert_eq!(outcome.unwrap_err().class(), Class::Denied);
    assert!(!calls.contains(&"PATCH deployments".to_owned()), "{calls:?}");
    assert_eq!(conditions(&status).last().unwrap(), "Reconciling=True/ApplyRefused");
    assert!(status.to_string().contains("exceeded quota: services"), "{status}");
}

#[tokio::test]
async fn a_change_that_is_news_is_one_event_and_the_second_look_says_nothing() {
    let (client, calls) = api_server(|_, _| None);
    let context = context(client);
    let mut server = server();
    server.spec.replicas = -1;
    reconcile(&server, &context).await.unwrap();
    let said: Vec<_> = calls.lock().unwrap().drain(..).collect();
    assert_eq!(
        said.iter().map(|(call, _)| call.as_str()).collect::<Vec<_>>(),
        ["PATCH mcpservers/status", "POST events"]
    );
    let event = &said[1].1;
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("InvalidSpec")));
    assert_eq!((&event["regarding"]["name"], &event["metadata"]["namespace"]), (&json!("files"), &json!("team")));
    assert!(event["note"].as_str().unwrap().contains("spec.replicas"), "{event}");
    reconcile(&server, &context).await.unwrap();
    assert_eq!(calls.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_or_hangs_fails_nothing() {
    let moods: [Mood; 2] = [
        |method, _| (*method == Method::POST).then_some(Answer::Refuse(403, "the namespace is terminating")),
        |method, _| (*method == Method::POST).then_some(Answer::Hang),
    ];
    for mood in moods {
        let (client, calls) = api_server(mood);
        let mut server = server();
        server.spec.replicas = -1;
        reconcile(&server, &context(client)).await.unwrap();
        assert_eq!(calls.lock().unwrap().last().unwrap().0, "POST events");
    }
}

#[tokio::test]
async fn somebody_who_wrote_first_is_no_fault() {
    let (outcome, _, _) = run(|method, kind| {
        (*method == Method::PATCH && kind == "services").then_some(Answer::Refuse(409, "uid mismatch"))
    })
    .await;
    assert_eq!(outcome.unwrap_err().class(), Class::Conflict);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_given_up_and_named() {
    let (outcome, _, status) =
        run(|method, kind| (*method == Method::PATCH && kind == "deployments").then_some(Answer::Hang)).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    assert!(error.to_string().contains("apply Deployment files: no answer within 10s"), "{error}");
    assert_eq!(conditions(&status).last().unwrap(), "Reconciling=True/ApiUnavailable");
}

/// A Service of the server's name, without the member that says whose it is.
const FOREIGN: &str =
    r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "files", "namespace": "team", "uid": "theirs"}}"#;
const OF_A_DELETED_SERVER: &str = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "files", "namespace": "team",
    "uid": "old", "ownerReferences": [{"apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer", "name": "files",
    "uid": "uid-of-the-old-one", "controller": true}]}}"#;

/// The only pod of the server, in a state that is the reason of something.
fn pod(status: &Value) -> Pod {
    let pod = json!({"metadata": {"name": "files-1", "namespace": "team", "labels": {"mcp-eks.dev/server": "files"}}, "status": status});
    serde_json::from_value(pod).unwrap()
}

fn container(state: &Value, last: &Value) -> Value {
    let container = json!({"name": "server", "image": "a", "imageID": "a", "ready": false, "restartCount": 3,
        "state": state, "lastState": last});
    json!({"phase": "Pending", "containerStatuses": [container]})
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": "because"}})
}

/// Looks at a server twice. Returns what the first look published, and what the second one wrote.
async fn twice(spec: &Value, pods: Vec<Pod>, mood: Mood) -> (Value, Vec<String>) {
    let (client, calls) = api_server(mood);
    let mut context = context(client);
    let (store, mut writer) = reflector::store();
    for pod in pods {
        let event = Ok(watcher::Event::Apply(pod));
        writer.apply_watcher_event(event.as_ref().unwrap());
        context.stores.pods_by_server.see(&event);
    }
    context.stores.pods = store;
    let mut server = Box::new(server());
    server.spec = serde_json::from_value(spec.clone()).unwrap();
    let _ = reconcile(&server, &context).await;
    let first: Vec<_> = calls.lock().unwrap().drain(..).collect();
    let status = first.iter().rev().find(|(call, _)| call.ends_with("/status")).map(|(_, body)| body.clone());
    let _ = reconcile(&server, &context).await;
    let again: Vec<_> = calls.lock().unwrap().drain(..).map(|(call, _)| call).collect();
    (status.unwrap_or_default(), again.into_iter().filter(|call| !call.starts_with("GET")).collect())
}

#[tokio::test]
async fn a_second_look_at_a_sample_writes_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let sample: Value = serde::Deserialize::deserialize(document).unwrap();
            if sample["kind"] == "McpServer" {
                let (status, again) = twice(&sample["spec"], Vec::new(), |_, _| None).await;
                assert!(status.to_string().contains("Accepted"), "{}: {status}", sample["metadata"]["name"]);
                assert!(again.is_empty(), "{}: {again:?}", sample["metadata"]["name"]);
                seen += 1;
            }
        }
    }
    assert!(seen >= 2, "only {seen} samples were found");
}

#[tokio::test]
async fn a_second_look_writes_nothing_whatever_the_first_one_found() {
    let running = json!({"running": {}});
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no such file"}});
    let unschedulable = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
    let as_usual: Mood = |_, _| None;
    let cases: [(&str, Value, Option<Value>, Mood); 10] = [
        ("Progressing", json!({}), None, as_usual),
        ("ScaledToZero", json!({"replicas": 0}), None, as_usual),
        ("InvalidSpec", json!({"env": [{"name": "A"}, {"name": "A"}]}), None, as_usual),
        ("ImagePullFailed", json!({}), Some(container(&waiting("ImagePullBackOff"), &json!({}))), as_usual),
        ("PodsCrashLooping", json!({}), Some(container(&waiting("CrashLoopBackOff"), &ended)), as_usual),
        ("PodConfigMissing", json!({}), Some(container(&waiting("CreateContainerConfigError"), &json!({}))), as_usual),
        ("PodsUnschedulable", json!({}), Some(unschedulable), as_usual),
        ("Progressing", json!({}), Some(container(&running, &json!({}))), as_usual),
        ("NameConflict", json!({}), None, |method, kind| {
            (*method == Method::GET && kind == "services").then_some(Answer::Found(FOREIGN))
        }),
        ("WaitingForDeletion", json!({}), None, |method, kind| {
            (*method == Method::GET && kind == "services").then_some(Answer::Found(OF_A_DELETED_SERVER))
        }),
    ];
    for (reason, change, pod_status, mood) in cases {
        let mut spec = json!({"server": {"image": {"ref": "a"}}, "replicas": 1});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, again) = twice(&spec, pod_status.iter().map(pod).collect(), mood).await;
        let found = conditions(&status);
        assert!(found.iter().any(|condition| condition.ends_with(&format!("/{reason}"))), "{reason}: {found:?}");
        assert!(again.is_empty(), "{reason}: {again:?}");
    }
}

#[tokio::test]
async fn what_is_refused_is_tried_again_and_said_once() {
    let spec = json!({"server": {"image": {"ref": "a"}}});
    let (status, again) = twice(&spec, Vec::new(), |method, kind| {
        (*method == Method::PATCH && kind == "services").then_some(Answer::Refuse(403, "exceeded quota: services"))
    })
    .await;
    assert_eq!(conditions(&status).last().unwrap(), "Reconciling=True/ApplyRefused");
    assert_eq!(again, ["PATCH services"]);
}
