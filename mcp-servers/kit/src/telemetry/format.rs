//! JSON lines that name the trace and span they belong to.

use std::fmt;

use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer, format},
        time::SystemTime,
    },
    registry::LookupSpan,
};

/// The JSON format, with `trace_id` and `span_id` of the current span in front.
pub(super) struct WithTrace(Format<Json, SystemTime>);

impl Default for WithTrace {
    fn default() -> Self {
        Self(format().json().flatten_event(true))
    }
}

impl<S, N> FormatEvent<S, N> for WithTrace
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // Spans of operations are below the level of logs, so the log's own context does not know them.
        let current = opentelemetry::Context::current();
        let span = current.span().span_context().clone();
        if !span.is_valid() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let rest = line.strip_prefix('{').unwrap_or(&line);
        let (trace, span) = (span.trace_id(), span.span_id());
        write!(writer, "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",{rest}")
    }
}
