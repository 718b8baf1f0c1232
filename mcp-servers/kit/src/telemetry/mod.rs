//! Logs and traces: one subscriber for the process.
//!
//! In: the settings. Out: log lines on stderr (standard output belongs to the protocol, or to the audit), panics among
//! them, and spans over OTLP when there is an endpoint. Nothing here blocks or fails a call: spans are dropped when the
//! receiver is slow or gone.

mod format;
pub(crate) mod operation;
mod traces;

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    run::Identity,
    settings::{Common, LogFormat},
};

/// Longest wait for the last spans at the end.
const FLUSH: Duration = Duration::from_secs(1);

/// Traces under way.
#[derive(Debug)]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

/// Sets the process-wide subscriber. A second call (tests) changes nothing. Fails when the endpoint is none.
pub(crate) fn start(settings: &Common, identity: &Identity) -> Result<Telemetry, String> {
    let filter = EnvFilter::new(filter(&settings.log));
    let lines = fmt::layer().with_writer(stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().event_format(format::WithTrace::default()).boxed(),
    };
    let provider =
        settings.otlp_endpoint.as_deref().map(|endpoint| traces::provider(endpoint, identity)).transpose()?;
    let traces = provider.as_ref().map(traces::layer);
    // Failing means that a subscriber is already there, which is as good.
    let _ = Registry::default().with(lines.with_filter(filter)).with(traces).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
    Ok(Telemetry(provider))
}

/// Below warnings, these write requests with their signatures and session tokens: never heard, whatever is asked for.
const TELLTALES: &str = "aws_config=warn,aws_runtime=warn,aws_sigv4=warn,aws_smithy_http_client=warn,\
                         aws_smithy_runtime=warn,aws_smithy_runtime_api=warn,h2=warn,hyper=warn,hyper_util=warn";

/// rmcp writes several lines about every request; it is heard only when it is asked for by name.
fn filter(given: &str) -> String {
    let quiet = if given.contains("rmcp") { "" } else { ",rmcp=error" };
    format!("{given}{quiet},{TELLTALES}")
}

impl Telemetry {
    /// Sends the last spans, as far as the receiver takes them within a second.
    pub(crate) async fn stop(self) {
        let Some(provider) = self.0 else { return };
        // A receiver that hangs must not keep the process: the thread is left behind.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        let _ = tokio::time::timeout(FLUSH.saturating_mul(2), flushed).await;
    }
}
