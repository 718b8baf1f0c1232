//! Health and metrics for kubelet and Prometheus, on a port of their own that no load balancer exposes.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{lifecycle::Lifecycle, metrics::Metrics};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/livez`, `/readyz` and `/metrics`.
pub(crate) fn routes(lifecycle: Arc<Lifecycle>, metrics: Arc<Metrics>) -> Router {
    let readyz = move || async move { ready(&lifecycle) };
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(readyz))
        .route("/metrics", get(counters).with_state(metrics))
}

/// The process answers.
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// New calls are welcome.
pub(crate) fn ready(lifecycle: &Lifecycle) -> Response {
    if lifecycle.is_ready() {
        (StatusCode::OK, Json(json!({"status": "ready"}))).into_response()
    } else {
        let body = json!({"status": "not ready", "reason": "the server is starting or shutting down"});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    }
}

async fn counters(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
