//! Tier node: KEDA itself, its HorizontalPodAutoscaler and metrics-server scale what the operator hands them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod load;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use k8s_openapi::api::{
    autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus},
    core::v1::Pod,
};
use kube::{Api, ResourceExt, api::ListParams};
use mcp_e2e::{
    audit::{Event, Mark},
    cache::Cache,
    cluster::{Cluster, Tier},
    install::{self, OPERATOR_USER, call},
    progress::Progress,
    suite::{
        self, Test,
        counts::{Numbers, said},
        keda,
        objects::{SOON, Space},
    },
};
use serde_json::{Value, json};

use crate::load::Load;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time for pods to start on a busy machine, and for metrics to arrive and be noticed: KEDA looks every 30 s.
const SEEN: Duration = Duration::from_mins(2);
/// Port of a server's metrics.
const HEALTH_PORT: u16 = 9090;

struct Fixture {
    cluster: Arc<Cluster>,
    /// Where a server runs until the hours of its schedule are over, and the log when they began.
    hours: Hours,
}

struct Hours {
    space: Space,
    end: Timestamp,
    mark: Mark,
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("KEDA takes a server with the longest name, and names its scaler as it was told", |f| {
            longest_name(f).boxed_local()
        }),
        ("under load one pod becomes three or more, and one again; the operator writes no number", |f| {
            under_load(f).boxed_local()
        }),
        ("seven pods stay seven when autoscaling is switched on and off", |f| seven(f).boxed_local()),
        ("when its hours are over no pod runs; the operator writes no number", |f| hours_end(f).boxed_local()),
    ];
    suite::run("suite-scaling", Tier::Node, BINARY, prepare, tests)
}

async fn prepare(cluster: Arc<Cluster>) -> Result<Fixture> {
    let (cache, progress) = (Cache::from_env()?, Progress::start());
    let bin_dir = suite::bin_dir(BINARY);
    let operator = install::operator(&cluster, &bin_dir, cache.root(), progress);
    tokio::try_join!(operator, install::keda::install(&cluster, &cache, progress))?;
    let hours = hours_begin(&cluster).await?;
    Ok(Fixture { cluster, hours })
}

impl Fixture {
    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }
}

/// A server that asks for little, so that little is load.
fn server(autoscaling: &Value) -> Value {
    json!({
        "server": {"custom": {"weather": {}}},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "autoscaling": autoscaling,
    })
}

/// What the one HorizontalPodAutoscaler of a namespace says.
async fn scaler(space: &Space) -> Result<Option<(String, HorizontalPodAutoscalerStatus)>> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(space.client.clone(), &space.name);
    let found = api.list(&ListParams::default()).await?.items.pop();
    Ok(found.map(|scaler| (scaler.name_any(), scaler.status.unwrap_or_default())))
}

/// Waits until the HorizontalPodAutoscaler counts so many pods.
async fn counts(space: &Space, what: &str, limit: Duration, enough: impl Fn(i32) -> bool) -> Result<()> {
    suite::eventually(&format!("the scaler counts {what}"), limit, async || {
        let status = scaler(space).await?.map(|(_, status)| status);
        let found = status.as_ref().and_then(|status| status.current_replicas);
        Ok(if found.is_some_and(&enough) { Ok(()) } else { Err(format!("{status:?}")) })
    })
    .await
}

async fn has_replicas(space: &Space, name: &str, expected: i32, limit: Duration) -> Result<()> {
    suite::eventually(&format!("there are to be {expected} pods"), limit, async || {
        let now = space.deployments().get_opt(name).await?.and_then(|deployment| deployment.spec?.replicas);
        Ok(if now == Some(expected) { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await
}

/// What the operator has written of a kind in a namespace since a mark.
fn written(fixture: &Fixture, space: &Space, resource: &str, mark: Mark) -> Result<Vec<String>> {
    let events = fixture.cluster.audit_log().since(mark)?;
    let ours = |event: &&Event| {
        event.user == OPERATOR_USER && event.namespace == space.name && event.resource == resource && event.is_write()
    };
    Ok(events.iter().filter(ours).map(|event| format!("{} {} {}", event.verb, event.name, event.code)).collect())
}

async fn longest_name(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("longest-name").await?;
    let name = "a".repeat(63);
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 60}});
    let mark = fixture.cluster.audit_log().mark()?;
    space.apply(&name, server(&json!({"minReplicas": 1, "maxReplicas": 2, "behavior": behavior}))).await?;
    space.condition(&name, "Scaling=True/Autoscaling", SEEN).await?;
    let object = keda::scaled_objects(&space.client, &space.name).get(&name).await?;
    let told = object.data["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"].as_str().context("no name")?;
    let (found, _) = scaler(&space).await?.context("there is no scaler")?;
    ensure!(found == told && found.len() <= 63, "{found} is not {told}");
    ensure!(object.metadata.finalizers.is_some_and(|all| !all.is_empty()), "KEDA has not put its finalizer on");
    // KEDA has written the whole object back, and it is still what was asked for; past the time in which the answer to the
    // operator's own write stands in for that.
    tokio::time::sleep(2 * SOON).await;
    let writes = written(fixture, &space, "scaledobjects", mark)?;
    ensure!(writes.len() == 1, "the operator wrote the ScaledObject {} times: {writes:?}", writes.len());
    space.servers().delete(&name, &kube::api::DeleteParams::default()).await?;
    Ok(())
}

async fn under_load(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("under-load").await?;
    let quick = json!({
        "minReplicas": 1, "maxReplicas": 4, "cpu": {"utilization": 80},
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0},
            "scaleDown": {
                "stabilizationWindowSeconds": 15,
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
            },
        },
    });
    space.apply("clock", server(&quick)).await?;
    space.condition("clock", "Ready=True/Serving", SEEN).await?;
    space.condition("clock", "Scaling=True/Autoscaling", SEEN).await?;
    counts(&space, "one pod", SEEN, |pods| pods == 1).await?;
    let mark = fixture.cluster.audit_log().mark()?;
    let numbers = Numbers::watch(space.deployments());

    let (url, address) = call::endpoint(&space.client, &space.servers().get("clock").await?).await?;
    let load = Load::start(&url, address)?;
    counts(&space, "three pods or more under load", SEEN, |pods| pods >= 3).await?;
    // New pods take part of the load.
    suite::eventually("three pods or more have answered calls", SEEN, async || {
        let answered = answered(&space).await?;
        let busy = answered.iter().filter(|(_, calls)| *calls > 0).count();
        Ok(if busy >= 3 { Ok(()) } else { Err(format!("{answered:?}")) })
    })
    .await?;
    let (calls, failed) = load.end().await;
    ensure!(calls > 1000 && failed.is_empty(), "{} of {calls} calls failed: {:?}", failed.len(), failed.first());

    counts(&space, "one pod without load", SEEN, |pods| pods == 1).await?;
    space.condition("clock", "Ready=True/Serving", SEEN).await?;
    let seen = numbers.seen();
    ensure!(seen.iter().any(|pods| *pods >= 3) && seen.last() == Some(&1), "{seen:?}");
    let told = said(&fixture.cluster.audit_log(), &space.name, mark)?;
    ensure!(told.is_empty(), "the operator wrote the number of pods: {told:?}");
    for resource in ["deployments", "scaledobjects"] {
        let writes = written(fixture, &space, resource, mark)?;
        ensure!(writes.is_empty(), "the operator wrote {resource}: {writes:?}");
    }
    Ok(())
}

/// Pods of the namespace that are ready, and how many calls of tools each has answered.
async fn answered(space: &Space) -> Result<Vec<(String, u64)>> {
    let pods: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let mut found = Vec::new();
    for pod in pods.list(&ListParams::default()).await? {
        let name = pod.name_any();
        let Some(ip) = pod.status.and_then(|status| status.pod_ip) else { continue };
        // One that starts or ends does not answer.
        let Ok(answer) = http.get(format!("http://{ip}:{HEALTH_PORT}/metrics")).send().await else { continue };
        let text = answer.text().await.unwrap_or_default();
        let calls = text.lines().filter(|line| line.starts_with("mcp_tool_calls_total{"));
        let calls = calls.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        found.push((name, calls));
    }
    Ok(found)
}

async fn seven(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("seven").await?;
    let mut spec = server(&Value::Null);
    spec["replicas"] = json!(7);
    space.apply("clock", spec).await?;
    space.condition("clock", "Ready=True/Serving", SEEN).await?;
    let numbers = Numbers::watch(space.deployments());
    // With the usual five minutes before a pod goes: what would take one earlier is a mistake.
    space.edit("clock", json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 9}})).await?;
    space.condition("clock", "Scaling=True/Autoscaling", SEEN).await?;
    counts(&space, "seven pods or more", SEEN, |pods| pods >= 7).await?;
    suite::eventually("the scaler has metrics", SEEN, async || {
        let status = scaler(&space).await?.map(|(_, status)| status);
        let active = status.iter().flat_map(|status| status.conditions.iter().flatten());
        let active = active.into_iter().any(|it| it.type_ == "ScalingActive" && it.status == "True");
        Ok(if active { Ok(()) } else { Err(format!("{status:?}")) })
    })
    .await?;
    space.edit("clock", json!({"autoscaling": null})).await?;
    suite::eventually("KEDA has let go", SEEN, async || {
        let (object, scaler) =
            (keda::scaled_objects(&space.client, &space.name).get_opt("clock").await?, scaler(&space).await?);
        Ok(if object.is_none() && scaler.is_none() { Ok(()) } else { Err(format!("{scaler:?}")) })
    })
    .await?;
    has_replicas(&space, "clock", 7, SEEN).await?;
    let seen = numbers.seen();
    ensure!(!seen.is_empty() && seen.iter().all(|pods| *pods >= 7), "{seen:?}");
    Ok(())
}

/// Makes a server whose hours are now, and end with a minute, a minute and a half from now at the earliest.
async fn hours_begin(cluster: &Cluster) -> Result<Hours> {
    let space = Space::create(&cluster.client(), "hours").await?;
    let now = Timestamp::now();
    let end = now.checked_add(150.seconds())?;
    let cron = |time: Timestamp| time.to_zoned(TimeZone::UTC).strftime("%-M %-H * * *").to_string();
    let hours = json!({"name": "now", "timezone": "UTC", "start": cron(now), "end": cron(end), "replicas": 2});
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 5}});
    let autoscaling = json!({"minReplicas": 0, "maxReplicas": 3, "schedule": [hours], "behavior": behavior});
    space.apply("clock", server(&autoscaling)).await?;
    has_replicas(&space, "clock", 2, Duration::from_mins(1)).await.context("in its hours")?;
    Ok(Hours { space, end, mark: cluster.audit_log().mark()? })
}

async fn hours_end(fixture: &Fixture) -> Result<()> {
    let Hours { space, end, mark } = &fixture.hours;
    let left = Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default();
    has_replicas(space, "clock", 0, left + SEEN).await.context("after its hours")?;
    space.condition("clock", "Ready=False/ScaledToZero", SEEN).await?;
    space.condition("clock", "Scaling=True/Autoscaling", SEEN).await?;
    let told = said(&fixture.cluster.audit_log(), &space.name, *mark)?;
    ensure!(told.is_empty(), "the operator wrote the number of pods: {told:?}");
    Ok(())
}
