//! One MCP client at the address that status names, by the official Rust SDK.
//!
//! In: an `McpServer` with an address. Out: its tools, and the answer of a call. The host has no cluster DNS: the
//! name in the address is resolved to the Service's ClusterIP here, and still sent as Host.

use std::{
    net::{IpAddr, SocketAddr},
    process::Stdio,
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt};
use mcp_crds::McpServer;
use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::kubectl;
use crate::cluster::{Cluster, Provider};

/// A connected client.
pub struct McpClient {
    service: RunningService<RoleClient, ()>,
    /// Ends with the client.
    _forward: Option<Child>,
}

impl McpClient {
    /// Connects to a server through its Service, under the name in `status.address.internal`.
    ///
    /// A native cluster's ClusterIPs are reached directly; into a kind cluster `kubectl port-forward` leads.
    pub async fn connect(cluster: &Cluster, server: &McpServer) -> Result<Self> {
        let (url, address) = endpoint(&cluster.client(), server).await?;
        if cluster.state().provider == Provider::Native {
            return Self::connect_at(&url, address).await;
        }
        let (forward, address) = forward(cluster, server, address.port()).await?;
        let client = Self::connect_at(&url, address).await?;
        Ok(Self { _forward: Some(forward), ..client })
    }

    /// Connects to a URL whose host is reached at `address`.
    pub async fn connect_at(url: &str, address: SocketAddr) -> Result<Self> {
        let parsed: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let host = parsed.host().with_context(|| format!("{url} names no host"))?;
        let http = reqwest::Client::builder().resolve(host, address).no_proxy().build()?;
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let service = ().serve(transport).await.with_context(|| format!("no MCP server answers at {url} ({address})"))?;
        Ok(Self { service, _forward: None })
    }

    /// The names of the tools, in the server's order.
    pub async fn tools(&self) -> Result<Vec<String>> {
        let tools = self.service.list_all_tools().await.context("tools/list failed")?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> Result<CallToolResult> {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        self.service.call_tool(request).await.with_context(|| format!("tools/call {tool} failed"))
    }
}

/// URL of a server, and where it is reached from the host.
pub async fn endpoint(client: &Client, server: &McpServer) -> Result<(String, SocketAddr)> {
    let name = server.name_any();
    let url = server.status.as_ref().and_then(|status| status.address.as_ref()?.internal.clone());
    let url = url.with_context(|| format!("McpServer {name} has no status.address.internal"))?;
    let api: Api<Service> = Api::namespaced(client.clone(), &server.namespace().unwrap_or_default());
    let ip = api.get(&name).await?.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
    let ip: IpAddr = ip.parse().with_context(|| format!("Service {name} has no ClusterIP, but {ip:?}"))?;
    let port = url.parse::<http::Uri>()?.port_u16().unwrap_or(80);
    Ok((url, SocketAddr::new(ip, port)))
}

/// Starts `kubectl port-forward` to a Service, and reads from it which local port it took.
async fn forward(cluster: &Cluster, server: &McpServer, port: u16) -> Result<(Child, SocketAddr)> {
    let mut child = Command::new(kubectl(cluster))
        .args(["--namespace", &server.namespace().unwrap_or_default(), "port-forward", "--address", "127.0.0.1"])
        .arg(format!("service/{}", server.name_any()))
        .arg(format!(":{port}"))
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start kubectl port-forward")?;
    let output = child.stdout.take().context("kubectl has no standard output")?;
    let line = BufReader::new(output).lines().next_line().await?.unwrap_or_default();
    let address = line.split_whitespace().find_map(|word| word.parse().ok());
    Ok((child, address.with_context(|| format!("kubectl port-forward said {line:?}, not where it listens"))?))
}
