//! What the webhook puts into a pod. Pure.
//!
//! In: a pod that is about to be admitted. Out: a JSON patch. Variables that a container has already stay as they are.
//! Source: <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html> and the README of
//! github.com/aws/amazon-eks-pod-identity-webhook.

use serde_json::{Value, json};

use super::{AGENT, AUDIENCE};
use crate::ministack::REGION;

/// Name of the volume.
const VOLUME: &str = "eks-pod-identity-token";
/// Where it is mounted.
const DIRECTORY: &str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount";
/// The file with the token.
const FILE: &str = "eks-pod-identity-token";
/// A day; the kubelet brings a new one in time.
const SECONDS: u64 = 86_400;

/// The patch that gives a pod the means to get credentials.
pub(super) fn patch(pod: &Value) -> Vec<Value> {
    let source = json!({"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": SECONDS, "path": FILE}});
    let volume = json!({"name": VOLUME, "projected": {"sources": [source]}});
    let mut patch = Vec::new();
    add(pod, "/spec", "volumes", &volume, &mut patch);
    for list in ["containers", "initContainers"] {
        let at = format!("/spec/{list}");
        let count = pod.pointer(&at).and_then(Value::as_array).map_or(0, Vec::len);
        for place in (0..count).map(|index| format!("{at}/{index}")) {
            let mount = json!({"name": VOLUME, "mountPath": DIRECTORY, "readOnly": true});
            add(pod, &place, "volumeMounts", &mount, &mut patch);
            variables(pod, &place, &mut patch);
        }
    }
    patch
}

fn variables(pod: &Value, place: &str, patch: &mut Vec<Value>) {
    let wanted = [
        ("AWS_STS_REGIONAL_ENDPOINTS", "regional".to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{AGENT}/v1/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", format!("{DIRECTORY}/{FILE}")),
    ];
    let at = format!("{place}/env");
    let mut all = pod.pointer(&at).and_then(Value::as_array).cloned().unwrap_or_default();
    let has = |name: &str, all: &[Value]| all.iter().any(|it| it.get("name").is_some_and(|it| it == name));
    for (name, value) in wanted {
        if !has(name, &all) {
            all.push(json!({"name": name, "value": value}));
        }
    }
    // The whole list: it may not be there yet.
    patch.push(json!({"op": "add", "path": at, "value": all}));
}

/// One more of a list that may not be there.
fn add(pod: &Value, place: &str, list: &str, item: &Value, patch: &mut Vec<Value>) {
    let at = format!("{place}/{list}");
    patch.push(match pod.pointer(&at) {
        Some(Value::Array(_)) => json!({"op": "add", "path": format!("{at}/-"), "value": item}),
        _ => json!({"op": "add", "path": at, "value": [item]}),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_gets_variables_and_token_and_keeps_what_it_has() {
        let pod = json!({"spec": {
            "containers": [
                {"name": "server", "env": [{"name": "AWS_REGION", "value": "eu-central-1"}]},
                {"name": "other", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},
            ],
            "initContainers": [{"name": "first"}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        }});
        let patch = patch(&pod);
        let at = |path: &str| patch.iter().find(|it| it["path"] == path).unwrap()["value"].clone();
        let token =
            json!({"audience": "pods.eks.amazonaws.com", "expirationSeconds": 86400, "path": "eks-pod-identity-token"});
        assert_eq!(at("/spec/volumes/-")["projected"]["sources"][0]["serviceAccountToken"], token);
        let env = at("/spec/containers/0/env");
        let region: Vec<_> = env.as_array().unwrap().iter().filter(|it| it["name"] == "AWS_REGION").collect();
        assert_eq!(region, [&json!({"name": "AWS_REGION", "value": "eu-central-1"})]);
        let full =
            json!({"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"});
        let file = json!({
            "name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "value": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
        });
        for place in ["/spec/containers/0/env", "/spec/containers/1/env", "/spec/initContainers/0/env"] {
            let env = at(place);
            assert!(
                env.as_array().unwrap().contains(&full) && env.as_array().unwrap().contains(&file),
                "{place}: {env}"
            );
        }
        assert_eq!(at("/spec/containers/1/volumeMounts/-")["mountPath"], DIRECTORY);
        assert_eq!(at("/spec/containers/0/volumeMounts")[0]["readOnly"], true);
    }
}
