//! What makes pods roll though their template stays the same: files and variables that a server reads at its start.
//!
//! In: the settings file, the versions of the ConfigMaps that the spec names, and which association there is. Out: annotations of the pod template.
//! Secrets are never looked at: the operator may not read them, and bundled servers reload mounted files.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use mcp_crds::McpServerSpec;
use serde_json::json;

use super::{
    child::hash_of,
    validate::{authorities, identity::Wanted},
};
use crate::vocabulary::{CONFIG_MAPS_HASH, IDENTITY_HASH, SETTINGS_HASH};

/// The ConfigMaps that a spec names, each with its uid and resourceVersion, or none while it does not exist.
pub type Versions = BTreeMap<String, Option<String>>;

/// Names of the ConfigMaps whose content reaches the pods of a server.
#[must_use]
pub fn config_maps(spec: &McpServerSpec) -> BTreeSet<String> {
    let files = spec.volumes.iter().filter_map(|volume| Some(&volume.config_map.as_ref()?.name));
    let all = spec.env_from.iter().filter_map(|source| Some(&source.config_map_ref.as_ref()?.name));
    let single = spec.env.iter().filter_map(|env| Some(&env.value_from.as_ref()?.config_map_key_ref.as_ref()?.name));
    let named = files.chain(all).chain(single).map(String::as_str).chain(authorities(spec));
    named.map(str::to_owned).collect()
}

/// Annotations of the pod template.
pub(super) fn annotations(
    settings: Option<&ConfigMap>,
    config_maps: &Versions,
    identity: Option<&Wanted>,
) -> BTreeMap<String, String> {
    let settings = settings.map(|settings| (SETTINGS_HASH.to_owned(), hash_of(&json!(settings.data))));
    let named = (!config_maps.is_empty()).then(|| (CONFIG_MAPS_HASH.to_owned(), hash_of(&json!(config_maps))));
    let identity = identity.and_then(|wanted| Some((IDENTITY_HASH.to_owned(), wanted.hash.clone()?)));
    settings.into_iter().chain(named).chain(identity).collect()
}
