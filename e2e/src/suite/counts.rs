//! Numbers of pods: which a Deployment had, and which of them the operator said.
//!
//! In: a Deployment, the audit log. Out: numbers, in order. It never writes.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinHandle;

use crate::{
    audit::{Log, Mark},
    install::OPERATOR_USER,
};

/// Every number of pods that a namespace's one Deployment has from now on; ends with this value.
pub struct Numbers {
    seen: Arc<Mutex<Vec<i32>>>,
    watch: JoinHandle<()>,
}

impl Numbers {
    /// Begins to look.
    #[must_use]
    pub fn watch(api: Api<Deployment>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let numbers = seen.clone();
        let watch = tokio::spawn(async move {
            let changes = watcher(api, watcher::Config::default()).default_backoff().touched_objects();
            let tell = |deployment: Deployment| {
                let number = deployment.spec.and_then(|spec| spec.replicas).unwrap_or_default();
                if let Ok(mut numbers) = numbers.lock() {
                    numbers.push(number);
                }
                futures::future::ready(Ok(()))
            };
            let _ = changes.try_for_each(tell).await;
        });
        Self { seen, watch }
    }

    /// Those seen so far.
    #[must_use]
    pub fn seen(&self) -> Vec<i32> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// What the operator has said of the number of pods in a namespace since a mark: verb and number of each write.
pub fn said(log: &Log, namespace: &str, mark: Mark) -> Result<Vec<String>> {
    let events = log.since(mark)?.into_iter();
    let ours = events.filter(|event| event.user == OPERATOR_USER && event.namespace == namespace && event.is_write());
    let of_number = ours.filter(|event| event.resource == "deployments").filter_map(|event| {
        let number = event.request_object?.pointer("/spec/replicas")?.clone();
        Some(format!("{} {number}", event.verb))
    });
    Ok(of_number.collect())
}
