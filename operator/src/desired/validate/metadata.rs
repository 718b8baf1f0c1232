//! Labels and annotations that a user puts on pods: well-formed, and never those by which others know an object as
//! theirs, or by which the pod's security is set.

use std::collections::BTreeMap;

use mcp_crds::{McpServerSpec, network::LabelValue};

use super::Problems;
use crate::vocabulary::SERVER_LABEL;

/// Keys, or beginnings that end in a slash, whose labels and annotations belong to somebody, and to whom.
const RESERVED: [(&str, &str); 16] = [
    ("app.kubernetes.io/name", "the operator"),
    ("app.kubernetes.io/component", "the operator"),
    ("app.kubernetes.io/managed-by", "the operator"),
    (SERVER_LABEL, "the operator"),
    ("mcp-eks.dev/", "the operator"),
    ("app.kubernetes.io/instance", "Argo CD"),
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
    ("helm.sh/", "Helm"),
    ("meta.helm.sh/", "Helm"),
    ("pod-template-hash", "the Deployment"),
    ("kubectl.kubernetes.io/", "kubectl"),
    ("kube.kubernetes.io/", "kubectl"),
    ("container.apparmor.security.beta.kubernetes.io/", "the pod's security"),
    ("seccomp.security.alpha.kubernetes.io/", "the pod's security"),
];

/// Labels of the pods beside the operator's own.
pub(super) fn pod_labels(spec: &McpServerSpec, problems: &mut Problems) -> BTreeMap<String, String> {
    check_labels("spec.podLabels", &spec.pod_labels, problems);
    check_owners("spec.podLabels", spec.pod_labels.keys(), problems);
    spec.pod_labels.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

/// Annotations of the pods.
pub(super) fn pod_annotations(spec: &McpServerSpec, problems: &mut Problems) -> BTreeMap<String, String> {
    let keys = || spec.pod_annotations.keys();
    for key in keys().filter(|key| !is_key(key)) {
        problems.add(format!("spec.podAnnotations[{key}]"), NOT_A_KEY);
    }
    check_owners("spec.podAnnotations", keys(), problems);
    spec.pod_annotations.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

fn check_owners<'a>(field: &str, keys: impl Iterator<Item = &'a String>, problems: &mut Problems) {
    for key in keys {
        let owner = RESERVED.iter().find(|(reserved, _)| {
            key == reserved || (reserved.ends_with('/') && key.to_ascii_lowercase().starts_with(reserved))
        });
        if let Some((_, owner)) = owner {
            problems.add(format!("{field}[{key}]"), format!("belongs to {owner}: take it out"));
        }
    }
}

const NOT_A_KEY: &str = "is not a key: write letters, digits and '-', '_', '.', at most 63, and a DNS name and a slash in front if you like";

/// Adds a problem for every key and value that no label can have.
pub(super) fn check_labels(field: &str, labels: &BTreeMap<String, LabelValue>, problems: &mut Problems) {
    for (key, value) in labels {
        if !is_key(key) {
            problems.add(format!("{field}[{key}]"), NOT_A_KEY);
        }
        if !value.0.is_empty() && !is_name(&value.0) {
            let message = "has a value that no label can have: use letters, digits and '-', '_', '.', at most 63";
            problems.add(format!("{field}[{key}]"), message);
        }
    }
}

/// Whether a text is a qualified name.
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>.
pub(super) fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part =
        |part: &str| part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || c == '-');
    is_name(name) && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(part))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| plain(c) || matches!(c, '-' | '_' | '.');
    name.len() <= 63 && name.starts_with(plain) && name.ends_with(plain) && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::is_key;

    #[test]
    fn a_key_is_a_name_with_or_without_a_domain() {
        for key in ["team", "a/b", "example.com/Team_1.x", "topology.kubernetes.io/zone"] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", "-a", "a-", "a b", "a/b/c", "/a", "a/", "Example.com/a", "a..b/c", &"a".repeat(64)] {
            assert!(!is_key(key), "{key}");
        }
    }
}
