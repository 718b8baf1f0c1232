//! MCP over standard input and output, for clients that start the server themselves.

use std::{process::ExitCode, sync::Arc};

use rmcp::{ServerHandler, service::serve_server_with_ct, transport::io::stdio_pipes};
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Signals;

/// Serves one client until it hangs up or a signal comes.
pub(crate) async fn serve<H: ServerHandler>(handler: Arc<H>, mut signals: Signals) -> ExitCode {
    let cancelled = CancellationToken::new();
    let conversation = async {
        match serve_server_with_ct(handler, stdio_pipes(), cancelled.clone()).await {
            Ok(running) => {
                let _ = running.waiting().await;
                ExitCode::SUCCESS
            }
            // A client that leaves before it says anything is no error.
            Err(error) => {
                tracing::info!(%error, "the client left before the conversation began");
                ExitCode::SUCCESS
            }
        }
    };
    tokio::select! {
        code = conversation => code,
        _ = signals.next() => {
            cancelled.cancel();
            ExitCode::SUCCESS
        }
    }
}
