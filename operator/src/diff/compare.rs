//! What a live object should become: desired fields win, defaults of the server stay, and inside the parts that decide
//! what a pod may do nothing stays that was not asked for.
//!
//! Server-side apply cannot drop fields of another manager, so a container, variable, volume or security setting
//! added by hand shows up here, and [`purge`] gives the object without it. Quantities compare by meaning.

use mcp_crds::quantity::Quantity;
use serde_json::{Map, Value};

use crate::desired::ChildKind;

/// Lists that the API server fills in by itself.
const ASSIGNED: [&str; 2] = ["clusterIPs", "ipFamilies"];

/// Plain members that no server defaults, and that change what a pod may do, how it lives or who reaches it. Lists and
/// objects need no name here: none is ever defaulted into a strict part.
const GUARDED: [&str; 30] = [
    "activeDeadlineSeconds",
    "endPort",
    "externalName",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "ingressClassName",
    "loadBalancerClass",
    "loadBalancerIP",
    "maxUnavailable",
    "minAvailable",
    "nodeName",
    "optional",
    "prefix",
    "priorityClassName",
    "publishNotReadyAddresses",
    "readOnly",
    "runtimeClassName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "stdin",
    "subPath",
    "subPathExpr",
    "subdomain",
    "trafficDistribution",
    "tty",
    "value",
    "workingDir",
];

/// How the annotations begin by which the AWS Load Balancer Controller is told whom to let in, and where.
const BALANCER_MARKS: [&str; 2] = ["service.beta.kubernetes.io/", "alb.ingress.kubernetes.io/"];

/// Maps that are ours as a whole. A request that is missing is made of the limit in pods, not in their templates.
const EXACT: [&str; 8] =
    ["securityContext", "capabilities", "selector", "matchLabels", "nodeSelector", "data", "limits", "requests"];

/// Objects that mean nothing when they are empty, and are written so by servers and clients. Any other does mean something: an
/// empty selector is everybody, an empty volume source is a source.
const HOLLOW: [&str; 2] = ["resources", "securityContext"];

/// Returns what `live` should be so that it is `desired` and nothing that is forbidden beyond it; equal to `live` when
/// nothing is to be done.
#[must_use]
pub fn settle(kind: ChildKind, desired: &Value, live: &Value) -> Value {
    let mut settled = merge("", desired, live, false);
    settle_strict_parts(kind, desired, live, &mut settled);
    settled
}

/// Returns `live` with its strict parts settled, and as it is elsewhere: what a replace may say. Whatever else it said would
/// belong to it for ever, and no apply could take it away again; the hash among it would tell that all is done.
#[must_use]
pub fn purge(kind: ChildKind, desired: &Value, live: &Value) -> Value {
    let mut purged = live.clone();
    settle_strict_parts(kind, desired, live, &mut purged);
    purged
}

fn settle_strict_parts(kind: ChildKind, desired: &Value, live: &Value, target: &mut Value) {
    if kind == ChildKind::ScaledObject {
        // No server defaults anything in it, so all of it is what was asked for.
        if let (Some(part), Some(wanted)) = (target.pointer_mut("/spec"), desired.pointer("/spec")) {
            part.clone_from(wanted);
        }
        return;
    }
    for pointer in strict_parts(kind) {
        if let (Some(part), Some(wanted), Some(found)) =
            (target.pointer_mut(pointer), desired.pointer(pointer), live.pointer(pointer))
        {
            *part = merge(pointer.rsplit('/').next().unwrap_or_default(), wanted, found, true);
        }
    }
    drop_marks(desired, target);
}

/// Takes annotations away that are not asked for where they mean something: our own on the pods, and those of load balancers.
/// One that somebody has edited is no longer the operator's to the API server, and would stay when the spec asks for it no more.
fn drop_marks(desired: &Value, target: &mut Value) {
    let ours = |name: &str| name.strip_prefix(mcp_crds::GROUP).is_some_and(|rest| rest.starts_with('/'));
    drop_unasked(desired, target, "/spec/template/metadata", ours);
    drop_unasked(desired, target, "/metadata", |name| BALANCER_MARKS.iter().any(|mark| name.starts_with(mark)));
}

fn drop_unasked(desired: &Value, target: &mut Value, metadata: &str, is_guarded: impl Fn(&str) -> bool) {
    let asked_for = desired.pointer(metadata).and_then(|metadata| metadata.get("annotations"));
    let stays = |name: &str| !is_guarded(name) || asked_for.is_some_and(|marks| marks.get(name).is_some());
    let Some(Value::Object(metadata)) = target.pointer_mut(metadata) else { return };
    let Some(Value::Object(marks)) = metadata.get_mut("annotations") else { return };
    let before = marks.len();
    marks.retain(|name, _| stays(name));
    if marks.is_empty() && before > 0 {
        // As the API server would store it.
        metadata.remove("annotations");
    }
}

/// Whether something was taken away that was there: a server-side apply cannot, or is refused because the old and
/// the new exclude each other.
#[must_use]
pub fn loses(live: &Value, settled: &Value) -> bool {
    match (live, settled) {
        (Value::Object(live), Value::Object(settled)) => {
            live.iter().any(|(name, value)| settled.get(name).is_none_or(|settled| loses(value, settled)))
        }
        (Value::Array(live), Value::Array(settled)) => {
            settled.len() < live.len() || live.iter().zip(settled).any(|(live, settled)| loses(live, settled))
        }
        _ => false,
    }
}

/// Parts of a kind in which nothing foreign stays.
fn strict_parts(kind: ChildKind) -> &'static [&'static str] {
    match kind {
        ChildKind::ServiceAccount | ChildKind::ScaledObject => &[],
        ChildKind::ConfigMap => &["/data"],
        ChildKind::Service | ChildKind::Ingress | ChildKind::NetworkPolicy | ChildKind::PodDisruptionBudget => {
            &["/spec"]
        }
        // One strategy excludes the settings of another: left in a replace, they would have it refused.
        ChildKind::Deployment => &["/spec/template/spec", "/spec/strategy"],
    }
}

fn merge(key: &str, desired: &Value, live: &Value, strict: bool) -> Value {
    match (desired, live) {
        (Value::Object(wanted), Value::Object(found)) => merge_maps(key, wanted, found, strict),
        (Value::Array(wanted), Value::Array(found)) => merge_lists(key, wanted, found, strict),
        _ if same_amount(desired, live) => live.clone(),
        _ => desired.clone(),
    }
}

fn merge_maps(key: &str, wanted: &Map<String, Value>, found: &Map<String, Value>, strict: bool) -> Value {
    let stays = |name: &String, value: &Value| wanted.contains_key(name) || !strict || !is_forbidden(key, name, value);
    let mut merged: Map<String, Value> = found
        .iter()
        .filter(|(name, value)| stays(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in wanted {
        let next = found.get(name).map_or_else(|| value.clone(), |live| merge(name, value, live, strict));
        merged.insert(name.clone(), next);
    }
    Value::Object(merged)
}

/// Whether a member that is not desired must go from a strict part.
fn is_forbidden(parent: &str, name: &str, value: &Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() && HOLLOW.contains(&name),
        _ => false,
    };
    let composed = (value.is_array() || value.is_object()) && !ASSIGNED.contains(&name);
    !empty && (composed || GUARDED.contains(&name) || EXACT.contains(&parent))
}

/// Live order is kept, so that a list in another order is no difference; foreign entries go from strict parts.
fn merge_lists(key: &str, wanted: &[Value], found: &[Value], strict: bool) -> Value {
    let Some(identity) = identity_of(key) else {
        if wanted.len() == found.len() {
            return wanted.iter().zip(found).map(|(wanted, found)| merge("", wanted, found, strict)).collect();
        }
        return Value::Array(wanted.to_vec());
    };
    let same = |left: &Value, right: &Value| identity.iter().all(|member| left.get(member) == right.get(member));
    let mut merged = Vec::with_capacity(wanted.len());
    for live in found {
        match wanted.iter().find(|entry| same(entry, live)) {
            Some(entry) => merged.push(merge("", entry, live, strict)),
            None if strict => {}
            None => merged.push(live.clone()),
        }
    }
    merged.extend(wanted.iter().filter(|entry| !found.iter().any(|live| same(entry, live))).cloned());
    Value::Array(merged)
}

/// Members that tell the entries of a list apart; none for lists whose order counts.
/// Source: `x-kubernetes-list-map-keys` of the built-in types.
fn identity_of(key: &str) -> Option<&'static [&'static str]> {
    match key {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" => Some(&["name"]),
        "volumeMounts" => Some(&["mountPath"]),
        "ports" => Some(&["containerPort", "port", "protocol"]),
        "ownerReferences" => Some(&["uid"]),
        _ => None,
    }
}

/// Whether two values are the same amount, written differently: `1000m` and `1`.
fn same_amount(left: &Value, right: &Value) -> bool {
    let millis = |value: &Value| Quantity(value.as_str()?.to_owned()).millis();
    matches!((millis(left), millis(right)), (Some(left), Some(right)) if left == right)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "json! literals read best as arguments")]

    use serde_json::{Value, json};

    use super::{ChildKind, loses, settle};

    fn deployment(spec: Value) -> Value {
        json!({"spec": {"template": {"spec": spec}}})
    }

    fn assert_settles(desired: Value, live: Value, expected: Value) {
        let settled = settle(ChildKind::Deployment, &deployment(desired), &deployment(live));
        assert_eq!(settled, deployment(expected));
    }

    #[test]
    fn a_source_or_a_handler_that_was_exchanged_by_hand_is_put_back() {
        let desired = json!({"containers": [{"name": "server", "env": [{"name": "A", "value": "1"}],
            "livenessProbe": {"httpGet": {"port": 1}}}], "volumes": [{"name": "docs", "configMap": {"name": "docs"}}]});
        let live = json!({"containers": [{"name": "server", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "livenessProbe": {"exec": {"command": ["x"]}}}], "volumes": [{"name": "docs", "hostPath": {"path": "/"}}],
            "dnsConfig": {"nameservers": ["192.0.2.1"]}, "subdomain": "x"});
        assert_settles(desired.clone(), live.clone(), desired.clone());
        let settled = settle(ChildKind::Deployment, &deployment(desired), &deployment(live.clone()));
        assert!(loses(&deployment(live), &settled));
        assert!(!loses(&settled, &settled));
    }

    #[test]
    fn defaults_of_the_server_are_no_difference() {
        let live = json!({"dnsPolicy": "ClusterFirst", "containers": [{"name": "server", "terminationMessagePolicy": "File"}]});
        assert_settles(json!({"containers": [{"name": "server"}]}), live.clone(), live);
    }

    #[test]
    fn a_sidecar_a_variable_a_volume_and_a_host_setting_added_by_hand_go() {
        assert_settles(
            json!({"containers": [{"name": "server", "env": [{"name": "A", "value": "1"}]}], "volumes": [{"name": "tmp"}]}),
            json!({
                "hostNetwork": true,
                "containers": [
                    {"name": "spy"},
                    {"name": "server", "env": [{"name": "A", "value": "1"}, {"name": "B"}], "securityContext": {"privileged": true}},
                ],
                "initContainers": [{"name": "spy"}],
                "volumes": [{"name": "tmp"}, {"name": "host", "hostPath": {"path": "/"}}],
            }),
            json!({"containers": [{"name": "server", "env": [{"name": "A", "value": "1"}]}], "volumes": [{"name": "tmp"}]}),
        );
    }

    #[test]
    fn a_limit_that_was_edited_by_hand_and_left_the_spec_goes() {
        let resources = |limits: Value| json!({"containers": [{"name": "server", "resources": {"limits": limits}}]});
        let desired = resources(json!({"cpu": "4"}));
        assert_settles(desired.clone(), resources(json!({"cpu": "4", "memory": "1Mi"})), desired);
    }

    #[test]
    fn a_variable_added_where_none_was_asked_for_goes() {
        let desired = json!({"containers": [{"name": "server"}]});
        assert_settles(desired.clone(), json!({"containers": [{"name": "server", "env": [{"name": "B"}]}]}), desired);
    }

    #[test]
    fn amounts_compare_by_meaning_and_lists_by_key() {
        let live = json!({"containers": [{"name": "server", "resources": {"limits": {"cpu": "1"}}, "volumeMounts": [
            {"mountPath": "/b", "name": "b"}, {"mountPath": "/a", "name": "a"}]}]});
        let desired = json!({"containers": [{"name": "server", "resources": {"limits": {"cpu": "1000m"}}, "volumeMounts": [
            {"mountPath": "/a", "name": "a"}, {"mountPath": "/b", "name": "b"}]}]});
        assert_settles(desired, live.clone(), live);
    }

    #[test]
    fn a_changed_argument_or_image_is_put_back() {
        let desired = json!({"containers": [{"name": "server", "image": "a", "args": ["1", "2"]}]});
        assert_settles(
            desired.clone(),
            json!({"containers": [{"name": "server", "image": "b", "args": ["2", "1"]}]}),
            desired,
        );
    }

    #[test]
    fn a_service_keeps_what_the_server_assigned_and_nothing_else() {
        let desired = json!({"spec": {"selector": {"a": "1"}, "ports": [{"port": 80, "protocol": "TCP"}]}});
        let live = json!({"spec": {
            "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "externalIPs": ["1.2.3.4"],
            "selector": {"a": "1", "b": "2"}, "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}});
        let expected = json!({"spec": {
            "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "selector": {"a": "1"}, "ports": [{"port": 80, "protocol": "TCP"}]}});
        assert_eq!(settle(ChildKind::Service, &desired, &live), expected);
    }

    #[test]
    fn an_annotation_of_a_load_balancer_goes_where_nothing_asks_for_it() {
        let annotated = |annotations: Value| json!({"metadata": {"annotations": annotations}, "spec": {}});
        let groups = "service.beta.kubernetes.io/aws-load-balancer-security-groups";
        let live =
            annotated(json!({groups: "sg-1", "alb.ingress.kubernetes.io/group.name": "x", "team": "x", "a": "1"}));
        for kind in [ChildKind::Service, ChildKind::Ingress] {
            let settled = settle(kind, &annotated(json!({"a": "1"})), &live);
            assert_eq!(settled, annotated(json!({"team": "x", "a": "1"})));
            assert!(loses(&live, &settled), "an apply cannot take it away");
        }
    }

    #[test]
    fn what_means_something_though_it_is_empty_goes() {
        let desired = json!({"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}});
        let mut live = desired.clone();
        live["spec"]["ingress"][0]["from"][0]["namespaceSelector"] = json!({});
        assert_eq!(settle(ChildKind::NetworkPolicy, &desired, &live), desired, "everybody would be let in");
        let volume = json!({"volumes": [{"name": "docs", "configMap": {"name": "docs"}}]});
        assert_settles(volume.clone(), json!({"volumes": [{"name": "docs", "emptyDir": {}}]}), volume);
        let live = json!({"containers": [{"name": "server", "resources": {}}], "securityContext": {}});
        assert_settles(json!({"containers": [{"name": "server"}]}), live.clone(), live);
    }

    #[test]
    fn an_annotation_of_ours_goes_from_the_pods_when_nothing_asks_for_it() {
        let template = |annotations: Value| json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        let live =
            template(json!({"mcp-eks.dev/config-maps-hash": "edited", "kubectl.kubernetes.io/restartedAt": "now"}));
        let settled = settle(ChildKind::Deployment, &json!({"spec": {"template": {"metadata": {}}}}), &live);
        assert_eq!(settled, template(json!({"kubectl.kubernetes.io/restartedAt": "now"})));
        assert!(loses(&live, &settled), "an apply cannot take it away");
    }

    #[test]
    fn nothing_stays_in_a_scaled_object_that_was_not_asked_for() {
        let spec = |more: Value| {
            let mut spec = json!({"maxReplicaCount": 3, "triggers": [{"type": "cpu", "metadata": {"value": "80"}}]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"metadata": {"finalizers": ["finalizer.keda.sh"]}, "spec": spec})
        };
        let desired = json!({"spec": spec(json!({}))["spec"]});
        let triggers = json!([{"type": "cpu", "metadata": {"value": "80", "activationValue": "50"}}]);
        for more in [json!({"pollingInterval": 5}), json!({"fallback": {"replicas": 9}}), json!({"triggers": triggers})]
        {
            let settled = settle(ChildKind::ScaledObject, &desired, &spec(more.clone()));
            assert_eq!(settled, spec(json!({})), "{more}");
            assert!(loses(&spec(more), &settled), "an apply cannot take it away");
        }
    }

    #[test]
    fn foreign_labels_and_annotations_stay() {
        let desired = json!({"metadata": {"labels": {"a": "1"}}});
        let live = json!({"metadata": {"labels": {"a": "1", "team": "x"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}});
        assert_eq!(settle(ChildKind::Deployment, &desired, &live), live);
    }
}
