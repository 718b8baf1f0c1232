//! Around every reconcile: a deadline, a panic guard and a span. A panic in one object never stops the others.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{ResourceExt, runtime::controller::Action};
use mcp_crds::McpServer;
use tracing::{Instrument, error, info_span};

use super::reconcile;
use crate::{context::Context, error::Error};

/// Longest reconcile.
const DEADLINE: Duration = Duration::from_mins(1);

/// Reconciles one server, safely.
pub async fn reconcile(server: Arc<McpServer>, context: Arc<Context>) -> Result<Action, Error> {
    let uid = server.uid().unwrap_or_default();
    let span = info_span!(
        "reconcile",
        namespace = server.namespace(),
        name = server.name_any(),
        uid,
        generation = server.metadata.generation
    );
    let object = format!("McpServer {}", server.name_any());
    let work = AssertUnwindSafe(reconcile::reconcile(&server, &context)).catch_unwind();
    let outcome = tokio::time::timeout(DEADLINE, work.instrument(span)).await;
    let action = match outcome {
        Ok(Ok(result)) => result?,
        Ok(Err(panic)) => {
            let message = message_of(panic.as_ref());
            error!(%object, message, "panic in reconcile");
            return Err(Error::Panic(message));
        }
        Err(_) => {
            return Err(Error::Deadline { action: "reconcile", object, limit: DEADLINE });
        }
    };
    context.backoff.succeeded(&uid);
    Ok(action)
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
