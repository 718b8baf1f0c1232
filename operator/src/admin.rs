//! `/livez` and `/readyz`: is it alive, has it seen the cluster, does it lead; `/metrics`: what it counts; `debug` is
//! merged in.

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

use crate::{
    leader::{Leadership, State as Election},
    listed::Listed,
    metrics::{Metrics, Queue},
    progress::Progress,
};

/// What the health endpoints tell about.
#[derive(Clone, Debug)]
pub struct Health {
    /// Which kinds have been listed.
    pub listed: Listed,
    /// Who works.
    pub leadership: Leadership,
    /// Signs of life.
    pub progress: Progress,
    /// What waits and what is under way.
    pub queue: Queue,
}

/// Serves until the process ends. Fails when the address cannot be had.
pub async fn serve(address: SocketAddr, health: Health, metrics: Arc<Metrics>, debug: Router) -> anyhow::Result<()> {
    let listener = bind(address)
        .await
        .with_context(|| format!("cannot listen on --admin-listen {address}: is another operator running?"))?;
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health)
        .route("/metrics", get(text))
        .with_state(metrics)
        .merge(debug)
        .into_make_service_with_connect_info::<SocketAddr>();
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

/// Alive unless something is stuck that only a new process mends; says what.
async fn livez(State(health): State<Health>) -> (StatusCode, String) {
    let stuck = health.progress.stuck(&health.queue, health.listed.missing().is_empty());
    match stuck.as_slice() {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        stuck => (StatusCode::SERVICE_UNAVAILABLE, format!("stuck: {}\n", stuck.join("; "))),
    }
}

/// Ready while every kind is watched, leading or not; says what is missing, who leads, and which optional kinds there
/// are.
async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let trouble = health.listed.trouble();
    if !trouble.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", trouble.join("\n")));
    }
    let mut text = match health.leadership.state() {
        Election::Leading => "ok: leading\n".to_owned(),
        Election::Standby { leader: Some(leader) } => format!("ok: standby, {leader} leads\n"),
        Election::Standby { leader: None } => "ok: standby, nobody is known to lead\n".to_owned(),
    };
    for (kind, there) in health.listed.optional() {
        text.extend(["optional: ", kind, if there { " is there\n" } else { " is not there\n" }]);
    }
    (StatusCode::OK, text)
}
