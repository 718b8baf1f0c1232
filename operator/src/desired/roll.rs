//! What makes pods roll though their template stays the same: files and variables that a server reads at its start.
//!
//! In: the settings file, the versions of the ConfigMaps and Secrets that the spec names, and which association there is.
//! Out: annotations of the pod template. Of Secrets no more is known than that one became another, and that only in
//! namespaces whose owners have granted it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use mcp_crds::McpServerSpec;
use serde_json::json;

use super::{
    child::hash_of,
    validate::{authorities, identity::Wanted},
};
use crate::vocabulary::{CONFIG_MAPS_HASH, IDENTITY_HASH, SECRETS_HASH, SETTINGS_HASH};

/// The ConfigMaps or Secrets that a spec names, each with its uid and resourceVersion, or none while it does not exist.
pub type Versions = BTreeMap<String, Option<String>>;

/// What a spec names and its pods read at their start.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Its ConfigMaps.
    pub config_maps: Versions,
    /// A hash of the versions of its Secrets; none where the operator may not know them.
    pub secrets: Option<String>,
}

/// Names of the ConfigMaps whose content reaches the pods of a server.
#[must_use]
pub fn config_maps(spec: &McpServerSpec) -> BTreeSet<String> {
    let files = spec.volumes.iter().filter_map(|volume| Some(&volume.config_map.as_ref()?.name));
    let all = spec.env_from.iter().filter_map(|source| Some(&source.config_map_ref.as_ref()?.name));
    let single = spec.env.iter().filter_map(|env| Some(&env.value_from.as_ref()?.config_map_key_ref.as_ref()?.name));
    let named = files.chain(all).chain(single).map(String::as_str).chain(authorities(spec));
    named.map(str::to_owned).collect()
}

/// Names of the Secrets that the pods of a server read at their start and never again: variables, and the files of an
/// image of one's own. Bundled servers look at their files again.
#[must_use]
pub fn secrets(spec: &McpServerSpec) -> BTreeSet<String> {
    let files = spec.volumes.iter().filter_map(|volume| Some(&volume.secret.as_ref()?.secret_name));
    let files = files.filter(|_| spec.server.image.is_some());
    let all = spec.env_from.iter().filter_map(|source| Some(&source.secret_ref.as_ref()?.name));
    let single = spec.env.iter().filter_map(|env| Some(&env.value_from.as_ref()?.secret_key_ref.as_ref()?.name));
    files.chain(all).chain(single).cloned().collect()
}

/// A hash that is another one as soon as one of the objects is.
#[must_use]
pub fn hash(versions: &Versions) -> String {
    hash_of(&json!(versions))
}

/// Annotations of the pod template.
pub(super) fn annotations(
    settings: Option<&ConfigMap>,
    named: &Named,
    identity: Option<&Wanted>,
) -> BTreeMap<String, String> {
    let settings = settings.map(|settings| (SETTINGS_HASH.to_owned(), hash_of(&json!(settings.data))));
    let config_maps = (!named.config_maps.is_empty()).then(|| (CONFIG_MAPS_HASH.to_owned(), hash(&named.config_maps)));
    let secrets = named.secrets.clone().map(|hash| (SECRETS_HASH.to_owned(), hash));
    let identity = identity.and_then(|wanted| Some((IDENTITY_HASH.to_owned(), wanted.hash.clone()?)));
    settings.into_iter().chain(config_maps).chain(secrets).chain(identity).collect()
}
