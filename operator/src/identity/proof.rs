//! Whether pods carry what EKS puts into them when they are admitted, and what to do about those that do not. Pure.
//!
//! In: pods of a server, and the annotation of its pod template. Out: a [`Proof`]. A pod that is admitted before its
//! association never gets credentials; so it is replaced, once for each association: the annotation keeps count.
//! Source: <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html>.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, PodSpec};
use kube::ResourceExt;

use crate::vocabulary::IDENTITY_HASH;

/// Variable that tells a SDK where the agent answers.
const URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// Audience of the token that the agent takes.
const AUDIENCE: &str = "pods.eks.amazonaws.com";
/// Label of pods on Fargate, which knows no Pod Identity.
const FARGATE: &str = "eks.amazonaws.com/fargate-profile";
/// End of the annotation of pods that were started anew.
const ANEW: &str = ".1";

/// What the pods show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The annotation that the template of the pods is to have.
    pub annotation: String,
    /// Names of pods without credentials, in order.
    pub lacking: Vec<String>,
    /// Whether they were started anew before.
    pub anew: bool,
    /// Whether one of them is on Fargate.
    pub fargate: bool,
}

/// The hash of an annotation.
#[must_use]
pub fn hash_of(annotation: &str) -> &str {
    annotation.strip_suffix(ANEW).unwrap_or(annotation)
}

/// Judges pods under a template of this annotation, that are to have the association of this hash.
#[must_use]
pub fn judge(pods: &[Arc<Pod>], annotation: Option<&str>, hash: &str) -> Proof {
    // Pods of another association are on their way out.
    let Some(annotation) = annotation.filter(|annotation| hash_of(annotation) == hash) else {
        return Proof { annotation: hash.to_owned(), lacking: Vec::new(), anew: false, fargate: false };
    };
    let lacking = pods.iter().filter(|pod| counts(pod, annotation) && (!carries(pod) || is_on_fargate(pod)));
    let lacking: Vec<_> = lacking.collect();
    let fargate = lacking.iter().any(|pod| is_on_fargate(pod));
    let anew = annotation != hash;
    let annotation =
        if lacking.is_empty() || anew || fargate { annotation.to_owned() } else { format!("{annotation}{ANEW}") };
    let mut lacking: Vec<_> = lacking.into_iter().map(|pod| pod.name_any()).collect();
    lacking.sort();
    Proof { annotation, lacking, anew, fargate }
}

/// Whether a pod is one of the template with this annotation, and lives.
fn counts(pod: &Pod, annotation: &str) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none()
        && !matches!(phase, Some("Failed" | "Succeeded"))
        && pod.annotations().get(IDENTITY_HASH).is_some_and(|has| has == annotation)
}

/// Whether a pod is where no agent can be: what it carries is of no use.
fn is_on_fargate(pod: &Pod) -> bool {
    pod.labels().contains_key(FARGATE)
}

/// Whether a pod has the variable and the token.
fn carries(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        let variable = |container: &Container| container.env.iter().flatten().any(|it| it.name == URI);
        spec.containers.iter().any(variable) && spec.volumes.iter().flatten().any(has_token)
    })
}

fn has_token(volume: &k8s_openapi::api::core::v1::Volume) -> bool {
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    sources
        .filter_map(|source| source.service_account_token.as_ref())
        .any(|it| it.audience.as_deref() == Some(AUDIENCE))
}

/// What a store keeps of a pod's spec: nothing, but for what EKS has put into it.
#[must_use]
pub fn kept(spec: PodSpec) -> Option<PodSpec> {
    let containers = spec.containers.into_iter().filter_map(|container| {
        let env: Vec<EnvVar> = container.env.into_iter().flatten().filter(|it| it.name == URI).collect();
        (!env.is_empty()).then(|| Container { name: container.name, env: Some(env), ..Container::default() })
    });
    let containers: Vec<_> = containers.collect();
    let volumes: Vec<_> = spec.volumes.into_iter().flatten().filter(has_token).collect();
    (!containers.is_empty() && !volumes.is_empty()).then(|| PodSpec {
        containers,
        volumes: Some(volumes),
        ..PodSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::{Proof, hash_of, judge, kept};

    /// A pod as a store keeps it.
    fn pod(name: &str, hash: &str, alter: impl FnOnce(&mut Value)) -> Arc<Pod> {
        let sources = json!([{"serviceAccountToken": {"audience": "pods.eks.amazonaws.com", "path": "token"}}]);
        let mut pod = json!({
            "metadata": {"name": name, "annotations": {"mcp-eks.dev/identity-hash": hash}},
            "spec": {
                "containers": [{"name": "server", "image": "x", "env": [
                    {"name": "PATH", "value": "/"},
                    {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"},
                ]}],
                "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "eks", "projected": {"sources": sources}}],
            },
            "status": {"phase": "Running"},
        });
        alter(&mut pod);
        let mut pod: Pod = serde_json::from_value(pod).unwrap();
        pod.spec = pod.spec.take().and_then(kept);
        Arc::new(pod)
    }

    fn without_token(pod: &mut Value) {
        pod["spec"]["volumes"] = json!([]);
    }

    fn proof(annotation: &str, lacking: &[&str], anew: bool) -> Proof {
        let lacking = lacking.iter().map(|name| (*name).to_owned()).collect();
        Proof { annotation: annotation.to_owned(), lacking, anew, fargate: false }
    }

    #[test]
    fn pods_that_carry_their_credentials_stay() {
        let pods = [pod("a", "h", |_| ()), pod("b", "h", |_| ())];
        assert_eq!(judge(&pods, Some("h"), "h"), proof("h", &[], false));
        let pods = [pod("a", "h.1", |_| ())];
        assert_eq!(judge(&pods, Some("h.1"), "h"), proof("h.1", &[], true), "what was started anew stays so");
    }

    #[test]
    fn pods_without_credentials_are_started_anew_once() {
        let pods = [pod("b", "h", without_token), pod("a", "h", |pod| pod["spec"]["containers"][0]["env"] = json!([]))];
        assert_eq!(judge(&pods, Some("h"), "h"), proof("h.1", &["a", "b"], false));
        let pods = [pod("c", "h.1", without_token), pod("a", "h", without_token)];
        assert_eq!(judge(&pods, Some("h.1"), "h"), proof("h.1", &["c"], true), "not a second time");
        assert_eq!(judge(&pods, Some("h.1"), "new"), proof("new", &[], false), "another association, another chance");
        assert_eq!((hash_of("h.1"), hash_of("h")), ("h", "h"));
    }

    #[test]
    fn pods_on_their_way_out_and_of_others_do_not_count() {
        let pods = [
            pod("a", "old", without_token),
            pod("b", "h", |pod| {
                without_token(pod);
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }),
            pod("c", "h", |pod| {
                without_token(pod);
                pod["status"]["phase"] = json!("Failed");
            }),
        ];
        assert_eq!(judge(&pods, Some("h"), "h"), proof("h", &[], false));
        assert_eq!(judge(&pods, None, "h"), proof("h", &[], false));
    }

    #[test]
    fn starting_anew_does_not_help_on_fargate() {
        let on_fargate = |pod: &mut Value| {
            pod["metadata"]["labels"] = json!({"eks.amazonaws.com/fargate-profile": "fp"});
        };
        let without = pod("a", "h", |pod| {
            without_token(pod);
            on_fargate(pod);
        });
        // What EKS put in is of no use there: no agent answers.
        for pods in [[without], [pod("a", "h", on_fargate)]] {
            assert_eq!(judge(&pods, Some("h"), "h"), Proof { fargate: true, ..proof("h", &["a"], false) });
        }
    }
}
