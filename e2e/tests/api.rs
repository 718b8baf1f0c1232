//! Tier api: what the API server refuses, and what the operator writes, to the single request. Nothing runs here, so
//! every write in the audit log is ours to explain.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{fmt::Debug, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use futures::FutureExt;
use k8s_openapi::{
    api::{core::v1::ConfigMap, events::v1::Event as K8sEvent, rbac::v1::ClusterRole},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, ValidationDirective},
    core::{ApiResource, DynamicObject as Dynamic, GroupVersionKind},
};
use mcp_crds::McpServer;
use mcp_e2e::{
    audit::Event,
    cluster::{Cluster, Tier},
    install::{self, OPERATOR, OPERATOR_USER},
    suite::{
        self, Test,
        objects::{SOON, Space, conditions, version},
        operator::OperatorProcess,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{process::Command, sync::Mutex};

mod asked;
mod refused;

use refused::Raw as _;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time in which an operator that wants to write does: debounce, a stale store, a second thought.
const QUIET: Duration = Duration::from_secs(7);

struct Fixture {
    operator: Mutex<OperatorProcess>,
    cluster: Arc<Cluster>,
}

impl Fixture {
    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }

    /// What the operator asked the API server to change since an offset of the audit log.
    fn writes_since(&self, offset: u64) -> Result<Vec<Event>> {
        let (events, _) = self.cluster.audit_log().since(offset)?;
        let ours = |event: &Event| event.user == OPERATOR_USER && event.is_write() && !event.is_housekeeping();
        Ok(events.into_iter().filter(ours).collect())
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("a spec that cannot be is refused with words that mend it", |f| refused::all(f).boxed_local()),
        ("every sample is taken", |f| samples(f).boxed_local()),
        ("a new object says that nobody has looked at it, and has two replicas", |f| defaults(f).boxed_local()),
        ("a server becomes six children and one status, by seven writes", |f| seven_writes(f).boxed_local()),
        ("a restarted operator writes nothing", |f| restart(f).boxed_local()),
        ("what was added to the Deployment by hand goes away, and then there is rest", |f| vandals(f).boxed_local()),
        ("a child deleted by hand is back at once", |f| deleted_child(f).boxed_local()),
        ("an env var taken out of the spec leaves the pods", |f| env_removed(f).boxed_local()),
        ("every field that is acted on is written once", |f| asked::settles(f).boxed_local()),
        ("a paused server is left as it is, and goes on when it is not", |f| asked::paused(f).boxed_local()),
        ("what cannot be done yet is refused by name, or left out by name", |f| asked::not_yet(f).boxed_local()),
        ("a rollout restart and a second field manager are left alone", |f| other_managers(f).boxed_local()),
        ("a name that is taken stalls, nothing is touched, and it goes on when the name is free", |f| {
            name_conflict(f).boxed_local()
        }),
        ("an invalid edit stalls and leaves the children as they were", |f| invalid_edit(f).boxed_local()),
        ("a change of condition is one Event", |f| events(f).boxed_local()),
        ("a server of the same name made anew gets a status of its own", |f| made_anew(f).boxed_local()),
        ("kubectl scale reaches the Deployment", |f| scale(f).boxed_local()),
        ("what was added to the Service by hand goes away", |f| service_vandal(f).boxed_local()),
        ("what was changed by hand in the other children goes away", |f| other_vandals(f).boxed_local()),
        ("what the spec no longer asks for is deleted, and nothing that is not ours", |f| pruned(f).boxed_local()),
        ("a ConfigMap that a server names rolls its pods, and nobody else's", |f| config_map(f).boxed_local()),
        ("KEDA is noticed when it comes and when it goes, and no server waits for it", |f| keda(f).boxed_local()),
        ("an operator for one namespace asks for nothing outside of it", |f| one_namespace(f).boxed_local()),
        ("every right of the operator was used, and none was missing", |f| rights(f).boxed_local()),
        // After the look back: it is denied on purpose.
        ("a right that is taken away is named, and given back it is enough", |f| revoked(f).boxed_local()),
    ];
    suite::run(
        "suite-api",
        Tier::Api,
        BINARY,
        async |cluster| {
            let operator = OperatorProcess::start(&cluster, &suite::bin_dir(BINARY)).await?;
            Ok(Fixture { operator: Mutex::new(operator), cluster })
        },
        tests,
    )
}

fn filesystem() -> Value {
    json!({
        "server": {"filesystem": {"roots": [{"name": "data", "volume": "data"}]}},
        "volumes": [{"name": "data", "emptyDir": {}}],
    })
}

async fn samples(fixture: &Fixture) -> Result<()> {
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

async fn defaults(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("defaults").await?;
    let created = space.apply_raw("a", filesystem()).await?;
    ensure!(created.data["spec"]["replicas"] == 2, "{}", created.data);
    ensure!(created.data["status"]["observedGeneration"] == -1, "{}", created.data);
    Ok(())
}

async fn seven_writes(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("seven-writes").await?;
    let offset = fixture.cluster.audit_log().offset()?;
    let mut spec = filesystem();
    // Zero values, which the API server does not store, are not written again and again.
    spec["env"] = json!([{"name": "EMPTY", "value": ""}]);
    spec["volumeMounts"] = json!([{"name": "data", "mountPath": "/data", "readOnly": false, "subPath": ""}]);
    space.apply("files", spec).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    tokio::time::sleep(QUIET).await;
    let writes: Vec<_> = fixture.writes_since(offset)?.into_iter().filter(|e| e.namespace == space.name).collect();
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

async fn restart(fixture: &Fixture) -> Result<()> {
    let offset = fixture.cluster.audit_log().offset()?;
    fixture.operator.lock().await.restart().await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(offset)?;
    ensure!(writes.is_empty(), "{writes:?}");
    Ok(())
}

async fn vandals(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("vandals").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
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
    let offset = fixture.cluster.audit_log().offset()?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(offset)?;
    ensure!(writes.is_empty(), "no rest after the healing: {writes:?}");
    Ok(())
}

/// Replicas and pod spec of the Deployment.
async fn template(space: &Space) -> Result<Value> {
    let spec = space.deployments().get("files").await?.spec.unwrap();
    Ok(json!([spec.replicas, spec.template.spec]))
}

async fn deleted_child(fixture: &Fixture) -> Result<()> {
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

async fn env_removed(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("env-removed").await?;
    let mut spec = filesystem();
    spec["env"] = json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    space.apply("files", spec).await?;
    for (env, expected) in [
        (json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]), 2),
        (json!([{"name": "B", "value": "2"}]), 1),
        (json!([]), 0),
    ] {
        space.edit("files", json!({"env": env})).await?;
        suite::eventually(&format!("the container has {expected} variables"), SOON, async || {
            let Some(deployment) = space.deployments().get_opt("files").await? else {
                return Ok(Err("no Deployment".to_owned()));
            };
            let container = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0);
            let names: Vec<_> = container.env.unwrap_or_default().into_iter().map(|variable| variable.name).collect();
            Ok(if names.len() == expected { Ok(()) } else { Err(format!("{names:?}")) })
        })
        .await?;
    }
    Ok(())
}

async fn other_managers(fixture: &Fixture) -> Result<()> {
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

async fn name_conflict(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("name-conflict").await?;
    let service = json!({"metadata": {"name": "files"}, "spec": {"ports": [{"port": 80}]}});
    let foreign = space.services().create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    space.apply("files", filesystem()).await?;
    let message = space.condition("files", "Stalled=True/NameConflict", SOON).await?;
    ensure!(message.contains("has Service files already") && message.contains("rename the McpServer"), "{message}");
    let after = space.services().get("files").await?;
    ensure!(version(&after)? == version(&foreign)?, "the foreign Service was written");
    ensure!(!space.children("files").await?.contains(&"Deployment"), "half a server was made");
    // What the message says to do helps, though nothing tells the operator that it was done.
    space.services().delete("files", &DeleteParams::default()).await?;
    space.condition("files", "Accepted=True/Valid", Duration::from_secs(30)).await?;
    Ok(())
}

async fn invalid_edit(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("invalid-edit").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    let before = version(&space.deployments().get("files").await?)?;
    space.edit("files", json!({"server": {"filesystem": {"roots": [{"name": "data", "volume": "gone"}]}}})).await?;
    let message = space.condition("files", "Stalled=True/InvalidSpec", SOON).await?;
    ensure!(message.contains("roots[data].volume") && message.contains("\"gone\""), "{message}");
    ensure!(version(&space.deployments().get("files").await?)? == before, "the Deployment was written");
    space.edit("files", filesystem()).await?;
    space.condition("files", "Accepted=True/Valid", SOON).await?;
    Ok(())
}

async fn events(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("events").await?;
    let api: Api<K8sEvent> = Api::namespaced(space.client.clone(), &space.name);
    let missing = json!({"server": {"filesystem": {"roots": [{"name": "data", "volume": "gone"}]}}});
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    ensure!(api.list(&ListParams::default()).await?.items.is_empty(), "a server on its normal way is no news");
    for count in [1, 2] {
        space.edit("files", missing.clone()).await?;
        space.condition("files", "Stalled=True/InvalidSpec", SOON).await?;
        suite::eventually(&format!("InvalidSpec was said {count} times"), SOON, async || {
            let all = api.list(&ListParams::default()).await?.items;
            let said: Vec<_> = all.iter().filter(|event| event.reason.as_deref() == Some("InvalidSpec")).collect();
            for event in &said {
                ensure!(event.type_.as_deref() == Some("Warning"), "{event:?}");
                ensure!(event.note.as_ref().is_some_and(|note| note.contains("roots[data].volume")), "{event:?}");
            }
            Ok(if said.len() == count { Ok(()) } else { Err(format!("{all:?}")) })
        })
        .await?;
        space.edit("files", filesystem()).await?;
        space.condition("files", "Accepted=True/Valid", SOON).await?;
    }
    Ok(())
}

async fn made_anew(fixture: &Fixture) -> Result<()> {
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

async fn scale(fixture: &Fixture) -> Result<()> {
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

async fn service_vandal(fixture: &Fixture) -> Result<()> {
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

async fn other_vandals(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("other-vandals").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
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
    let offset = fixture.cluster.audit_log().offset()?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(offset)?;
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

async fn pruned(fixture: &Fixture) -> Result<()> {
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

async fn config_map(fixture: &Fixture) -> Result<()> {
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
    let offset = fixture.cluster.audit_log().offset()?;
    let log = fixture.operator.lock().await.log()?.len();
    space.config_maps().create(&PostParams::default(), &object("unnamed", "1")?).await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(offset)?;
    ensure!(writes.is_empty(), "{writes:?}");
    let log = fixture.operator.lock().await.log()?.split_off(log);
    let woken: Vec<_> = log.lines().filter(|line| line.contains("reconciled") && line.contains(&space.name)).collect();
    ensure!(woken.is_empty(), "a ConfigMap that nobody names woke somebody: {woken:?}");
    Ok(())
}

/// Waits until the operator says this of an optional kind.
async fn optional(operator: &OperatorProcess, expected: &str) -> Result<()> {
    suite::eventually(&format!("/readyz says {expected:?}"), Duration::from_secs(20), async || {
        let (_, text) = operator.health("readyz").await?;
        Ok(if text.contains(expected) { Ok(()) } else { Err(text) })
    })
    .await
}

async fn keda(fixture: &Fixture) -> Result<()> {
    let operator = fixture.operator.lock().await;
    let space = fixture.space("keda").await?;
    optional(&operator, "scaledobjects.keda.sh is not there").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Accepted=True/Valid", SOON).await?;

    let crds: Api<CustomResourceDefinition> = Api::all(space.client.clone());
    let crd = json!({
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced", "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    crds.create(&PostParams::default(), &serde_json::from_value(crd)?).await?;
    optional(&operator, "scaledobjects.keda.sh is there").await?;
    // Its objects reach the store: the metric counts what that holds.
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"));
    let mut object = Dynamic::new("files", &resource);
    object.metadata.labels = Some([("app.kubernetes.io/managed-by".to_owned(), "mcp-eks".to_owned())].into());
    let objects: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
    objects.create(&PostParams::default(), &object).await?;
    suite::eventually("the ScaledObject is in the store", SOON, async || {
        let (_, text) = operator.health("metrics").await?;
        let line = text.lines().find(|line| line.contains("scaledobjects.keda.sh") && line.ends_with(" 1"));
        Ok(line.map(|_| ()).ok_or_else(|| "no metric counts it".to_owned()))
    })
    .await?;
    crds.delete("scaledobjects.keda.sh", &DeleteParams::default()).await?;
    // The watch goes on without a word until it is opened anew, after 45 s at the latest.
    suite::eventually("its absence is noticed", Duration::from_mins(1), async || {
        let (_, text) = operator.health("readyz").await?;
        Ok(if text.contains("scaledobjects.keda.sh is not there") { Ok(()) } else { Err(text) })
    })
    .await
}

async fn one_namespace(fixture: &Fixture) -> Result<()> {
    const TEAM: &str = "mcp-eks-team";
    let mut everywhere = fixture.operator.lock().await;
    everywhere.stop().await?;
    let kubectl = |words: &[&str]| {
        let mut command = Command::new(install::kubectl(&fixture.cluster));
        command.args(words).env("KUBECONFIG", fixture.cluster.kubeconfig());
        command
    };
    let path = install::repository().join("config/namespaced");
    let done = kubectl(&["apply", "--server-side", "-k"]).arg(path).output().await?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let settings = vec![("MCP_EKS_WATCH_NAMESPACE", TEAM.to_owned()), ("MCP_EKS_NAMESPACE", TEAM.to_owned())];
    let mut alone = OperatorProcess::start_with(&fixture.cluster, &suite::bin_dir(BINARY), TEAM, settings).await?;
    let (inside, outside) = (Space::existing(&fixture.cluster.client(), TEAM), fixture.space("outside").await?);
    outside.apply("files", filesystem()).await?;
    inside.apply("files", filesystem()).await?;
    inside.condition("files", "Reconciling=True/Progressing", SOON).await?;
    tokio::time::sleep(QUIET).await;
    ensure!(
        outside.children("files").await?.is_empty() && conditions(&outside.servers().get("files").await?).is_empty()
    );
    let (events, _) = fixture.cluster.audit_log().since(0)?;
    let user = format!("system:serviceaccount:{TEAM}:{OPERATOR}");
    let ours: Vec<_> = events.into_iter().filter(|event| event.user == user).collect();
    let wrong: Vec<_> = ours.iter().filter(|event| event.namespace != TEAM || event.code == 403).collect();
    ensure!(!ours.is_empty() && wrong.is_empty(), "{wrong:?}");
    alone.stop().await?;
    everywhere.start_again().await
}

/// Runs last: it looks back on the whole suite.
async fn rights(fixture: &Fixture) -> Result<()> {
    let (events, _) = fixture.cluster.audit_log().since(0)?;
    let ours: Vec<_> = events.into_iter().filter(|event| event.user == OPERATOR_USER).collect();
    let denied: Vec<_> = ours.iter().filter(|event| event.code == 403).collect();
    ensure!(denied.is_empty(), "{denied:?}");
    let roles: Api<ClusterRole> = Api::all(fixture.cluster.client());
    let mut unused = Vec::new();
    for rule in roles.get(OPERATOR).await?.rules.unwrap_or_default() {
        let resource = rule.resources.unwrap_or_default().remove(0);
        for verb in rule.verbs {
            let used = ours.iter().any(|event| {
                let path = if event.subresource.is_empty() {
                    event.resource.clone()
                } else {
                    format!("{}/{}", event.resource, event.subresource)
                };
                // The API server asks for `create` when an apply makes an object, and logs the request as a patch.
                let verb_used = event.verb == verb || (verb == "create" && event.verb == "patch" && event.code == 201);
                path == resource && verb_used
            });
            if !used {
                unused.push(format!("{verb} {resource}"));
            }
        }
    }
    ensure!(unused.is_empty(), "never used: {unused:?}");
    Ok(())
}

async fn revoked(fixture: &Fixture) -> Result<()> {
    const NAMED: &str = "may not list and watch pods";
    let operator = fixture.operator.lock().await;
    let roles: Api<ClusterRole> = Api::all(fixture.cluster.client());
    let before = roles.get(OPERATOR).await?;
    let mut without = before.clone();
    without.rules.iter_mut().flatten().for_each(|rule| {
        rule.resources.iter_mut().flatten().for_each(|resource| {
            if resource == "pods" {
                "nothing".clone_into(resource);
            }
        });
    });
    let changed = roles.replace(OPERATOR, &PostParams::default(), &without).await?;
    // A right is looked at when a watch is opened anew, which is every 45 s.
    suite::eventually("/readyz names the right", Duration::from_mins(1), async || {
        let (code, text) = operator.health("readyz").await?;
        Ok(if code == 503 && text.contains(NAMED) { Ok(()) } else { Err(format!("{code} {text}")) })
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    let told = operator.log()?.lines().filter(|line| line.contains(NAMED)).count();
    ensure!(told == 1, "told {told} times:\n{}", operator.log()?);
    let (code, text) = operator.health("livez").await?;
    ensure!(code == 200, "a restart does not help: {text}");
    let mut back = before;
    back.metadata.resource_version = changed.metadata.resource_version;
    roles.replace(OPERATOR, &PostParams::default(), &back).await?;
    suite::eventually("the operator is ready again", Duration::from_secs(20), async || {
        let (code, text) = operator.health("readyz").await?;
        Ok(if code == 200 { Ok(()) } else { Err(text) })
    })
    .await
}
