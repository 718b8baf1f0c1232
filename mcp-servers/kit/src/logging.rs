//! Logs on stderr, as text or JSON, and panics among them. Standard output belongs to the protocol in stdio mode.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, fmt};

use crate::settings::{Common, LogFormat};

/// Sets the process-wide subscriber. A second call (tests) changes nothing.
pub(crate) fn start(settings: &Common) {
    let filter = EnvFilter::new(filter(&settings.log));
    let lines = fmt().with_env_filter(filter).with_writer(stderr);
    // Failing means that a subscriber is already there, which is as good.
    let _ = match settings.log_format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
}

/// rmcp writes several lines about every request; it is heard only when it is asked for by name.
fn filter(given: &str) -> String {
    if given.contains("rmcp") { given.to_owned() } else { format!("{given},rmcp=error") }
}
