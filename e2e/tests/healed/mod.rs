//! What was changed or deleted by hand, and comes back as it was.

use std::{fmt::Debug, time::Duration};

use anyhow::{Result, ensure};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams},
};
use mcp_e2e::suite::{
    self,
    objects::{SOON, Space},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Fixture, QUIET, filesystem};

pub(crate) async fn vandals(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("vandals").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    // Steps on the normal way are told 3 s later: they are no part of the healing.
    tokio::time::sleep(QUIET).await;
    let clean = template(&space).await?;
    let json_patch = |patch: Value| Patch::<()>::Json(serde_json::from_value(patch).unwrap());
    let container = "/spec/template/spec/containers/0";
    let acts = [
        json!([{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "spy", "image": "spy"}}]),
        json!([{"op": "add", "path": format!("{container}/env"), "value": [{"name": "LD_PRELOAD", "value": "x"}]}]),
        json!([{"op": "replace", "path": format!("{container}/image"), "value": "evil"}]),
        json!([{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": true}]),
        json!([{"op": "add", "path": "/spec/template/spec/initContainers", "value": [{"name": "spy", "image": "spy"}]}]),
        json!([{"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "host", "hostPath": {"path": "/"}}}]),
        json!([{"op": "replace", "path": format!("{container}/securityContext"), "value": {"privileged": true}}]),
        json!([{"op": "replace", "path": "/spec/template/spec/volumes/0", "value": {"name": "data", "hostPath": {"path": "/"}}}]),
        json!([{"op": "replace", "path": format!("{container}/startupProbe"), "value": {"exec": {"command": ["true"]}}}]),
        json!([{"op": "add", "path": "/spec/template/spec/dnsConfig", "value": {"nameservers": ["192.0.2.1"]}}]),
        json!([{"op": "replace", "path": "/spec/template/spec/schedulerName", "value": "mine"}]),
        json!([{"op": "replace", "path": "/spec/replicas", "value": 9}]),
    ];
    for act in acts {
        space.deployments().patch("files", &PatchParams::default(), &json_patch(act.clone())).await?;
        suite::eventually(&format!("{act} is undone"), SOON, async || {
            let now = template(&space).await?;
            Ok(if now == clean { Ok(()) } else { Err(now.to_string()) })
        })
        .await?;
    }
    // What the last act did to the numbers is such a step too.
    tokio::time::sleep(QUIET).await;
    let mark = fixture.cluster.audit_log().mark()?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "no rest after the healing: {writes:?}");
    Ok(())
}

/// Replicas and pod spec of the Deployment.
async fn template(space: &Space) -> Result<Value> {
    let spec = space.deployments().get("files").await?.spec.unwrap();
    Ok(json!([spec.replicas, spec.template.spec]))
}

pub(crate) async fn deleted_child(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("deleted-child").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    // Past the time in which an answer of the API server stands in for the store.
    tokio::time::sleep(SOON).await;
    space.services().delete("files", &DeleteParams::default()).await?;
    suite::eventually("the Service is back", Duration::from_secs(2), async || {
        Ok(space.services().get_opt("files").await?.map(|_| ()).ok_or_else(|| "no Service".to_owned()))
    })
    .await
}

pub(crate) async fn service_vandal(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("service-vandal").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    let patch = json!({"spec": {"selector": {"app": "mine"}, "externalIPs": ["192.0.2.1"]}});
    space.services().patch("files", &PatchParams::default(), &Patch::Merge(patch)).await?;
    suite::eventually("the Service is as it was", SOON, async || {
        let spec = space.services().get("files").await?.spec.unwrap();
        let clean = spec.external_ips.unwrap_or_default().is_empty() && spec.selector.unwrap_or_default().len() == 1;
        Ok(if clean { Ok(()) } else { Err("it still has a foreign selector or address".to_owned()) })
    })
    .await
}

pub(crate) async fn other_vandals(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("other-vandals").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    // Steps on the normal way are told 3 s later: they are no part of the healing.
    tokio::time::sleep(QUIET).await;
    let settings = json!({"data": {"settings.yaml": "ipHosts: listed", "more.yaml": "x"}});
    undone(&space.config_maps(), "files-settings", settings).await?;
    let policies = space.network_policies();
    undone(&policies, "files", json!({"spec": {"egress": [{}]}})).await?;
    undone(&policies, "files", json!({"spec": {"ingress": [{}]}})).await?;
    undone(&policies, "files", json!({"spec": {"policyTypes": ["Ingress"]}})).await?;
    // An empty selector beside another lets every namespace in.
    let mut everybody = serde_json::to_value(policies.get("files").await?.spec)?;
    everybody["ingress"][0]["from"][1]["namespaceSelector"] = json!({});
    undone(&policies, "files", json!({"spec": {"ingress": everybody["ingress"]}})).await?;
    let narrow = json!({"spec": {"podSelector": {"matchLabels": {"app": "none"}}}});
    undone(&policies, "files", narrow.clone()).await?;
    let budgets = space.disruption_budgets();
    undone(&budgets, "files", json!({"spec": {"maxUnavailable": null, "minAvailable": "100%"}})).await?;
    undone(&budgets, "files", json!({"spec": {"selector": narrow["spec"]["podSelector"]}})).await?;
    let mark = fixture.cluster.audit_log().mark()?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "no rest after the healing: {writes:?}");
    Ok(())
}

/// Changes an object and waits until it is as it was.
async fn undone<K>(api: &Api<K>, name: &str, act: Value) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug,
{
    let content = async || -> Result<Value> {
        let object = serde_json::to_value(api.get(name).await?)?;
        Ok(json!([object["spec"], object["data"]]))
    };
    let clean = content().await?;
    api.patch(name, &PatchParams::default(), &Patch::Merge(act.clone())).await?;
    suite::eventually(&format!("{act} is undone"), SOON, async || {
        let now = content().await?;
        Ok(if now == clean { Ok(()) } else { Err(now.to_string()) })
    })
    .await
}
