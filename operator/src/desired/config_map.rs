//! The settings file of a bundled server, as a ConfigMap. Servers of kind `image` have none.
//!
//! A server reads the file at its start, so the pod template carries a hash of it: see [`super::roll`].
//! Source of the keys: `mcp-servers/kit/src/settings`.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use super::{
    ChildKind, Valid, hosts, labels,
    pod::mount_path,
    validate::{Root, Runs},
};

/// Name of the file.
pub(super) const FILE: &str = "settings.yaml";

/// Whether a server has a settings file.
pub(super) fn is_wanted(server: &Valid) -> bool {
    match server.runs {
        Runs::Filesystem { .. } => true,
        Runs::Image { .. } => false,
    }
}

pub(super) fn build(server: &Valid) -> Option<ConfigMap> {
    let Runs::Filesystem { roots, .. } = &server.runs else { return None };
    // A mapping of plain values always serialises.
    let text = serde_yaml::to_string(&settings(server, roots)).unwrap_or_default();
    Some(ConfigMap {
        metadata: labels::metadata(ChildKind::ConfigMap, server),
        data: Some([(FILE.to_owned(), text)].into()),
        ..ConfigMap::default()
    })
}

fn settings(server: &Valid, roots: &[Root]) -> Value {
    let roots: Vec<_> = roots.iter().map(|root| json!({"name": root.name, "path": mount_path(root)})).collect();
    let allowed: Vec<_> = hosts::internal(server).into_iter().chain(server.hosts.clone()).collect();
    json!({
        "allowedHosts": allowed,
        "allowedOrigins": server.origins,
        // Pods and Services are called by address too, and a page can only rebind a name.
        "ipHosts": "any",
        "roots": roots,
    })
}
