//! Environment variables, typed. What the API server does not store, an empty string, is not asked for either: it would
//! be missed for ever.

use k8s_openapi::api::core::v1 as core;
use mcp_crds::pod;

use super::Problems;

/// Begin of the names of variables that are settings of a bundled server, and those of them that no field of the spec
/// stands for.
const SETTINGS: &str = "MCP_";
const FREE: [&str; 3] = ["MCP_LOG", "MCP_LOG_FORMAT", "MCP_DENY"];

/// A variable wins over the settings file: what the spec says in its own fields would not be so.
pub(super) fn settings(env: &[pod::EnvVar], problems: &mut Problems) {
    for variable in env.iter().filter(|it| it.name.starts_with(SETTINGS) && !FREE.contains(&it.name.as_str())) {
        let message = format!("would set what the spec has fields for: use those; only {} are free", FREE.join(", "));
        problems.add(format!("spec.env[{}]", variable.name), message);
    }
}

pub(super) fn variables(env: &[pod::EnvVar], problems: &mut Problems) -> Vec<core::EnvVar> {
    problems.duplicates("spec.env", env.iter().map(|variable| variable.name.as_str()));
    env.iter()
        .map(|variable| {
            if variable.value.is_some() && variable.value_from.is_some() {
                problems.add(format!("spec.env[{}]", variable.name), "has a value and valueFrom: keep one of them");
            }
            core::EnvVar {
                name: variable.name.clone(),
                value: variable.value.clone().filter(|value| !value.is_empty()),
                value_from: variable.value_from.as_ref().map(|from| source(&variable.name, from, problems)),
            }
        })
        .collect()
}

fn source(name: &str, from: &pod::EnvVarSource, problems: &mut Problems) -> core::EnvVarSource {
    let set = [from.secret_key_ref.is_some(), from.config_map_key_ref.is_some(), from.field_ref.is_some()];
    if set.iter().filter(|set| **set).count() != 1 {
        problems
            .add(format!("spec.env[{name}].valueFrom"), "set exactly one of secretKeyRef, configMapKeyRef, fieldRef");
    }
    core::EnvVarSource {
        secret_key_ref: from.secret_key_ref.clone().map(|key| core::SecretKeySelector {
            name: key.name,
            key: key.key,
            optional: key.optional,
        }),
        config_map_key_ref: from.config_map_key_ref.clone().map(|key| core::ConfigMapKeySelector {
            name: key.name,
            key: key.key,
            optional: key.optional,
        }),
        field_ref: from.field_ref.clone().map(|field| core::ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: field.field_path,
        }),
        ..core::EnvVarSource::default()
    }
}

pub(super) fn sources(sources: &[pod::EnvFromSource], problems: &mut Problems) -> Vec<core::EnvFromSource> {
    sources
        .iter()
        .enumerate()
        .map(|(index, source)| {
            if source.config_map_ref.is_some() == source.secret_ref.is_some() {
                problems.add(format!("spec.envFrom[{index}]"), "set exactly one of configMapRef, secretRef");
            }
            core::EnvFromSource {
                prefix: source.prefix.clone().filter(|prefix| !prefix.is_empty()),
                config_map_ref: source
                    .config_map_ref
                    .clone()
                    .map(|object| core::ConfigMapEnvSource { name: object.name, optional: object.optional }),
                secret_ref: source
                    .secret_ref
                    .clone()
                    .map(|object| core::SecretEnvSource { name: object.name, optional: object.optional }),
            }
        })
        .collect()
}
