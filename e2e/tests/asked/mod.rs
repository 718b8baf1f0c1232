//! What a spec asks for, as far as the operator acts on it: written once, not while paused, and not in silence.

use anyhow::{Result, ensure};
use mcp_e2e::suite::{
    self,
    objects::{SOON, class, conditions, version},
};
use serde_json::{Value, json};

use crate::{Fixture, QUIET, filesystem};

/// A spec with every field of the pod that the operator acts on.
fn everything() -> Value {
    json!({
        "server": {"image": {"ref": "ghcr.io/acme/tools:1", "command": ["tools"], "args": ["--fast"], "port": 3000}},
        "replicas": 1,
        "session": {"drainSeconds": 0},
        "probes": {"startupSeconds": 300, "path": "/up", "periodSeconds": 7, "timeoutSeconds": 2},
        "scheduling": {
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [
                {"operator": "Exists"},
                {"key": "dedicated", "value": "", "effect": "NoSchedule"},
                {"key": "slow", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
            ],
            "topologySpread": [
                {"topologyKey": "kubernetes.io/hostname", "maxSkew": 2},
                {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"},
            ],
            "runtimeClassName": "gvisor",
        },
        "imagePullSecrets": [{"name": "mirror"}, {"name": "backup"}],
        "podLabels": {"team": "blue", "empty": ""},
        "podAnnotations": {"example.com/empty": ""},
        "network": {
            "ingressFrom": [{"namespaceSelector": {}}, {"podSelector": {"matchLabels": {"role": "agent"}}}, {"cidr": "10.0.0.0/16"}],
            "egress": {"cidrs": ["192.0.2.0/24"], "ports": [443]},
        },
        "resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "1500m"}},
        "env": [
            {"name": "EMPTY", "value": ""},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": false}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "envFrom": [{"prefix": "", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "c", "optional": true}}],
        "volumes": [
            {"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": false}},
            {"name": "csi", "csi": {"driver": "efs.csi.aws.com", "readOnly": false, "volumeAttributes": {"a": ""}}},
            {"name": "empty", "emptyDir": {}},
            {"name": "secret", "secret": {"secretName": "s", "optional": false}},
        ],
        "volumeMounts": [
            {"name": "claim", "mountPath": "/claim", "readOnly": false, "subPath": ""},
            {"name": "csi", "mountPath": "/csi", "readOnly": true},
        ],
    })
}

pub(crate) async fn settles(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("settles").await?;
    space.apply("files", everything()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    tokio::time::sleep(QUIET).await;
    let mark = fixture.cluster.audit_log().mark()?;
    // Wakes the operator, and changes nothing of what it should write.
    space.edit("files", json!({"telemetry": {"otlpEndpoint": "http://collector:4317"}})).await?;
    space.condition("files", "Accepted=True/Valid", SOON).await?;
    tokio::time::sleep(QUIET).await;
    let written = fixture.writes_since(mark)?.into_iter().filter(|event| event.namespace == space.name);
    let written: Vec<_> =
        written.map(|event| format!("{} {}/{}", event.verb, event.resource, event.subresource)).collect();
    ensure!(written == ["patch mcpservers/status"], "no rest: {written:?}");
    let deployment = serde_json::to_value(space.deployments().get("files").await?)?;
    ensure!(deployment["spec"]["strategy"]["type"] == "Recreate", "{}", deployment["spec"]["strategy"]);
    let pod = &deployment["spec"]["template"]["spec"];
    ensure!(pod["tolerations"].as_array().map(Vec::len) == Some(3), "{pod}");
    // From one strategy to the other and back, and every part of the pod out again.
    for (change, strategy) in [
        (json!({"volumes": null, "volumeMounts": null, "scheduling": null, "imagePullSecrets": null}), "RollingUpdate"),
        (everything(), "Recreate"),
    ] {
        space.edit("files", change).await?;
        suite::eventually(&format!("the strategy is {strategy}"), SOON, async || {
            let spec = serde_json::to_value(space.deployments().get("files").await?.spec)?;
            let template = &spec["template"]["spec"];
            let clean =
                strategy == "Recreate" || (template["tolerations"].is_null() && template["nodeSelector"].is_null());
            Ok(if spec["strategy"]["type"] == strategy && clean { Ok(()) } else { Err(spec.to_string()) })
        })
        .await?;
    }
    Ok(())
}

pub(crate) async fn paused(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("paused").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    space.edit("files", json!({"paused": true})).await?;
    space.condition("files", "Accepted=True/Paused", SOON).await?;
    let before = version(&space.deployments().get("files").await?)?;
    space.edit("files", json!({"replicas": 7, "env": [{"name": "A", "value": "1"}]})).await?;
    space.services().delete("files", &kube::api::DeleteParams::default()).await?;
    space.condition("files", "Accepted=True/Paused", SOON).await?;
    tokio::time::sleep(QUIET).await;
    ensure!(version(&space.deployments().get("files").await?)? == before, "a paused server was written");
    ensure!(!space.children("files").await?.contains(&"Service"), "a child of a paused server was made");
    let found = conditions(&space.servers().get("files").await?);
    ensure!(!found.iter().any(|(condition, _)| condition.starts_with("Reconciling")), "{found:?}");
    space.edit("files", json!({"paused": false})).await?;
    suite::eventually("what was asked for meanwhile is there", SOON, async || {
        let replicas = space.deployments().get("files").await?.spec.and_then(|spec| spec.replicas);
        let service = space.children("files").await?.contains(&"Service");
        Ok(if replicas == Some(7) && service { Ok(()) } else { Err(format!("{replicas:?} {service}")) })
    })
    .await
}

pub(crate) async fn not_yet(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("not-yet").await?;
    let mut spec = filesystem();
    spec["className"] = json!("default");
    spec["expose"] = json!({"type": "LoadBalancer"});
    spec["tools"] = json!({"onChange": "Block"});
    space.apply("refused", spec).await?;
    let message = space.condition("refused", "Stalled=True/ClassDenied", SOON).await?;
    ensure!(message.contains("spec.className") && message.contains("spec.tools.onChange"), "{message}");
    space.condition("refused", "Exposed=False/ClassDenied", SOON).await?;
    ensure!(space.children("refused").await?.is_empty(), "something was made of a refused spec");
    let mut spec = filesystem();
    spec["conformance"] = json!({"schedule": "OnChange"});
    space.apply("taken", spec).await?;
    let message = space.condition("taken", "Accepted=True/Valid", SOON).await?;
    ensure!(message.contains("spec.conformance"), "{message}");
    ensure!(space.deployments().get("taken").await?.spec.and_then(|spec| spec.replicas) == Some(2));
    Ok(())
}

pub(crate) async fn identity(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("identity").await?;
    let allowed = json!({
        "allowedNamespaces": {"names": ["identity"]},
        "identity": {"allowedRoleArns": ["arn:aws:iam::123456789012:role/*"], "sessionPolicy": "Optional"},
        "volumes": {"allowedTypes": ["EmptyDir"]},
    });
    class(&space.client, "aws", allowed).await?;
    let mut spec = filesystem();
    spec["className"] = json!("aws");
    spec["identity"] = json!({"roleArn": "arn:aws:iam::123456789012:role/reader"});
    space.apply("files", spec).await?;
    // Three tries take a few seconds.
    let message = space.condition("files", "IdentityReady=False/AwsUnavailable", QUIET * 3).await?;
    ensure!(message.contains("ListPodIdentityAssociations"), "{message}");
    let children = space.children("files").await?;
    ensure!(children.contains(&"ServiceAccount") && !children.contains(&"Deployment"), "{children:?}");
    let server = space.servers().get("files").await?;
    ensure!(server.metadata.finalizers == Some(vec!["mcp-eks.dev/identity".to_owned()]), "{server:?}");
    Ok(())
}
