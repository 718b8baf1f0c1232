//! Pods that cannot start or live, for real reasons: memory and nodes. The condition says why within 5 s of kubelet's
//! or the scheduler's own word, and what to do.
//!
//! In: the installation of suite `node`. Out: results of tests. A test makes a namespace and leaves no pod behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::{Api, ResourceExt, api::ListParams};
use mcp_e2e::suite::{
    self,
    objects::{SOON, Space},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{DOUBLE, Fixture, ROLLOUT, load_double, writes_within};

/// A limit that the double is below when it starts, and above a moment later.
const LIMIT: &str = "48Mi";

/// Each test prints its margin. Measured on two cores with two builds beside: 0.1 s to 0.3 s, of the 5 s of [`SOON`].
pub(crate) async fn out_of_memory(fixture: &Fixture) -> Result<()> {
    load_double(fixture).await?;
    let space = fixture.space("out-of-memory").await?;
    let command = ["mcp-e2e", "double", "hungry", "[::]:8080"];
    let spec = json!({
        "server": {"image": {"ref": DOUBLE, "command": command}}, "replicas": 1,
        "resources": {"requests": {"memory": LIMIT}, "limits": {"memory": LIMIT}},
    });
    space.apply("hungry", spec).await?;
    pod_says(&space, "hungry", "kubelet says OOMKilled", |pod| {
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        containers.flat_map(endings).any(|reason| reason == "OOMKilled")
    })
    .await?;
    let message = explained(&space, "hungry", "PodsCrashLooping").await?;
    let expected = format!("was killed for using more memory than its limit of {LIMIT} (OOMKilled)");
    ensure!(message.contains(&expected), "{message}");
    ensure!(message.contains("raise spec.resources.limits.memory"), "{message}");
    space.delete("hungry", ROLLOUT).await
}

/// Once because no node has a label, once because none has so many cores.
pub(crate) async fn unschedulable(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("unschedulable").await?;
    let selector = json!({"scheduling": {"nodeSelector": {"example.com/disk": "none-has-this"}}});
    let cores = json!({"resources": {"requests": {"cpu": "500"}, "limits": {"cpu": "500"}}});
    let cases = [
        ("picky", selector, "didn't match Pod's node affinity/selector; correct spec.scheduling"),
        ("large", cores, "Insufficient cpu; lower spec.resources.requests, or add nodes"),
    ];
    for (name, asked, expected) in cases {
        let mut spec = json!({"server": {"image": {"ref": fixture.installed.images.servers.reference}}, "replicas": 1});
        merge(&mut spec, asked);
        space.apply(name, spec).await?;
        pod_says(&space, name, "the scheduler says Unschedulable", |pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|condition| condition.reason.as_deref() == Some("Unschedulable"))
        })
        .await?;
        let message = explained(&space, name, "PodsUnschedulable").await?;
        ensure!(message.contains("0/1 nodes are available: ") && message.contains(expected), "{name}: {message}");
        space.delete(name, ROLLOUT).await?;
    }
    Ok(())
}

/// A limit under which not even the pod's sandbox can be made: kubelet says so in an Event alone.
pub(crate) async fn tiny_limit(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("tiny-limit").await?;
    let tiny = json!({"memory": "2Mi"});
    let spec = json!({
        "server": {"image": {"ref": fixture.installed.images.servers.reference}}, "replicas": 1,
        "resources": {"requests": tiny, "limits": tiny},
    });
    space.apply("tiny", spec).await?;
    let events: Api<Event> = Api::namespaced(space.client.clone(), &space.name);
    suite::eventually("kubelet says that it cannot make the sandbox", ROLLOUT, async || {
        let found = events.list(&ListParams::default().fields("reason=FailedCreatePodSandBox")).await?.items;
        Ok(if found.is_empty() { Err("no word".to_owned()) } else { Ok(()) })
    })
    .await?;
    let message = explained(&space, "tiny", "PodSandboxFailed").await?;
    ensure!(message.contains("the memory limit is too low") && message.contains("raise spec.resources"), "{message}");
    // Kubelet tries again and again, and says it in other words; the Event of the transition follows its status.
    tokio::time::sleep(SOON).await;
    let writes = writes_within(fixture, Duration::from_secs(20)).await?;
    let said = events.list(&ListParams::default().fields("reason=FailedCreatePodSandBox")).await?.items;
    for event in said {
        println!("tiny: {:?} times {:?}", event.count, event.message);
    }
    ensure!(writes.is_empty(), "{writes:?}");
    space.delete("tiny", ROLLOUT).await
}

/// Waits until the node's side has said it of a pod of the server: from then on the promise counts.
async fn pod_says(space: &Space, name: &str, what: &str, said: impl Fn(&Pod) -> bool) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    suite::eventually(what, ROLLOUT, async || {
        let pods = api.list(&ListParams::default().labels(&format!("mcp-eks.dev/server={name}"))).await?.items;
        let words = || pods.iter().map(|pod| format!("{}: {:?}", pod.name_any(), pod.status)).collect::<Vec<_>>();
        Ok(if pods.iter().any(&said) { Ok(()) } else { Err(words().join("; ")) })
    })
    .await
}

/// Waits until the server is not Ready for this reason, for as long as is promised. Returns the message.
async fn explained(space: &Space, name: &str, reason: &str) -> Result<String> {
    let from = Instant::now();
    let expected = format!("Ready=False/{reason}");
    let message = space.condition(name, &expected, SOON).await.with_context(|| late(from.elapsed()))?;
    println!("{name}: {reason} {} ms after the node's word: {message}", from.elapsed().as_millis());
    Ok(message)
}

fn late(after: Duration) -> String {
    format!("promised within {} s of the node's word, and not there after {} ms", SOON.as_secs(), after.as_millis())
}

/// Why the container ended, now or the time before.
fn endings(container: &ContainerStatus) -> impl Iterator<Item = &str> {
    let states = [&container.state, &container.last_state].into_iter().flatten();
    states.filter_map(|state| state.terminated.as_ref()?.reason.as_deref())
}

/// Adds fields to an object.
fn merge(object: &mut Value, fields: Value) {
    if let (Value::Object(object), Value::Object(fields)) = (object, fields) {
        object.extend(fields);
    }
}
