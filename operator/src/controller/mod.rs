//! When to work: the streams, and the loop that turns their events into reconciles.

pub mod agent;
pub mod backoff;
pub mod guard;
mod identity;
pub mod pace;
pub mod publish;
pub mod reconcile;
pub mod sweep;
pub mod watches;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{
    Resource,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use mcp_crds::McpServer;
use tracing::{debug, warn};

use self::watches::Watches;
use crate::{
    context::Context,
    desired::scaled_object,
    error::{Class, Error},
    index::Index,
    metrics::Queue,
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
    let Watches {
        servers,
        server_store,
        servers_by_config_map,
        servers_by_secret,
        service_accounts,
        settings,
        network_policies,
        services,
        deployments,
        ingresses,
        disruption_budgets,
        pods,
        config_maps,
        rolled_secrets,
        namespaces,
        classes,
        scaled_objects,
        hindered,
        secret,
        secret_store: _,
    } = watches;
    let metrics = context.metrics.clone();
    metrics.starting(concurrency, server_store.clone());
    let queue = &metrics.queue;
    let shell = context.clone();
    let all = server_store.clone();
    let controller = Controller::for_stream(servers.inspect(asked(queue)), server_store)
        .with_config(controller::Config::default().debounce(DEBOUNCE).concurrency(concurrency))
        .watches_stream(service_accounts, asks(queue, owner))
        .watches_stream(settings, asks(queue, owner))
        .watches_stream(network_policies, asks(queue, owner))
        .watches_stream(services, asks(queue, owner))
        .watches_stream(deployments, asks(queue, owner))
        .watches_stream(ingresses, asks(queue, owner))
        .watches_stream(disruption_budgets, asks(queue, owner))
        .watches_stream(config_maps, asks(queue, move |config_map| named_by(&servers_by_config_map, config_map)))
        .watches_stream(rolled_secrets, asks(queue, move |secret| named_by(&servers_by_secret, secret)))
        .watches_stream(namespaces, asks(queue, move |namespace| within(&all, namespace)))
        .watches_stream(pods, asks(queue, labelled))
        .watches_stream(hindered, asks(queue, labelled))
        .watches_stream_with(scaled_objects, asks(queue, owner), scaled_object::resource())
        // Servers are given the new key, and the probe signs with it.
        .reconcile_all_on(secret.inspect(move |()| shell.keeper.changed()))
        // What a class allows may be another thing for every server that names it.
        .reconcile_all_on(classes)
        // KEDA came or went.
        .reconcile_all_on(context.stores.scaled_objects.changes())
        // A namespace grants or refuses a look at its Secrets.
        .reconcile_all_on(context.stores.secrets.changes())
        // A standby let everything pass; whoever begins to lead looks at it.
        .reconcile_all_on(context.leadership.gained())
        .reconcile_all_on(context.progress.polled())
        .reconcile_on(context.probes.news().inspect(awaited(queue)))
        .graceful_shutdown_on(stop);
    controller
        .run(guard::reconcile, on_error, context)
        .for_each(|outcome| {
            // Deleted before its turn came: its children go with their owner references.
            if let Err(controller::Error::ObjectNotFound(object)) = &outcome {
                let gone = ObjectRef::new(&object.name);
                metrics.queue.gone(&object.namespace.iter().fold(gone, |gone, namespace| gone.within(namespace)));
            }
            match outcome {
                Err(controller::Error::ObjectNotFound(object)) => debug!(%object, "gone"),
                Err(error) => debug!(%error, "reconcile ended early"),
                Ok((object, action)) => debug!(%object, ?action, "reconciled"),
            }
            future::ready(())
        })
        .await;
}

/// Counts a server that an event of its own asks to look at.
fn asked(queue: &Queue) -> impl FnMut(&Result<McpServer, watcher::Error>) + Send + 'static {
    let queue = queue.clone();
    move |event| event.iter().for_each(|server| queue.asked(&ObjectRef::from_obj(server)))
}

/// Counts the server of which the probe has news.
fn awaited(queue: &Queue) -> impl FnMut(&ObjectRef<McpServer>) + Send + 'static {
    let queue = queue.clone();
    move |server| queue.asked(server)
}

/// Counts the servers that an event of another object asks to look at, as `of` says.
fn asks<K, I>(
    queue: &Queue,
    of: impl Fn(&ObjectMeta) -> I + Send + Sync + 'static,
) -> impl Fn(K) -> Vec<ObjectRef<McpServer>> + Send + Sync + 'static
where
    K: Resource,
    I: IntoIterator<Item = ObjectRef<McpServer>>,
{
    let queue = queue.clone();
    move |object| of(object.meta()).into_iter().inspect(|server| queue.asked(server)).collect()
}

/// The server that controls a child.
fn owner(child: &ObjectMeta) -> Option<ObjectRef<McpServer>> {
    let ours = |owner: &&OwnerReference| {
        let group = owner.api_version.split_once('/').map(|(group, _)| group);
        owner.kind == McpServer::kind(&()) && group == Some(mcp_crds::GROUP)
    };
    let owner = child.owner_references.as_deref()?.iter().find(ours)?;
    Some(ObjectRef::new(&owner.name).within(child.namespace.as_deref()?))
}

/// The server that a pod belongs to: its owner is a ReplicaSet.
fn labelled(pod: &ObjectMeta) -> Option<ObjectRef<McpServer>> {
    let name = pod.labels.as_ref()?.get(SERVER_LABEL)?;
    Some(ObjectRef::new(name).within(pod.namespace.as_deref()?))
}

/// The servers of a namespace whose labels may have changed, as far as a class has to do with them.
fn within(servers: &Store<McpServer>, namespace: &ObjectMeta) -> Vec<ObjectRef<McpServer>> {
    let classed = |server: &McpServer| server.spec.class_name.is_some() && server.metadata.namespace == namespace.name;
    let found = servers.state();
    found.iter().filter(|server| classed(server)).map(|server| ObjectRef::from_obj(server.as_ref())).collect()
}

/// The servers whose specs name a ConfigMap or a Secret.
fn named_by(servers: &Index<McpServer>, object: &ObjectMeta) -> Vec<ObjectRef<McpServer>> {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let names = servers.names(namespace, object.name.as_deref().unwrap_or_default());
    names.iter().map(|name| ObjectRef::new(name).within(namespace)).collect()
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
