//! When to work: the streams, and the loop that turns their events into reconciles.

pub mod backoff;
pub mod guard;
pub mod publish;
pub mod reconcile;
pub mod watches;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kube::runtime::{
    Controller,
    controller::{self, Action},
    reflector::ObjectRef,
    watcher,
};
use mcp_crds::McpServer;
use tracing::{debug, warn};

use self::watches::Watches;
use crate::{
    context::Context,
    error::{Class, Error},
    vocabulary::SERVER_LABEL,
};

/// Events of one object within this time become one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Runs until `stop` resolves; reconciles under way are finished first.
pub async fn run(
    watches: Watches,
    context: Arc<Context>,
    concurrency: u16,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let Watches { servers, server_store, service_accounts, services, deployments, pods } = watches;
    let controller = Controller::for_stream(servers, server_store)
        .with_config(controller::Config::default().debounce(DEBOUNCE).concurrency(concurrency))
        .owns_stream(service_accounts)
        .owns_stream(services)
        .owns_stream(deployments)
        .watches_stream(pods, |pod| {
            let name = pod.metadata.labels.as_ref().and_then(|labels| labels.get(SERVER_LABEL)).cloned();
            name.zip(pod.metadata.namespace).map(|(name, namespace)| ObjectRef::new(&name).within(&namespace))
        })
        .graceful_shutdown_on(stop);
    controller
        .run(guard::reconcile, on_error, context)
        .for_each(|outcome| async move {
            match outcome {
                // Deleted before its turn came: its children go with their owner references.
                Err(controller::Error::ObjectNotFound(object)) => debug!(%object, "gone"),
                Err(error) => debug!(%error, "reconcile ended early"),
                Ok((object, action)) => debug!(%object, ?action, "reconciled"),
            }
        })
        .await;
}

/// Decides when a failed object is looked at again.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the Controller's")]
fn on_error(server: Arc<McpServer>, error: &Error, context: Arc<Context>) -> Action {
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    let wait = context.backoff.failed(uid, error.class());
    if error.class() == Class::Conflict {
        debug!(%error, "somebody else wrote first");
    } else {
        warn!(
            namespace = server.metadata.namespace, name = server.metadata.name, reason = error.reason().as_str(),
            %error, again_in_seconds = wait.as_secs_f32(), "reconcile failed"
        );
    }
    Action::requeue(wait)
}

/// Counts and drops the errors of a stream: each has a backoff of its own, and none may reach the Controller, whose
/// one backoff would hold up every other stream.
pub(crate) fn without_errors<K>(
    kind: &'static str,
    result: Result<K, watcher::Error>,
) -> Option<Result<K, watcher::Error>> {
    match result {
        Ok(object) => Some(Ok(object)),
        Err(error) => {
            warn!(kind, %error, "watch failed; it is tried again with a backoff");
            None
        }
    }
}
