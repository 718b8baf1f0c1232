//! Tier controllers: rollouts, garbage collection and pods that fail, with real controllers and a kubelet that plays.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use futures::FutureExt;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use mcp_e2e::{
    cluster::{Cluster, Tier},
    install,
    progress::Progress,
    suite::{
        self, Test, keda,
        objects::{SOON, Space, conditions},
        operator::OperatorProcess,
    },
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time for what controllers do by themselves: a rollout, a garbage collection. The garbage collector looks for new
/// kinds every 30 s, and does not collect the children of a kind before it knows it.
const ROLLOUT: Duration = Duration::from_secs(90);

mod counted;
mod crowd;

struct Fixture {
    operator: Mutex<OperatorProcess>,
    cluster: Arc<Cluster>,
}

impl Fixture {
    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("a server becomes Ready, and its status counts its pods", |f| ready(f).boxed_local()),
        ("a deleted server takes every child with it", |f| deleted(f).boxed_local()),
        ("a server made anew at once is Ready, and never Stalled", |f| made_anew(f).boxed_local()),
        ("an image that is not there is the reason, and the old pods serve on", |f| missing_image(f).boxed_local()),
        ("no pods by request is a reason of its own", |f| zero(f).boxed_local()),
        ("a quota that refuses pods is the reason", |f| quota(f).boxed_local()),
        ("the number of pods goes over to KEDA and back, never below the spec's, never written in between", |f| {
            counted::handed_over_and_back(f).boxed_local()
        }),
        ("a ScaledObject deleted or changed by hand is back at once", |f| counted::deleted_by_hand(f).boxed_local()),
        ("what scales in the samples is what KEDA's definition asks for", |f| counted::samples(f).boxed_local()),
        ("two hundred servers at rest, and after a restart of the operator: no write", |f| {
            crowd::rests(f).boxed_local()
        }),
    ];
    suite::run(
        "suite-controllers",
        Tier::Controllers,
        BINARY,
        async |cluster| {
            // Before all else: the garbage collector learns of new kinds every 30 s.
            keda::define(&cluster.client()).await?;
            let operator = OperatorProcess::start(&cluster, &suite::bin_dir(BINARY)).await?;
            Ok(Fixture { operator: Mutex::new(operator), cluster })
        },
        tests,
    )
}

fn server(replicas: i32) -> Value {
    json!({"server": {"image": {"ref": "ghcr.io/acme/tools:1"}}, "replicas": replicas})
}

async fn ready(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("ready").await?;
    space.apply("tools", server(3)).await?;
    settled(&space, "tools").await?;
    let message = space.condition("tools", "Ready=True/Serving", SOON).await?;
    ensure!(message == "3 of 3 pods are ready", "{message}");
    let status = space.servers().get("tools").await?.status.unwrap();
    ensure!((status.replicas, status.ready_replicas) == (Some(3), Some(3)), "{status:?}");
    Ok(())
}

/// Waits until a server is Ready for its current spec, and neither Reconciling nor Stalled.
async fn settled(space: &Space, name: &str) -> Result<()> {
    install::ready::server(&space.client, &space.name, name, Progress::start()).await.map(drop)
}

async fn deleted(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("deleted").await?;
    space.apply("tools", server(1)).await?;
    space.condition("tools", "Ready=True/Serving", ROLLOUT).await?;
    space.delete("tools", ROLLOUT).await
}

async fn made_anew(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("made-anew").await?;
    space.apply("tools", server(1)).await?;
    space.condition("tools", "Ready=True/Serving", ROLLOUT).await?;
    space.servers().delete("tools", &DeleteParams::default()).await?;
    let created = space.apply("tools", server(1)).await?;
    suite::eventually("the new server has children of its own, and is Ready", ROLLOUT, async || {
        let server = space.servers().get("tools").await?;
        let found = conditions(&server);
        ensure!(!found.iter().any(|(condition, _)| condition.starts_with("Stalled")), "{found:?}");
        let owner =
            space.deployments().get_opt("tools").await?.map(|deployment| deployment.owner_references()[0].uid.clone());
        let done =
            owner == created.metadata.uid && found.iter().any(|(condition, _)| condition == "Ready=True/Serving");
        Ok(if done { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}

async fn missing_image(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("missing-image").await?;
    space.apply("tools", server(1)).await?;
    settled(&space, "tools").await?;
    space.edit("tools", json!({"server": {"image": {"ref": "ghcr.io/acme/does-not-exist:1"}}})).await?;
    let message = space.condition("tools", "Reconciling=True/ImagePullFailed", SOON).await?;
    ensure!(message.contains("ghcr.io/acme/does-not-exist:1 cannot be pulled"), "{message}");
    space.condition("tools", "Ready=True/Serving", SOON).await?;
    Ok(())
}

async fn zero(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("zero").await?;
    space.apply("tools", server(0)).await?;
    space.condition("tools", "Ready=False/ScaledToZero", SOON).await?;
    suite::eventually("it is at rest", SOON, async || {
        let found = conditions(&space.servers().get("tools").await?);
        let busy = found.iter().any(|(condition, _)| condition.starts_with("Reconciling"));
        Ok(if busy { Err(format!("{found:?}")) } else { Ok(()) })
    })
    .await
}

async fn quota(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("quota").await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(space.client.clone(), &space.name);
    let quota = json!({"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    suite::eventually("the quota counts", ROLLOUT, async || {
        let status = quotas.get("one").await?.status.and_then(|status| status.hard);
        Ok(status.map(|_| ()).ok_or_else(|| "no status".to_owned()))
    })
    .await?;
    space.apply("tools", server(2)).await?;
    let message = space.condition("tools", "Ready=False/PodsRefused", ROLLOUT).await?;
    ensure!(message.contains("exceeded quota: one"), "{message}");
    Ok(())
}
