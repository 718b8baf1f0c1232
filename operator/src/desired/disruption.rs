//! The PodDisruptionBudget: how many pods a drain may take at once.
//!
//! A server of one pod has none, and an autoscaled one that may go down to one has none that names the fewest: a budget
//! could protect it only by blocking every drain of its node. Pods that are not ready may always be evicted: a broken
//! server must not hold up a node either.
//! Source: <https://kubernetes.io/docs/tasks/run-application/configure-pdb/#unhealthy-pod-eviction-policy>.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{ChildKind, Valid, labels};

/// What a spec says of disruptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budget {
    /// So many pods, or per cent of them, may be missing.
    MaxUnavailable(IntOrString),
    /// So many pods, or per cent of them, must be there.
    MinAvailable(IntOrString),
}

impl Default for Budget {
    fn default() -> Self {
        Self::MaxUnavailable(IntOrString::Int(1))
    }
}

pub(super) fn build(server: &Valid) -> Option<PodDisruptionBudget> {
    let (max_unavailable, min_available) = match server.disruption.clone() {
        Budget::MaxUnavailable(amount) => (Some(amount), None),
        Budget::MinAvailable(amount) => (None, Some(amount)),
    };
    let (fewest, most) = match &server.autoscaling {
        Some(autoscaling) => (autoscaling.min_replicas, autoscaling.max_replicas),
        None => (server.replicas, server.replicas),
    };
    let pods = if min_available.is_some() { fewest } else { most };
    (pods > 1).then(|| PodDisruptionBudget {
        metadata: labels::metadata(ChildKind::PodDisruptionBudget, server),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable,
            min_available,
            selector: Some(labels::selector(server)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        ..PodDisruptionBudget::default()
    })
}
