//! Secrets of namespaces whose owners let the operator see that they change: names and versions, never what is in them.
//!
//! In: the namespaces of `--roll-on-secrets`, one store each. Out: a hash over the Secrets that a spec names. Where a Role
//! is not granted (yet, or any more) what the pods were started with counts: not to know is no reason to roll them.

use std::{collections::BTreeMap, sync::Arc};

use futures::{Stream, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use mcp_crds::McpServer;
use serde_json::Value;

use crate::{desired::roll, listed::Presence, vocabulary::SECRETS_HASH};

/// Leaves out what no server reads, and changes often or in great numbers.
pub const FIELDS: &str = "type!=kubernetes.io/service-account-token,type!=helm.sh/release.v1";

/// One namespace.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Its Secrets, by nothing but name, uid and resourceVersion.
    pub store: Store<PartialObjectMeta<Secret>>,
    /// Whether they may be seen.
    pub presence: Presence,
}

/// Every namespace of the setting, by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<BTreeMap<String, Granted>>);

impl Secrets {
    /// Looks at these namespaces alone.
    #[must_use]
    pub fn new(granted: BTreeMap<String, Granted>) -> Self {
        Self(Arc::new(granted))
    }

    /// A hash over the versions of the Secrets that a server reads at its start; none where it reads none, or nobody
    /// asked for it. `deployment` is what the server has, if anything.
    #[must_use]
    pub fn hash(&self, server: &McpServer, deployment: Option<&Value>) -> Option<String> {
        let namespace = server.namespace()?;
        let granted = self.0.get(&namespace)?;
        let names = roll::secrets(&server.spec);
        if names.is_empty() {
            return None;
        }
        if !granted.presence.is_there() {
            let annotations = deployment?.pointer("/spec/template/metadata/annotations")?;
            return annotations.get(SECRETS_HASH)?.as_str().map(str::to_owned);
        }
        let version = |name: &str| {
            let found = granted.store.get(&ObjectRef::new(name).within(&namespace))?;
            Some(format!("{}/{}", found.metadata.uid.as_ref()?, found.metadata.resource_version.as_ref()?))
        };
        Some(roll::hash(&names.into_iter().map(|name| (name.clone(), version(&name))).collect()))
    }

    /// An item whenever a Role was granted or taken away.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::select_all(self.0.values().map(|granted| granted.presence.changes()).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use kube::{
        core::Status,
        runtime::{
            reflector,
            watcher::{Error, Event},
        },
    };
    use serde_json::json;

    use super::*;
    use crate::listed::{Listed, Mark};

    fn server(env: &Value) -> McpServer {
        serde_json::from_value(json!({
            "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
            "metadata": {"name": "files", "namespace": "team"},
            "spec": {"server": {"image": {"ref": "a"}}, "envFrom": env},
        }))
        .unwrap()
    }

    fn secret(version: &str) -> PartialObjectMeta<Secret> {
        let metadata = json!({"name": "token", "namespace": "team", "uid": "1", "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn secrets() -> (Secrets, Mark, reflector::store::Writer<PartialObjectMeta<Secret>>) {
        let (store, writer) = reflector::store();
        let (mark, presence) = Listed::default().add_granted("team");
        (Secrets::new(BTreeMap::from([("team".to_owned(), Granted { store, presence })])), mark, writer)
    }

    #[test]
    fn a_secret_that_becomes_another_is_another_hash_and_others_count_for_nothing() {
        let (secrets, mark, mut writer) = secrets();
        let named = server(&json!([{"secretRef": {"name": "token"}}]));
        mark.see::<Secret>(&Ok(Event::InitDone), 0);
        let missing = secrets.hash(&named, None).unwrap();
        writer.apply_watcher_event(&Event::Apply(secret("1")));
        let first = secrets.hash(&named, None).unwrap();
        writer.apply_watcher_event(&Event::Apply(secret("2")));
        let second = secrets.hash(&named, None).unwrap();
        assert!(missing != first && first != second && missing != second);
        assert_eq!(secrets.hash(&server(&json!([])), None), None, "it names none");
        let mut elsewhere = named;
        elsewhere.metadata.namespace = Some("other".to_owned());
        assert_eq!(secrets.hash(&elsewhere, None), None, "nobody asked for that namespace");
    }

    #[test]
    fn what_may_not_be_seen_stays_as_the_pods_were_started_with() {
        let (secrets, mark, mut writer) = secrets();
        let named = server(&json!([{"secretRef": {"name": "token"}}]));
        assert_eq!(secrets.hash(&named, None), None, "not listed yet, and no Deployment");
        mark.see::<Secret>(&Ok(Event::InitDone), 0);
        writer.apply_watcher_event(&Event::Apply(secret("1")));
        let hash = secrets.hash(&named, None).unwrap();
        let refused = Status { code: 403, ..Status::failure("no", "no") };
        mark.see::<Secret>(&Err(Error::InitialListFailed(kube::Error::Api(Box::new(refused)))), 1);
        writer.apply_watcher_event(&Event::Apply(secret("2")));
        let live = json!({"spec": {"template": {"metadata": {"annotations": {SECRETS_HASH: hash}}}}});
        assert_eq!(secrets.hash(&named, Some(&live)), Some(hash));
    }
}
