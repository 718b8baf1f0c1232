//! One stream a kind, each with a store and a backoff of its own, so that trouble with one never delays another.

use std::fmt::Debug;

use futures::{Stream, StreamExt, future, stream::BoxStream};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Service, ServiceAccount},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        Predicate, PredicateConfig, WatchStreamExt, predicates,
        reflector::{self, Store},
        watcher,
    },
};
use mcp_crds::McpServer;
use serde::de::DeserializeOwned;

use super::without_errors;
use crate::{
    context::Stores,
    listed::{Listed, Mark},
    metrics::Metrics,
    vocabulary::MANAGED_SELECTOR,
};

/// Seconds after which a watch is opened anew: a connection that died silently goes unnoticed for no longer.
const WATCH_SECONDS: u32 = 45;

/// A stream of changed objects.
pub type Changes<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// Every stream the controller listens to.
#[expect(missing_debug_implementations, reason = "streams have nothing to show")]
pub struct Watches {
    /// Servers whose spec or metadata changed.
    pub servers: Changes<McpServer>,
    /// Every server.
    pub server_store: Store<McpServer>,
    /// Changed or deleted ServiceAccounts.
    pub service_accounts: Changes<ServiceAccount>,
    /// Changed or deleted Services.
    pub services: Changes<Service>,
    /// Changed or deleted Deployments.
    pub deployments: Changes<Deployment>,
    /// Changed or deleted pods.
    pub pods: Changes<Pod>,
}

/// Opens every stream.
#[must_use]
pub fn open(client: &Client, metrics: &Metrics) -> (Watches, Stores, Listed) {
    let mut listed = Listed::new(metrics.watches.clone());
    let children = || watcher::Config::default().labels(MANAGED_SELECTOR);
    let (service_account_store, service_accounts) =
        reflect::<ServiceAccount>(client, listed.add("serviceaccounts"), children(), |_| ());
    let (service_store, services) = reflect::<Service>(client, listed.add("services"), children(), |_| ());
    let (deployment_store, deployments) = reflect::<Deployment>(client, listed.add("deployments"), children(), |_| ());
    let (pod_store, pods) = reflect::<Pod>(client, listed.add("pods"), children(), |pod| pod.spec = None);
    let children_listed = listed.clone().all();
    let (server_store, servers) =
        reflect::<McpServer>(client, listed.add("mcpservers"), watcher::Config::default(), |_| ());
    // A status is written by us alone: what changes nothing else is no work.
    let of_interest = predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::labels)
        .combine(predicates::annotations);
    let servers = servers.applied_objects().predicate_filter(of_interest, PredicateConfig::default());
    let stores = Stores {
        service_accounts: service_account_store,
        services: service_store,
        deployments: deployment_store,
        pods: pod_store,
    };
    let watches = Watches {
        servers: counted("McpServer", after(children_listed, servers)),
        server_store,
        service_accounts: counted("ServiceAccount", service_accounts.touched_objects()),
        services: counted("Service", services.touched_objects()),
        deployments: counted("Deployment", deployments.touched_objects()),
        pods: counted("Pod", pods.touched_objects()),
    };
    (watches, stores, listed)
}

type Events<K> = BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>;

/// A store and the events that fill it, without what nobody reads.
fn reflect<K>(client: &Client, mark: Mark, config: watcher::Config, trim: fn(&mut K)) -> (Store<K>, Events<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let held = store.clone();
    let events = watcher(Api::all(client.clone()), config.timeout(WATCH_SECONDS))
        .default_backoff()
        .modify(move |object: &mut K| {
            object.managed_fields_mut().clear();
            trim(object);
        })
        .reflect(writer)
        .inspect(move |event| mark.see(event, held.len()))
        .boxed();
    (store, events)
}

/// A stream that begins when something is done. The Controller holds every reconcile until the servers are listed, and
/// polls the other streams meanwhile: servers that are listed last are reconciled against full stores.
fn after<T: Send + 'static>(
    done: impl Future<Output = ()> + Send + 'static,
    stream: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    futures::stream::once(done).filter_map(|()| future::ready(None)).chain(stream).boxed()
}

fn counted<K: Send + 'static>(
    kind: &'static str,
    objects: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
) -> Changes<K> {
    objects.filter_map(move |result| future::ready(without_errors(kind, result))).boxed()
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt, channel::oneshot, stream};

    use super::after;

    #[test]
    fn servers_wait_until_every_child_is_listed() {
        let (listed, done) = oneshot::channel::<()>();
        let mut servers = after(done.map(drop), stream::iter(["a", "b"]));
        assert_eq!(servers.next().now_or_never(), None);
        listed.send(()).unwrap();
        assert_eq!(servers.collect::<Vec<_>>().now_or_never().unwrap(), ["a", "b"]);
    }
}
