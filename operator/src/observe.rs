//! What the cluster holds for one server, from the stores alone: no call.
//!
//! In: the server and the stores. Out: [`Observed`]. A store lags behind our own writes, so what the API server
//! answered to a write counts until the store shows it, for a few seconds at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef, runtime::reflector::Store};
use mcp_crds::{McpServer, McpServerStatus};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    context::{Context, Stores},
    desired::{
        ChildKind, Standing,
        exposure::carrier,
        names, roll,
        scaled_object::{Keda, resource},
    },
    diff::{self, Claim, Live},
    status::pods::Hindered,
    vocabulary::ConditionType,
};

/// How long an answer counts when the store never shows it.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// What the cluster holds for one server.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Its children.
    pub live: Live,
    /// Its pods, by name.
    pub pods: Vec<Arc<Pod>>,
    /// What keeps them from starting that stands in no status.
    pub hindered: Hindered,
    /// The ConfigMaps and Secrets that its spec names.
    pub named: roll::Named,
    /// Its class, and what its namespace is.
    pub standing: Standing,
    /// Its status.
    pub status: McpServerStatus,
    /// Look again then: an answer stands in for the store until that time.
    pub again: Option<Duration>,
}

/// Reads everything there is about a server.
#[must_use]
pub fn observe(context: &Context, server: &McpServer) -> Observed {
    let stores = &context.stores;
    let mut observed = Observed::default();
    for kind in ChildKind::ALL {
        let shown = match kind {
            ChildKind::ServiceAccount => find(&stores.service_accounts, kind, server),
            ChildKind::ConfigMap => find(&stores.settings, kind, server),
            ChildKind::NetworkPolicy => find(&stores.network_policies, kind, server),
            ChildKind::Service => find(&stores.services, kind, server),
            ChildKind::Deployment => find(&stores.deployments, kind, server),
            ChildKind::Ingress => find(&stores.ingresses, kind, server),
            ChildKind::PodDisruptionBudget => find(&stores.disruption_budgets, kind, server),
            ChildKind::ScaledObject => {
                stores.scaled_objects.get().and_then(|store| find_by(store, resource(), kind, server))
            }
        };
        let newest = context.recent.newest(&key(kind.name(), server), shown, &mut observed.again);
        observed.live.extend(newest.map(|object| (kind, object)));
    }
    let shown = serde_json::to_value(server).ok();
    let newest = context.recent.newest(&key("McpServer", server), shown, &mut observed.again);
    observed.status =
        newest.and_then(|mut object| serde_json::from_value(object.get_mut("status")?.take()).ok()).unwrap_or_default();
    // A condition that somebody else put there is theirs, and no difference.
    observed
        .status
        .conditions
        .retain(|condition| ConditionType::ALL.iter().any(|ours| ours.as_str() == condition.type_));
    observed.pods = pods(stores, server);
    observed.hindered = hindered(stores, &observed.pods);
    observed.named = roll::Named {
        config_maps: config_maps(stores, server),
        secrets: stores.secrets.hash(server, observed.live.get(&ChildKind::Deployment)),
    };
    observed.standing = standing(stores, server);
    observed
}

/// What there is of KEDA for a server.
#[must_use]
pub fn keda(context: &Context, server: &McpServer, observed: &Observed) -> Keda {
    let owner = server.uid().unwrap_or_default();
    // One that a deleted server of the same name left behind scales what has that name too.
    let holds = |object: &Value| diff::claim(object, &owner, &server.name_any()) != Claim::Foreign;
    Keda {
        installed: context.stores.scaled_objects.get().is_some(),
        holds: observed.live.get(&ChildKind::ScaledObject).is_some_and(holds),
    }
}

/// Name in DNS of the load balancer that a server asks for, as soon as it has one.
#[must_use]
pub fn balancer(server: &McpServer, observed: &Observed) -> Option<String> {
    let owner = server.uid().unwrap_or_default();
    let object = observed.live.get(&carrier(&server.spec)?)?;
    let address = object.pointer("/status/loadBalancer/ingress/0")?;
    let address = address.get("hostname").or_else(|| address.get("ip"))?.as_str()?;
    diff::is_ours(object, &owner).then(|| address.to_owned())
}

/// Key of an object of a server in [`Recent`].
#[must_use]
pub fn key(kind: &str, server: &McpServer) -> String {
    // The uid keeps a server made anew from seeing what the old one wrote.
    format!("{kind}/{}", server.uid().unwrap_or_default())
}

fn find<K>(store: &Store<K>, kind: ChildKind, server: &McpServer) -> Option<Value>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned,
{
    find_by(store, (), kind, server)
}

fn find_by<K>(store: &Store<K>, resource: K::DynamicType, kind: ChildKind, server: &McpServer) -> Option<Value>
where
    K: Resource + Clone + Serialize,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    let name = names::child(kind, &server.name_any());
    let at = ObjectRef::new_with(&name, resource).within(&server.namespace()?);
    serde_json::to_value(store.get(&at)?.as_ref()).ok()
}

fn pods(stores: &Stores, server: &McpServer) -> Vec<Arc<Pod>> {
    let namespace = server.namespace().unwrap_or_default();
    let names = stores.pods_by_server.names(&namespace, &server.name_any());
    names.iter().filter_map(|name| stores.pods.get(&ObjectRef::new(name).within(&namespace))).collect()
}

/// What keeps them from starting.
fn hindered(stores: &Stores, pods: &[Arc<Pod>]) -> Hindered {
    pods.iter().filter_map(|pod| Some((pod.name_any(), stores.said.of(pod)?))).collect()
}

fn standing(stores: &Stores, server: &McpServer) -> Standing {
    let named = server.spec.class_name.as_ref();
    let namespace = stores.namespaces.get(&ObjectRef::new(&server.namespace().unwrap_or_default()));
    Standing {
        class: named.and_then(|name| stores.classes.get(&ObjectRef::new(name))),
        namespace: namespace.and_then(|namespace| namespace.metadata.labels.clone()).unwrap_or_default(),
    }
}

fn config_maps(stores: &Stores, server: &McpServer) -> roll::Versions {
    let namespace = server.namespace().unwrap_or_default();
    let version = |name: &str| {
        let found = stores.config_maps.get(&ObjectRef::new(name).within(&namespace))?;
        Some(format!("{}/{}", found.metadata.uid.as_ref()?, found.metadata.resource_version.as_ref()?))
    };
    roll::config_maps(&server.spec).into_iter().map(|name| (name.clone(), version(&name))).collect()
}

/// Answers of the API server to our own writes, until the stores show them.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<String, (Instant, Value)>>);

impl Recent {
    /// Remembers an answer.
    pub fn remember(&self, key: String, object: Value) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (since, _)| since.elapsed() < TRUSTED_FOR);
        answers.insert(key, (Instant::now(), object));
    }

    /// How many answers are remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The newer of what the store shows and what was answered; asks for another look while an answer stands in.
    fn newest(&self, key: &str, stored: Option<Value>, again: &mut Option<Duration>) -> Option<Value> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((since, answer)) = answers.get(key) else {
            return stored;
        };
        let caught_up = stored.as_ref().is_some_and(|stored| version(stored) >= version(answer));
        if caught_up || since.elapsed() >= TRUSTED_FOR {
            answers.remove(key);
            return stored;
        }
        *again = Some(TRUSTED_FOR);
        Some(answer.clone())
    }
}

/// Resource versions are decimal numbers that grow, by promise of the API since 1.35 and by fact before.
fn version(object: &Value) -> Option<u64> {
    object.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Recent;

    #[test]
    fn an_answer_counts_until_the_store_shows_it() {
        let object = |version: &str| json!({"metadata": {"resourceVersion": version}});
        let recent = Recent::default();
        let mut again = None;
        recent.remember("a".to_owned(), object("10"));
        assert_eq!(recent.newest("a", None, &mut again), Some(object("10")), "the store has not seen it");
        assert_eq!(recent.newest("a", Some(object("9")), &mut again), Some(object("10")), "the store is behind");
        assert!(again.take().is_some(), "an answer that stands in is looked at again");
        assert_eq!(recent.newest("a", Some(object("10")), &mut again), Some(object("10")));
        assert_eq!(recent.newest("a", None, &mut again), None, "once seen, the store alone counts");
        assert_eq!(again, None);
    }
}
