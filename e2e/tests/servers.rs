//! Tier node: the bundled servers in pods, as `make up` installs them, and what a spec can ask of them: keys and
//! tokens at the door, tools that are not there, writes, consent, a record, data that are kept.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "a test")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams, Patch, PatchParams, PostParams},
};
use mcp_crds::McpServer;
use mcp_e2e::{
    cache::Cache,
    cluster::{Cluster, Tier},
    install::{
        self, SAMPLES_NAMESPACE, call,
        call::McpClient,
        samples::{Sample, samples},
    },
    progress::Progress,
    suite::{self, Test, clients, objects::Space},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Longest wait for kubelet to bring a changed Secret into a pod: it looks once a minute.
const KUBELET: Duration = Duration::from_secs(150);

mod guarded;
mod session;

struct Fixture {
    cluster: Arc<Cluster>,
    /// Made by the first test that needs it.
    orders: OnceCell<guarded::Orders>,
}

impl Fixture {
    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }

    async fn client(&self, space: &Space, name: &str) -> Result<McpClient> {
        McpClient::connect(&self.cluster, &space.servers().get(name).await?).await
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("a tool of every sample answers the Python SDK through the Service", |f| samples_answer(f).boxed_local()),
        ("a key opens the door, and a changed Secret counts without a restart", |f| keys(f).boxed_local()),
        ("a denied tool is neither listed nor called", |f| denied(f).boxed_local()),
        ("files are written where the spec allows it, and nowhere else", |f| writes(f).boxed_local()),
        ("a server with API keys is Ready by the operator's own look, and opens to a key alone", |f| {
            guarded::keys(f).boxed_local()
        }),
        ("a server with an issuer is Ready by the operator's own look, and opens to its tokens alone", |f| {
            guarded::tokens(f).boxed_local()
        }),
        ("consent begun on one pod completes on another", |f| guarded::consent(f).boxed_local()),
        ("records of pods chain in PostgreSQL, also when a pod was replaced", |f| guarded::audited(f).boxed_local()),
        ("a client of a server with sessions stays with its pod, and the pod with its sessions", |f| {
            session::stays(f).boxed_local()
        }),
        ("a database on a volume outlives its pod", |f| guarded::kept(f).boxed_local()),
    ];
    suite::run(
        "suite-servers",
        Tier::Node,
        BINARY,
        async |cluster| {
            let cache = Cache::from_env()?;
            let bin_dir = suite::bin_dir(BINARY);
            install::install(&cluster, &bin_dir, cache.root(), Progress::start()).await?;
            Ok(Fixture { cluster, orders: OnceCell::new() })
        },
        tests,
    )
}

async fn samples_answer(fixture: &Fixture) -> Result<()> {
    let cache = Cache::from_env()?;
    let space = Space::existing(&fixture.cluster.client(), SAMPLES_NAMESPACE);
    for sample in samples() {
        let server = space.servers().get(sample.name).await?;
        let answer = python(fixture, &cache, &server, &sample).await.with_context(|| sample.name)?;
        let status = server.status.context("no status")?.mcp.context("no status.mcp")?;
        let tools = answer["tools"].as_array().context("no tools")?;
        ensure!(status.tool_count == i32::try_from(tools.len()).ok(), "{}: {status:?} and {answer}", sample.name);
        ensure!(answer["result"]["isError"] != true, "{}: {answer}", sample.name);
        ensure!(!answer["result"]["content"].as_array().context("no content")?.is_empty(), "{answer}");
    }
    Ok(())
}

async fn python(fixture: &Fixture, cache: &Cache, server: &McpServer, sample: &Sample) -> Result<Value> {
    let (url, address) = call::endpoint(&fixture.cluster.client(), server).await?;
    clients::call(cache, &url, address, sample.tool, &sample.arguments).await
}

/// A Filesystem server over an emptyDir, with more.
fn filesystem(access: &str, writes: &str, more: Value) -> Value {
    let roots = json!([{"name": "work", "volume": "work", "access": access}]);
    let mut spec = json!({
        "replicas": 1,
        "server": {"filesystem": {"writes": writes, "roots": roots}},
        "volumes": [{"name": "work", "emptyDir": {"sizeLimit": "16Mi"}}],
        "session": {"drainSeconds": 0},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

async fn ready(space: &Space, name: &str) -> Result<()> {
    install::ready::server(&space.client, &space.name, name, Progress::start()).await.map(drop)
}

/// The answer to a `tools/list` over HTTP with this key.
async fn knock(fixture: &Fixture, space: &Space, name: &str, key: Option<&str>) -> Result<(StatusCode, String)> {
    let server = space.servers().get(name).await?;
    let (url, address) = call::endpoint(&fixture.cluster.client(), &server).await?;
    let path = url.parse::<http::Uri>()?.path().to_owned();
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let mut request = http
        .post(format!("http://{address}{path}"))
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .json(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await?;
    let challenge = answer.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
    let challenge = challenge.unwrap_or_default().to_owned();
    Ok((answer.status(), challenge + &answer.text().await?))
}

async fn keys(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("keys").await?;
    let (first, second) = ("first-key-of-thirty-two-characters", "second-key-of-thirty-two-character");
    let secrets: Api<Secret> = Api::namespaced(space.client.clone(), &space.name);
    let secret = json!({"metadata": {"name": "callers"}, "stringData": {"keys": format!("# the callers\n{first}\n")}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let auth = json!({"auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}}});
    space.apply("files", filesystem("ReadOnly", "Off", auth)).await?;
    ready(&space, "files").await?;

    let (status, challenge) = knock(fixture, &space, "files", None).await?;
    ensure!(status == StatusCode::UNAUTHORIZED && challenge.contains("Bearer"), "{status} {challenge}");
    ensure!(knock(fixture, &space, "files", Some(second)).await?.0 == StatusCode::UNAUTHORIZED);
    let (status, text) = knock(fixture, &space, "files", Some(first)).await?;
    ensure!(status == StatusCode::OK && text.contains("list_directory"), "{status} {text}");

    let before = pods(&space, "files").await?;
    let changed = json!({"stringData": {"keys": format!("{second}\n")}});
    secrets.patch("callers", &PatchParams::default(), &Patch::Merge(changed)).await?;
    suite::eventually("the new key counts and the old one does not", KUBELET, async || {
        let old = knock(fixture, &space, "files", Some(first)).await?.0;
        let new = knock(fixture, &space, "files", Some(second)).await?.0;
        let done = (old, new) == (StatusCode::UNAUTHORIZED, StatusCode::OK);
        Ok(if done { Ok(()) } else { Err(format!("old {old}, new {new}")) })
    })
    .await?;
    ensure!(pods(&space, "files").await? == before, "the pod was replaced or restarted");
    Ok(())
}

/// Uids and restarts of a server's pods.
async fn pods(space: &Space, name: &str) -> Result<Vec<(Option<String>, i32)>> {
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    let found = api.list(&ListParams::default().labels(&format!("mcp-eks.dev/server={name}"))).await?;
    let restarts = |pod: &Pod| {
        let containers = pod.status.as_ref().and_then(|status| status.container_statuses.clone()).unwrap_or_default();
        containers.iter().map(|container| container.restart_count).sum()
    };
    Ok(found.iter().map(|pod| (pod.uid(), restarts(pod))).collect())
}

async fn denied(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("denied").await?;
    space.apply("files", filesystem("ReadOnly", "Off", json!({"tools": {"deny": ["search_content"]}}))).await?;
    ready(&space, "files").await?;
    let client = fixture.client(&space, "files").await?;
    let tools = client.tools().await?;
    ensure!(tools.contains(&"list_directory".to_owned()), "{tools:?}");
    ensure!(!tools.contains(&"search_content".to_owned()), "{tools:?}");
    let refused = client.call("search_content", json!({"path": "/work", "pattern": "a"})).await;
    ensure!(refused.is_err(), "the call went through: {refused:?}");
    Ok(())
}

async fn writes(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("writes").await?;
    let guides = json!({"name": "guides", "configMap": {"name": "guides"}});
    let map = json!({"metadata": {"name": "guides"}, "data": {"a.txt": "kept"}});
    space.config_maps().create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    let mut may = filesystem("ReadWrite", "Allow", json!({}));
    may["volumes"].as_array_mut().unwrap().push(guides);
    may["server"]["filesystem"]["roots"].as_array_mut().unwrap().push(json!({"name": "guides", "volume": "guides"}));
    space.apply("may", may).await?;
    space.apply("may-not", filesystem("ReadOnly", "Off", json!({}))).await?;
    ready(&space, "may").await?;
    ready(&space, "may-not").await?;

    let client = fixture.client(&space, "may").await?;
    let written = client.call("write_file", json!({"path": "/work/note.txt", "content": "hello"})).await?;
    ensure!(written.is_error != Some(true), "{written:?}");
    let read = client.call("read_text_file", json!({"path": "/work/note.txt"})).await?;
    ensure!(serde_json::to_string(&read)?.contains("hello"), "{read:?}");
    // The audit is on stdout, which is the pod's log; its chain is called after the pod's uid.
    let pods: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    let pod =
        pods.list(&ListParams::default().labels("mcp-eks.dev/server=may")).await?.items.pop().context("no pod")?;
    let log = pods.logs(&pod.name_any(), &LogParams::default()).await?;
    let record = log.lines().find(|line| line.starts_with(r#"{"kind":"audit""#) && line.contains("write_file"));
    let chain = format!(r#""chain":"{}."#, pod.uid().context("no uid")?);
    ensure!(record.is_some_and(|record| record.contains(&chain)), "no {chain} in {log}");
    let elsewhere = client.call("write_file", json!({"path": "/guides/a.txt", "content": "no"})).await;
    ensure!(!elsewhere.is_ok_and(|it| it.is_error != Some(true)), "a root that is ReadOnly was written");

    let client = fixture.client(&space, "may-not").await?;
    ensure!(!client.tools().await?.contains(&"write_file".to_owned()));
    let refused = client.call("write_file", json!({"path": "/work/note.txt", "content": "no"})).await;
    ensure!(refused.is_err(), "the call went through: {refused:?}");
    Ok(())
}
