//! What a cluster needs inside: names and metrics; and waiting for nodes and Deployments.
//!
//! In: a client and manifests of ours. Out: applied objects (server-side, so that a second time changes nothing).

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, TypeMeta};
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

/// The cluster's name server.
pub const COREDNS: &str = include_str!("../../manifests/coredns.yaml");
/// CPU and memory of nodes and pods.
pub const METRICS_SERVER: &str = include_str!("../../manifests/metrics-server.yaml");

const BETWEEN: Duration = Duration::from_millis(100);

/// Applies every document of `manifests`, with the cluster's DNS address put in.
pub async fn apply(client: &Client, manifests: &str, dns: Ipv4Addr) -> Result<()> {
    let text = manifests.replace("${DNS_SERVICE_IP}", &dns.to_string());
    let discovery =
        Discovery::new(client.clone()).run_aggregated().await.context("ask the API server what it serves")?;
    for object in objects(&text)? {
        let types: TypeMeta = object.types.clone().context("a manifest of ours has no kind")?;
        let what = format!("{} {}", types.kind, object.name_any());
        let (resource, capabilities) =
            discovery.resolve_typemeta(&types).with_context(|| format!("the API server serves no {what}"))?;
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Cluster => Api::all_with(client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(client.clone(), &namespace, &resource),
        };
        let parameters = PatchParams::apply("mcp-e2e").force();
        api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
            .await
            .with_context(|| format!("apply {what}"))?;
    }
    Ok(())
}

fn objects(text: &str) -> Result<Vec<DynamicObject>> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| DynamicObject::deserialize(document).context("a manifest of ours is no Kubernetes object"))
        .collect()
}

/// Fails unless the node is there and Ready.
pub async fn check_node(client: &Client, name: &str) -> Result<()> {
    let asked = tokio::time::timeout(Duration::from_secs(3), Api::<Node>::all(client.clone()).get(name)).await;
    let node = asked.context("asking for the node took longer than 3 s")?.context("ask for the node")?;
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    match conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => Ok(()),
        Some(ready) => bail!("node {name} is not Ready: {}", ready.message.clone().unwrap_or_default()),
        None => bail!("node {name} has not reported yet"),
    }
}

/// Waits for the node. Never gives up: the caller has the deadline.
pub async fn until_node_ready(client: &Client, name: &str) -> Result<()> {
    while check_node(client, name).await.is_err() {
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

/// Waits until a Deployment has an available pod. Never gives up: the caller has the deadline.
pub async fn until_available(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    loop {
        let available = api.get(name).await?.status.and_then(|status| status.available_replicas).unwrap_or(0);
        if available > 0 {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_manifests_are_objects_with_a_kind() {
        for manifests in [COREDNS, METRICS_SERVER] {
            let objects = objects(manifests).unwrap();
            assert!(objects.iter().all(|object| object.types.is_some()));
            assert!(objects.iter().any(|object| object.types.as_ref().unwrap().kind == "Deployment"));
        }
    }

    #[test]
    fn manifests_run_the_images_that_the_tools_make() {
        use crate::tools::Tool;
        assert!(COREDNS.contains(&Tool::CoreDns.image().unwrap()));
        assert!(METRICS_SERVER.contains(&Tool::MetricsServer.image().unwrap()));
    }
}
