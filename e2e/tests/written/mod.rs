//! What the operator writes of a server, to the single request, whom it leaves alone, and what it deletes.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective},
    core::ApiResource,
};
use mcp_crds::McpServer;
use mcp_e2e::suite::{
    self,
    objects::{SOON, conditions, version},
};
use serde_json::json;

use crate::refused::Raw as _;
use crate::{Fixture, QUIET, filesystem};

pub(crate) async fn samples(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("samples").await?;
    let resource = ApiResource::erase::<McpServer>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
    let strict = Some(ValidationDirective::Strict);
    let params = PatchParams { dry_run: true, field_validation: strict, ..PatchParams::apply("suite") };
    let samples = suite::objects::samples()?;
    ensure!(samples.len() >= 2, "only {} samples were found", samples.len());
    for sample in samples {
        let mut server: DynamicObject = serde_json::from_value(sample)?;
        server.metadata.namespace = None;
        api.patch(&server.name_any(), &params, &Patch::Apply(&server)).await?;
    }
    Ok(())
}

pub(crate) async fn defaults(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("defaults").await?;
    let created = space.apply_raw("a", filesystem()).await?;
    ensure!(created.data["spec"]["replicas"] == 2, "{}", created.data);
    ensure!(created.data["status"]["observedGeneration"] == -1, "{}", created.data);
    Ok(())
}

pub(crate) async fn seven_writes(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("seven-writes").await?;
    let mark = fixture.cluster.audit_log().mark()?;
    let mut spec = filesystem();
    // Zero values, which the API server does not store, are not written again and again.
    spec["env"] = json!([{"name": "EMPTY", "value": ""}]);
    spec["volumeMounts"] = json!([{"name": "data", "mountPath": "/data", "readOnly": false, "subPath": ""}]);
    space.apply("files", spec).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    tokio::time::sleep(QUIET).await;
    let writes: Vec<_> = fixture.writes_since(mark)?.into_iter().filter(|e| e.namespace == space.name).collect();
    let what: Vec<_> =
        writes.iter().map(|e| format!("{} {}/{} {}", e.verb, e.resource, e.subresource, e.code)).collect();
    ensure!(
        what == [
            "patch serviceaccounts/ 201",
            "patch configmaps/ 201",
            "patch networkpolicies/ 201",
            "patch services/ 201",
            "patch deployments/ 201",
            "patch poddisruptionbudgets/ 201",
            "patch mcpservers/status 200"
        ],
        "{what:?}"
    );
    let server = space.servers().get("files").await?;
    let url = server.status.and_then(|status| status.address).and_then(|address| address.internal);
    ensure!(url.as_deref() == Some("http://files.seven-writes.svc.cluster.local:8080/mcp"), "{url:?}");
    let deployment = space.deployments().get("files").await?;
    let owner = &deployment.owner_references()[0];
    ensure!(owner.controller == Some(true) && Some(&owner.uid) == server.metadata.uid.as_ref(), "{owner:?}");
    Ok(())
}

pub(crate) async fn restart(fixture: &Fixture) -> Result<()> {
    let mark = fixture.cluster.audit_log().mark()?;
    fixture.operator.lock().await.restart().await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "{writes:?}");
    Ok(())
}

pub(crate) async fn env_removed(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("env-removed").await?;
    let mut spec = filesystem();
    spec["env"] = json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    space.apply("files", spec).await?;
    for (env, expected) in [
        (json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]), &["A", "B"] as &[&str]),
        (json!([{"name": "B", "value": "2"}]), &["B"]),
        (json!([]), &[]),
    ] {
        space.edit("files", json!({"env": env})).await?;
        suite::eventually(&format!("the variables are {expected:?}"), SOON, async || {
            let Some(deployment) = space.deployments().get_opt("files").await? else {
                return Ok(Err("no Deployment".to_owned()));
            };
            let container = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0);
            // Ours stay, whatever the spec says.
            let variables = container.env.unwrap_or_default().into_iter().map(|variable| variable.name);
            let names: Vec<_> = variables.filter(|name| name != "MCP_AUDIT_WRITER").collect();
            Ok(if names == expected { Ok(()) } else { Err(format!("{names:?}")) })
        })
        .await?;
    }
    Ok(())
}

pub(crate) async fn other_managers(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("other-managers").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    space.deployments().restart("files").await?;
    let label = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": {"team": "blue"}}});
    space.deployments().patch("files", &PatchParams::apply("somebody"), &Patch::Apply(label)).await?;
    let before = version(&space.deployments().get("files").await?)?;
    tokio::time::sleep(QUIET).await;
    let deployment = space.deployments().get("files").await?;
    ensure!(version(&deployment)? == before, "the operator wrote a Deployment that only others had annotated");
    ensure!(deployment.labels()["team"] == "blue");
    let annotations = deployment.spec.unwrap().template.metadata.unwrap().annotations.unwrap_or_default();
    ensure!(annotations.contains_key("kube.kubernetes.io/restartedAt"), "{annotations:?}");
    Ok(())
}

pub(crate) async fn made_anew(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("made-anew").await?;
    for round in 0..2 {
        let created = space.apply("files", filesystem()).await?;
        space.condition("files", "Accepted=True/Valid", SOON).await?;
        let server = space.servers().get("files").await?;
        ensure!(server.metadata.uid == created.metadata.uid, "round {round}");
        // Nothing collects garbage in this tier: the children go by hand.
        space.servers().delete("files", &DeleteParams::default()).await?;
        space.delete_children("files").await?;
        ensure!(conditions(&server).len() >= 3, "{:?}", conditions(&server));
    }
    Ok(())
}

pub(crate) async fn scale(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("scale").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    let patch = Patch::Merge(json!({"spec": {"replicas": 5}}));
    space.servers().patch_scale("files", &PatchParams::default(), &patch).await?;
    suite::eventually("the Deployment has 5 replicas", SOON, async || {
        let replicas = space.deployments().get("files").await?.spec.unwrap().replicas;
        Ok(if replicas == Some(5) { Ok(()) } else { Err(format!("{replicas:?}")) })
    })
    .await
}

pub(crate) async fn config_map(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("config-map").await?;
    let mut spec = filesystem();
    space.apply("other", spec.clone()).await?;
    spec["volumes"] = json!([{"name": "data", "configMap": {"name": "docs"}}]);
    space.apply("files", spec).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    space.condition("other", "Reconciling=True/Progressing", SOON).await?;
    let hash = async || -> Result<Option<String>> {
        let template = space.deployments().get("files").await?.spec.unwrap().template.metadata.unwrap();
        Ok(template.annotations.unwrap_or_default().remove("mcp-eks.dev/config-maps-hash"))
    };
    let rolls = async |what: &str, before: Option<String>| {
        suite::eventually(&format!("the pods roll when the ConfigMap is {what}"), SOON, async || {
            let now = hash().await?;
            Ok(if now.is_some() && now != before { Ok(now) } else { Err(format!("{now:?}")) })
        })
        .await
    };
    let object = |name: &str, text: &str| -> Result<ConfigMap> {
        Ok(serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a.md": text}}))?)
    };
    let absent = hash().await?;
    ensure!(absent.is_some(), "nothing says that the ConfigMap is not there");
    space.config_maps().create(&PostParams::default(), &object("docs", "1")?).await?;
    let created = rolls("made", absent).await?;
    let patch = Patch::Merge(json!({"data": {"a.md": "2"}}));
    space.config_maps().patch("docs", &PatchParams::default(), &patch).await?;
    rolls("changed", created).await?;

    tokio::time::sleep(QUIET).await;
    let mark = fixture.cluster.audit_log().mark()?;
    let log = fixture.operator.lock().await.log()?.len();
    space.config_maps().create(&PostParams::default(), &object("unnamed", "1")?).await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "{writes:?}");
    let log = fixture.operator.lock().await.log()?.split_off(log);
    let woken: Vec<_> = log.lines().filter(|line| line.contains("reconciled") && line.contains(&space.name)).collect();
    ensure!(woken.is_empty(), "a ConfigMap that nobody names woke somebody: {woken:?}");
    Ok(())
}

pub(crate) async fn pruned(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("pruned").await?;
    // Theirs has the name that ours would have, and a look of ours, but for the owner.
    let labels = json!({"app.kubernetes.io/managed-by": "mcp-eks", "mcp-eks.dev/server": "theirs"});
    let theirs =
        json!({"metadata": {"name": "theirs", "labels": labels}, "spec": {"selector": {}, "maxUnavailable": 1}});
    let theirs = space.disruption_budgets().create(&PostParams::default(), &serde_json::from_value(theirs)?).await?;
    let mut single = filesystem();
    single["replicas"] = json!(1);
    space.apply("theirs", single).await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    space.condition("theirs", "Reconciling=True/Progressing", SOON).await?;
    let gone = async |kind: &str| {
        suite::eventually(&format!("the {kind} is gone"), SOON, async || {
            let children = space.children("files").await?;
            Ok(if children.contains(&kind) { Err(children.join(", ")) } else { Ok(()) })
        })
        .await
    };

    // One pod needs no budget; an invalid spec takes nothing away.
    let invalid = json!({"filesystem": {"roots": [{"name": "data", "volume": "gone"}]}});
    space.edit("files", json!({"replicas": 1, "server": invalid})).await?;
    space.condition("files", "Stalled=True/InvalidSpec", SOON).await?;
    ensure!(space.children("files").await?.len() == 6, "{:?}", space.children("files").await?);
    space.edit("files", json!({"server": filesystem()["server"]})).await?;
    gone("PodDisruptionBudget").await?;
    // Paused, nothing goes; then it does.
    space.edit("files", json!({"network": {"enabled": false}, "paused": true})).await?;
    tokio::time::sleep(QUIET).await;
    let paused = space.children("files").await?;
    ensure!(paused == ["ServiceAccount", "ConfigMap", "NetworkPolicy", "Service", "Deployment"], "{paused:?}");
    space.edit("files", json!({"paused": false})).await?;
    gone("NetworkPolicy").await?;
    let left = space.children("files").await?;
    ensure!(left == ["ServiceAccount", "ConfigMap", "Service", "Deployment"], "{left:?}");

    tokio::time::sleep(QUIET).await;
    let after = space.disruption_budgets().get("theirs").await?;
    ensure!(version(&after)? == version(&theirs)?, "what belongs to somebody else was touched");
    Ok(())
}
