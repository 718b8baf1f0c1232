//! Autoscaling without KEDA, and with a definition of its kind: what is written when, and what is never written.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use mcp_e2e::suite::{
    self, keda,
    objects::{SOON, Space},
    operator::OperatorProcess,
};
use serde_json::{Value, json};

use crate::{Fixture, QUIET, filesystem};

/// Waits until the operator says this of an optional kind.
async fn optional(operator: &OperatorProcess, expected: &str, limit: Duration) -> Result<()> {
    suite::eventually(&format!("/readyz says {expected:?}"), limit, async || {
        let (_, text) = operator.health("readyz").await?;
        Ok(if text.contains(expected) { Ok(()) } else { Err(text) })
    })
    .await
}

fn scaled() -> Value {
    let mut spec = filesystem();
    spec["replicas"] = json!(7);
    spec["autoscaling"] = json!({"minReplicas": 3, "maxReplicas": 5});
    spec
}

async fn replicas(space: &Space) -> Result<Option<i32>> {
    Ok(space.deployments().get("files").await?.spec.and_then(|spec| spec.replicas))
}

/// One story, since all of it needs a cluster in which KEDA comes and goes.
pub(crate) async fn comes_and_goes(fixture: &Fixture) -> Result<()> {
    let operator = fixture.operator.lock().await;
    let space = fixture.space("keda").await?;
    let objects = keda::scaled_objects(&space.client, &space.name);
    optional(&operator, "scaledobjects.keda.sh is not there", Duration::from_secs(20)).await?;
    space.apply("files", scaled()).await?;
    let message = space.condition("files", "Scaling=False/KedaMissing", SOON).await?;
    ensure!(message.contains("install KEDA"), "{message}");
    space.condition("files", "Accepted=True/Valid", SOON).await?;
    ensure!(replicas(&space).await? == Some(3), "it begins with the fewest: {:?}", replicas(&space).await?);
    // It is nobody's: what a person says stays.
    let by_hand = Patch::Merge(json!({"spec": {"replicas": 4}}));
    space.deployments().patch_scale("files", &PatchParams::default(), &by_hand).await?;
    suite::eventually("status counts what a person said", SOON, async || {
        let found = suite::objects::conditions(&space.servers().get("files").await?);
        let told = found.iter().any(|(_, message)| message.contains(" of 4 pods"));
        Ok(if told { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;

    keda::define_loosely(&space.client).await?;
    optional(&operator, "scaledobjects.keda.sh is there", Duration::from_secs(20)).await?;
    space.condition("files", "Scaling=Unknown/WaitingForKeda", SOON).await?;
    // Past the time in which an answer of the API server stands in for the store.
    tokio::time::sleep(QUIET).await;
    let (_, text) = operator.health("metrics").await?;
    ensure!(
        text.lines().any(|line| line.contains("scaledobjects.keda.sh") && line.ends_with(" 1")),
        "no metric counts it"
    );
    let made = objects.get("files").await?;
    objects.delete("files", &DeleteParams::default()).await?;
    suite::eventually("the ScaledObject is back", Duration::from_secs(2), async || {
        let back = objects.get_opt("files").await?.filter(|object| object.metadata.uid != made.metadata.uid);
        Ok(back.map(|_| ()).ok_or_else(|| "it is not".to_owned()))
    })
    .await?;
    let more = json!({"spec": {"maxReplicaCount": 99, "pollingInterval": 1, "fallback": {"replicas": 9}}});
    objects.patch("files", &PatchParams::default(), &Patch::Merge(more)).await?;
    suite::eventually("it is as it was", SOON, async || {
        let now = objects.get("files").await?;
        Ok(if now.data["spec"] == made.data["spec"] { Ok(()) } else { Err(now.data.to_string()) })
    })
    .await?;

    said_by_keda(&space, &json!([{"type": "Ready", "status": "False", "message": "no such metric"}])).await?;
    let message = space.condition("files", "Scaling=False/ScalerFailed", SOON).await?;
    ensure!(message.contains("no such metric"), "{message}");
    let blind = json!([{"type": "Ready", "status": "True"}, {"type": "HPAActive", "status": "False", "message": "no metrics yet"}]);
    said_by_keda(&space, &blind).await?;
    let message = space.condition("files", "Scaling=Unknown/WaitingForMetrics", SOON).await?;
    ensure!(message.ends_with("no metrics yet"), "{message}");
    said_by_keda(&space, &json!([{"type": "Ready", "status": "True"}])).await?;
    let message = space.condition("files", "Scaling=True/Autoscaling", SOON).await?;
    ensure!(message.contains("3 to 5, by cpu at 80 %"), "{message}");
    let mark = fixture.cluster.audit_log().mark()?;
    for time in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"] {
        let status = Patch::Merge(json!({"status": {"lastActiveTime": time}}));
        objects.patch_status("files", &PatchParams::default(), &status).await?;
    }
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "{writes:?}");

    handed_back(fixture, &space).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(space.client.clone());
    definitions.delete(keda::NAME, &DeleteParams::default()).await?;
    // The watch goes on without a word until it is opened anew, after 45 s at the latest.
    optional(&operator, "scaledobjects.keda.sh is not there", Duration::from_mins(1)).await
}

/// Plays KEDA, which says how it is with a ScaledObject.
async fn said_by_keda(space: &Space, conditions: &Value) -> Result<()> {
    let status = Patch::Merge(json!({"status": {"conditions": conditions}}));
    let objects = keda::scaled_objects(&space.client, &space.name);
    objects.patch_status("files", &PatchParams::default(), &status).await?;
    Ok(())
}

/// While the ScaledObject is on its way out, the number of pods is still KEDA's; afterwards it is that of the spec.
async fn handed_back(fixture: &Fixture, space: &Space) -> Result<()> {
    let mark = fixture.cluster.audit_log().mark()?;
    space.edit("files", json!({"autoscaling": null})).await?;
    // Nobody collects what KEDA has made, so it stays.
    let message = space.condition("files", "Scaling=False/HandingBack", SOON).await?;
    ensure!(message.contains("kubectl -n keda patch scaledobject files"), "{message}");
    tokio::time::sleep(QUIET).await;
    ensure!(replicas(space).await? == Some(4), "{:?}", replicas(space).await?);
    let writes = fixture.writes_since(mark)?;
    let to_deployments: Vec<_> = writes.iter().filter(|event| event.resource == "deployments").collect();
    ensure!(to_deployments.is_empty(), "{to_deployments:?}");
    // As the message says.
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    keda::scaled_objects(&space.client, &space.name).patch("files", &PatchParams::default(), &free).await?;
    suite::eventually("the number is that of the spec", SOON, async || {
        let now = replicas(space).await?;
        Ok(if now == Some(7) { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await?;
    suite::eventually("nothing is said of scaling any more", SOON, async || {
        let found = suite::objects::conditions(&space.servers().get("files").await?);
        let gone = !found.iter().any(|(condition, _)| condition.starts_with("Scaling"));
        Ok(if gone { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}
