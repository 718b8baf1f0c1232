//! Sessions of the 2025 revisions, for servers that are told to keep them. Clients of 2026-07-28 have none, and are
//! answered as everywhere else.
//!
//! In: requests the front has let in. Out: rmcp's answers, as one JSON message where the client reads nothing else.
//! rmcp's own session manager keeps the sessions; `keeper` bounds them, ends them and ties each to who opened it.

mod keeper;
mod whole;

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::Full;
use rmcp::{
    ServerHandler,
    model::RequestId,
    transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService, session::SessionManager},
};

pub(crate) use keeper::Keeper;
pub(super) use keeper::Verdict;

use super::{
    accept::{self, Form},
    error::{self, Refusal},
};
use crate::access::Principal;
use keeper::Visit;

/// Methods of `/mcp` where there are sessions.
pub(super) const METHODS: &str = "GET, POST, DELETE";
/// The header that names a session.
pub(super) const HEADER: &str = "mcp-session-id";

/// The way to rmcp where there are sessions.
pub(super) struct Stateful<H> {
    handler: Arc<H>,
    keeper: Arc<Keeper>,
    json: StreamableHttpServerConfig,
    events: StreamableHttpServerConfig,
}

impl<H: ServerHandler> Stateful<H> {
    /// `config` is that of requests without a session, by the form of their answer.
    pub(super) fn new(
        handler: &Arc<H>,
        keeper: Arc<Keeper>,
        config: impl Fn(Form) -> StreamableHttpServerConfig,
    ) -> Self {
        // Nothing that was sent is kept for a second reading, so nobody is told to come back for it.
        let config = |form| config(form).with_legacy_session_mode(true).with_sse_retry(None);
        Self { handler: Arc::clone(handler), keeper, json: config(Form::Json), events: config(Form::Events) }
    }

    /// A message that was posted.
    pub(super) async fn post(&self, parts: Parts, bytes: Bytes, form: Form, id: Option<RequestId>) -> Response {
        // A session answers in a stream, in which messages may come before the answer: whoever can read it gets it.
        let streams = accept::admits_events(&parts.headers);
        match self.visit(parts, bytes, form).await {
            Ok(response) if streams => error::in_json(response, id).await,
            Ok(response) => whole::whole(error::in_json(response, id).await).await,
            Err(refusal) => refusal.with_id(id).into_response(),
        }
    }

    /// The stream of messages that answer nothing (GET), or the end of a session (DELETE).
    pub(super) async fn other(&self, parts: Parts) -> Result<Response, Refusal> {
        if parts.method == Method::GET && !accept::admits_events(&parts.headers) {
            let message = "expected an Accept header that admits text/event-stream: GET opens a stream of a session";
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, message));
        }
        if parts.method == Method::DELETE
            && let Some(id) = parts.headers.get(HEADER).and_then(|id| id.to_str().ok())
            // rmcp says of every session that it ended it.
            && !visitor(&self.keeper, &parts).has_session(&id.into()).await.unwrap_or_default()
        {
            return Err(Refusal::session(Verdict::Missing));
        }
        let response = self.visit(parts, Bytes::new(), Form::Events).await?;
        Ok(error::in_json(response, None).await)
    }

    async fn visit(&self, mut parts: Parts, bytes: Bytes, form: Form) -> Result<Response, Refusal> {
        parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let (handler, visit) = (Arc::clone(&self.handler), Arc::new(visitor(&self.keeper, &parts)));
        let config = if form == Form::Json { &self.json } else { &self.events };
        let service = StreamableHttpService::new(move || Ok(Arc::clone(&handler)), Arc::clone(&visit), config.clone());
        let response = service.handle(http::Request::from_parts(parts, Full::new(bytes))).await;
        match visit.verdict() {
            Some(verdict) => Err(Refusal::session(verdict)),
            None => Ok(response.map(Body::new)),
        }
    }
}

fn visitor(keeper: &Arc<Keeper>, parts: &Parts) -> Visit {
    let principal = parts.extensions.get::<Arc<Principal>>().map_or_else(|| "".into(), |it| Arc::clone(&it.name));
    Visit::new(Arc::clone(keeper), principal)
}
