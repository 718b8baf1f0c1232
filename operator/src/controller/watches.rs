//! One stream a kind, each with a store and a backoff of its own, so that trouble with one never delays another.

mod quiet;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, future, stream::BoxStream};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Event, Namespace, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::{ClusterResourceScope, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Predicate, PredicateConfig, WatchStreamExt, predicates,
        reflector::{Store, store::Writer},
        watcher,
    },
};
use mcp_crds::{McpServer, McpServerClass};
use serde::de::DeserializeOwned;

use self::quiet::{First, news, replaced};
use crate::{
    context::{Optional, Stores},
    desired::{roll, scaled_object},
    identity::proof,
    index::Index,
    keeper,
    kubelet::{self, Said},
    listed::{Listed, Mark, refusal},
    metrics::Metrics,
    secrets::{self, Granted, Secrets},
    vocabulary::{MANAGED_SELECTOR, SERVER_LABEL},
};

/// Seconds after which a watch is opened anew: a connection that died silently goes unnoticed for no longer.
const WATCH_SECONDS: u32 = 45;
/// Leaves out the ConfigMap that every namespace has, and no server names.
const OTHER_CONFIG_MAPS: &str = "metadata.name!=kube-root-ca.crt";

/// How long servers wait, at the start, for an answer whether there is KEDA: what they say of it must not change twice
/// with every start of the operator.
const ASKED_FOR: Duration = Duration::from_secs(10);

/// How soon a kind is listed again that the API server refused: no backoff, for whoever grants a right or installs a
/// definition looks at what happens.
const REFUSED_AGAIN: Duration = Duration::from_secs(10);

/// A client that looks at one namespace, or at all.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "kube's client has nothing to show")]
pub struct Scoped {
    /// The API server.
    pub client: Client,
    /// The namespace; all of them without one.
    pub namespace: Option<String>,
}

impl Scoped {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn api_of(&self, resource: &ApiResource) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

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
    /// Names of servers by the Secrets that they read at their start.
    pub servers_by_secret: Index<McpServer>,
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
    /// Changed or deleted Ingresses.
    pub ingresses: Changes<Ingress>,
    /// Changed or deleted PodDisruptionBudgets.
    pub disruption_budgets: Changes<PodDisruptionBudget>,
    /// Changed or deleted pods.
    pub pods: Changes<Pod>,
    /// Changed or deleted ConfigMaps, whoever owns them.
    pub config_maps: Changes<PartialObjectMeta<ConfigMap>>,
    /// Changed or deleted Secrets of namespaces that grant it.
    pub rolled_secrets: Changes<PartialObjectMeta<Secret>>,
    /// Changed or deleted namespaces.
    pub namespaces: Changes<PartialObjectMeta<Namespace>>,
    /// An item when a class became another, came or went.
    pub classes: BoxStream<'static, ()>,
    /// Changed or deleted ScaledObjects, where there is KEDA.
    pub scaled_objects: Changes<DynamicObject>,
    /// Pods of which kubelet says that they cannot start.
    pub hindered: Changes<PartialObjectMeta<Pod>>,
    /// An item when the Secret with the probe's key became another, or is gone.
    pub secret: BoxStream<'static, ()>,
    /// That Secret.
    pub secret_store: Store<Secret>,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// The namespace of the servers; all of them without one.
    pub watched: Option<String>,
    /// The operator's own.
    pub home: String,
    /// Those in which pods roll when a Secret changes.
    pub rolled: Vec<String>,
}

/// Opens every stream, in one namespace or in all.
#[must_use]
pub fn open(client: &Client, namespaces: &Namespaces, metrics: &Metrics) -> (Watches, Stores, Listed) {
    let mut listed = Listed::new(metrics.watches.clone());
    let home = Scoped { client: client.clone(), namespace: Some(namespaces.home.clone()) };
    let (rolled_store, rolled_secrets) = roll_on_secrets(client, &namespaces.rolled, &mut listed);
    let client = &Scoped { client: client.clone(), namespace: namespaces.watched.clone() };
    let children = || watcher::Config::default().labels(MANAGED_SELECTOR);
    let (service_account_store, service_accounts) =
        reflect::<ServiceAccount>(client, listed.add("serviceaccounts"), children(), |_| ());
    let (settings_store, settings) = reflect::<ConfigMap>(client, listed.add("settings"), children(), |_| ());
    let (policy_store, network_policies) =
        reflect::<NetworkPolicy>(client, listed.add("networkpolicies"), children(), |_| ());
    let (service_store, services) = reflect::<Service>(client, listed.add("services"), children(), |_| ());
    let (deployment_store, deployments) = reflect::<Deployment>(client, listed.add("deployments"), children(), |_| ());
    let (ingress_store, ingresses) = reflect::<Ingress>(client, listed.add("ingresses"), children(), |_| ());
    let (budget_store, disruption_budgets) =
        reflect::<PodDisruptionBudget>(client, listed.add("poddisruptionbudgets"), children(), |_| ());
    let (pod_store, pods) = reflect::<Pod>(client, listed.add("pods"), children(), |pod| {
        pod.spec = pod.spec.take().and_then(proof::kept);
    });
    let pods_by_server = Index::<Pod>::new(|pod| pod.labels().get(SERVER_LABEL).cloned().into_iter().collect());
    let others = watcher::Config::default().fields(OTHER_CONFIG_MAPS);
    let (config_map_store, config_maps) =
        reflect::<PartialObjectMeta<ConfigMap>>(client, listed.add("configmaps"), others, keep_version);
    let (class_store, classes) = reflect_all::<McpServerClass>(client, listed.add("mcpserverclasses"), |_| ());
    let (namespace_store, namespaces) =
        reflect_all::<PartialObjectMeta<Namespace>>(client, listed.add("namespaces"), keep_labels);
    let (scaled_objects_store, scaled_objects) =
        optional(client, &mut listed, "scaledobjects.keda.sh", scaled_object::resource(), children());
    let key = watcher::Config::default().fields(&format!("metadata.name={}", keeper::SECRET));
    let (secret_store, secret) = reflect::<Secret>(&home, listed.add("secrets"), key, |_| ());
    let keda_known = scaled_objects_store.known(ASKED_FOR);
    let with_pods = listed.clone();
    let said = Said::default();
    let hindered = futures::stream::select_all(kubelet::WATCHES.map(|(name, fields)| {
        let (mark, _) = listed.add_optional(name);
        hindered(client, mark, fields, &said, &pod_store, with_pods.clone().all())
    }))
    .boxed();
    let children_listed = future::join(listed.clone().all(), keda_known).map(drop);
    let (server_store, servers) =
        reflect::<McpServer>(client, listed.add("mcpservers"), watcher::Config::default(), |_| ());
    let servers_by_config_map = Index::<McpServer>::new(|server| roll::config_maps(&server.spec).into_iter().collect());
    let servers_by_secret = Index::<McpServer>::new(|server| roll::secrets(&server.spec).into_iter().collect());
    // A status is written by us alone: what changes nothing else is no work.
    let of_interest = predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::labels)
        .combine(predicates::annotations);
    let servers = indexed(indexed(servers, &servers_by_config_map), &servers_by_secret)
        .applied_objects()
        .predicate_filter(of_interest, PredicateConfig::default());
    let stores = Stores {
        service_accounts: service_account_store,
        settings: settings_store,
        network_policies: policy_store,
        services: service_store,
        deployments: deployment_store,
        ingresses: ingress_store,
        disruption_budgets: budget_store,
        pods: pod_store,
        said,
        pods_by_server: pods_by_server.clone(),
        config_maps: config_map_store,
        secrets: rolled_store,
        classes: class_store.clone(),
        namespaces: namespace_store,
        scaled_objects: scaled_objects_store,
    };
    let watches = Watches {
        servers: without_errors(after(children_listed, servers)),
        server_store,
        servers_by_config_map,
        servers_by_secret,
        service_accounts: without_errors(service_accounts.touched_objects()),
        settings: without_errors(settings.touched_objects()),
        network_policies: without_errors(network_policies.touched_objects()),
        services: without_errors(services.touched_objects()),
        deployments: without_errors(deployments.touched_objects()),
        ingresses: without_errors(ingresses.touched_objects()),
        disruption_budgets: without_errors(disruption_budgets.touched_objects()),
        pods: without_errors(indexed(pods, &pods_by_server).touched_objects()),
        config_maps: without_errors(config_maps.touched_objects()),
        rolled_secrets,
        namespaces: without_errors(namespaces.touched_objects()),
        classes: replaced(classes, class_store, First::News),
        scaled_objects,
        hindered,
        secret: replaced(secret, secret_store.clone(), First::Known),
        secret_store,
    };
    (watches, stores, listed)
}

/// Secrets of these namespaces, each with a store of its own: its owner may grant it or not.
fn roll_on_secrets(
    client: &Client,
    namespaces: &[String],
    listed: &mut Listed,
) -> (Secrets, Changes<PartialObjectMeta<Secret>>) {
    let mut granted = BTreeMap::new();
    let mut streams = Vec::new();
    for namespace in namespaces.iter().collect::<BTreeSet<_>>() {
        let there = Scoped { client: client.clone(), namespace: Some(namespace.clone()) };
        let (mark, presence) = listed.add_granted(namespace);
        let config = watcher::Config::default().fields(secrets::FIELDS);
        let (store, events) = reflect::<PartialObjectMeta<Secret>>(&there, mark, config, keep_version);
        granted.insert(namespace.clone(), Granted { store, presence });
        streams.push(without_errors(events.touched_objects()));
    }
    (Secrets::new(granted), futures::stream::select_all(streams).boxed())
}

/// Keeps by what a class may choose namespaces.
fn keep_labels<K>(object: &mut PartialObjectMeta<K>) {
    let ObjectMeta { name, uid, resource_version, labels, .. } = std::mem::take(&mut object.metadata);
    object.metadata = ObjectMeta { name, uid, resource_version, labels, ..ObjectMeta::default() };
}

/// Keeps what tells one version of an object from another.
fn keep_version<K>(object: &mut PartialObjectMeta<K>) {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = std::mem::take(&mut object.metadata);
    object.metadata = ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() };
}

type Events<K> = BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>;

/// A store and the events that fill it, without what nobody reads.
fn reflect<K>(client: &Scoped, mark: Mark, config: watcher::Config, trim: fn(&mut K)) -> (Store<K>, Events<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    fill(client.api(), Writer::new(()), mark, config, trim)
}

/// The same of a kind without namespaces.
fn reflect_all<K>(client: &Scoped, mark: Mark, trim: fn(&mut K)) -> (Store<K>, Events<K>)
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    fill(Api::all(client.client.clone()), Writer::new(()), mark, watcher::Config::default(), trim)
}

/// A store and a stream of a kind that the cluster may lack, now or later: its absence delays nobody.
///
/// Asking for a list is the cheapest way to learn whether there is such a kind, and needs no right that the watch does
/// not need anyway.
#[must_use]
pub fn optional(
    client: &Scoped,
    listed: &mut Listed,
    name: &'static str,
    resource: ApiResource,
    config: watcher::Config,
) -> (Optional, Changes<DynamicObject>) {
    let (mark, presence) = listed.add_optional(name);
    let (store, events) =
        fill(client.api_of(&resource), Writer::new(resource), mark, config, |_: &mut DynamicObject| ());
    (Optional::new(store, presence), without_errors(news(events).touched_objects()))
}

fn fill<K>(
    api: Api<K>,
    writer: Writer<K>,
    mark: Mark,
    config: watcher::Config,
    trim: fn(&mut K),
) -> (Store<K>, Events<K>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Clone + Debug + Eq + Hash + Unpin + Send + Sync,
{
    let (store, config) = (writer.as_reader(), config.timeout(WATCH_SECONDS));
    let held = store.clone();
    let events = anew_when_refused(move || watcher(api.clone(), config.clone()).default_backoff().boxed())
        .modify(move |object: &mut K| {
            object.managed_fields_mut().clear();
            trim(object);
        })
        .reflect(writer)
        .inspect(move |event| mark.see(event, held.len()))
        .boxed();
    (store, events)
}

/// Pods of ours of which kubelet says that they cannot start. Begins after the pods, which it has to know.
///
/// One request, a watch that begins with what there is, and one right for it. Where the API server does not have that
/// (before 1.34 it is off by default), nobody waits for it: `RolloutStuck` is the reason then, after three minutes.
fn hindered(
    client: &Scoped,
    mark: Mark,
    fields: &str,
    said: &Said,
    pods: &Store<Pod>,
    pods_listed: impl Future<Output = ()> + Send + 'static,
) -> Changes<PartialObjectMeta<Pod>> {
    let (said, pods) = (said.clone(), pods.clone());
    let config = watcher::Config::default().fields(fields).timeout(WATCH_SECONDS).streaming_lists();
    let api = client.api::<Event>();
    let remembered = said.clone();
    let events = anew_when_refused(move || watcher(api.clone(), config.clone()).default_backoff().boxed());
    // Where there is no such watch, that is no news every few seconds; a right that is missing is.
    let of_note = move |event: &_| Result::is_ok(event) || refusal(event).is_some();
    let events = events.inspect(move |event| {
        if of_note(event) {
            mark.see(event, remembered.count());
        }
    });
    let pods_of_note = events.filter_map(move |event| {
        future::ready(match event {
            Ok(event) => said.see(&event, &pods).map(Ok),
            Err(error) => Some(Err(error)),
        })
    });
    without_errors(after(pods_listed, pods_of_note))
}

/// Events that an index has seen.
fn indexed<K: Resource + Send + 'static>(events: Events<K>, index: &Index<K>) -> Events<K> {
    let index = index.clone();
    events.inspect(move |event| index.see(event)).boxed()
}

/// A stream that begins anew after a refusal. A watch that goes on from where it was would say nothing when the kind is
/// back, and keep in the store what went away with it.
fn anew_when_refused<K: Send + 'static>(open: impl Fn() -> Events<K> + Send + Sync + 'static) -> Events<K> {
    let open = Arc::new(open);
    futures::stream::unfold((None, Duration::ZERO), move |(current, wait)| {
        let open = open.clone();
        async move {
            let mut events: Events<K> = if let Some(events) = current {
                events
            } else {
                tokio::time::sleep(wait).await;
                open()
            };
            let event = events.next().await?;
            let current = refusal(&event).is_none().then_some(events);
            Some((event, (current, REFUSED_AGAIN)))
        }
    })
    .boxed()
}

/// A stream that begins when something is done. The Controller holds every reconcile until the servers are listed, and
/// polls the other streams meanwhile: servers that are listed last are reconciled against full stores.
fn after<T: Send + 'static>(
    done: impl Future<Output = ()> + Send + 'static,
    stream: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    futures::stream::once(done).filter_map(|()| future::ready(None)).chain(stream).boxed()
}

/// Drops the errors of a stream: they were told, each stream has a backoff of its own, and none may reach the Controller,
/// whose one backoff would hold up every other stream.
fn without_errors<K: Send + 'static>(
    objects: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
) -> Changes<K> {
    objects.filter(|result| future::ready(result.is_ok())).boxed()
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
