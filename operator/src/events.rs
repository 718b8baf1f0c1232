//! Publishes Events about servers. What goes wrong here is logged and counted, and never fails a reconcile.
//!
//! In: the notes of a pass (`status::notes` decides). Out: `events.k8s.io/v1`, one write a note. An Event is never changed
//! afterwards, so that `create` is the only right it takes; each comes with a write of the status, which bounds them.

use std::{sync::Arc, time::Duration};

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use mcp_crds::McpServer;
use tracing::warn;

use crate::{
    metrics::Metrics,
    status::notes::{Note, Severity},
    vocabulary::{EVENT_ACTION, EVENT_REPORTER},
};

/// Longest wait for one Event: it is not worth more.
const DEADLINE: Duration = Duration::from_secs(2);

/// Publishes Events.
#[expect(missing_debug_implementations, reason = "kube's client has nothing to show")]
pub struct Events {
    client: Client,
    reporter: Reporter,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Events by this process.
    #[must_use]
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, reporter: Reporter::from(EVENT_REPORTER), metrics }
    }

    /// Publishes the notes about a server. A namespace on its way out, a quota, a missing right: nothing waits for it.
    pub async fn publish(&self, server: &McpServer, notes: Vec<Note>) {
        let about = server.object_ref(&());
        for note in notes {
            let event = Event {
                type_: match note.severity {
                    Severity::Normal => EventType::Normal,
                    Severity::Warning => EventType::Warning,
                },
                reason: note.reason.as_str().to_owned(),
                note: Some(note.text),
                action: EVENT_ACTION.to_owned(),
                secondary: None,
            };
            // A recorder that has published before would change what it published.
            let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            // On the heap: it is large, rare, and part of every reconcile's future.
            let outcome = tokio::time::timeout(DEADLINE, Box::pin(recorder.publish(&event, &about))).await;
            let published = matches!(outcome, Ok(Ok(())));
            self.metrics.event(published);
            if !published {
                let (namespace, name) = (about.namespace.as_deref(), about.name.as_deref());
                warn!(namespace, name, reason = event.reason, ?outcome, "an Event was not published");
                return;
            }
        }
    }
}
