//! The Deployment around the pod: how many, and how one template follows another without a gap.
//! `own` are annotations of the template: hashes of what pods read at their start. Where KEDA decides how many, the
//! Deployment says nothing of it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::{Value, json};

use super::{ChildKind, Valid, labels, pod, validate::Strategy};

/// Old templates kept for `kubectl rollout undo`.
const REVISIONS: i32 = 3;
/// Seconds without a new ready pod after which a rollout counts as stuck.
const PROGRESS_DEADLINE_SECONDS: i32 = 180;

pub(super) fn build(server: &Valid, own: BTreeMap<String, String>) -> Deployment {
    let mut annotations = server.pod_annotations.clone();
    annotations.extend(own);
    Deployment {
        metadata: labels::metadata(ChildKind::Deployment, server),
        spec: Some(DeploymentSpec {
            replicas: server.owns_replicas().then_some(server.replicas),
            revision_history_limit: Some(REVISIONS),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            selector: labels::selector(server),
            strategy: Some(strategy(server.strategy)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels::of_pods(server)),
                    annotations: (!annotations.is_empty()).then_some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod::build(server)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// Pods that a new Deployment of an autoscaled server has until KEDA decides; the API server would give it one.
pub(super) fn begins_with(server: &Valid) -> Option<Value> {
    let fewest =
        server.autoscaling.as_ref().map(|autoscaling| autoscaling.min_replicas).filter(|fewest| *fewest > 1)?;
    Some(json!({"spec": {"replicas": fewest}}))
}

fn strategy(strategy: Strategy) -> DeploymentStrategy {
    let rolling = RollingUpdateDeployment {
        max_surge: Some(IntOrString::String("25%".to_owned())),
        max_unavailable: Some(IntOrString::Int(0)),
    };
    match strategy {
        Strategy::Rolling => {
            DeploymentStrategy { type_: Some("RollingUpdate".to_owned()), rolling_update: Some(rolling) }
        }
        Strategy::Recreate => DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None },
    }
}
