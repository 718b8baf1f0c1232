//! What the API server does to objects by itself: refuses, fills in, leaves out.
//!
//! In: an object as JSON, and its kind. Out: whether it is taken, or how it is kept.

use mcp_operator::desired::ChildKind;
use serde_json::{Value, json};

/// What the API server refuses: two sources where one may be.
pub(super) fn is_valid(value: &Value) -> bool {
    let one_of =
        |value: &Value, members: &[&str]| members.iter().filter(|name| value.get(**name).is_some()).count() < 2;
    let sources = ["configMap", "secret", "emptyDir", "persistentVolumeClaim", "csi", "hostPath"];
    let handlers = ["httpGet", "tcpSocket", "exec", "grpc"];
    let spec = &value["spec"]["template"]["spec"];
    let entries = |list: &'static str| spec[list].as_array().into_iter().flatten();
    let env = entries("containers").flat_map(|container| container["env"].as_array().into_iter().flatten());
    let from = ["secretKeyRef", "configMapKeyRef", "fieldRef"];
    let mut probes = entries("containers")
        .flat_map(|one| ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| &one[name]));
    entries("volumes").all(|volume| one_of(volume, &sources))
        && env
            .clone()
            .all(|variable| one_of(variable, &["value", "valueFrom"]) && one_of(&variable["valueFrom"], &from))
        && probes.all(|probe| one_of(probe, &handlers))
        && one_of(&value["spec"], &["minAvailable", "maxUnavailable"])
}

/// What the API server sets by itself.
pub(super) fn fill(kind: ChildKind, value: &mut Value) {
    let set = |value: &mut Value, name: &str, default: Value| {
        if let Some(map) = value.as_object_mut() {
            map.entry(name).or_insert(default);
        }
    };
    match kind {
        ChildKind::Deployment => {
            set(&mut value["spec"], "replicas", json!(1));
            set(value, "status", json!({"observedGeneration": 1}));
            let spec = &mut value["spec"]["template"]["spec"];
            for container in spec["containers"].as_array_mut().into_iter().flatten() {
                set(container, "terminationMessagePath", json!("/dev/termination-log"));
            }
            for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
                for source in ["configMap", "secret"] {
                    if let Some(source) = volume.get_mut(source) {
                        set(source, "defaultMode", json!(420));
                    }
                }
            }
        }
        ChildKind::Service => {
            set(&mut value["spec"], "clusterIP", json!("10.96.0.7"));
            set(&mut value["spec"], "clusterIPs", json!(["10.96.0.7"]));
            set(&mut value["spec"], "ipFamilies", json!(["IPv4"]));
            set(&mut value["spec"], "ipFamilyPolicy", json!("SingleStack"));
            // What belongs to another type goes when the type does.
            if value["spec"]["type"] != json!("LoadBalancer")
                && let Some(spec) = value["spec"].as_object_mut()
            {
                for name in ["allocateLoadBalancerNodePorts", "externalTrafficPolicy", "loadBalancerClass"] {
                    spec.remove(name);
                }
            }
            set(value, "status", json!({"loadBalancer": {}}));
        }
        ChildKind::Ingress => set(value, "status", json!({"loadBalancer": {}})),
        ChildKind::PodDisruptionBudget => set(value, "status", json!({"currentHealthy": 0})),
        ChildKind::ScaledObject => set(value, "status", json!({"scaleTargetKind": "apps/v1.Deployment"})),
        ChildKind::ServiceAccount | ChildKind::ConfigMap | ChildKind::NetworkPolicy => {}
    }
}

/// Leaves out what Go does not write: zero values of members that are no pointers, and empty lists.
pub(super) fn leave_out(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // A CSI source is the one that tells "not read-only" from "not said".
            let csi = map.contains_key("driver");
            map.retain(|name, value| match name.as_str() {
                "readOnly" => csi || *value != json!(false),
                "value" | "subPath" | "prefix" => *value != json!(""),
                "annotations" | "labels" => !value.as_object().is_some_and(serde_json::Map::is_empty),
                _ => !value.as_array().is_some_and(Vec::is_empty),
            });
            map.values_mut().for_each(leave_out);
        }
        Value::Array(list) => list.iter_mut().for_each(leave_out),
        _ => {}
    }
}
