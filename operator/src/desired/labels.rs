//! Labels and owner references of children. Nothing is inherited from the `McpServer`: labels of Argo CD, Flux or
//! Helm on a child would make those tools claim it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use super::{ChildKind, Valid, names};
use crate::vocabulary::{MANAGED_BY, SERVER_LABEL};

/// Metadata of a child: its name, our labels, one controlling owner.
pub(super) fn metadata(kind: ChildKind, server: &Valid) -> ObjectMeta {
    ObjectMeta {
        name: Some(names::child(kind, &server.name)),
        namespace: Some(server.namespace.clone()),
        labels: Some(labels(server)),
        owner_references: Some(vec![OwnerReference {
            api_version: format!("{}/{}", mcp_crds::GROUP, mcp_crds::VERSION),
            kind: "McpServer".to_owned(),
            name: server.name.clone(),
            uid: server.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

/// Labels of every child and pod.
pub(super) fn labels(server: &Valid) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", server.runs.app_name()),
        ("app.kubernetes.io/component", "mcp-server"),
        ("app.kubernetes.io/managed-by", MANAGED_BY),
        (SERVER_LABEL, &server.name),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Labels of the pods: those that the spec asks for, and ours, which win.
pub(super) fn of_pods(server: &Valid) -> BTreeMap<String, String> {
    let mut all = server.pod_labels.clone();
    all.extend(labels(server));
    all
}

/// What selects the pods: one label that never changes, because a Deployment's selector is immutable.
pub(super) fn selector(server: &Valid) -> LabelSelector {
    LabelSelector {
        match_labels: Some([(SERVER_LABEL.to_owned(), server.name.clone())].into()),
        ..LabelSelector::default()
    }
}

/// The same selector as text, for the scale subresource.
#[must_use]
pub fn selector_text(name: &str) -> String {
    format!("{SERVER_LABEL}={name}")
}
