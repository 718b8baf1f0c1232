//! Pods that roll when a Secret changes: where the owner of the namespace granted it, and nowhere else.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use mcp_e2e::{
    install::{self, OPERATOR_NAMESPACE},
    suite::{
        self,
        objects::{SOON, Space},
        operator::OperatorProcess,
    },
};
use serde_json::json;
use tokio::process::Command;

use crate::{BINARY, Fixture, QUIET};

/// A list that was refused is asked for again after 10 s.
const GRANTED: Duration = Duration::from_secs(15);

async fn grant(fixture: &Fixture, namespace: &str) -> Result<()> {
    let role = install::repository().join("config/roll-on-secrets/role.yaml");
    let mut kubectl = Command::new(install::kubectl(&fixture.cluster));
    kubectl.args(["apply", "--namespace", namespace, "--filename"]).arg(role);
    let done = kubectl.env("KUBECONFIG", fixture.cluster.kubeconfig()).output().await?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// A server whose pods read the Secret `token` at their start.
async fn server(space: &Space) -> Result<()> {
    let spec = json!({
        "server": {"image": {"ref": "ghcr.io/acme/server:1"}},
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}],
    });
    space.apply("files", spec).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await.map(drop)
}

async fn hash(space: &Space) -> Result<Option<String>> {
    let deployment = space.deployments().get("files").await?;
    let template = deployment.spec.and_then(|spec| spec.template.metadata);
    Ok(template.and_then(|it| it.annotations).and_then(|mut it| it.remove("mcp-eks.dev/secrets-hash")))
}

async fn becomes_another(space: &Space, what: &str, before: Option<String>, limit: Duration) -> Result<Option<String>> {
    suite::eventually(&format!("the pods roll when {what}"), limit, async || {
        let now = hash(space).await?;
        Ok(if now.is_some() && now != before { Ok(now) } else { Err(format!("{now:?}")) })
    })
    .await
}

fn secret(name: &str, text: &str) -> Result<Secret> {
    Ok(serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {"value": text}}))?)
}

pub(crate) async fn roll(fixture: &Fixture) -> Result<()> {
    let (granted, refused) = (fixture.space("rolled").await?, fixture.space("not-rolled").await?);
    grant(fixture, &granted.name).await?;
    let mut usual = fixture.operator.lock().await;
    usual.stop().await?;
    let namespaces = format!("{},{}", granted.name, refused.name);
    let settings = vec![("MCP_EKS_ROLL_ON_SECRETS", namespaces)];
    let mut operator =
        OperatorProcess::start_with(&fixture.cluster, &suite::bin_dir(BINARY), OPERATOR_NAMESPACE, settings).await?;
    for space in [&granted, &refused] {
        server(space).await?;
    }

    let absent = becomes_another(&granted, "it is known that the Secret is not there", None, SOON).await?;
    let secrets: Api<Secret> = Api::namespaced(granted.client.clone(), &granted.name);
    secrets.create(&PostParams::default(), &secret("token", "first-value-of-token")?).await?;
    let made = becomes_another(&granted, "the Secret is made", absent, SOON).await?;
    let patch = Patch::Merge(json!({"stringData": {"value": "second-value-of-token"}}));
    secrets.patch("token", &PatchParams::default(), &patch).await?;
    let changed = becomes_another(&granted, "the Secret is changed", made, SOON).await?;

    tokio::time::sleep(QUIET).await;
    let mark = fixture.cluster.audit_log().mark()?;
    secrets.create(&PostParams::default(), &secret("unnamed", "x")?).await?;
    let elsewhere: Api<Secret> = Api::namespaced(refused.client.clone(), &refused.name);
    elsewhere.create(&PostParams::default(), &secret("token", "value-of-another-team")?).await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "a Secret that nobody names, or that may not be seen: {writes:?}");
    ensure!(hash(&refused).await?.is_none() && hash(&granted).await? == changed);
    let (code, text) = operator.health("readyz").await?;
    ensure!(code == 200, "nobody waits for a Role that its owner may never grant: {text}");
    let log = operator.log()?;
    let named = "kubectl apply -n not-rolled -f config/roll-on-secrets/role.yaml";
    ensure!(log.lines().filter(|line| line.contains(named)).count() == 1, "what to do is told once:\n{log}");
    ensure!(!log.contains("-value-of-"), "a secret is in the log:\n{log}");

    grant(fixture, &refused.name).await?;
    becomes_another(&refused, "the Role is granted", None, GRANTED).await?;
    operator.stop().await?;
    usual.start_again().await
}
