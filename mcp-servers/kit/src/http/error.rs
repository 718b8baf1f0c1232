//! Refusals as JSON-RPC errors: every error of `/mcp` has the same form, whoever raised it.

use axum::{
    body::{Body, to_bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use rmcp::{
    ErrorData,
    model::{ErrorCode, JsonRpcError, RequestId},
};
use serde_json::{Value, json};

use super::is_error;

/// The longest plain-text error that is taken over from rmcp.
const TEXT_LIMIT: usize = 4096;

/// A request that is not passed on.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    data: Option<Value>,
    id: Option<RequestId>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: ErrorCode::INVALID_REQUEST, message: message.into(), data: None, id: None }
    }

    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::PARSE_ERROR, ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    pub(super) fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    pub(super) fn method(method: &Method) -> Self {
        let message = format!(
            "expected POST, found {method}: this server keeps no sessions, so there is no stream to GET and nothing to DELETE"
        );
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "nothing is served here: MCP is at /mcp, health at /health and /ready")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, data, id } = self;
        tracing::debug!(status = status.as_u16(), message, "request refused");
        let mut response = respond(status, id, ErrorData::new(code, message, data));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Gives rmcp's plain-text errors the form of all others; everything else passes unchanged.
pub(super) async fn in_json(response: Response, id: Option<RequestId>) -> Response {
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_error(status) || is_json {
        return response;
    }
    let text = to_bytes(response.into_body(), TEXT_LIMIT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if status.is_server_error() {
        tracing::error!(status = status.as_u16(), error = %text, "the protocol library failed");
        let error = ErrorData::internal_error("the server could not answer; its log says why", None);
        return respond(status, id, error);
    }
    // rmcp calls JSON that is no message "unsupported media type"; the media type was checked before.
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let message = "the body is JSON but no JSON-RPC 2.0 message: expected jsonrpc \"2.0\" with a method, and an id unless \
                       it is a notification";
        return respond(StatusCode::BAD_REQUEST, id, ErrorData::invalid_request(message, None));
    }
    respond(status, id, ErrorData::invalid_request(text.into_owned(), None))
}

fn respond(status: StatusCode, id: Option<RequestId>, error: ErrorData) -> Response {
    let body = serde_json::to_vec(&JsonRpcError::new(id, error))
        .unwrap_or_else(|_| json!({"jsonrpc": "2.0", "error": {"code": -32603, "message": ""}}).to_string().into());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
