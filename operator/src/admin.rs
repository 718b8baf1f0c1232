//! `/livez` and `/readyz`: is it alive, and has it seen the cluster; `/metrics`: what it counts.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;

use crate::{listed::Listed, metrics::Metrics};

/// Serves until the process ends. Fails when the address cannot be had.
pub async fn serve(address: SocketAddr, listed: Listed, metrics: Arc<Metrics>) -> anyhow::Result<()> {
    let listener = bind(address)
        .await
        .with_context(|| format!("cannot listen on --admin-listen {address}: is another operator running?"))?;
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(listed)
        .route("/metrics", get(text))
        .with_state(metrics);
    axum::serve(listener, router).await.context("the admin server ended")
}

/// `[::]` listens for both families where there is IPv6, and for IPv4 alone where there is not.
async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(listen).await {
        Err(error) if listen.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, listen.port())).await
        }
        other => other,
    }
}

/// Every metric, in the format that its content type names.
async fn text(State(metrics): State<Arc<Metrics>>) -> Result<impl IntoResponse, StatusCode> {
    let text = metrics.text().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// Ready once every kind was listed; says which are missing.
async fn readyz(State(listed): State<Listed>) -> (StatusCode, String) {
    let missing = listed.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not listed yet: {}\n", missing.join(", ")))
    }
}
