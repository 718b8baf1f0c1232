//! Where a Deployment stands, in numbers.

use k8s_openapi::api::apps::v1::Deployment;

/// Where a Deployment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that hold or not, each by itself")]
pub struct Rollout {
    /// Whether there is a Deployment.
    pub exists: bool,
    /// Pods that are asked for, by the spec or by KEDA.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Whether a pod has been ready long enough to get traffic.
    pub serving: bool,
    /// Whether the Deployment has its minimum of such pods.
    pub available: bool,
    /// Whether every pod runs the current template, and none is missing or too many.
    pub complete: bool,
    updated: i32,
}

impl Rollout {
    /// Reads a Deployment's status; `desired` is the number of pods that is asked for.
    #[must_use]
    pub fn of(deployment: Option<&Deployment>, desired: i32) -> Self {
        let status = deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
        let seen = status.observed_generation >= deployment.and_then(|deployment| deployment.metadata.generation);
        let replicas = status.replicas.unwrap_or(0);
        let updated = status.updated_replicas.unwrap_or(0);
        let available = status.available_replicas.unwrap_or(0);
        let conditions = status.conditions.unwrap_or_default();
        let minimum = conditions.iter().any(|condition| condition.type_ == "Available" && condition.status == "True");
        Self {
            exists: deployment.is_some(),
            desired,
            replicas,
            ready: status.ready_replicas.unwrap_or(0),
            serving: available > 0,
            available: minimum && available > 0,
            complete: deployment.is_some() && seen && (updated, replicas, available) == (desired, desired, desired),
            updated,
        }
    }

    /// How many pods are ready, in words.
    #[must_use]
    pub fn count(&self) -> String {
        format!("{} of {} pods are ready", self.ready, self.desired)
    }

    /// How far a change has come, in words.
    #[must_use]
    pub fn progress(&self) -> String {
        if self.exists {
            format!("{} of {} pods run the current spec; {} are ready in all", self.updated, self.desired, self.ready)
        } else {
            "children are being created".to_owned()
        }
    }
}
