//! The handler everything is compared with: axum, the body parsed into a JSON value, an answer made of it. No gate, no limit,
//! no counter, no protocol.

use anyhow::Result;
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves it on a port of loopback.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, Router::new().route("/mcp", post(echo))).await?;
    Ok(())
}

async fn echo(Json(message): Json<Value>) -> Json<Value> {
    let text = message.pointer("/params/arguments/text").and_then(Value::as_str).unwrap_or_default();
    Json(json!({
        "jsonrpc": "2.0",
        "id": message.get("id"),
        "result": {
            "content": [{"type": "text", "text": text}],
            "structuredContent": {"text": text},
            "isError": false,
        },
    }))
}
