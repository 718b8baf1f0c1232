//! The request body: read within its limits, and known to be a JSON-RPC message in outline before rmcp sees it.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::Value;

use super::error::Refusal;

/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the whole body, up to `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the request body is larger than {limit} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    // A client that says so beforehand need not send it first.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let reading = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    let slow = |_| {
        let message = format!("the request body did not arrive within {} s", PATIENCE.as_secs());
        Refusal::new(StatusCode::REQUEST_TIMEOUT, message)
    };
    match reading.map_err(slow)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the request body broke off: {error}"))),
    }
}

/// The outline of a message; the rest is rmcp's to read.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    id: Option<Value>,
}

/// Checks that the body is one JSON object, and answers with its id.
pub(super) fn check(bytes: &[u8]) -> Result<Option<RequestId>, Refusal> {
    let no_object = || {
        let message = "expected one JSON-RPC message, which is an object; batches are not supported";
        Refusal::new(StatusCode::BAD_REQUEST, message)
    };
    let outline: Outline = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() { no_object() } else { Refusal::parse(format!("the request body is not JSON: {error}")) }
    })?;
    // serde reads a structure from a list as well.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(no_object());
    }
    Ok(outline.id.and_then(|id| serde_json::from_value(id).ok()))
}
