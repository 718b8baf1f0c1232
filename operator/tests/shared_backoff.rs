//! KEDA's definition is missing: does an McpServer wait for it? In paused time, beside the wiring that one would write
//! first, so that it shows what the other is for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    convert::Infallible,
    future,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt, channel::mpsc};
use http::{Request, Response};
use kube::{
    Client,
    client::Body,
    runtime::{
        Controller, WatchStreamExt,
        controller::Action,
        reflector::{self, ObjectRef},
        watcher,
    },
};
use mcp_crds::McpServer;
use mcp_operator::{
    controller::watches::{Scoped, optional},
    desired::scaled_object,
    listed::Listed,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// An API server that has nothing.
fn api_server() -> Client {
    let service = tower::service_fn(|_: Request<Body>| async {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound",
            "message": "the server could not find the requested resource",
        });
        let answer = Response::builder().status(404).header("content-type", "application/json");
        Ok::<_, Infallible>(answer.body(Body::from(status.to_string().into_bytes())).unwrap())
    });
    Client::new(service, "default")
}

/// The longest that any of ten servers, made one after another, waits for its reconcile.
async fn longest_wait(wire: impl FnOnce(Controller<McpServer>) -> Controller<McpServer>) -> Duration {
    let (mut send, events) = mpsc::unbounded::<watcher::Result<watcher::Event<McpServer>>>();
    let (store, writer) = reflector::store();
    let servers = events.reflect(writer).applied_objects();
    let reconciled = Arc::new(Mutex::new(Vec::new()));
    let seen = reconciled.clone();
    let controller = wire(Controller::for_stream(servers, store));
    let reconcile = move |server: Arc<McpServer>, _| {
        seen.lock().unwrap().push((server.metadata.name.clone().unwrap(), Instant::now()));
        future::ready(Ok::<_, Infallible>(Action::await_change()))
    };
    let run = controller.run(reconcile, |_, _: &Infallible, _| Action::await_change(), Arc::new(()));
    let run = tokio::spawn(run.for_each(|_| future::ready(())));
    send.send(Ok(watcher::Event::Init)).await.unwrap();
    send.send(Ok(watcher::Event::InitDone)).await.unwrap();
    let mut longest = Duration::ZERO;
    for number in 0..10 {
        // Every event begins the backoff anew: the pause is long enough for it to grow to its end, whatever its jitter, and
        // odd, to come at every point of it.
        sleep(Duration::from_millis(97_300)).await;
        let name = format!("files-{number}");
        let server = json!({
            "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
            "metadata": {"name": name, "namespace": "team", "uid": name},
            "spec": {"server": {"image": {"ref": "a"}}},
        });
        let made = Instant::now();
        send.send(Ok(watcher::Event::Apply(serde_json::from_value(server).unwrap()))).await.unwrap();
        let at = loop {
            let found = reconciled.lock().unwrap().iter().find(|(seen, _)| *seen == name).map(|(_, at)| *at);
            if let Some(at) = found {
                break at;
            }
            sleep(Duration::from_millis(10)).await;
        };
        longest = longest.max(at - made);
    }
    run.abort();
    longest
}

#[tokio::test(start_paused = true)]
async fn a_missing_kind_delays_no_server() {
    let mut listed = Listed::default();
    let config = watcher::Config::default();
    let (store, changes) = optional(
        &Scoped { client: api_server(), namespace: None },
        &mut listed,
        "scaledobjects",
        scaled_object::resource(),
        config,
    );
    let waited = longest_wait(|controller| {
        let to_server = |_| None::<ObjectRef<McpServer>>;
        controller.watches_stream_with(changes, to_server, scaled_object::resource()).reconcile_all_on(store.changes())
    })
    .await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert!(store.get().is_none() && listed.missing().is_empty(), "it is known to be absent, and nobody waits for it");
}

#[tokio::test(start_paused = true)]
async fn the_obvious_wiring_lets_every_server_wait_for_the_missing_kind() {
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(api_server(), &scaled_object::resource());
    let waited =
        longest_wait(|controller| controller.owns_with(api, scaled_object::resource(), watcher::Config::default()))
            .await;
    assert!(waited > Duration::from_secs(5), "the trap is gone, and what avoids it can go too: {waited:?}");
}
