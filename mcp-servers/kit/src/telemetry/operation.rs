//! One MCP request as OpenTelemetry's conventions tell it: a span and a duration, by the same names.
//!
//! <https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md>. Without an endpoint there are
//! no spans, and this costs a look at a flag.

use std::{sync::Arc, time::Instant};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    metrics::{Metrics, OperationLabels},
    origin::{Origin, Parent},
};

/// Where its spans come from.
pub(super) const TARGET: &str = "mcp_kit::telemetry::operation";

/// What a request is about, besides its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Nothing,
    /// A tool of this server.
    Tool(&'static str),
    Prompt(&'static str),
    /// The address of a resource.
    Resource(&'a str),
}

/// How an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The answer is a JSON-RPC error of this code.
    Code(i32),
    /// The answer is a result that says it is an error.
    Tool,
}

/// Runs an operation within its span, and takes its time. `failed` looks at what came of it.
pub(crate) async fn observe<T>(
    metrics: &Arc<Metrics>,
    method: &'static str,
    target: Target<'_>,
    origin: &Origin,
    work: impl Future<Output = T>,
    failed: impl FnOnce(&T) -> Option<Failed>,
) -> T {
    let (begun, span) = (Instant::now(), begin(method, target, origin));
    let done = work.instrument(span.clone()).await;
    let (error, code) = match failed(&done) {
        None => (String::new(), None),
        Some(Failed::Tool) => ("tool_error".to_owned(), None),
        Some(Failed::Code(code)) => (code.to_string(), Some(code)),
    };
    if !error.is_empty() {
        span.record("error.type", error.as_str()).record("otel.status_code", "ERROR");
    }
    if let Some(code) = code {
        span.record("rpc.response.status_code", code.to_string());
    }
    let tool = if let Target::Tool(tool) = target { tool } else { "" };
    let labels = OperationLabels {
        mcp_method_name: method,
        gen_ai_tool_name: tool,
        error_type: error,
        network_transport: origin.transport.label(),
    };
    metrics.operation(&labels, begun.elapsed());
    done
}

fn begin(method: &'static str, target: Target<'_>, origin: &Origin) -> Span {
    let span = tracing::debug_span!(
        target: TARGET,
        "operation",
        "otel.name" = Empty,
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "mcp.method.name" = method,
        "mcp.protocol.version" = origin.version,
        "mcp.resource.uri" = Empty,
        "gen_ai.operation.name" = Empty,
        "gen_ai.tool.name" = Empty,
        "gen_ai.prompt.name" = Empty,
        "jsonrpc.request.id" = origin.request,
        "network.transport" = origin.transport.label(),
        "network.protocol.name" = Empty,
        "error.type" = Empty,
        "rpc.response.status_code" = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    match target {
        Target::Nothing => span.record("otel.name", method),
        Target::Tool(name) => span
            .record("otel.name", format!("{method} {name}"))
            .record("gen_ai.operation.name", "execute_tool")
            .record("gen_ai.tool.name", name),
        Target::Prompt(name) => span.record("otel.name", format!("{method} {name}")).record("gen_ai.prompt.name", name),
        Target::Resource(uri) => span.record("otel.name", method).record("mcp.resource.uri", uri),
    };
    if origin.transport.is_http() {
        span.record("network.protocol.name", "http");
    }
    if let Some(parent) = origin.parent.as_ref().and_then(remote) {
        // Fails where nobody takes spans, which was looked at above.
        let _ = span.set_parent(parent);
    }
    span
}

/// The trace the current work belongs to, as 32 hexadecimal digits, where spans are made at all.
pub(crate) fn current_trace() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

fn remote(parent: &Parent) -> Option<Context> {
    let mut parts = parent.header.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    let state = parent.state.as_deref().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    Some(Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, state)))
}
