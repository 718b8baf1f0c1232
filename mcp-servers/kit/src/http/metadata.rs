//! Where clients learn whose tokens this server takes (RFC 9728). Public: any page may read it.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, Uri, header};

use super::error::Refusal;
use crate::access::{Access, WELL_KNOWN};

pub(super) fn routes(access: Arc<Access>) -> Router {
    Router::new()
        .route(WELL_KNOWN, get(metadata))
        .route(&format!("{WELL_KNOWN}/{{*path}}"), get(metadata))
        .with_state(access)
}

async fn metadata(State(access): State<Arc<Access>>, uri: Uri) -> Response {
    let suffix = uri.path().strip_prefix(WELL_KNOWN).unwrap_or_default();
    let Some(document) = access.protected().and_then(|protected| protected.document(suffix)) else {
        return Refusal::not_found().into_response();
    };
    let mut response = Response::new(Body::from(document));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
