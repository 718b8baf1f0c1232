//! The key by which the operator's probe shows servers who it is: made once, kept over restarts, replaced by deleting it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use mcp_e2e::{
    install::OPERATOR_NAMESPACE,
    suite::{
        self,
        objects::{SOON, Space},
    },
};
use serde_json::{Value, json};

use crate::{Fixture, QUIET, filesystem};

const SECRET: &str = "mcp-eks-operator-probe";

/// A server that asks who calls.
fn guarded() -> Value {
    let mut spec = filesystem();
    spec["auth"] = json!({"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}});
    spec
}

/// The public key in the settings of a server.
async fn told(space: &Space, name: &str) -> Result<Option<String>> {
    let settings = space.config_maps().get_opt(&format!("{name}-settings")).await?;
    let text = settings.and_then(|settings| settings.data?.remove("settings.yaml")).unwrap_or_default();
    let settings: Value = serde_yaml::from_str(&text)?;
    Ok(settings["probeKey"].as_str().map(str::to_owned))
}

/// Waits until both servers are told the same key, and another one than before.
async fn both(space: &Space, before: Option<&String>) -> Result<String> {
    suite::eventually("both servers are told one key", SOON, async || {
        let keys = [told(space, "one").await?, told(space, "two").await?];
        Ok(match &keys {
            [Some(one), Some(two)] if one == two && Some(one) != before => Ok(one.clone()),
            _ => Err(format!("{keys:?}, and before {before:?}")),
        })
    })
    .await
}

pub(crate) async fn key(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("kept").await?;
    let secrets: Api<Secret> = Api::namespaced(space.client.clone(), OPERATOR_NAMESPACE);
    ensure!(secrets.get_opt(SECRET).await?.is_none(), "there is a key, and no server that needs it");
    let mark = fixture.cluster.audit_log().mark()?;
    // At the same time: one of them makes it.
    for name in ["one", "two"] {
        space.apply(name, guarded()).await?;
    }
    space.apply("open", filesystem()).await?;
    let first = both(&space, None).await?;
    space.condition("open", "Reconciling=True/Progressing", SOON).await?;
    ensure!(told(&space, "open").await?.is_none(), "a server that asks nobody is told a key");

    let annotations = async || -> Result<BTreeSet<String>> {
        let template = space.deployments().get("one").await?.spec.context("no spec")?.template;
        let annotations = template.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        Ok(annotations.into_values().collect())
    };
    let before = annotations().await?;
    secrets.delete(SECRET, &DeleteParams::default()).await?;
    let second = both(&space, Some(&first)).await?;
    ensure!(annotations().await? != before, "the pods are not replaced, and go on with the old key");
    tokio::time::sleep(QUIET).await;
    ensure!(told(&space, "one").await?.as_ref() == Some(&second), "the key changed once more");
    let writes = fixture.writes_since(mark)?;
    let made: Vec<_> = writes.iter().filter(|event| event.resource == "secrets").collect();
    ensure!(made.len() == 2 && made.iter().all(|event| event.verb == "create" && event.code == 201), "{made:?}");

    let mark = fixture.cluster.audit_log().mark()?;
    fixture.operator.lock().await.restart().await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "after a restart: {writes:?}");
    let log = fixture.operator.lock().await.log()?;
    let der = secrets.get(SECRET).await?.data.and_then(|mut data| data.remove("private.der")).context("no key")?;
    ensure!(log.contains(&second), "the log does not name the public key");
    for shown in [serde_json::to_string(&der)?.trim_matches('"').to_owned(), format!("{:?}", der.0)] {
        ensure!(!log.contains(&shown), "the private key is in the log");
    }
    Ok(())
}
