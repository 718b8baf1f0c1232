//! The schema as editors read it: plain JSON Schema, closed, so that a misspelt field is underlined.
//!
//! Use: `# yaml-language-server: $schema=…/crds/schemas/mcpserver_v1alpha1.json` on top of a manifest.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

/// Turns the structural schema of a kind into JSON Schema.
pub(super) fn schema(crd: &CustomResourceDefinition, structural: &Value) -> Value {
    let kind = &crd.spec.names.kind;
    let mut schema = plain(structural);
    let own = json!({
        "apiVersion": {"const": format!("{}/{}", crate::GROUP, crate::VERSION)},
        "kind": {"const": kind},
        "metadata": {"type": "object", "required": ["name"]},
    });
    if let (Some(map), Value::Object(own)) = (schema.as_object_mut(), own) {
        map.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        map.insert("title".to_owned(), json!(kind));
        map.insert("required".to_owned(), json!(["apiVersion", "kind", "metadata", "spec"]));
        if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(own);
        }
    }
    schema
}

fn plain(node: &Value) -> Value {
    let Some(found) = node.as_object() else {
        return node.clone();
    };
    let mut plain = Map::new();
    for (key, value) in found {
        match key.as_str() {
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let fields: Map<_, _> = fields.map(|(name, field)| (name.clone(), self::plain(field))).collect();
                plain.insert("additionalProperties".to_owned(), json!(false));
                plain.insert(key.clone(), Value::Object(fields));
            }
            "items" | "additionalProperties" => {
                plain.insert(key.clone(), self::plain(value));
            }
            // What only the API server understands.
            "format" => {}
            other if other.starts_with("x-kubernetes-") => {}
            _ => {
                plain.insert(key.clone(), value.clone());
            }
        }
    }
    if found.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        plain.insert("type".to_owned(), json!(["integer", "string", "number"]));
    }
    Value::Object(plain)
}
