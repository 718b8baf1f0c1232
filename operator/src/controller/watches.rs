//! One stream a kind, each with a store and a backoff of its own, so that trouble with one never delays another.

use std::fmt::Debug;

use futures::{Stream, StreamExt, future, stream::BoxStream};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
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
    desired::roll,
    index::Index,
    listed::{Listed, Mark},
    metrics::Metrics,
    vocabulary::{MANAGED_SELECTOR, SERVER_LABEL},
};

/// Seconds after which a watch is opened anew: a connection that died silently goes unnoticed for no longer.
const WATCH_SECONDS: u32 = 45;
/// Leaves out the ConfigMap that every namespace has, and no server names.
const OTHER_CONFIG_MAPS: &str = "metadata.name!=kube-root-ca.crt";

/// A stream of changed objects.
pub type Changes<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// Every stream the controller listens to.
#[expect(missing_debug_implementations, reason = "streams have nothing to show")]
pub struct Watches {
    /// Servers whose spec or metadata changed.
    pub servers: Changes<McpServer>,
    /// Every server.
    pub server_store: Store<McpServer>,
    /// Names of servers by the ConfigMaps that they name.
    pub servers_by_config_map: Index<McpServer>,
    /// Changed or deleted ServiceAccounts.
    pub service_accounts: Changes<ServiceAccount>,
    /// Changed or deleted settings files.
    pub settings: Changes<ConfigMap>,
    /// Changed or deleted NetworkPolicies.
    pub network_policies: Changes<NetworkPolicy>,
    /// Changed or deleted Services.
    pub services: Changes<Service>,
    /// Changed or deleted Deployments.
    pub deployments: Changes<Deployment>,
    /// Changed or deleted PodDisruptionBudgets.
    pub disruption_budgets: Changes<PodDisruptionBudget>,
    /// Changed or deleted pods.
    pub pods: Changes<Pod>,
    /// Changed or deleted ConfigMaps, whoever owns them.
    pub config_maps: Changes<PartialObjectMeta<ConfigMap>>,
}

/// Opens every stream.
#[must_use]
pub fn open(client: &Client, metrics: &Metrics) -> (Watches, Stores, Listed) {
    let mut listed = Listed::new(metrics.watches.clone());
    let children = || watcher::Config::default().labels(MANAGED_SELECTOR);
    let (service_account_store, service_accounts) =
        reflect::<ServiceAccount>(client, listed.add("serviceaccounts"), children(), |_| ());
    let (settings_store, settings) = reflect::<ConfigMap>(client, listed.add("settings"), children(), |_| ());
    let (policy_store, network_policies) =
        reflect::<NetworkPolicy>(client, listed.add("networkpolicies"), children(), |_| ());
    let (service_store, services) = reflect::<Service>(client, listed.add("services"), children(), |_| ());
    let (deployment_store, deployments) = reflect::<Deployment>(client, listed.add("deployments"), children(), |_| ());
    let (budget_store, disruption_budgets) =
        reflect::<PodDisruptionBudget>(client, listed.add("poddisruptionbudgets"), children(), |_| ());
    let (pod_store, pods) = reflect::<Pod>(client, listed.add("pods"), children(), |pod| pod.spec = None);
    let pods_by_server = Index::<Pod>::new(|pod| pod.labels().get(SERVER_LABEL).cloned().into_iter().collect());
    let others = watcher::Config::default().fields(OTHER_CONFIG_MAPS);
    let (config_map_store, config_maps) =
        reflect::<PartialObjectMeta<ConfigMap>>(client, listed.add("configmaps"), others, keep_version);
    let children_listed = listed.clone().all();
    let (server_store, servers) =
        reflect::<McpServer>(client, listed.add("mcpservers"), watcher::Config::default(), |_| ());
    let servers_by_config_map = Index::<McpServer>::new(|server| roll::config_maps(&server.spec).into_iter().collect());
    // A status is written by us alone: what changes nothing else is no work.
    let of_interest = predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::labels)
        .combine(predicates::annotations);
    let servers = indexed(servers, &servers_by_config_map)
        .applied_objects()
        .predicate_filter(of_interest, PredicateConfig::default());
    let stores = Stores {
        service_accounts: service_account_store,
        settings: settings_store,
        network_policies: policy_store,
        services: service_store,
        deployments: deployment_store,
        disruption_budgets: budget_store,
        pods: pod_store,
        pods_by_server: pods_by_server.clone(),
        config_maps: config_map_store,
    };
    let watches = Watches {
        servers: counted("McpServer", after(children_listed, servers)),
        server_store,
        servers_by_config_map,
        service_accounts: counted("ServiceAccount", service_accounts.touched_objects()),
        settings: counted("ConfigMap", settings.touched_objects()),
        network_policies: counted("NetworkPolicy", network_policies.touched_objects()),
        services: counted("Service", services.touched_objects()),
        deployments: counted("Deployment", deployments.touched_objects()),
        disruption_budgets: counted("PodDisruptionBudget", disruption_budgets.touched_objects()),
        pods: counted("Pod", indexed(pods, &pods_by_server).touched_objects()),
        config_maps: counted("ConfigMap", config_maps.touched_objects()),
    };
    (watches, stores, listed)
}

/// Keeps what tells one version of an object from another.
fn keep_version<K>(object: &mut PartialObjectMeta<K>) {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = std::mem::take(&mut object.metadata);
    object.metadata = ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() };
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

/// Events that an index has seen.
fn indexed<K: Resource + Send + 'static>(events: Events<K>, index: &Index<K>) -> Events<K> {
    let index = index.clone();
    events.inspect(move |event| index.see(event)).boxed()
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
