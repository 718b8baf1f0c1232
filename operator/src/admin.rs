//! `/livez` and `/readyz`: is it alive, and has it seen the cluster.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use futures::FutureExt;
use kube::runtime::reflector::Store;
use mcp_crds::McpServer;

use crate::context::Context;

/// Serves until the process ends. Fails when the address cannot be had.
pub async fn serve(listen: SocketAddr, servers: Store<McpServer>, context: Arc<Context>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on --admin-listen {listen}: is another operator running?"))?;
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state((servers, context));
    axum::serve(listener, router).await.context("the admin server ended")
}

/// Ready once every kind was listed; says which are missing.
async fn readyz(State((servers, context)): State<(Store<McpServer>, Arc<Context>)>) -> (StatusCode, String) {
    let stores = &context.stores;
    let listed = [
        ("mcpservers", servers.wait_until_ready().now_or_never().is_some()),
        ("serviceaccounts", stores.service_accounts.wait_until_ready().now_or_never().is_some()),
        ("services", stores.services.wait_until_ready().now_or_never().is_some()),
        ("deployments", stores.deployments.wait_until_ready().now_or_never().is_some()),
        ("pods", stores.pods.wait_until_ready().now_or_never().is_some()),
    ];
    let missing: Vec<_> = listed.iter().filter(|(_, ready)| !ready).map(|(kind, _)| *kind).collect();
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not listed yet: {}\n", missing.join(", ")))
    }
}
