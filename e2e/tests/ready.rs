//! Tier controllers: Ready tells the truth. Pods here are real listeners of this process: some speak MCP, some do not.
//! The operator asks them every two seconds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use futures::FutureExt;
use kube::ResourceExt;
use mcp_e2e::{
    audit::{Event, Mark},
    cluster::{Cluster, Tier},
    doubles,
    install::{self, OPERATOR_NAMESPACE, OPERATOR_USER},
    progress::Progress,
    suite::{
        self, Test,
        objects::{SOON, Space, conditions},
        operator::OperatorProcess,
    },
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time for pods to come up, and for an answer after that.
const ROLLOUT: Duration = Duration::from_secs(30);
/// Many probes of every server.
const REST: Duration = Duration::from_secs(20);

struct Fixture {
    operator: Mutex<OperatorProcess>,
    cluster: Arc<Cluster>,
}

impl Fixture {
    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }

    fn writes_since(&self, mark: Mark) -> Result<Vec<String>> {
        let events = self.cluster.audit_log().since(mark)?;
        let ours = |event: &&Event| event.user == OPERATOR_USER && event.is_write() && !event.is_housekeeping();
        let words = |e: &Event| format!("{} {}/{} {}/{}", e.verb, e.resource, e.subresource, e.namespace, e.name);
        Ok(events.iter().filter(ours).map(words).collect())
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("a server that speaks MCP is Ready, and status says what it offers", |f| speaks(f).boxed_local()),
        ("a web server is not Ready, and the reason says what came back", |f| web_server(f).boxed_local()),
        ("a server that hangs is not Ready, and the reason is the time", |f| hangs(f).boxed_local()),
        ("a server that refuses the Host is not Ready, and the reason names it", |f| refuses_host(f).boxed_local()),
        ("of two pods one does not speak MCP: not Ready, and the message names it", |f| one_of_two(f).boxed_local()),
        ("a server that is mended is Ready, and one that breaks is not", |f| mended(f).boxed_local()),
        ("an invalid edit stalls, and the pods that speak MCP serve on", |f| invalid_edit(f).boxed_local()),
        ("at rest nothing is written while probes go on, nor after a restart", |f| rest(f).boxed_local()),
    ];
    suite::run(
        "suite-ready",
        Tier::Controllers,
        BINARY,
        async |cluster| {
            OperatorProcess::manifests(&cluster).await?;
            let settings = vec![("MCP_EKS_PROBE_INTERVAL", "2s".to_owned())];
            let operator =
                OperatorProcess::start_with(&cluster, &suite::bin_dir(BINARY), OPERATOR_NAMESPACE, settings).await?;
            Ok(Fixture { operator: Mutex::new(operator), cluster })
        },
        tests,
    )
}

fn image(name: &str, replicas: i32) -> Value {
    json!({"server": {"image": {"ref": format!("ghcr.io/acme/{name}:1")}}, "replicas": replicas})
}

/// Waits until every pod is ready by the kubelet's word: from then on a reason is promised within 5 s.
async fn up(space: &Space, name: &str) -> Result<()> {
    suite::eventually("the Deployment is available", ROLLOUT, async || {
        let status = space.deployments().get_opt(name).await?.and_then(|it| it.status).unwrap_or_default();
        let wanted = space.servers().get(name).await?.spec.replicas;
        let done = status.available_replicas == Some(wanted);
        Ok(if done { Ok(()) } else { Err(format!("{:?}", status.available_replicas)) })
    })
    .await
}

/// A server of this image is up, and not Ready for this reason. Returns the message.
async fn not_ready(fixture: &Fixture, name: &str, replicas: i32, reason: &str) -> Result<String> {
    let space = fixture.space(name).await?;
    space.apply("tools", image(name, replicas)).await?;
    up(&space, "tools").await?;
    let message = space.condition("tools", &format!("Ready=False/{reason}"), SOON).await?;
    space.condition("tools", &format!("Verified=False/{reason}"), SOON).await?;
    space.condition("tools", &format!("Reconciling=True/{reason}"), SOON).await?;
    let found = conditions(&space.servers().get("tools").await?);
    ensure!(!found.iter().any(|(condition, _)| condition.starts_with("Stalled")), "{found:?}");
    ensure!(found.iter().any(|(condition, _)| condition == "Available=True/Serving"), "{found:?}");
    Ok(message)
}

async fn settled(space: &Space, name: &str) -> Result<()> {
    install::ready::server(&space.client, &space.name, name, Progress::start()).await.map(drop)
}

async fn speaks(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("speaks").await?;
    space.apply("tools", image("tools", 2)).await?;
    settled(&space, "tools").await?;
    space.condition("tools", "Verified=True/ToolsListed", SOON).await?;
    let mcp = space.servers().get("tools").await?.status.and_then(|status| status.mcp).unwrap();
    ensure!((mcp.era.as_deref(), mcp.tool_count) == (Some("modern"), Some(1)), "{mcp:?}");
    ensure!(mcp.server_name.as_deref() == Some("double") && mcp.capabilities == ["tools"], "{mcp:?}");
    ensure!(mcp.protocol_versions.contains(&"2025-11-25".to_owned()), "{mcp:?}");
    ensure!(mcp.tools_digest.is_some_and(|digest| digest.starts_with("sha256:")));
    Ok(())
}

async fn web_server(fixture: &Fixture) -> Result<()> {
    let message = not_ready(fixture, "web-server", 1, "ProbeFailed").await?;
    let expected = ["pod tools-", "HTTP 200, content type text/html", "It works"];
    ensure!(expected.iter().all(|words| message.contains(words)), "{message}");
    Ok(())
}

async fn hangs(fixture: &Fixture) -> Result<()> {
    let message = not_ready(fixture, "hangs", 1, "ProbeTimeout").await?;
    ensure!(message.contains("does not answer initialize within 4 s"), "{message}");
    Ok(())
}

async fn refuses_host(fixture: &Fixture) -> Result<()> {
    let message = not_ready(fixture, "refuses-host", 1, "HostNotAllowed").await?;
    ensure!(message.contains("the Host tools.refuses-host.svc.cluster.local:8080 with HTTP 403"), "{message}");
    Ok(())
}

async fn one_of_two(fixture: &Fixture) -> Result<()> {
    let message = not_ready(fixture, "half-web-server", 2, "ProbeFailed").await?;
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
        kube::Api::namespaced(fixture.cluster.client(), "half-web-server");
    let pods = pods.list(&kube::api::ListParams::default()).await?.items;
    let web = doubles::Behaviour::WebServer.address(doubles::address()).to_string();
    let ip = |pod: &k8s_openapi::api::core::v1::Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let bad: Vec<_> = pods.iter().filter(|pod| ip(pod).as_deref() == Some(&web)).map(ResourceExt::name_any).collect();
    ensure!(pods.len() == 2 && bad.len() == 1, "{} pods, of which bad: {bad:?}", pods.len());
    ensure!(message.starts_with(&format!("pod {} does not speak MCP", bad[0])), "{message}");
    Ok(())
}

async fn mended(fixture: &Fixture) -> Result<()> {
    doubles::mend(false);
    not_ready(fixture, "mendable", 1, "ProbeFailed").await?;
    let space = Space::existing(&fixture.cluster.client(), "mendable");
    doubles::mend(true);
    space.condition("tools", "Ready=True/Serving", ROLLOUT).await?;
    settled(&space, "tools").await?;
    doubles::mend(false);
    space.condition("tools", "Ready=False/ProbeFailed", ROLLOUT).await?;
    // Mended by another image too.
    space.edit("tools", json!({"server": {"image": {"ref": "ghcr.io/acme/tools:2"}}})).await?;
    settled(&space, "tools").await
}

async fn invalid_edit(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("invalid-edit").await?;
    space.apply("tools", image("tools", 2)).await?;
    settled(&space, "tools").await?;
    let children = space.children("tools").await?;
    // Valid by the schema, and a request above its limit.
    let resources = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}});
    space.edit("tools", json!({"resources": resources})).await?;
    let why = space.condition("tools", "Stalled=True/InvalidSpec", SOON).await?;
    ensure!(why.contains("spec.resources"), "{why}");
    space.condition("tools", "Ready=True/Serving", SOON).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    space.condition("tools", "Ready=True/Serving", SOON).await?;
    ensure!(space.children("tools").await? == children, "children were pruned");
    let ready = space.deployments().get("tools").await?.status.unwrap_or_default().ready_replicas;
    ensure!(ready == Some(2), "{ready:?} pods are ready");
    Ok(())
}

async fn rest(fixture: &Fixture) -> Result<()> {
    // Whatever the other tests left: servers that speak, that do not, that hang.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mark = fixture.cluster.audit_log().mark()?;
    tokio::time::sleep(REST).await;
    let written = fixture.writes_since(mark)?;
    ensure!(written.is_empty(), "at rest: {written:?}");
    let mut operator = fixture.operator.lock().await;
    let probed = |log: String| log.lines().filter(|line| line.contains("probed")).count();
    let before = probed(operator.log()?);
    operator.restart().await?;
    tokio::time::sleep(REST).await;
    let after = probed(operator.log()?);
    ensure!(after > before + 10, "{before} probes, then {after}: its silence proves nothing");
    let written = fixture.writes_since(mark)?;
    ensure!(written.is_empty(), "after a restart: {written:?}");
    Ok(())
}
