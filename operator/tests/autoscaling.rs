//! Autoscaling: what is asked of KEDA, and whose the number of pods is.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test"
)]

use mcp_crds::McpServer;
use mcp_operator::{
    desired::{self, ChildKind, Defaults, Valid, roll::Named, scaled_object::Keda},
    diff::compare,
};
use serde_json::{Value, json};

const THERE: Keda = Keda { installed: true, holds: true };

/// A child of a server that scales, or would; none if there is none.
fn child(kind: ChildKind, autoscaling: Value, more: Value, keda: Keda) -> Option<Value> {
    child_of("files", kind, autoscaling, more, keda)
}

fn child_of(name: &str, kind: ChildKind, autoscaling: Value, more: Value, keda: Keda) -> Option<Value> {
    let mut spec = json!({"server": {"aws": {}}, "replicas": 7, "autoscaling": autoscaling});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let server: McpServer = serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": name, "namespace": "team", "uid": "uid-1", "generation": 1}, "spec": spec,
    }))
    .unwrap();
    let defaults = Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: desired::exposure::Balancers::default(),
    };
    let valid = desired::validate(&server, &defaults).unwrap_or_else(|problems| panic!("{spec}: {problems:?}"));
    let children = desired::build(&Valid { keda, ..valid }, &Named::default());
    children.into_iter().find(|child| child.kind == kind).map(|child| child.object)
}

fn scaled_object(autoscaling: Value) -> Value {
    child(ChildKind::ScaledObject, autoscaling, json!({}), THERE).unwrap()
}

fn office_hours(replicas: i32) -> Value {
    json!([{
        "name": "office-hours", "timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5",
        "replicas": replicas,
    }])
}

#[test]
fn without_a_trigger_it_is_cpu_at_80_percent() {
    insta::assert_yaml_snapshot!(scaled_object(json!({"maxReplicas": 10})));
}

#[test]
fn outside_its_hours_no_pod_runs_and_the_last_one_goes_when_the_window_is_over() {
    let hours = json!({
        "minReplicas": 0, "maxReplicas": 4, "schedule": office_hours(2),
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    });
    insta::assert_yaml_snapshot!(scaled_object(hours)["spec"]);
}

#[test]
fn every_trigger_and_every_pace_is_handed_on() {
    let all = json!({
        "minReplicas": 2, "maxReplicas": 20, "cpu": {"utilization": 70}, "memory": {"utilization": 90},
        "schedule": office_hours(5), "paused": true,
        "prometheus": {"serverAddress": "http://prometheus.monitoring:9090", "query": "sum(rate(calls[1m]))", "threshold": "50"},
        "behavior": {
            "scaleUp": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}, {"type": "Pods", "value": 4, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 600, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}]},
        },
    });
    insta::assert_yaml_snapshot!(scaled_object(all));
}

#[test]
fn a_pace_that_says_nothing_is_left_out() {
    let object = scaled_object(json!({"maxReplicas": 3, "behavior": {"scaleUp": {}}}));
    assert_eq!(object["spec"].get("advanced"), None, "{object}");
}

#[test]
fn a_name_that_is_too_long_for_keda_to_name_its_scaler_after_comes_with_one() {
    let advanced = |server: &str, autoscaling: Value| {
        let object = child_of(server, ChildKind::ScaledObject, autoscaling, json!({}), THERE).unwrap();
        object["spec"].get("advanced").cloned()
    };
    let (fits, longest) = ("a".repeat(54), "a".repeat(63));
    assert_eq!(advanced(&fits, json!({"maxReplicas": 3})), None);
    let config = advanced(&longest, json!({"maxReplicas": 3})).unwrap()["horizontalPodAutoscalerConfig"].clone();
    let name = config["name"].as_str().unwrap();
    assert!(name.starts_with("mcp-eks-hpa-aaa") && name.len() == 63, "{config}");
    // Beside the pace, and not in place of it.
    let paced = json!({"maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}});
    let both = advanced(&longest, paced).unwrap()["horizontalPodAutoscalerConfig"].clone();
    assert_eq!(both, json!({"name": name, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}));
}

#[test]
fn what_keda_writes_back_is_no_change_to_undo() {
    let pace = json!({"maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}});
    let object = scaled_object(pace);
    // As `AdvancedConfig` of KEDA 2.21 becomes JSON: a struct by value is never left out.
    let mut live = object.clone();
    live["metadata"]["finalizers"] = json!(["finalizer.keda.sh"]);
    live["metadata"]["labels"]["scaledobject.keda.sh/name"] = json!("files");
    live["spec"]["advanced"]["scalingModifiers"] = json!({});
    assert_eq!(compare::settle(ChildKind::ScaledObject, &object, &live), live);
}

#[test]
fn without_keda_nothing_is_asked_of_it() {
    let asked = json!({"maxReplicas": 3});
    assert_eq!(child(ChildKind::ScaledObject, asked, json!({}), Keda::default()), None);
    assert_eq!(child(ChildKind::ScaledObject, Value::Null, json!({}), THERE), None);
}

#[test]
fn the_number_of_pods_is_the_operators_when_nobody_else_may_write_it() {
    let gone = Keda { installed: true, holds: false };
    let cases = [
        (Value::Null, Keda::default(), Some(7)),
        (Value::Null, gone, Some(7)),
        // Still on its way out.
        (Value::Null, THERE, None),
        (json!({"maxReplicas": 3}), THERE, None),
        (json!({"maxReplicas": 3}), gone, None),
        // KEDA that is missing comes back.
        (json!({"maxReplicas": 3}), Keda::default(), None),
    ];
    for (autoscaling, keda, expected) in cases {
        let deployment = child(ChildKind::Deployment, autoscaling.clone(), json!({}), keda).unwrap();
        let found = deployment["spec"].get("replicas").and_then(Value::as_i64);
        assert_eq!(found, expected, "{autoscaling} {keda:?}");
    }
}

#[test]
fn a_budget_holds_up_no_drain_when_one_pod_is_left() {
    let budget = |autoscaling: Value, disruption: Value| {
        child(ChildKind::PodDisruptionBudget, autoscaling, json!({"disruption": disruption}), THERE).is_some()
    };
    let (down_to_one, down_to_two) = (json!({"maxReplicas": 3}), json!({"minReplicas": 2, "maxReplicas": 3}));
    assert!(budget(down_to_one.clone(), json!({"maxUnavailable": 1})));
    assert!(!budget(down_to_one, json!({"minAvailable": 1})));
    assert!(budget(down_to_two, json!({"minAvailable": 1})));
}
