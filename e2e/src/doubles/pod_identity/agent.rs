//! The agent of a node: SDKs in pods ask it for credentials.
//!
//! In: `GET /v1/credentials` with a pod's token as `Authorization`. Out: credentials in the form that containers get them in,
//! from EKS Auth, which decides. It knows neither roles nor associations.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone)]
struct Agent {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    assumed_role_user: User,
    credentials: Credentials,
}

#[derive(Deserialize)]
struct User {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: i64,
}

/// Answers until the process ends. `endpoint` is that of EKS Auth.
pub async fn serve(listen: SocketAddr, endpoint: &str, cluster: &str) -> Result<()> {
    let url = format!("{}/clusters/{cluster}/assume-role-for-pod-identity", endpoint.trim_end_matches('/'));
    let agent = Agent { http: reqwest::Client::builder().no_proxy().build()?, url };
    let routes = Router::new()
        .route("/v1/credentials", get(credentials))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(agent);
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    Ok(axum::serve(listener, routes).await?)
}

async fn credentials(State(agent): State<Agent>, headers: HeaderMap) -> Result<Json<Value>, (StatusCode, String)> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if token.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "Service account token cannot be empty".to_owned()));
    }
    let broken = |error: reqwest::Error| (StatusCode::BAD_GATEWAY, format!("EKS Auth: {error}"));
    let asked = agent.http.post(&agent.url).json(&json!({"token": token})).send().await.map_err(broken)?;
    let status = asked.status();
    if !status.is_success() {
        let code = asked.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok()).unwrap_or("?");
        let code = code.to_owned();
        return Err((status, format!("EKS Auth: {code}: {}", asked.text().await.unwrap_or_default())));
    }
    let Answer { assumed_role_user, credentials } = asked.json().await.map_err(broken)?;
    let expires = Timestamp::from_second(credentials.expiration)
        .map_err(|error| (StatusCode::BAD_GATEWAY, format!("EKS Auth: {error}")))?;
    Ok(Json(json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "Token": credentials.session_token,
        "AccountId": assumed_role_user.arn.split(':').nth(4),
        "Expiration": expires.to_string(),
    })))
}
