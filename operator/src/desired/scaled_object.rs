//! The ScaledObject: how many pods there are, where KEDA decides it.
//!
//! In: a [`Valid`] server. Out: a ScaledObject for its Deployment, none where the spec does not scale or there is no KEDA.
//! Sources: <https://keda.sh/docs/latest/reference/scaledobject-spec/>, <https://keda.sh/docs/latest/scalers/cpu/>,
//! <https://keda.sh/docs/latest/scalers/cron/>, <https://keda.sh/docs/latest/scalers/prometheus/>.

use kube::{
    api::{ApiResource, DynamicObject, TypeMeta},
    core::GroupVersionKind,
};
use mcp_crds::scaling::{Autoscaling, Behavior, Pace, Utilization};
use serde_json::{Map, Value, json};

use super::{ChildKind, Valid, labels, names, pod::CONTAINER};

/// Annotation that has KEDA leave the number of pods where it is.
/// Source: <https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling>.
pub const PAUSED: &str = "autoscaling.keda.sh/paused";

/// What there is of KEDA, as far as children depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keda {
    /// The cluster knows ScaledObjects.
    pub installed: bool,
    /// A ScaledObject of this server is there, be it on its way out: KEDA may write the number of pods.
    pub holds: bool,
}

/// Group, version and plural of the kind.
#[must_use]
pub fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"))
}

pub(super) fn build(server: &Valid) -> Option<DynamicObject> {
    let autoscaling = server.autoscaling.as_ref().filter(|_| server.keda.installed)?;
    let kind = resource();
    let mut metadata = labels::metadata(ChildKind::ScaledObject, server);
    if autoscaling.paused {
        metadata.annotations = Some([(PAUSED.to_owned(), "true".to_owned())].into());
    }
    Some(DynamicObject {
        types: Some(TypeMeta { api_version: kind.api_version, kind: kind.kind }),
        metadata,
        data: json!({"spec": spec(autoscaling, &server.name)}),
    })
}

fn spec(autoscaling: &Autoscaling, server: &str) -> Value {
    let deployment = names::child(ChildKind::Deployment, server);
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
        "minReplicaCount": autoscaling.min_replicas,
        "maxReplicaCount": autoscaling.max_replicas,
        "triggers": triggers(autoscaling),
    });
    let mut set = |name: &str, value: Value| spec.as_object_mut().map(|spec| spec.insert(name.to_owned(), value));
    let down = autoscaling.behavior.as_ref().and_then(|behavior| behavior.scale_down.as_ref());
    // The last pod is not the HPA's to take, and its wait is not either.
    if let Some(window) = down.and_then(|down| down.stabilization_window_seconds)
        && autoscaling.min_replicas == 0
    {
        set("cooldownPeriod", json!(window));
    }
    let scaler = scaler(autoscaling, server);
    if !scaler.is_empty() {
        // KEDA writes objects back as its own types have them, and those always have modifiers: without them here, its
        // finalizer would be a change to undo.
        set("advanced", json!({"horizontalPodAutoscalerConfig": scaler, "scalingModifiers": {}}));
    }
    spec
}

/// What is said of the HorizontalPodAutoscaler that KEDA makes.
fn scaler(autoscaling: &Autoscaling, server: &str) -> Map<String, Value> {
    let behavior = autoscaling.behavior.as_ref().map(behavior).filter(|behavior| !behavior.is_empty());
    let name = names::scaler(server).map(Value::String);
    let members = [("behavior", behavior.map(Value::Object)), ("name", name)];
    members.into_iter().filter_map(|(member, value)| Some((member.to_owned(), value?))).collect()
}

fn triggers(autoscaling: &Autoscaling) -> Vec<Value> {
    let mut triggers = Vec::new();
    // Of the container alone: what others are injected beside it may request nothing.
    let resource = |kind: &str, share: &Utilization| {
        let metadata = json!({"value": share.utilization.to_string(), "containerName": CONTAINER});
        json!({"type": kind, "metricType": "Utilization", "metadata": metadata})
    };
    triggers.extend(cpu(autoscaling).map(|share| resource("cpu", &share)));
    triggers.extend(autoscaling.memory.iter().map(|share| resource("memory", share)));
    triggers.extend(autoscaling.schedule.iter().map(|entry| {
        let metadata = json!({
            "timezone": entry.timezone, "start": entry.start, "end": entry.end,
            "desiredReplicas": entry.replicas.to_string(),
        });
        json!({"type": "cron", "name": entry.name, "metadata": metadata})
    }));
    triggers.extend(autoscaling.prometheus.iter().map(|prometheus| {
        let metadata = json!({
            "serverAddress": prometheus.server_address, "query": prometheus.query, "threshold": prometheus.threshold,
        });
        json!({"type": "prometheus", "metadata": metadata})
    }));
    triggers
}

/// Share of the CPU at which pods are added: what the spec says, or the usual one where it names no trigger at all.
#[must_use]
pub fn cpu(autoscaling: &Autoscaling) -> Option<Utilization> {
    let Autoscaling { cpu, memory, schedule, prometheus, .. } = autoscaling;
    let none = memory.is_none() && schedule.is_empty() && prometheus.is_none();
    cpu.clone().or_else(|| none.then_some(Utilization { utilization: 80 }))
}

fn behavior(behavior: &Behavior) -> Map<String, Value> {
    let directions = [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)];
    let paces = directions.into_iter().filter_map(|(name, pace)| Some((name.to_owned(), self::pace(pace.as_ref()?)?)));
    paces.collect()
}

/// One direction; none if it says nothing: the API server of the HPA refuses empty lists of policies.
fn pace(pace: &Pace) -> Option<Value> {
    let mut members = Map::new();
    if let Some(window) = pace.stabilization_window_seconds {
        members.insert("stabilizationWindowSeconds".to_owned(), json!(window));
    }
    if !pace.policies.is_empty() {
        let policies = pace
            .policies
            .iter()
            .map(|policy| json!({"type": policy.type_, "value": policy.value, "periodSeconds": policy.period_seconds}));
        members.insert("policies".to_owned(), policies.collect());
    }
    (!members.is_empty()).then_some(Value::Object(members))
}
