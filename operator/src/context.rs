//! What the shell hands around: client, stores, settings, what was written a moment ago, and who has to wait.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Service, ServiceAccount},
};
use kube::{Client, runtime::reflector::Store};

use crate::{controller::backoff::Backoff, desired::Defaults, leader::Leadership, metrics::Metrics, observe::Recent};

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
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Readers of the reflectors, one a kind.
#[derive(Clone, Debug)]
pub struct Stores {
    /// ServiceAccounts with our label.
    pub service_accounts: Store<ServiceAccount>,
    /// Services with our label.
    pub services: Store<Service>,
    /// Deployments with our label.
    pub deployments: Store<Deployment>,
    /// Pods with our label, without their spec.
    pub pods: Store<Pod>,
}
