//! The direct way to a tool, for the one hot request: a stateless `tools/call` of a read-only tool, answered in JSON.
//!
//! In: a request that passed the front. Out: its answer, byte for byte what rmcp would send, without a handler, a
//! channel and a task of its own for each request. Whatever is not plainly such a call, well-formed or not (sessions,
//! progress, several rounds, write tools, headers that differ from the body, fields nobody knows), gets no answer here and
//! is left to rmcp as it came: so every refusal has one author. The call itself is [`Adapter::call`], as it is for rmcp.

use std::{
    collections::BTreeSet,
    fmt::{self, Formatter},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{body::Body, response::Response};
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorCode, JsonObject, ProtocolVersion, RequestId, RequestMetaObject,
    ServerJsonRpcMessage, ServerResult,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    protocol::{Adapter, Asked},
    tool::Tool,
};

/// The revision whose requests describe themselves.
const MODERN: &str = "2026-07-28";
/// Those before it. A request that names none is of the first.
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// What `_meta` may hold beside these two without asking for anything: who the client is, and the W3C trace context.
const IDLE_KEYS: [&str; 4] = ["io.modelcontextprotocol/clientInfo", "traceparent", "tracestate", "baggage"];

/// How a value that is no plain text begins in a header.
const ENCODED: &str = "=?";
/// The keyword of an input schema that makes a client repeat an argument as a header.
const REPEATED: &str = "x-mcp-header";

/// A call in the fewest words: nothing but what these name may be in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    jsonrpc: &'a str,
    id: RequestId,
    method: &'a str,
    #[serde(borrow)]
    params: Params<'a>,
}

/// Read by hand, since what serde derives would take a list of values too.
struct Params<'a> {
    name: &'a str,
    arguments: Option<JsonObject>,
    meta: RequestMetaObject,
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params<'de>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with name, arguments and _meta")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params<'de>, A::Error> {
        let (mut name, mut arguments, mut meta) = (None, None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "name" if name.is_none() => name = Some(map.next_value()?),
                "arguments" if arguments.is_none() => arguments = Some(map.next_value()?),
                "_meta" if meta.is_none() => meta = Some(map.next_value()?),
                other => return Err(A::Error::custom(other)),
            }
        }
        let name = name.ok_or_else(|| A::Error::missing_field("name"))?;
        Ok(Params { name, arguments: arguments.flatten(), meta: meta.unwrap_or_default() })
    }
}

/// Whether the client is of the stateless era.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Era {
    Modern,
    Legacy,
}

/// A call that takes the direct way.
#[derive(Debug)]
pub(super) struct Plan {
    id: RequestId,
    request: CallToolRequestParams,
    meta: RequestMetaObject,
    era: Era,
}

/// The direct way of one server.
#[derive(Debug)]
pub(super) struct Direct {
    adapter: Arc<Adapter>,
    /// Tools it may be taken to.
    plain: BTreeSet<&'static str>,
    /// Whether clients of the older revisions come without a session.
    legacy: bool,
    cut: CancellationToken,
}

impl Direct {
    /// Calls end when `cut` fires. Without `legacy` it is for clients of the stateless era alone.
    pub(super) fn new(adapter: Arc<Adapter>, legacy: bool, cut: CancellationToken) -> Self {
        let plain = adapter.registry.tools().filter(|tool| is_plain(tool)).map(|tool| tool.name).collect();
        Self { adapter, plain, legacy, cut }
    }

    /// What is to be called, if this is such a call.
    pub(super) fn plan(&self, parts: &Parts, bytes: &[u8]) -> Option<Plan> {
        let message: Message<'_> = serde_json::from_slice(bytes).ok()?;
        let Params { name, arguments, meta } = message.params;
        if message.jsonrpc != "2.0" || message.method != "tools/call" {
            return None;
        }
        let era = era(&parts.headers, name, &meta).filter(|era| self.legacy || *era == Era::Modern)?;
        let mut request = CallToolRequestParams::new(*self.plain.get(name)?);
        request.arguments = arguments;
        Some(Plan { id: message.id, request, meta, era })
    }

    /// Calls it, and answers.
    pub(super) async fn run(&self, plan: Plan, parts: Parts) -> Response {
        let Plan { id, request, meta, era } = plan;
        let (adapter, gone) = (Arc::clone(&self.adapter), self.cut.child_token());
        adapter.pipeline.metrics.direct_call();
        let call = {
            let gone = gone.clone();
            let id = id.clone();
            async move {
                let asked = Asked { meta: &meta, id: &id, peer: None, parts: Some(&parts), gone: &gone };
                adapter.call(request, asked).await
            }
        };
        written(Attended::new(call, gone).await, id, era)
    }
}

/// A call as its client waits for it. When the client hangs up, the connection drops this: the call is told, and goes on
/// by itself to its own end, so that it is counted and recorded like any other.
struct Attended<T: Send + 'static> {
    call: Option<BoxFuture<'static, T>>,
    gone: CancellationToken,
}

impl<T: Send + 'static> Attended<T> {
    fn new(call: impl Future<Output = T> + Send + 'static, gone: CancellationToken) -> Self {
        Self { call: Some(call.boxed()), gone }
    }
}

impl<T: Send + 'static> Future for Attended<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(call) = &mut self.call else { return Poll::Pending };
        let answer = ready!(call.as_mut().poll(context));
        self.call = None;
        Poll::Ready(answer)
    }
}

impl<T: Send + 'static> Drop for Attended<T> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take()
            && let Ok(runtime) = Handle::try_current()
        {
            self.gone.cancel();
            runtime.spawn(call);
        }
    }
}

/// Tools that only read have nothing to ask the client for; headers that repeat arguments are rmcp's to compare.
fn is_plain(tool: &Tool) -> bool {
    tool.hints.read_only && !tool.asks && !tool.input_schema.values().any(repeats)
}

fn repeats(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key(REPEATED) || map.values().any(repeats),
        Value::Array(list) => list.iter().any(repeats),
        _ => false,
    }
}

/// The era, where headers and `_meta` agree and ask for nothing else.
fn era(headers: &HeaderMap, name: &str, meta: &RequestMetaObject) -> Option<Era> {
    if headers.contains_key("mcp-session-id") {
        return None;
    }
    let known = |key: &String| {
        let key = key.as_str();
        IDLE_KEYS.contains(&key) || key == VERSION_KEY || key == CAPABILITIES_KEY
    };
    if !meta.0.0.keys().all(known) {
        return None;
    }
    let version = match headers.get("mcp-protocol-version") {
        Some(version) => Some(version.to_str().ok()?),
        None => None,
    };
    let told = meta.0.0.get(VERSION_KEY);
    if told.is_none() {
        let legacy =
            version.is_none_or(|version| LEGACY.contains(&version)) && !meta.0.0.contains_key(CAPABILITIES_KEY);
        return legacy.then_some(Era::Legacy);
    }
    let agree = told.and_then(Value::as_str) == Some(MODERN)
        && version == Some(MODERN)
        && only(headers, "mcp-method") == Some("tools/call")
        && only(headers, "mcp-name") == Some(name)
        && !name.starts_with(ENCODED)
        && meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty();
    agree.then_some(Era::Modern)
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// The answer as rmcp writes it.
fn written(called: Result<CallToolResponse, rmcp::ErrorData>, id: RequestId, era: Era) -> Response {
    let (message, status) = match called {
        Ok(response) => {
            let mut result = ServerResult::from(response);
            if era == Era::Legacy {
                result.strip_result_type_for_legacy_peer();
            }
            (ServerJsonRpcMessage::response(result, id), StatusCode::OK)
        }
        Err(error) => {
            let status = status(error.code, era);
            (ServerJsonRpcMessage::error(error, Some(id)), status)
        }
    };
    let Ok(body) = serde_json::to_vec(&message) else {
        tracing::error!("an answer could not be written as JSON");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Requests of the stateless era are told of some errors by the status too.
fn status(code: ErrorCode, era: Era) -> StatusCode {
    match code {
        ErrorCode::METHOD_NOT_FOUND if era == Era::Modern => StatusCode::NOT_FOUND,
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION
        | ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY
        | ErrorCode::HEADER_MISMATCH
            if era == Era::Modern =>
        {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    }
}
