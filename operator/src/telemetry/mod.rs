//! Logs and traces: one subscriber for the process.
//!
//! In: the settings. Out: log lines on stderr whose level can be changed while running, and spans over OTLP when there
//! is an endpoint. Nothing here ever blocks or fails the operator: spans are dropped when the receiver is slow or gone.

mod format;
mod traces;

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt};

use crate::settings::{LogFormat, Settings};

/// Longest wait for the last spans at the end.
const FLUSH: Duration = Duration::from_secs(1);

/// What the directives of a log level may look like.
const EXPECTED: &str = "expected directives such as info or mcp_operator=debug,kube=warn";

/// Logs and traces under way.
#[derive(Debug)]
pub struct Telemetry {
    /// The log level.
    pub logs: Logs,
    traces: SdkTracerProvider,
}

/// Changes the log level.
#[derive(Clone)]
pub struct Logs(Arc<reload::Handle<EnvFilter, Registry>>);

impl fmt::Debug for Logs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.directives())
    }
}

impl Logs {
    /// The directives that hold now.
    #[must_use]
    pub fn directives(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Sets other directives. Fails with what was expected when they do not parse.
    pub fn set(&self, text: &str) -> anyhow::Result<()> {
        let filter = directives(text)?;
        self.0.reload(filter).context("logging has ended")
    }
}

fn directives(text: &str) -> anyhow::Result<EnvFilter> {
    anyhow::ensure!(!text.trim().is_empty(), "nothing was found: {EXPECTED}");
    EnvFilter::try_new(text.trim()).with_context(|| format!("{:?} was found: {EXPECTED}", text.trim()))
}

/// Starts logging and tracing as the settings say.
///
/// Fails when the directives or the endpoint do not parse, or when this was done before.
pub fn start(settings: &Settings) -> anyhow::Result<Telemetry> {
    let (filter, handle) = reload::Layer::new(directives(&settings.log).context("--log")?);
    let endpoint = settings.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
    let traces = traces::provider(endpoint)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().event_format(format::WithTrace::default()).boxed(),
    };
    let subscriber =
        Registry::default().with(lines.with_filter(filter)).with(traces::layer(&traces, endpoint.is_some()));
    subscriber.try_init().context("cannot start logging")?;
    Ok(Telemetry { logs: Logs(Arc::new(handle)), traces })
}

impl Telemetry {
    /// Sends the last spans, as far as the receiver takes them within a second.
    pub async fn stop(self) {
        let traces = self.traces;
        // A receiver that hangs must not keep the process: the thread is left behind.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH));
        let _ = tokio::time::timeout(FLUSH.saturating_mul(2), flushed).await;
    }
}
