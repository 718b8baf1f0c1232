//! Batches: several JSON-RPC messages in one body. Revision 2025-03-26 has them and obliges servers to take them; those
//! before and after do not. A request without MCP-Protocol-Version is of that revision.
//!
//! In: a list of messages. Out: the same messages one by one, and their answers as one list. Bounded in messages and in
//! bytes of answers.

use axum::{
    body::{Body, Bytes, to_bytes},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::error::Refusal;

/// The most messages of one batch.
const MESSAGES: usize = 16;
/// Once its answers have this many bytes, the rest of a batch is refused.
const ANSWERS: usize = 256 * 1024;

/// The messages of a batch, or why it is none.
pub(super) fn open(bytes: &[u8], headers: &HeaderMap) -> Result<Vec<Bytes>, Refusal> {
    let refuse = |message: String| Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    let version = headers.get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    if let Some(version) = version.filter(|version| *version != "2025-03-26") {
        return refuse(format!(
            "expected one JSON-RPC message, which is an object, found a list: revision {version} has no batches"
        ));
    }
    let messages: Vec<Value> = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::parse(format!("the request body is not JSON: {error}")))?;
    if messages.is_empty() || messages.len() > MESSAGES {
        return refuse(format!("expected a batch of 1 to {MESSAGES} messages, found {}", messages.len()));
    }
    if messages.iter().any(|message| !message.is_object()) {
        return refuse("expected a batch of JSON-RPC messages, which are objects".to_owned());
    }
    if messages.iter().any(|message| message.get("method").is_some_and(|method| method == "initialize")) {
        return refuse("initialize may not be part of a batch: send it alone".to_owned());
    }
    Ok(messages.into_iter().map(|message| Bytes::from(message.to_string())).collect())
}

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    list: Vec<u8>,
}

impl Answers {
    /// Whether there is room for more of them.
    pub(super) const fn has_room(&self) -> bool {
        self.list.len() < ANSWERS
    }

    /// Takes one answer over; what answers a notification is nothing.
    pub(super) async fn push(&mut self, response: Response) {
        if response.status() == StatusCode::ACCEPTED {
            return;
        }
        // Collected answers are in memory already.
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        self.add(&body);
    }

    /// Answers a message that came too late.
    pub(super) fn push_full(&mut self, message: &[u8]) {
        let id = serde_json::from_slice::<Value>(message).ok().and_then(|message| message.get("id").cloned());
        if let Some(id) = id {
            let told =
                format!("the answers of this batch have more than {ANSWERS} bytes: send this message again, alone");
            let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": told}});
            self.add(error.to_string().as_bytes());
        }
    }

    fn add(&mut self, answer: &[u8]) {
        self.list.push(if self.list.is_empty() { b'[' } else { b',' });
        self.list.extend_from_slice(answer);
    }

    /// The list, or nothing where there were only notifications.
    pub(super) fn into_response(mut self) -> Response {
        if self.list.is_empty() {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::ACCEPTED;
            return response;
        }
        self.list.push(b']');
        let mut response = Response::new(Body::from(self.list));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
