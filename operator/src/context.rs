//! What the shell hands around: client, stores, settings, what was written a moment ago, and who has to wait.

use std::{sync::Arc, time::Duration};

use futures::Stream;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Client,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    runtime::reflector::{Store, store::Writer},
};
use mcp_crds::McpServerClass;

use crate::{
    controller::{agent::Agent, backoff::Backoff, pace::Pace},
    desired::Defaults,
    events::Events,
    identity::tend::Tending,
    index::Index,
    keeper::Keeper,
    kubelet::Said,
    leader::Leadership,
    listed::Presence,
    metrics::Metrics,
    observe::Recent,
    probe::Probes,
    progress::Progress,
    secrets::Secrets,
};

/// Longest wait for one answer of the API server.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The shell's hands.
#[expect(missing_debug_implementations, reason = "kube's client has nothing to show")]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What is known without asking it.
    pub stores: Stores,
    /// Whether this operator is the one that works.
    pub leadership: Leadership,
    /// What the operator adds to every server.
    pub defaults: Defaults,
    /// What was written a moment ago and the stores may not show yet.
    pub recent: Recent,
    /// Who failed how often.
    pub backoff: Backoff,
    /// Steps that wait for the next one.
    pub pace: Pace,
    /// What the watchdog looks at.
    pub progress: Progress,
    /// What people are told.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The associations of the cluster; nothing where the operator does not know which cluster it is.
    pub identity: Option<Tending>,
    /// What is known of the agent by which pods get what their associations give.
    pub agent: Agent,
    /// What is known of servers by MCP.
    pub probes: Arc<Probes>,
    /// The key by which the probe shows who it is.
    pub keeper: Keeper,
}

/// Readers of the reflectors, one a kind.
#[derive(Clone, Debug)]
pub struct Stores {
    /// ServiceAccounts with our label.
    pub service_accounts: Store<ServiceAccount>,
    /// ConfigMaps with our label.
    pub settings: Store<ConfigMap>,
    /// NetworkPolicies with our label.
    pub network_policies: Store<NetworkPolicy>,
    /// Services with our label.
    pub services: Store<Service>,
    /// Deployments with our label.
    pub deployments: Store<Deployment>,
    /// Ingresses with our label.
    pub ingresses: Store<Ingress>,
    /// PodDisruptionBudgets with our label.
    pub disruption_budgets: Store<PodDisruptionBudget>,
    /// Pods with our label; of their spec no more than what EKS has put into it.
    pub pods: Store<Pod>,
    /// What kubelet says of those in Events alone.
    pub said: Said,
    /// Names of pods by their server.
    pub pods_by_server: Index<Pod>,
    /// Every ConfigMap, by nothing but its name, uid and resourceVersion.
    pub config_maps: Store<PartialObjectMeta<ConfigMap>>,
    /// Secrets of namespaces that grant it, by nothing but name, uid and resourceVersion.
    pub secrets: Secrets,
    /// What platform admins allow.
    pub classes: Store<McpServerClass>,
    /// Namespaces, by nothing but their names and labels.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// KEDA's ScaledObjects with our label, where there is KEDA.
    pub scaled_objects: Optional,
}

/// A store of a kind that the cluster may lack.
#[derive(Clone, Debug)]
pub struct Optional {
    store: Store<DynamicObject>,
    presence: Presence,
}

impl Optional {
    /// A store, and what tells whether its kind is there.
    #[must_use]
    pub fn new(store: Store<DynamicObject>, presence: Presence) -> Self {
        Self { store, presence }
    }

    /// A kind that is not there.
    #[must_use]
    pub fn absent(resource: ApiResource) -> Self {
        Self::new(Writer::new(resource).as_reader(), Presence::never())
    }

    /// The store; none while the kind is not there.
    #[must_use]
    pub fn get(&self) -> Option<&Store<DynamicObject>> {
        self.presence.is_there().then_some(&self.store)
    }

    /// Resolves when it is known whether the kind is there, or after `limit`.
    pub fn known(&self, limit: Duration) -> impl Future<Output = ()> + Send + 'static {
        let presence = self.presence.clone();
        async move { drop(tokio::time::timeout(limit, presence.known()).await) }
    }

    /// An item whenever the kind comes or goes.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        self.presence.changes()
    }
}
