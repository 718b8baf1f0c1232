//! Laws of the generated schemas: fresh, described, bounded, and no way out of the object's own namespace.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{fs, path::Path};

use mcp_crds::{McpServer, McpServerClass, McpServerStatus, generated, server::McpServerSpec};
use serde_json::{Value, json};

fn crds() -> [Value; 2] {
    mcp_crds::crds().unwrap().map(|crd| serde_json::to_value(crd).unwrap())
}

fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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

/// Paths below these parts of both kinds that are wrong.
fn offenders(parts: &[&str], wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for crd in crds() {
        for part in parts {
            let node = &schema(&crd)["properties"][part];
            let path = format!("{} {part}", crd["spec"]["names"]["kind"].as_str().unwrap());
            if node.is_object() {
                walk(&path, node, &mut |path, node| {
                    if wrong(path, node) {
                        found.push(path.to_owned());
                    }
                });
            }
        }
    }
    found
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn every_generated_file_is_fresh() {
    for file in generated().unwrap() {
        let committed = fs::read_to_string(root().join(&file.path)).unwrap_or_default();
        assert!(committed == file.text, "{} is stale: run `cargo xtask crdgen`", file.path);
    }
}

#[test]
fn every_manifest_is_installed_and_fits_client_side_apply() {
    let list = fs::read_to_string(root().join("crds/kustomization.yaml")).unwrap();
    for crd in crds() {
        let path = format!("crds/mcp-eks.dev_{}.yaml", crd["spec"]["names"]["plural"].as_str().unwrap());
        let file = generated().unwrap().into_iter().find(|file| file.path == path).unwrap();
        assert!(file.text.len() < 100 * 1024, "{path} has {} bytes", file.text.len());
        assert!(list.contains(path.trim_start_matches("crds/")), "{path} is not in crds/kustomization.yaml");
    }
}

#[test]
fn kinds_have_the_names_that_people_type() {
    let [server, class] = crds();
    for (crd, plural, short, scope) in
        [(&server, "mcpservers", "emcp", "Namespaced"), (&class, "mcpserverclasses", "emcpc", "Cluster")]
    {
        let names = &crd["spec"]["names"];
        assert_eq!((&names["plural"], &names["shortNames"]), (&json!(plural), &json!([short])));
        assert_eq!((&names["categories"], &crd["spec"]["scope"]), (&json!(["mcp-eks"]), &json!(scope)));
    }
    let columns = |wide: bool| {
        let columns = server["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
        let columns = columns.iter().filter(|column| (column["priority"] == 1) == wide);
        columns.map(|column| column["name"].as_str().unwrap().to_uppercase()).collect::<Vec<_>>()
    };
    assert_eq!(columns(false), ["READY", "REASON", "TOOLS", "REPLICAS", "URL", "AGE"]);
    assert_eq!(columns(true), ["MESSAGE", "IMAGE", "PROTOCOL", "ROLE", "CLASS"]);
}

#[test]
fn every_field_and_every_value_is_described() {
    // The items of a list of plain values speak through the list.
    let plain = |node: &Value| node["type"] == "string" || node["type"] == "integer";
    let bare = |path: &str, node: &Value| {
        node["description"].as_str().is_none_or(|text| text.len() < 4) && !(path.ends_with("[]") && plain(node))
    };
    assert_eq!(offenders(&["spec", "status"], bare), none());
    // Those of a list of words too.
    let unsaid = |path: &str, node: &Value| {
        let text = node["description"].as_str().unwrap_or_default();
        let values = node["enum"].as_array().cloned().unwrap_or_default();
        !path.ends_with("[]") && values.iter().any(|value| !text.contains(&format!("{}: ", value.as_str().unwrap())))
    };
    assert_eq!(offenders(&["spec", "status"], unsaid), none());
    let unsaid_in_lists = |_: &str, node: &Value| {
        let text = node["description"].as_str().unwrap_or_default();
        let values = node["items"]["enum"].as_array().cloned().unwrap_or_default();
        values.iter().any(|value| !text.contains(value.as_str().unwrap()))
    };
    assert_eq!(offenders(&["spec", "status"], unsaid_in_lists), none());
}

#[test]
fn every_list_map_string_and_number_of_a_spec_is_bounded() {
    let unbounded = |_: &str, node: &Value| match node["type"].as_str() {
        Some("array") => node["maxItems"].is_null(),
        Some("string") => node["maxLength"].is_null() && node["enum"].is_null(),
        Some("integer") => node["maximum"].is_null() || node["minimum"].is_null(),
        _ if node["x-kubernetes-int-or-string"] == true => node["maxLength"].is_null(),
        _ => node["additionalProperties"].is_object() && node["maxProperties"].is_null(),
    };
    assert_eq!(offenders(&["spec"], unbounded), none());
}

#[test]
fn lists_of_objects_merge_by_key_unless_their_order_counts() {
    let atomic = ["envFrom", "tolerations", "ingressFrom"];
    let unkeyed = |path: &str, node: &Value| {
        let own = path.rsplit('.').next().unwrap_or_default();
        node["items"]["type"] == "object" && node["x-kubernetes-list-type"] != "map" && !atomic.contains(&own)
    };
    assert_eq!(offenders(&["spec", "status"], unkeyed), none());
    let unmerged = |_: &str, node: &Value| {
        let own = ["set", "map", "atomic"].map(|kind| json!(kind)).contains(&node["x-kubernetes-list-type"]);
        // Command and arguments are sequences: the order counts, and a word may stand twice.
        node["type"] == "array" && !own && node["items"]["type"] != "string"
    };
    assert_eq!(offenders(&["spec", "status"], unmerged), none());
}

#[test]
fn types_are_those_of_the_conventions() {
    let odd = |_: &str, node: &Value| {
        let unsigned = node["format"].as_str().is_some_and(|format| format.starts_with("uint"));
        let map_of_objects = node["additionalProperties"]["type"] == "object";
        let words = node["enum"].as_array().cloned().unwrap_or_default();
        let camel = |word: &Value| word.as_str().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
        unsigned || map_of_objects || node["nullable"] == true || !words.iter().all(camel) || node["type"] == "number"
    };
    assert_eq!(offenders(&["spec", "status"], odd), none());
}

#[test]
fn no_reference_leaves_the_namespace_and_nothing_reaches_the_node() {
    let escape = |path: &str, _: &Value| path.ends_with(".namespace") || path.ends_with(".hostPath");
    assert_eq!(offenders(&["spec", "status"], escape), none());
}

#[test]
fn every_rule_has_a_message_that_says_how_to_mend_it() {
    let mute = |_: &str, node: &Value| {
        let rules = node["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
        rules.iter().any(|rule| rule["message"].as_str().is_none_or(|message| message.len() < 20))
    };
    assert_eq!(offenders(&["spec"], mute), none());
    assert_eq!(
        offenders(&["spec"], |_, node| node["pattern"].is_string()),
        none(),
        "a bare pattern refuses wordlessly"
    );
}

#[test]
fn the_status_of_a_new_object_says_that_nobody_has_looked_at_it() {
    let [server, _] = crds();
    assert_eq!(schema(&server)["properties"]["status"]["default"]["observedGeneration"], -1);
}

#[test]
fn an_empty_status_parses_and_every_part_of_it_too() {
    let parsed: McpServerStatus = serde_json::from_value(
        json!({"address": {}, "mcp": {}, "identity": {}, "conformance": {}, "observedGeneration": -1}),
    )
    .unwrap();
    assert_eq!(parsed.observed_generation, Some(-1));
    assert_eq!(serde_json::from_value::<McpServerStatus>(json!({})).unwrap(), McpServerStatus::default());
    let [server, _] = crds();
    let required = |_: &str, node: &Value| node["required"].is_array() && node["properties"]["reason"].is_null();
    let mut found = Vec::new();
    walk("status", &schema(&server)["properties"]["status"], &mut |path, node| {
        if required(path, node) {
            found.push(path.to_owned());
        }
    });
    assert_eq!(found, none(), "only a condition has required members");
}

#[test]
fn a_spec_of_an_older_client_still_parses() {
    let yaml = "{apiVersion: mcp-eks.dev/v1alpha1, kind: McpServer, metadata: {name: a}, spec: {server: {image: {ref: a}}}, status: {}}";
    let server: McpServer = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(server.spec.replicas, 2);
    assert_eq!(server.spec.server.image.unwrap().path, "/mcp");
    let class = "{apiVersion: mcp-eks.dev/v1alpha1, kind: McpServerClass, metadata: {name: a}, spec: {}}";
    serde_yaml::from_str::<McpServerClass>(class).unwrap();
}

#[test]
fn what_is_not_set_is_not_written() {
    let spec: McpServerSpec = serde_json::from_value(json!({"server": {"image": {"ref": "a"}}})).unwrap();
    let written = serde_json::to_value(&spec).unwrap();
    let keys: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["paused", "replicas", "server"]);
}

#[test]
fn state_in_the_pod_is_known_by_its_kind() {
    let state = |server: Value| {
        let spec: McpServerSpec = serde_json::from_value(json!({"server": server})).unwrap();
        spec.state_in_the_pod().is_some()
    };
    for stateful in [
        json!({"database": {"sqlite": {}, "writes": "Allow"}}),
        json!({"database": {"sqlite": {"persistence": {"volume": "data"}}}}),
        json!({"product": {"sqlite": {}, "writes": "Consent"}}),
        json!({"order": {"sqlite": {}, "productServer": "p"}}),
        json!({"custom": {"kv": {}}}),
        json!({"custom": {"kv": {"backend": "Disk", "disk": {"volume": "data"}}}}),
    ] {
        assert!(state(stateful.clone()), "{stateful}");
    }
    for stateless in [
        json!({"database": {"sqlite": {}}}),
        json!({"database": {"postgres": {"secretRef": {"name": "a", "key": "b"}}, "writes": "Allow"}}),
        json!({"custom": {"weather": {}}}),
        json!({"custom": {"kv": {"backend": "Valkey", "valkey": {"secretRef": {"name": "a", "key": "b"}}}}}),
        json!({"image": {"ref": "a"}}),
    ] {
        assert!(!state(stateless.clone()), "{stateless}");
    }
}

#[test]
fn editors_underline_a_misspelt_field() {
    let file = generated().unwrap().into_iter().find(|file| file.path.ends_with("mcpserver_v1alpha1.json")).unwrap();
    let schema: Value = serde_json::from_str(&file.text).unwrap();
    assert_eq!(schema["properties"]["kind"]["const"], "McpServer");
    let mut open = Vec::new();
    walk("", &schema["properties"]["spec"], &mut |path, node| {
        if node["properties"].is_object() && node["additionalProperties"] != false {
            open.push(path.to_owned());
        }
    });
    assert_eq!(open, none());
}
