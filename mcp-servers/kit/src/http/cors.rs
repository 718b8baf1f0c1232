//! Pages of other origins: which of them may call, and what they may send and see (the fetch standard's CORS protocol).
//!
//! Only origins that passed the allow-list get here. No credentials mode: tokens travel in Authorization, never in cookies.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

/// Request headers of the protocol beyond those any page may send.
const ALLOWED: &[&str] = &[
    "accept",
    "authorization",
    "baggage",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "tracestate",
    "x-api-key",
];
/// Arguments that a client repeats as headers (`x-mcp-header` in a tool's schema).
const PARAMETER: &str = "mcp-param-";
/// Response headers a page needs and could not see otherwise.
const EXPOSED: &str = "mcp-protocol-version, mcp-session-id, retry-after, www-authenticate";
/// How long a browser may remember the answer to a preflight, in seconds: the most Chromium honours.
const MAX_AGE: &str = "7200";

/// Whether a request is a browser's question, not a call.
pub(super) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that question: the methods of this server, and those of the headers it asks for that the protocol knows.
pub(super) fn preflight(headers: &HeaderMap, methods: &'static str) -> Response {
    let asked = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let names = asked.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase());
    let allowed: Vec<String> = names
        .filter(|name| ALLOWED.contains(&name.as_str()) || name.starts_with(PARAMETER))
        .filter(|name| HeaderName::try_from(name.as_str()).is_ok())
        .collect();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if let Ok(value) = HeaderValue::try_from(allowed.join(", ")) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value);
    }
    response
}

/// Lets the page of this origin read the answer, errors included.
pub(super) fn expose(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    #[test]
    fn a_preflight_grants_what_the_protocol_knows_of_what_was_asked() {
        let mut asked = HeaderMap::new();
        let names = HeaderValue::from_static("Content-Type, MCP-Protocol-Version,mcp-param-region, x-evil, cookie");
        asked.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, names);
        let response = super::preflight(&asked, "POST");
        let granted = response.headers().get(header::ACCESS_CONTROL_ALLOW_HEADERS).unwrap();
        assert_eq!(granted, "content-type, mcp-protocol-version, mcp-param-region");
        assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
