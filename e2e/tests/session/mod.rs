//! A server that keeps sessions, in several pods: a client stays with its pod through the Service, and a pod that goes lets
//! its sessions end.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use mcp_e2e::{
    cache::Cache,
    install::call,
    suite::{
        clients::{Call, Client, Clients, Target},
        eventually,
        objects::Space,
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    Fixture,
    guarded::{pods, proven},
};

/// Longest wait for a pod to hear that it ends, and to end: it sleeps for 3 s first.
const ENDING: Duration = Duration::from_mins(1);

/// A request on a connection of its own, as a client's next request may be.
async fn send(at: SocketAddr, method: Method, session: Option<&str>, body: &Value) -> Result<reqwest::Response> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let mut request = http.request(method, format!("http://{at}/mcp")).header("Accept", "application/json");
    request = request.header("MCP-Protocol-Version", "2025-11-25").json(body);
    if let Some(session) = session {
        request = request.header("MCP-Session-Id", session);
    }
    Ok(request.send().await?)
}

async fn initialize(at: SocketAddr) -> Result<reqwest::Response> {
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "suite", "version": "1"}});
    send(at, Method::POST, None, &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await
}

async fn list(at: SocketAddr, session: &str) -> Result<StatusCode> {
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    Ok(send(at, Method::POST, Some(session), &list).await?.status())
}

/// The session that an answer opened.
fn id(opened: &reqwest::Response) -> Result<String> {
    let id = opened.headers().get("mcp-session-id").and_then(|id| id.to_str().ok());
    Ok(id.context("no session")?.to_owned())
}

async fn end(at: SocketAddr, session: &str) -> Result<()> {
    let ended = send(at, Method::DELETE, Some(session), &json!({})).await?.status();
    ensure!(ended.is_success(), "{ended}");
    Ok(())
}

pub(crate) async fn stays(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("session").await?;
    let spec = json!({
        "replicas": 2,
        "server": {"database": {"sqlite": {"seed": "Sample"}}},
        "session": {"mode": "Stateful", "drainSeconds": 120},
    });
    space.apply("users", spec).await?;
    proven(&space, "users").await?;
    let (url, service) = call::endpoint(&fixture.cluster.client(), &space.servers().get("users").await?).await?;

    let opened = initialize(service).await?;
    ensure!(opened.status() == StatusCode::OK, "{opened:?}");
    let session = id(&opened)?;
    for _ in 0..12 {
        // Each over a connection of its own: without affinity half of them would meet the other pod.
        let status = list(service, &session).await?;
        ensure!(status == StatusCode::OK, "the session was not at the pod that the Service chose: {status}");
    }
    ends(&space, service, &session).await?;

    // Last: not every SDK ends its session, and one that is open keeps its pod until the drain is over.
    let clients = Clients::install(&Cache::from_env()?).await?;
    let path = url.parse::<http::Uri>()?.path().to_owned();
    let target = Target::Http(format!("http://{service}{path}"));
    let asked = Call { tool: "query".into(), arguments: json!({"sql": "SELECT count(*) AS users FROM users"}) };
    for client in [Client::PythonV1, Client::TypeScriptV2Legacy, Client::PythonV2] {
        let seen = clients.run(client, &asked, &target).await.with_context(|| format!("{client:?}"))?;
        ensure!(seen["protocol"].as_str() == client.revision(), "{client:?}: {seen}");
        ensure!(
            seen["result"]["isError"] != true && seen["result"].to_string().contains("users"),
            "{client:?}: {seen}"
        );
    }
    Ok(())
}

/// The pod of a session goes: the session lives until its client ends it, and the Service leads to another pod.
async fn ends(space: &Space, service: SocketAddr, session: &str) -> Result<()> {
    let mut mine = Vec::new();
    for (pod, at) in pods(space, "users").await? {
        match list(at, session).await? {
            StatusCode::OK => mine.push((pod, at)),
            status => ensure!(status == StatusCode::NOT_FOUND, "{pod}: {status}"),
        }
    }
    ensure!(mine.len() == 1, "a session is one pod's: {mine:?}");
    let (pod, at) = mine.remove(0);

    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    api.delete(&pod, &DeleteParams::default()).await?;
    eventually("the pod that ends opens no session", ENDING, async || {
        let opened = initialize(at).await?;
        let status = opened.status();
        if status == StatusCode::OK {
            // It has not heard yet; a session that is left open would keep the pod.
            end(at, &id(&opened)?).await?;
        }
        Ok(if status == StatusCode::SERVICE_UNAVAILABLE { Ok(()) } else { Err(format!("{status}")) })
    })
    .await?;
    let status = list(at, session).await?;
    ensure!(status == StatusCode::OK, "its session is drained, not cut: {status}");
    end(at, session).await?;
    eventually("the pod is gone long before its drain of 120 s is over", ENDING, async || {
        let found = api.get_opt(&pod).await?.is_some();
        Ok(if found { Err("it is still there".to_owned()) } else { Ok(()) })
    })
    .await?;
    eventually("the Service leads to a pod that does not know the session, and opens another", ENDING, async || {
        let (old, new) = (list(service, session).await?, initialize(service).await?.status());
        let done = (old, new) == (StatusCode::NOT_FOUND, StatusCode::OK);
        Ok(if done { Ok(()) } else { Err(format!("old {old}, new {new}")) })
    })
    .await
}
