//! The number of pods, handed over to KEDA and back: KEDA's own definition, real controllers, and a test that scales.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, ValidationDirective},
};
use mcp_e2e::suite::{
    self,
    counts::{Numbers, said},
    keda,
    objects::{SOON, Space},
};
use serde_json::{Value, json};

use crate::{Fixture, ROLLOUT, server, settled};

/// A server of seven pods that may scale to nine.
fn scaled() -> Value {
    json!({"minReplicas": 1, "maxReplicas": 9})
}

fn measured(replicas: i32) -> Value {
    let mut spec = server(replicas);
    spec["resources"] = json!({"requests": {"cpu": "100m"}});
    spec
}

async fn has_replicas(space: &Space, expected: i32, limit: Duration) -> Result<()> {
    suite::eventually(&format!("there are to be {expected} pods"), limit, async || {
        let now = space.deployments().get("tools").await?.spec.and_then(|spec| spec.replicas);
        Ok(if now == Some(expected) { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .await
}

async fn scale(space: &Space, replicas: i32) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    space.deployments().patch_scale("tools", &PatchParams::default(), &patch).await?;
    Ok(())
}

pub(crate) async fn handed_over_and_back(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("counted").await?;
    space.apply("tools", measured(7)).await?;
    settled(&space, "tools").await?;
    let numbers = Numbers::watch(space.deployments());
    let objects = keda::scaled_objects(&space.client, &space.name);

    space.edit("tools", json!({"autoscaling": scaled()})).await?;
    space.condition("tools", "Scaling=Unknown/WaitingForKeda", SOON).await?;
    let made = objects.get("tools").await?;
    ensure!(made.data["spec"]["minReplicaCount"] == 1, "{}", made.data);
    // From here on the number is KEDA's.
    let mark = fixture.cluster.audit_log().mark()?;
    scale(&space, 9).await?;
    space.edit("tools", json!({"env": [{"name": "A", "value": "1"}], "replicas": 8})).await?;
    settled(&space, "tools").await?;
    has_replicas(&space, 9, SOON).await?;
    let message = space.condition("tools", "Ready=True/Serving", ROLLOUT).await?;
    ensure!(message == "9 of 9 pods are ready", "{message}");
    // A Deployment changed by hand is mended, and its number is not touched.
    let act = json!({"spec": {"template": {"spec": {"dnsConfig": {"nameservers": ["192.0.2.1"]}}}}});
    space.deployments().patch("tools", &PatchParams::default(), &Patch::Merge(act)).await?;
    suite::eventually("the Deployment is mended", SOON, async || {
        let pod = space.deployments().get("tools").await?.spec.and_then(|spec| spec.template.spec);
        Ok(if pod.is_some_and(|pod| pod.dns_config.is_none()) { Ok(()) } else { Err("it is not".to_owned()) })
    })
    .await?;
    let number = |said: &Vec<String>| said.iter().all(|it| it == "update 9");
    // A replace says the whole object, with the number that is there.
    let told = said(&fixture.cluster.audit_log(), &space.name, mark)?;
    ensure!(number(&told), "the operator wrote the number of pods: {told:?}");

    space.edit("tools", json!({"autoscaling": null, "replicas": 7})).await?;
    has_replicas(&space, 7, ROLLOUT).await?;
    ensure!(objects.get_opt("tools").await?.is_none(), "the number came back before KEDA's part was gone");
    settled(&space, "tools").await?;
    let seen = numbers.seen();
    ensure!(seen.iter().all(|number| *number >= 7), "{seen:?}");
    ensure!(seen.contains(&9), "{seen:?}");
    Ok(())
}

pub(crate) async fn deleted_by_hand(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("deleted-by-hand").await?;
    let mut spec = measured(1);
    spec["autoscaling"] = scaled();
    space.apply("tools", spec).await?;
    space.condition("tools", "Scaling=Unknown/WaitingForKeda", SOON).await?;
    // Past the time in which an answer of the API server stands in for the store.
    tokio::time::sleep(SOON).await;
    let objects = keda::scaled_objects(&space.client, &space.name);
    let made = objects.get("tools").await?;
    objects.delete("tools", &DeleteParams::default()).await?;
    suite::eventually("the ScaledObject is back", Duration::from_secs(2), async || {
        let back = objects.get_opt("tools").await?.filter(|object| object.metadata.uid != made.metadata.uid);
        Ok(back.map(|_| ()).ok_or_else(|| "it is not".to_owned()))
    })
    .await?;
    let acts = [
        json!({"spec": {"maxReplicaCount": 99}}),
        json!({"spec": {"pollingInterval": 1, "fallback": {"failureThreshold": 1, "replicas": 9}}}),
        json!({"spec": {"triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "1"}}]}}),
    ];
    for act in acts {
        objects.patch("tools", &PatchParams::default(), &Patch::Merge(act.clone())).await?;
        suite::eventually(&format!("{act} is undone"), SOON, async || {
            let now = objects.get("tools").await?;
            Ok(if now.data["spec"] == made.data["spec"] { Ok(()) } else { Err(now.data.to_string()) })
        })
        .await?;
    }
    Ok(())
}

/// KEDA's definition takes what is made of every sample, every field of it.
pub(crate) async fn samples(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("scaling-samples").await?;
    let scaled = suite::objects::samples()?.into_iter().filter(|sample| !sample["spec"]["autoscaling"].is_null());
    let objects = keda::scaled_objects(&space.client, &space.name);
    let mut count = 0;
    for sample in scaled {
        let name = sample["metadata"]["name"].as_str().unwrap().to_owned();
        space.apply(&name, sample["spec"].clone()).await?;
        space.condition(&name, "Scaling=Unknown/WaitingForKeda", SOON).await?;
        let mut object = objects.get(&name).await?;
        object.metadata.managed_fields = None;
        object.metadata.resource_version = None;
        let strict = Some(ValidationDirective::Strict);
        let params = PatchParams { dry_run: true, field_validation: strict, ..PatchParams::apply("suite").force() };
        objects.patch(&object.name_any(), &params, &Patch::Apply(&object)).await?;
        count += 1;
    }
    ensure!(count >= 4, "only {count} samples scale");
    Ok(())
}
