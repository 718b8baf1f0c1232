//! Load balancers as the API server takes them: a Service's and an Ingress, what is told of them, and that nothing is left of
//! either. The test says what the AWS Load Balancer Controller would say in their status.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    networking::v1::Ingress,
};
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams},
};
use mcp_e2e::suite::{
    self,
    objects::{SOON, Space, class, conditions},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Fixture, QUIET, filesystem};

/// What AWS calls a load balancer.
const BALANCER: &str = "k8s-exposed-files-0123456789.elb.us-west-2.amazonaws.com";
const GATES: &str = "elbv2.k8s.aws/pod-readiness-gate-inject";

fn ingresses(space: &Space) -> Api<Ingress> {
    Api::namespaced(space.client.clone(), &space.name)
}

/// Plays the controller, which has made a load balancer.
async fn has_address<K>(api: &Api<K>) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let status = json!({"status": {"loadBalancer": {"ingress": [{"hostname": BALANCER}]}}});
    api.patch_status("files", &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

/// The URL through the load balancer becomes this.
async fn external(space: &Space, expected: Option<&str>) -> Result<()> {
    suite::eventually(&format!("the address is {expected:?}"), SOON, async || {
        let address = space.servers().get("files").await?.status.and_then(|status| status.address);
        let found = address.as_ref().and_then(|address| address.external.as_deref());
        Ok(if found == expected { Ok(()) } else { Err(format!("{address:?}")) })
    })
    .await
}

async fn no_condition(space: &Space) -> Result<()> {
    suite::eventually("nothing is said of a load balancer", SOON, async || {
        let found = conditions(&space.servers().get("files").await?);
        let silent = !found.iter().any(|(condition, _)| condition.starts_with("Exposed"));
        Ok(if silent { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}

/// The Service becomes as expected.
async fn service(space: &Space, what: &str, expected: impl Fn(&Value) -> bool) -> Result<()> {
    suite::eventually(&format!("the Service is {what}"), SOON, async || {
        let found: Service = space.services().get("files").await?;
        let found = serde_json::to_value(found)?;
        Ok(if expected(&found) { Ok(()) } else { Err(found.to_string()) })
    })
    .await
}

/// One story: from a Network Load Balancer to one for applications, and to none.
pub(crate) async fn both(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("exposed").await?;
    let allowed = json!({
        "allowedNamespaces": {"names": ["exposed"]}, "volumes": {"allowedTypes": ["EmptyDir"]},
        "expose": {"allowedTypes": ["LoadBalancer", "Ingress"]},
    });
    class(&space.client, "exposed", allowed).await?;
    let mut spec = filesystem();
    spec["className"] = json!("exposed");
    spec["expose"] = json!({"type": "LoadBalancer", "sourceRanges": ["10.0.0.0/8"]});
    space.apply("files", spec).await?;
    network(&space).await?;
    application(fixture, &space).await?;
    let mark = fixture.cluster.audit_log().mark()?;
    space.edit("files", json!({"expose": null})).await?;
    no_condition(&space).await?;
    suite::eventually("the Ingress is gone", SOON, async || {
        let left = ingresses(&space).get_opt("files").await?;
        Ok(left.map_or(Ok(()), |left| Err(format!("{left:?}"))))
    })
    .await?;
    external(&space, None).await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    let services: Vec<_> = writes.iter().filter(|event| event.resource == "services").collect();
    ensure!(services.is_empty(), "the Service was no longer of the load balancer: {services:?}");
    Ok(())
}

async fn network(space: &Space) -> Result<()> {
    let message = space.condition("files", "Exposed=False/WaitingForLoadBalancer", SOON).await?;
    ensure!(message.contains("kubectl -n exposed describe service files"), "{message}");
    service(space, "of a Network Load Balancer", |found| {
        let spec = &found["spec"];
        spec["type"] == "LoadBalancer"
            && spec["loadBalancerClass"] == "service.k8s.aws/nlb"
            && spec["loadBalancerSourceRanges"] == json!(["10.0.0.0/8"])
            && spec["ports"].as_array().is_some_and(|ports| ports.iter().all(|port| port["nodePort"].is_null()))
    })
    .await?;
    has_address(&space.services()).await?;
    let message = space.condition("files", "Exposed=True/ReadinessGatesMissing", SOON).await?;
    ensure!(message.contains("kubectl label namespace exposed"), "{message}");
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    let labels = namespaces.get("exposed").await?.metadata.labels.unwrap_or_default();
    ensure!(!labels.contains_key(GATES), "the operator labels no namespace: {labels:?}");
    let label = Patch::Merge(json!({"metadata": {"labels": {GATES: "enabled"}}}));
    namespaces.patch("exposed", &PatchParams::default(), &label).await?;
    space.condition("files", "Exposed=True/LoadBalancerReady", SOON).await?;
    external(space, Some(&format!("http://{BALANCER}/mcp"))).await?;
    suite::eventually("the server takes calls under that name", SOON, async || {
        let settings = space.config_maps().get("files-settings").await?.data.unwrap_or_default();
        let text = settings.get("settings.yaml").cloned().unwrap_or_default();
        Ok(if text.contains(BALANCER) { Ok(()) } else { Err(text) })
    })
    .await?;
    let open = json!({
        "metadata": {"annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"}},
        "spec": {"loadBalancerSourceRanges": ["0.0.0.0/0"]},
    });
    space.services().patch("files", &PatchParams::default(), &Patch::Merge(open)).await?;
    service(space, "as it was", |found| {
        let scheme = &found["metadata"]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-scheme"];
        scheme == "internal" && found["spec"]["loadBalancerSourceRanges"] == json!(["10.0.0.0/8"])
    })
    .await
}

async fn application(fixture: &Fixture, space: &Space) -> Result<()> {
    let api = ingresses(space);
    space.edit("files", json!({"expose": {"type": "Ingress", "hosts": ["mcp.example.com"]}})).await?;
    let message = space.condition("files", "Exposed=False/WaitingForLoadBalancer", SOON).await?;
    ensure!(message.contains("describe ingress files"), "{message}");
    external(space, None).await?;
    service(space, "of no load balancer", |found| {
        let spec = &found["spec"];
        let gone = ["loadBalancerClass", "loadBalancerSourceRanges", "externalTrafficPolicy"];
        let annotations = found["metadata"]["annotations"].as_object();
        spec["type"] == "ClusterIP"
            && gone.iter().all(|name| spec[*name].is_null())
            && spec["ports"].as_array().map(Vec::len) == Some(1)
            && annotations.is_some_and(|all| all.keys().all(|key| !key.contains("aws-load-balancer")))
    })
    .await?;
    has_address(&api).await?;
    space.condition("files", "Exposed=True/LoadBalancerReady", SOON).await?;
    external(space, Some("http://mcp.example.com/mcp")).await?;
    space.edit("files", json!({"expose": {"idleTimeoutSeconds": 120}})).await?;
    suite::eventually("the idle timeout is another", SOON, async || {
        let annotations = api.get("files").await?.metadata.annotations.unwrap_or_default();
        let attributes = annotations.get("alb.ingress.kubernetes.io/load-balancer-attributes").cloned();
        let attributes = attributes.unwrap_or_default();
        Ok(if attributes.contains("timeout_seconds=120") { Ok(()) } else { Err(attributes) })
    })
    .await?;
    let backend = json!({"spec": {"defaultBackend": {"service": {"name": "other", "port": {"number": 80}}}}});
    api.patch("files", &PatchParams::default(), &Patch::Merge(backend)).await?;
    suite::eventually("no other backend is left", SOON, async || {
        let spec = api.get("files").await?.spec.context("an Ingress without a spec")?;
        Ok(if spec.default_backend.is_none() { Ok(()) } else { Err(format!("{spec:?}")) })
    })
    .await?;
    // Past the time in which the answer to the operator's own write stands in for the store.
    tokio::time::sleep(QUIET).await;
    let made = api.get("files").await?.metadata.uid;
    api.delete("files", &DeleteParams::default()).await?;
    suite::eventually("the Ingress is back", SOON, async || {
        let back = api.get_opt("files").await?.filter(|ingress| ingress.metadata.uid != made);
        Ok(back.map(drop).ok_or_else(|| "it is not".to_owned()))
    })
    .await?;
    has_address(&api).await?;
    space.condition("files", "Exposed=True/LoadBalancerReady", SOON).await?;
    external(space, Some("http://mcp.example.com/mcp")).await?;
    tokio::time::sleep(QUIET).await;
    let mark = fixture.cluster.audit_log().mark()?;
    let labels = Patch::Merge(json!({"metadata": {"labels": {"team.example.com/cost": "7"}}}));
    space.servers().patch("files", &PatchParams::default(), &labels).await?;
    tokio::time::sleep(QUIET).await;
    let writes = fixture.writes_since(mark)?;
    ensure!(writes.is_empty(), "no rest: {writes:?}");
    Ok(())
}
