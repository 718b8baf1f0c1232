//! Laws of the generated schema: fresh, described, bounded, and no way out of the object's own namespace.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{fs, path::Path};

use kube::CustomResourceExt;
use mcp_crds::{CRD_FILE, McpServer, crd_yaml};
use serde_json::Value;

fn schema() -> Value {
    let crd = serde_json::to_value(McpServer::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `visit` with the path and schema of every field below `node`.
fn walk(path: &str, node: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, node);
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if node[key].is_object() {
            walk(&format!("{path}{suffix}"), &node[key], visit);
        }
    }
}

fn offenders(root: &str, wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, &schema()["properties"][root], &mut |path, node| {
        if wrong(path, node) {
            found.push(path.to_owned());
        }
    });
    found
}

#[test]
fn the_committed_manifest_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(CRD_FILE);
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == crd_yaml().unwrap(), "{} is stale: run `cargo xtask crdgen`", file.display());
}

#[test]
fn the_manifest_fits_client_side_apply() {
    assert!(crd_yaml().unwrap().len() < 100 * 1024);
}

#[test]
fn every_field_is_described() {
    for root in ["spec", "status"] {
        // The items of a list of plain strings speak through the list.
        let bare = |path: &str, node: &Value| {
            node["description"].as_str().is_none_or(str::is_empty)
                && !(path.ends_with("[]") && node["type"] == "string")
        };
        assert_eq!(offenders(root, bare), Vec::<String>::new());
    }
}

#[test]
fn every_list_map_and_string_of_the_spec_is_bounded() {
    let unbounded = |_: &str, node: &Value| match node["type"].as_str() {
        Some("array") => node["maxItems"].is_null(),
        Some("string") => node["maxLength"].is_null() && node["enum"].is_null(),
        Some("integer") => node["maximum"].is_null() || node["minimum"].is_null(),
        _ => node["additionalProperties"].is_object() && node["maxProperties"].is_null(),
    };
    assert_eq!(offenders("spec", unbounded), Vec::<String>::new());
}

#[test]
fn no_reference_leaves_the_namespace_and_nothing_reaches_the_node() {
    let escape = |path: &str, _: &Value| path.ends_with(".namespace") || path.ends_with(".hostPath");
    assert_eq!(offenders("spec", escape), Vec::<String>::new());
}

#[test]
fn every_rule_has_a_message_that_says_how_to_mend_it() {
    let mute = |_: &str, node: &Value| {
        let rules = node["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
        rules.iter().any(|rule| rule["message"].as_str().is_none_or(|message| message.len() < 20))
    };
    assert_eq!(offenders("spec", mute), Vec::<String>::new());
}

#[test]
fn the_status_of_a_new_object_says_that_nobody_has_looked_at_it() {
    assert_eq!(schema()["properties"]["status"]["default"]["observedGeneration"], -1);
}

#[test]
fn a_spec_of_an_older_client_still_parses() {
    let yaml = "{apiVersion: mcp-eks.dev/v1alpha1, kind: McpServer, metadata: {name: a}, spec: {server: {image: {ref: a}}}, status: {}}";
    let server: McpServer = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(server.spec.replicas, 2);
    assert_eq!(server.spec.server.image.unwrap().path, "/mcp");
}
