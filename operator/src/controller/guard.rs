//! Around every reconcile: a deadline, a panic guard and a span. A panic in one object never stops the others.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use mcp_crds::McpServer;
use tracing::{Instrument, error, field::Empty, info_span};

use super::reconcile;
use crate::{
    context::{CALL_DEADLINE, Context},
    error::{Class, Error},
    metrics::Outcome,
};

/// Longest reconcile.
const DEADLINE: Duration = Duration::from_mins(1);

/// Reconciles one server, safely, if this operator leads. What is under way when leadership is lost is dropped: the next
/// leader looks at everything.
pub async fn reconcile(server: Arc<McpServer>, context: Arc<Context>) -> Result<Action, Error> {
    let _work = context.metrics.queue.begin(&ObjectRef::from_obj(server.as_ref()));
    if !context.leadership.leads() {
        return Ok(Action::await_change());
    }
    tokio::select! {
        biased;
        () = context.leadership.lost() => Ok(Action::await_change()),
        outcome = lead(&server, &context) => outcome,
    }
}

async fn lead(server: &McpServer, context: &Context) -> Result<Action, Error> {
    let uid = server.uid().unwrap_or_default();
    let span = info_span!(
        "reconcile",
        namespace = server.namespace(),
        name = server.name_any(),
        uid,
        generation = server.metadata.generation,
        otel.status_code = Empty,
    );
    let object = format!("McpServer {}", server.name_any());
    let begun = Instant::now();
    // Boxed: it is moved around, and large.
    let pass = Box::pin(reconcile::reconcile(server, context).instrument(span.clone()));
    let outcome = guarded(object.clone(), DEADLINE, pass).await;
    match &outcome {
        Ok(_) => context.backoff.succeeded(&uid),
        // Cut short, the pass could not say so itself. What goes wrong here is in the log, and the next pass tries again.
        Err(error @ (Error::Panic(_) | Error::Deadline { action: "reconcile", .. })) => {
            let report = guarded(object, CALL_DEADLINE, reconcile::report_cut(server, context, error)).await;
            if let Err(error) = report {
                error!(%error, "the status does not say that the reconcile was cut short");
            }
        }
        Err(_) => {}
    }
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    context.metrics.reconciled(counted(&outcome), begun.elapsed());
    outcome
}

/// What a reconcile counts as.
fn counted(outcome: &Result<Action, Error>) -> Outcome {
    match outcome {
        Ok(action) if *action == Action::await_change() => Outcome::Success,
        Ok(_) => Outcome::RequeueAfter,
        Err(Error::Panic(_)) => Outcome::Panic,
        Err(error) if error.class() == Class::Conflict => Outcome::Conflict,
        Err(_) => Outcome::Error,
    }
}

/// Runs work under a deadline and a panic guard: both become errors of this object alone.
async fn guarded<T>(object: String, limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let message = message_of(panic.as_ref());
            error!(%object, message, "panic in reconcile");
            Err(Error::Panic(message))
        }
        Err(_) => Err(Error::Deadline { action: "reconcile", object, limit }),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{future, time::Duration};

    use super::{Class, Error, guarded};

    async fn outcome(work: impl Future<Output = Result<(), Error>>) -> Error {
        guarded("McpServer files".to_owned(), Duration::from_millis(20), work).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_object() {
        let error = outcome(async { panic!("index out of bounds") }).await;
        assert_eq!(error.class(), Class::Bug);
        assert!(error.to_string().contains("index out of bounds"), "{error}");
    }

    #[tokio::test]
    async fn what_hangs_is_ended() {
        let error = outcome(future::pending()).await;
        assert_eq!(error.class(), Class::Transient);
        assert!(error.to_string().contains("McpServer files"), "{error}");
    }
}
