//! The HTTP front: `/mcp`, `/health`, `/ready` and the metadata of RFC 9728 on the main port.
//!
//! In: requests from anywhere. Out: requests rmcp may trust, and its answers in one form. Order: size of headers and
//! number of connections (`listen`) → Host and Origin → CORS preflight → Accept → Content-Type → API key or
//! token and rate limit → body size → the direct way to a tool, or JSON → rmcp, with sessions (`sessions`) or without.

mod accept;
mod allow;
mod answer;
mod batch;
mod body;
mod cors;
mod direct;
mod error;
pub(crate) mod listen;
mod metadata;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::Full;
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};

pub(crate) use allow::AllowList;
pub(crate) use sessions::Keeper;

use crate::{
    access::{Access, Denied, Principal, Shortfall},
    audit::Audit,
    capacity::Slot,
    health,
    lifecycle::Lifecycle,
    metrics::Metrics,
    origin::{Origin, Parent, Transport},
    protocol::Adapter,
};
use accept::Form;
use answer::{Answer, Hangup};
use direct::Direct;
use error::Refusal;
use sessions::Stateful;

type Service<H> = StreamableHttpService<Arc<H>, NeverSessionManager>;

/// The largest request body (256 KiB): arguments are small, and every connection may hold one.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// Who is let in.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) allow: AllowList,
    pub(crate) access: Arc<Access>,
    pub(crate) audit: Arc<Audit>,
}

/// What every request to `/mcp` meets.
struct Front<H> {
    door: Door,
    bodies: body::Pool,
    metrics: Arc<Metrics>,
    direct: Option<Direct>,
    json: Service<H>,
    events: Service<H>,
    sessions: Option<Stateful<H>>,
}

/// The routes of the main port. Plain calls of the tools of `direct` do not pass the handler. With a `keeper`, clients of
/// the 2025 revisions are in sessions.
pub(crate) fn routes<H: ServerHandler>(
    handler: &Arc<H>,
    direct: Option<Arc<Adapter>>,
    metrics: Arc<Metrics>,
    door: Door,
    keeper: Option<Arc<Keeper>>,
    lifecycle: Arc<Lifecycle>,
) -> Router {
    let json = service(handler, &lifecycle, Form::Json);
    let events = service(handler, &lifecycle, Form::Events);
    let direct = direct.map(|adapter| Direct::new(adapter, keeper.is_none(), lifecycle.cut.clone()));
    let sessions = keeper.map(|keeper| Stateful::new(handler, keeper, |form| config(&lifecycle, form)));
    let metadata = metadata::routes(Arc::clone(&door.access));
    let front = Arc::new(Front { door, bodies: body::Pool::new(), metrics, direct, json, events, sessions });
    let ready = move || async move { health::ready(&lifecycle) };
    Router::new()
        .route("/mcp", any(mcp::<H>).with_state(front))
        .route("/health", get(health::alive))
        .route("/ready", get(ready))
        .merge(metadata)
        .fallback(|| async { Refusal::not_found().into_response() })
}

fn service<H: ServerHandler>(handler: &Arc<H>, lifecycle: &Lifecycle, form: Form) -> Service<H> {
    let handler = Arc::clone(handler);
    StreamableHttpService::new(move || Ok(Arc::clone(&handler)), Arc::default(), config(lifecycle, form))
}

fn config(lifecycle: &Lifecycle, form: Form) -> StreamableHttpServerConfig {
    // Host and Origin are checked before rmcp is reached, with errors that name the setting.
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(form == Form::Json)
        .with_cancellation_token(lifecycle.cut.clone())
        .with_max_request_body_bytes(BODY_LIMIT)
        .disable_allowed_hosts()
        .disable_allowed_origins()
}

async fn mcp<H: ServerHandler>(State(front): State<Arc<Front<H>>>, request: Request) -> Response {
    let response = front.admit(request).await.unwrap_or_else(IntoResponse::into_response);
    front.metrics.request(response.status().as_u16());
    response
}

impl<H: ServerHandler> Front<H> {
    /// Lets a request in, and its answer out to the page it comes from.
    async fn admit(&self, request: Request) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let page =
            self.door.allow.check(&parts).inspect_err(|_| self.refused(&parts.headers, None, "host_or_origin"))?;
        let mut response = if cors::is_preflight(&parts) {
            cors::preflight(&parts.headers, if self.sessions.is_some() { sessions::METHODS } else { "POST" })
        } else {
            self.answer(parts, body).await.unwrap_or_else(IntoResponse::into_response)
        };
        if let Some(origin) = page {
            cors::expose(&mut response, origin);
        }
        Ok(response)
    }

    async fn answer(&self, mut parts: Parts, body: Body) -> Result<Response, Refusal> {
        if parts.method != Method::POST {
            return self.other(parts).await;
        }
        let form = accept::choose(&parts.headers)?;
        accept::content_type(&parts.headers)?;
        let admitted = self.door.access.admit(&parts.headers).await;
        let principal = admitted.map_err(|denied| self.denied(denied, &parts.headers, None))?;
        parts.extensions.insert(principal);
        let (bytes, _permit) = body::read(body, BODY_LIMIT, &self.bodies).await?;
        let slot = Arc::new(Slot::default());
        parts.extensions.insert(Arc::clone(&slot));
        let shortfall = Arc::new(Shortfall::default());
        parts.extensions.insert(Arc::clone(&shortfall));
        let hangup = parts.extensions.get::<Hangup>().cloned().unwrap_or_default();
        let response = if body::is_batch(&bytes) {
            self.batch(parts, &bytes, form).await?
        } else {
            let direct = self.direct.as_ref().filter(|_| form == Form::Json);
            let plan = direct.and_then(|direct| Some((direct, direct.plan(&parts, &bytes)?)));
            let response = match plan {
                Some((direct, plan)) => direct.run(plan, parts).await,
                None => self.one(parts, bytes, form).await?,
            };
            error::forbid(response, form, &shortfall, &self.door.access)
        };
        Ok(response.map(|body| Body::new(Answer::new(body, slot, hangup))))
    }

    /// What is no message: the stream of a session, and its end.
    async fn other(&self, mut parts: Parts) -> Result<Response, Refusal> {
        let Some(sessions) = &self.sessions else { return Err(Refusal::method(&parts.method)) };
        if parts.method != Method::GET && parts.method != Method::DELETE {
            return Err(Refusal::method_of_sessions(&parts.method));
        }
        let admitted = self.door.access.admit(&parts.headers).await;
        let principal = admitted.map_err(|denied| self.denied(denied, &parts.headers, None))?;
        parts.extensions.insert(principal);
        sessions.other(parts).await
    }

    fn denied(&self, denied: Denied, headers: &HeaderMap, principal: Option<&Arc<Principal>>) -> Refusal {
        self.refused(headers, principal, denied.label());
        Refusal::denied(denied, &self.door.access)
    }

    /// Records a request that nobody read: all that is known of it are its headers.
    fn refused(&self, headers: &HeaderMap, principal: Option<&Arc<Principal>>, reason: &'static str) {
        let header = |name| headers.get(name)?.to_str().ok();
        let origin = Origin {
            principal: principal.map_or_else(|| "unknown".into(), |it| Arc::clone(&it.name)),
            client: None,
            request: None,
            version: header("mcp-protocol-version").map(str::to_owned),
            transport: Transport::Tcp,
            parent: header("traceparent").and_then(|parent| Parent::parse(parent, header("tracestate"))),
        };
        self.door.audit.refuse(&origin, None, reason);
    }

    async fn one(&self, mut parts: Parts, bytes: Bytes, form: Form) -> Result<Response, Refusal> {
        let id = body::check(&bytes)?;
        if let Some(sessions) = &self.sessions {
            return Ok(sessions.post(parts, bytes, form, id).await);
        }
        // rmcp insists on seeing both types whatever it is going to answer with.
        parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let service = if form == Form::Json { &self.json } else { &self.events };
        let response = service.handle(http::Request::from_parts(parts, Full::new(bytes))).await;
        Ok(error::in_json(response.map(Body::new), id).await)
    }

    async fn batch(&self, parts: Parts, bytes: &[u8], form: Form) -> Result<Response, Refusal> {
        let messages = batch::open(bytes, &parts.headers)?;
        if form == Form::Events {
            let message = "a batch is answered in JSON: expected an Accept header that admits application/json";
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, message));
        }
        // The first of them was counted when the request was let in.
        let more = u32::try_from(messages.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if let Some(principal) = parts.extensions.get::<Arc<Principal>>() {
            principal.spend(more).map_err(|denied| self.denied(denied, &parts.headers, Some(principal)))?;
        }
        let mut answers = batch::Answers::default();
        for message in messages {
            if answers.has_room() {
                let one = self.one(parts.clone(), message, form).await;
                answers.push(one.unwrap_or_else(IntoResponse::into_response)).await;
            } else {
                answers.push_full(&message);
            }
        }
        Ok(answers.into_response())
    }
}

/// Whether a status is one of ours to explain.
const fn is_error(status: StatusCode) -> bool {
    status.as_u16() >= 400
}
