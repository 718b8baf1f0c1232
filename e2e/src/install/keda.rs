//! KEDA itself in a cluster of tier node: its operator, its metrics adapter, its admission webhooks.
//!
//! In: a cluster with metrics-server. Out: KEDA as its own manifests have it, but for the images, which are built here from
//! its Go module; ready, and its metrics served. It may be there already.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{kubectl, manifests, output};
use crate::{
    cache::Cache,
    cluster::Cluster,
    keda,
    progress::Progress,
    tools::{Tool, Toolbox},
};

/// Namespace and names of its Deployments. Source: `config/default` of its release.
const NAMESPACE: &str = "keda";
const DEPLOYMENTS: [&str; 3] = ["keda-operator", "keda-metrics-apiserver", "keda-admission"];

/// Longest wait: the adapter and the webhooks start again until the operator has made their certificates.
const LIMIT: Duration = Duration::from_mins(4);

/// Brings KEDA into a cluster, and waits until it works.
pub async fn install(cluster: &Cluster, cache: &Cache, progress: Progress) -> Result<()> {
    let tools = Toolbox::ensure(cache, &[Tool::Keda], progress).await?;
    cluster.load(&tools.archive(Tool::Keda)?).await?;
    let kubectl = kubectl(cluster);
    let mut objects = manifests::kustomize(&kubectl, keda::source().await?.join("config/default")).await?;
    for object in &mut objects {
        use_local_image(object);
    }
    manifests::apply(&kubectl, &cluster.kubeconfig(), &objects).await?;
    progress.say("waiting for KEDA");
    let limit = format!("--timeout={}s", LIMIT.as_secs());
    let wait = async |words: &[&str]| {
        let mut command = Command::new(&kubectl);
        command.args(["-n", NAMESPACE, "wait", &limit]).args(words).env("KUBECONFIG", cluster.kubeconfig());
        output(&mut command).await.context("KEDA did not start")
    };
    for deployment in DEPLOYMENTS {
        wait(&["--for=condition=Available", &format!("deployment/{deployment}")]).await?;
    }
    wait(&["--for=condition=Available", "apiservice/v1beta1.external.metrics.k8s.io"]).await?;
    progress.say("KEDA is ready");
    Ok(())
}

/// Puts the one image that has all three programs where the published ones stand, each of which has one.
fn use_local_image(object: &mut Value) {
    let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        container["image"] = json!(Tool::Keda.image());
        container["imagePullPolicy"] = json!("Never");
    }
}
