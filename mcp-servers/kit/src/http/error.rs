//! Refusals as JSON-RPC errors: every error of `/mcp` has the same form, whoever raised it.

use axum::{
    body::{Body, to_bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use rmcp::{
    ErrorData,
    model::{ErrorCode, JsonRpcError, RequestId},
};
use serde_json::{Value, json};

use super::{
    accept::Form,
    is_error,
    sessions::{METHODS, Verdict},
};
use crate::access::{Access, Denied, Shortfall};

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
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: ErrorCode::INVALID_REQUEST, message: message.into(), data: None, id: None, header: None }
    }

    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::PARSE_ERROR, ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    pub(super) fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// Names the request that is refused.
    pub(super) fn with_id(mut self, id: Option<RequestId>) -> Self {
        self.id = id;
        self
    }

    /// A request that gets no session.
    pub(super) fn session(verdict: Verdict) -> Self {
        let later = |seconds: u64| Some(Box::new((header::RETRY_AFTER, HeaderValue::from(seconds))));
        match verdict {
            Verdict::Full => {
                let message = "as many sessions are open as there may be (--max-sessions): end one, or try again later";
                Self { header: later(10), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
            }
            Verdict::Closing => {
                let message = "this server is about to end and opens no more sessions: try again, another takes over";
                Self { header: later(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
            }
            Verdict::Missing => {
                let message = "there is no such session: it has ended, or belongs to another caller; initialize again";
                Self::new(StatusCode::NOT_FOUND, message)
            }
        }
    }

    /// A method of a server with sessions that none of its requests has.
    pub(super) fn method_of_sessions(method: &Method) -> Self {
        let message = format!("expected {METHODS}, found {method}");
        let allow = Some(Box::new((header::ALLOW, HeaderValue::from_static(METHODS))));
        Self { header: allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    pub(super) fn method(method: &Method) -> Self {
        let message = format!(
            "expected POST, found {method}: this server keeps no sessions, so there is no stream to GET and nothing to DELETE"
        );
        let allow = Some(Box::new((header::ALLOW, HeaderValue::from_static("POST"))));
        Self { header: allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// RFC 6750, section 3: without a token the challenge alone, with a wrong one the error too.
    pub(super) fn denied(denied: Denied, access: &Access) -> Self {
        let challenged = |status, error, told, message: String| {
            let header = (header::WWW_AUTHENTICATE, access.challenge(error, told, None));
            Self { header: Some(Box::new(header)), ..Self::new(status, message) }
        };
        let wrong = Some("invalid_token");
        match denied {
            Denied::Missing => {
                let message = format!("expected {}, found none", access.wanted());
                challenged(StatusCode::UNAUTHORIZED, None, None, message)
            }
            Denied::Unknown => {
                let message = format!("expected {}, found none of those this server accepts", access.wanted());
                challenged(StatusCode::UNAUTHORIZED, wrong, None, message)
            }
            Denied::Token(why) => {
                let message = format!("the token is not accepted: {why}");
                challenged(StatusCode::UNAUTHORIZED, wrong, Some(why), message)
            }
            Denied::Scope => {
                let message = "the token lacks a scope that every token must have here; WWW-Authenticate names them";
                challenged(StatusCode::FORBIDDEN, Some("insufficient_scope"), None, message.to_owned())
            }
            Denied::Unavailable => {
                let message =
                    "whether the token is good cannot be told: the issuer's keys cannot be fetched; try again";
                let header = Some(Box::new((header::RETRY_AFTER, HeaderValue::from_static("10"))));
                Self { header, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
            }
            Denied::TooMany(wait) => {
                let seconds = wait.as_secs() + 1;
                let message = format!("too many requests; the next may come in {seconds} s");
                let header = Some(Box::new((header::RETRY_AFTER, HeaderValue::from(seconds))));
                Self { header, ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
            }
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "nothing is served here: MCP is at /mcp, health at /health and /ready")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, data, id, header } = self;
        tracing::debug!(status = status.as_u16(), message, "request refused");
        let mut response = respond(status, id, ErrorData::new(code, message, data));
        if let Some(header) = header {
            let (name, value) = *header;
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Says by status and challenge that a scope is missing (RFC 6750, section 3.1), where the answer is not under way already.
pub(super) fn forbid(mut response: Response, form: Form, shortfall: &Shortfall, access: &Access) -> Response {
    // In a stream it may be known by now, or not yet.
    let is_stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    if let Some(scope) = shortfall.0.get()
        && form == Form::Json
        && !is_stream
    {
        *response.status_mut() = StatusCode::FORBIDDEN;
        let challenge = access.challenge(Some("insufficient_scope"), None, Some(scope));
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
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
