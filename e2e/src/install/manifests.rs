//! `config/default` and `config/samples` as kustomize renders them, with the local images in place of the published.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use mcp_crds::McpServer;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    OPERATOR, OPERATOR_NAMESPACE, SAMPLES_NAMESPACE,
    images::Images,
    local::{keeps_local, use_local_images},
    namespaces, output,
    samples::{samples, use_local_aws},
    unless_absent,
};

/// Annotation on the operator's namespace: a hash of all that was applied.
const RECORD: &str = "mcp-eks.dev/local-installation";
const FIELD_MANAGER: &str = "mcp-e2e";

/// Objects to be applied, in two rounds: a sample needs its definition first.
#[derive(Debug)]
pub struct Manifests {
    operator: Vec<Value>,
    samples: Vec<Value>,
    hash: String,
}

impl Manifests {
    /// Renders both kustomizations, for an AWS at this address if there is one.
    pub async fn render(kubectl: &Path, repository: &Path, images: &Images, aws: Option<SocketAddr>) -> Result<Self> {
        let mut operator = kustomize(kubectl, repository.join("config/default")).await?;
        let mut samples = kustomize(kubectl, repository.join("config/samples")).await?;
        for object in &mut operator {
            use_local_images(object, images);
        }
        if let Some(address) = aws {
            for object in &mut samples {
                use_local_aws(object, address);
            }
        }
        let text = serde_json::to_string(&(&operator, &samples))?;
        let hash = Sha256::digest(text).iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        Ok(Self { operator, samples, hash })
    }

    /// Whether a cluster holds this already: it was recorded, everything is there, and nobody has put the published images
    /// or the real AWS back since, as `kubectl apply -k` does. Other changes by hand are left to whoever made them.
    pub async fn are_applied(&self, client: &Client) -> Result<bool> {
        let namespace = namespaces(client).get_opt(OPERATOR_NAMESPACE).await.context("look for the operator")?;
        let recorded = namespace.and_then(|namespace| namespace.metadata.annotations?.remove(RECORD));
        if recorded.as_deref() != Some(&self.hash) {
            return Ok(false);
        }
        let kinds = [
            (&self.operator, ApiResource::erase::<Deployment>(&()), vec![(OPERATOR_NAMESPACE, OPERATOR)]),
            (&self.samples, ApiResource::erase::<McpServer>(&()), sample_names()),
        ];
        for (objects, kind, names) in kinds {
            for (namespace, name) in names {
                let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &kind);
                let found = unless_absent(api.get(name).await).with_context(|| format!("look for {name}"))?;
                let is_it = |object: &&Value| {
                    object["kind"] == kind.kind.as_str() && object.pointer("/metadata/name") == Some(&json!(name))
                };
                let wanted = objects.iter().find(is_it);
                if !found.is_some_and(|found| wanted.is_none_or(|wanted| keeps_local(wanted, &found.data))) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Applies everything, as a user would.
    pub async fn apply(&self, kubectl: &Path, kubeconfig: &Path) -> Result<()> {
        self.apply_operator(kubectl, kubeconfig).await?;
        apply(kubectl, kubeconfig, &self.samples).await
    }

    /// Applies the operator, and waits until its definitions are served.
    pub async fn apply_operator(&self, kubectl: &Path, kubeconfig: &Path) -> Result<()> {
        apply(kubectl, kubeconfig, &self.operator).await?;
        let crd = ["wait", "--for=condition=Established", "crd/mcpservers.mcp-eks.dev", "--timeout=30s"];
        output(Command::new(kubectl).args(crd).env("KUBECONFIG", kubeconfig)).await.map(drop)
    }

    /// Notes that all of this is installed and Ready.
    pub async fn record(&self, client: &Client) -> Result<()> {
        let patch = json!({"metadata": {"annotations": {RECORD: self.hash}}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        namespaces(client).patch(OPERATOR_NAMESPACE, &params, &Patch::Merge(patch)).await?;
        Ok(())
    }
}

fn sample_names() -> Vec<(&'static str, &'static str)> {
    samples().into_iter().map(|sample| (SAMPLES_NAMESPACE, sample.name)).collect()
}

pub(super) async fn kustomize(kubectl: &Path, directory: PathBuf) -> Result<Vec<Value>> {
    let text = output(Command::new(kubectl).arg("kustomize").arg(&directory)).await?;
    let documents = serde_yaml::Deserializer::from_str(&text).map(Value::deserialize);
    documents.collect::<Result<_, _>>().with_context(|| format!("read what kustomize made of {}", directory.display()))
}

pub(super) async fn apply(kubectl: &Path, kubeconfig: &Path, objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let mut child = Command::new(kubectl)
        .args(["apply", "--server-side", "--force-conflicts", "--field-manager", FIELD_MANAGER, "-f", "-"])
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", kubectl.display()))?;
    let mut input = child.stdin.take().context("kubectl has no standard input")?;
    input.write_all(list.to_string().as_bytes()).await.context("hand the objects to kubectl")?;
    drop(input);
    let done = child.wait_with_output().await?;
    anyhow::ensure!(done.status.success(), "kubectl apply: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}
