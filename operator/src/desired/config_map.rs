//! The settings file of a bundled server, as a ConfigMap. Servers of kind `image` have none.
//!
//! A server reads the file at its start, so the pod template carries a hash of it: see [`super::roll`].
//! Source of the keys: `mcp-servers/kit/src/settings`.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use super::{ChildKind, Valid, bundled::Bundled, hosts, labels};

/// Name of the file.
pub(super) const FILE: &str = "settings.yaml";

/// Whether a server has a settings file.
pub(super) fn is_wanted(server: &Valid) -> bool {
    server.runs.bundled().is_some()
}

pub(super) fn build(server: &Valid) -> Option<ConfigMap> {
    let bundled = server.runs.bundled()?;
    // A mapping of plain values always serialises.
    let text = serde_yaml::to_string(&settings(server, bundled)).unwrap_or_default();
    Some(ConfigMap {
        metadata: labels::metadata(ChildKind::ConfigMap, server),
        data: Some([(FILE.to_owned(), text)].into()),
        ..ConfigMap::default()
    })
}

/// Whether a ConfigMap tells its server this key of the probe.
pub fn names_key(config_map: &Value, key: &str) -> bool {
    let text = config_map.get("data").and_then(|data| data.get(FILE)).and_then(Value::as_str);
    let settings: Option<Value> = text.and_then(|text| serde_yaml::from_str(text).ok());
    settings.is_some_and(|settings| settings.get("probeKey").and_then(Value::as_str) == Some(key))
}

fn settings(server: &Valid, bundled: &Bundled) -> Value {
    let mut settings = bundled.settings.clone();
    settings.insert("allowedHosts".to_owned(), json!(hosts::all(server)));
    settings.insert("allowedOrigins".to_owned(), json!(server.origins));
    if let Some(key) = &server.probe_key {
        settings.insert("probeKey".to_owned(), json!(key));
    }
    // Pods and Services are called by address too, and a page can only rebind a name.
    settings.insert("ipHosts".to_owned(), json!("any"));
    Value::Object(settings)
}

#[cfg(test)]
mod tests {
    use super::{json, names_key};

    #[test]
    fn a_server_that_was_told_another_key_or_none_is_not_told_this_one() {
        let told = |text: &str| names_key(&json!({"data": {"settings.yaml": text}}), "b25l");
        assert!(told("ipHosts: any\nprobeKey: b25l\n"));
        assert!(!told("probeKey: dHdv") && !told("ipHosts: b25l") && !told(":"));
        assert!(!names_key(&json!({}), "b25l"));
    }
}
