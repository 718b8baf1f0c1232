//! The HTTP front: `/mcp`, `/health` and `/ready` on the main port.
//!
//! In: requests from anywhere. Out: requests rmcp may trust, and its answers in one form. Order: size of headers and
//! number of connections (`listen`) → Host and Origin → Accept → Content-Type → body size → JSON → rmcp.

mod accept;
mod allow;
mod body;
mod error;
pub(crate) mod listen;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::Full;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};

pub(crate) use allow::AllowList;

use crate::{health, lifecycle::Lifecycle, protocol::Adapter};
use accept::Form;
use error::Refusal;

type Service = StreamableHttpService<Arc<Adapter>, NeverSessionManager>;

/// The largest request body (256 KiB): arguments are small, and every connection may hold one.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// What every request to `/mcp` meets.
struct Front {
    allow: AllowList,
    adapter: Arc<Adapter>,
    json: Service,
    events: Service,
}

/// The routes of the main port.
pub(crate) fn routes(adapter: Arc<Adapter>, allow: AllowList, lifecycle: Arc<Lifecycle>) -> Router {
    let json = service(&adapter, &lifecycle, Form::Json);
    let events = service(&adapter, &lifecycle, Form::Events);
    let front = Arc::new(Front { allow, adapter, json, events });
    let ready = move || async move { health::ready(&lifecycle) };
    Router::new()
        .route("/mcp", any(mcp).with_state(front))
        .route("/health", get(health::alive))
        .route("/ready", get(ready))
        .fallback(|| async { Refusal::not_found().into_response() })
}

fn service(adapter: &Arc<Adapter>, lifecycle: &Lifecycle, form: Form) -> Service {
    // Host and Origin are checked before rmcp is reached, with errors that name the setting.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(form == Form::Json)
        .with_cancellation_token(lifecycle.cut.clone())
        .with_max_request_body_bytes(BODY_LIMIT)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let adapter = Arc::clone(adapter);
    StreamableHttpService::new(move || Ok(Arc::clone(&adapter)), Arc::default(), config)
}

async fn mcp(State(front): State<Arc<Front>>, request: Request) -> Response {
    let response = front.answer(request).await.unwrap_or_else(IntoResponse::into_response);
    front.adapter.metrics.request(response.status().as_u16());
    response
}

impl Front {
    async fn answer(&self, request: Request) -> Result<Response, Refusal> {
        let (mut parts, body) = request.into_parts();
        self.allow.check(&parts)?;
        if parts.method != Method::POST {
            return Err(Refusal::method(&parts.method));
        }
        let form = accept::choose(&parts.headers)?;
        accept::content_type(&parts.headers)?;
        let bytes = body::read(body, BODY_LIMIT).await?;
        let id = body::check(&bytes)?;
        // rmcp insists on seeing both types whatever it is going to answer with.
        parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let service = if form == Form::Json { &self.json } else { &self.events };
        let response = service.handle(http::Request::from_parts(parts, Full::<Bytes>::new(bytes))).await;
        Ok(error::in_json(response.map(Body::new), id).await)
    }
}

/// Whether a status is one of ours to explain.
const fn is_error(status: StatusCode) -> bool {
    status.as_u16() >= 400
}
