//! What bundled servers get of their spec: the settings file, and Secrets and ConfigMaps as files. The keys are those
//! that the servers read; a sample of each kind is rendered as a whole in `core.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test"
)]

use std::collections::BTreeMap;

use mcp_crds::McpServer;
use mcp_operator::desired::{self, ChildKind, Defaults, roll};
use serde_json::{Value, json};

fn server(spec: Value) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

fn objects(spec: Value) -> BTreeMap<ChildKind, Value> {
    let defaults = Defaults {
        servers_image: "localhost/servers:test".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: desired::exposure::Balancers::default(),
    };
    let valid = desired::validate(&server(spec.clone()), &defaults);
    let valid = valid.unwrap_or_else(|problems| panic!("{spec}: {problems:?}"));
    let config_maps = roll::config_maps(&server(spec).spec).into_iter().map(|name| (name, None)).collect();
    desired::build(&valid, &roll::Named { config_maps, ..roll::Named::default() })
        .into_iter()
        .map(|child| (child.kind, child.object))
        .collect()
}

/// The settings file of a spec, without what every server has.
fn settings(spec: Value) -> Value {
    let text = objects(spec)[&ChildKind::ConfigMap]["data"]["settings.yaml"].as_str().unwrap().to_owned();
    let mut settings: Value = serde_yaml::from_str(&text).unwrap();
    for common in ["allowedHosts", "allowedOrigins", "ipHosts"] {
        assert!(settings.as_object_mut().unwrap().remove(common).is_some(), "{text}");
    }
    settings
}

fn pod(spec: Value) -> Value {
    objects(spec)[&ChildKind::Deployment]["spec"]["template"]["spec"].clone()
}

/// A SQLite server, which has the shortest file, with more.
fn plain(more: Value) -> Value {
    let mut spec = json!({"server": {"database": {"sqlite": {}}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// What stands in a file beside what a plain server has.
fn beside(more: Value) -> Value {
    let mut settings = settings(plain(more));
    for key in ["sqlite", "seed"] {
        assert!(settings.as_object_mut().unwrap().remove(key).is_some());
    }
    settings
}

fn key(name: &str) -> Value {
    json!({"name": name, "key": "a-key"})
}

#[test]
fn a_plain_server_of_each_kind_has_its_own_settings_alone() {
    let volumes = json!([{"name": "data", "emptyDir": {}}]);
    let on = |server: Value, replicas: i32| json!({"server": server, "volumes": volumes, "replicas": replicas});
    for (spec, expected) in [
        (json!({"server": {"aws": {}}}), json!({})),
        (
            json!({"server": {"aws": {"region": "eu-west-1", "sensitive": "Allow", "bedrock": {"models": ["m"]}, "accounts":
                [{"alias": "b", "roleArn": "arn:aws:iam::123456789012:role/reader"}]}}}),
            json!({"region": "eu-west-1", "sensitive": "allow", "bedrockModels": ["m"], "bedrockMaxTokens": 1024, "accounts":
                [{"alias": "b", "roleArn": "arn:aws:iam::123456789012:role/reader"}]}),
        ),
        (json!({"server": {"database": {"sqlite": {}}}}), json!({"sqlite": ":memory:", "seed": "sample"})),
        (
            on(json!({"database": {"sqlite": {"seed": "None", "persistence": {"volume": "data"}}}}), 1),
            json!({"sqlite": "/var/lib/mcp-eks/database.sqlite", "seed": "none"}),
        ),
        (
            json!({"server": {"database": {"postgres": {"secretRef": key("uri"), "caConfigMapRef": key("ca"), "schemas": ["a"]}}}}),
            json!({"postgres": "/run/mcp-eks/postgres/value", "postgresCa": "/run/mcp-eks/postgres-ca/value",
                "schemas": ["a"], "maxConnections": 5, "statementTimeoutSeconds": 30}),
        ),
        (json!({"server": {"custom": {}}}), json!({"weather": "off", "kv": "off"})),
        (
            json!({"server": {"custom": {"weather": {"openMeteoUrl": "http://mirror"}, "kv": {}}}, "replicas": 1}),
            json!({"weather": "on", "weatherCacheSeconds": 600, "openMeteoUrl": "http://mirror", "kv": "memory",
                "kvMaxEntries": 100_000}),
        ),
        (
            json!({"server": {"custom": {"kv": {"backend": "Valkey", "valkey": {"secretRef": key("url")}}}}}),
            json!({"weather": "off", "kv": "valkey", "kvValkey": "/run/mcp-eks/valkey/value", "kvMaxEntries": 100_000}),
        ),
        (
            on(json!({"custom": {"kv": {"backend": "Disk", "disk": {"volume": "data"}}}}), 1),
            json!({"weather": "off", "kv": "disk", "kvDisk": "/var/lib/mcp-eks", "kvMaxEntries": 100_000}),
        ),
        (
            on(
                json!({"filesystem": {"writes": "Allow", "roots": [{"name": "a", "volume": "data"},
                {"name": "b", "volume": "data", "access": "ReadWrite"}]}}),
                1,
            ),
            json!({"writes": "allow", "roots": [{"name": "a", "path": "/roots/a"},
                {"name": "b", "path": "/roots/b", "access": "readWrite"}]}),
        ),
    ] {
        assert_eq!(settings(spec.clone()), expected, "{spec}");
    }
}

#[test]
fn what_every_kind_can_be_told_stands_in_the_file() {
    for (more, expected) in [
        (json!({}), json!({})),
        (json!({"auth": {}, "tools": {}, "audit": {}, "telemetry": {}}), json!({})),
        (json!({"tools": {"allow": ["a"], "deny": ["b"]}}), json!({"allowTools": ["a"], "denyTools": ["b"]})),
        (json!({"tools": {"consentKeyRef": key("c")}}), json!({"consentKey": "/run/mcp-eks/consent-key/value"})),
        (
            json!({"auth": {"mode": "ApiKey", "apiKey": {"secretRef": key("k")}}}),
            json!({"apiKeys": "/run/mcp-eks/api-keys/value"}),
        ),
        (json!({"auth": {"rateLimit": {"requestsPerSecond": 5}}}), json!({"rateLimit": 5, "rateBurst": 10})),
        (json!({"auth": {"rateLimit": {"requestsPerSecond": 5, "burst": 7}}}), json!({"rateLimit": 5, "rateBurst": 7})),
        (
            json!({"auth": {"mode": "Jwt", "jwt": {"issuer": "https://i", "audience": "a", "scopes": ["s"]}}}),
            json!({"jwtIssuer": "https://i", "jwtAudience": "a", "jwtScopes": ["s"],
                "resourceUrl": "http://files.team.svc.cluster.local:8080/mcp"}),
        ),
        (
            json!({"auth": {"mode": "Jwt", "jwt": {"issuer": "https://i", "audience": "a", "jwksUri": "https://j/keys"}},
                "expose": {"hosts": ["mcp.example.com"]}}),
            json!({"jwtIssuer": "https://i", "jwtAudience": "a", "jwtJwksUri": "https://j/keys",
                "resourceUrl": "https://mcp.example.com/mcp"}),
        ),
        (json!({"audit": {"required": true}}), json!({"auditRequired": true})),
        (
            json!({"audit": {"sinks": ["Stdout", "Postgres"], "postgres": {"secretRef": key("p"), "caConfigMapRef": key("ca")}}}),
            json!({"audit": ["stdout", "postgres"], "auditPostgres": "/run/mcp-eks/audit-postgres/value",
                "auditPostgresCa": "/run/mcp-eks/audit-postgres-ca/value"}),
        ),
        (json!({"telemetry": {"otlpEndpoint": "http://c:4318"}}), json!({"otlpEndpoint": "http://c:4318"})),
    ] {
        assert_eq!(beside(more.clone()), expected, "{more}");
    }
    let consent = json!({"server": {"aws": {"writes": "Consent"}}, "replicas": 1});
    assert_eq!(settings(consent), json!({"writes": "consent"}));
}

#[test]
fn sessions_keep_a_client_on_its_pod() {
    for (mode, setting, affinity) in [("Stateful", json!("stateful"), "ClientIP"), ("Stateless", Value::Null, "None")] {
        let spec = || plain(json!({"session": {"mode": mode}, "replicas": 3}));
        assert_eq!(settings(spec())["sessions"], setting);
        let service = &objects(spec())[&ChildKind::Service]["spec"];
        assert_eq!(service["sessionAffinity"], affinity);
        let seconds = &service["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
        // Longer than the kit lets a session idle.
        assert_eq!(seconds.as_i64(), (mode == "Stateful").then_some(3 * 60 * 60));
    }
}

#[test]
fn a_secret_is_a_file_of_one_key_in_a_directory_of_its_own_and_never_a_variable() {
    let spec = json!({
        "server": {"database": {"postgres": {"secretRef": key("uri"), "caConfigMapRef": key("ca")}}},
        "auth": {"mode": "ApiKey", "apiKey": {"secretRef": key("callers")}},
        "tools": {"consentKeyRef": key("consent")},
        "audit": {"sinks": ["Postgres"], "postgres": {"secretRef": key("records")}},
    });
    let pod = pod(spec);
    let container = &pod["containers"][0];
    let writer = json!({"name": "MCP_AUDIT_WRITER", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}});
    assert_eq!((&container["env"], &container["envFrom"]), (&json!([writer]), &Value::Null));
    for (what, from, name) in [
        ("postgres", "secret", "uri"),
        ("postgres-ca", "configMap", "ca"),
        ("api-keys", "secret", "callers"),
        ("consent-key", "secret", "consent"),
        ("audit-postgres", "secret", "records"),
    ] {
        let called = format!("mcp-eks-{what}");
        let find = |list: &Value| list.as_array().unwrap().iter().find(|it| it["name"] == called.as_str()).cloned();
        let volume = find(&pod["volumes"]).unwrap_or_else(|| panic!("no volume {called}"));
        let source = &volume[from];
        assert_eq!(source["items"], json!([{"key": "a-key", "path": "value"}]), "{volume}");
        assert_eq!(source[if from == "secret" { "secretName" } else { "name" }], name, "{volume}");
        assert_eq!(source["defaultMode"], 0o440, "{volume}");
        let mount = find(&container["volumeMounts"]).unwrap();
        let expected = json!({"name": called, "mountPath": format!("/run/mcp-eks/{what}"), "readOnly": true});
        assert_eq!(mount, expected, "a subPath would never change");
    }
}

#[test]
fn audit_records_name_the_pod_by_its_uid() {
    let server = json!({"custom": {}});
    let named = |pod: &Value| {
        let env = pod["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        env.iter()
            .filter(|it| it["name"] == "MCP_AUDIT_WRITER")
            .map(|it| it["valueFrom"].to_string())
            .collect::<Vec<_>>()
    };
    let free = pod(json!({"server": server, "replicas": 1, "env": [{"name": "MCP_LOG", "value": "debug"}]}));
    assert_eq!(named(&free), [r#"{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.uid"}}"#]);
    assert_eq!(free["containers"][0]["env"][0]["name"], "MCP_LOG", "{free}");
    assert!(named(&pod(json!({"server": {"image": {"ref": "a"}}}))).is_empty(), "a server of another runtime");
}

#[test]
fn a_server_mounts_what_it_works_on_and_writes_only_where_it_may() {
    let roots = json!([{"name": "a", "volume": "x"}, {"name": "b", "volume": "y", "access": "ReadWrite"}]);
    let volumes = json!([{"name": "x", "emptyDir": {}}, {"name": "y", "emptyDir": {}}]);
    let filesystem =
        json!({"server": {"filesystem": {"roots": roots, "writes": "Allow"}}, "volumes": volumes, "replicas": 1});
    let kv = json!({"backend": "Disk", "disk": {"volume": "x"}});
    let custom = json!({"server": {"custom": {"kv": kv}}, "volumes": volumes, "replicas": 1});
    for (spec, expected) in [
        (filesystem, vec![("x", "/roots/a", json!(true)), ("y", "/roots/b", Value::Null)]),
        (custom, vec![("x", "/var/lib/mcp-eks", Value::Null)]),
    ] {
        let mounts = pod(spec)["containers"][0]["volumeMounts"].clone();
        for (name, path, read_only) in expected {
            let mount = mounts.as_array().unwrap().iter().find(|it| it["mountPath"] == path).unwrap();
            assert_eq!((&mount["name"], &mount["readOnly"]), (&json!(name), &read_only));
        }
    }
}

#[test]
fn new_certificates_roll_the_pods_and_new_secrets_do_not() {
    let spec =
        |ca: &str| json!({"server": {"database": {"postgres": {"secretRef": key("uri"), "caConfigMapRef": key(ca)}}}});
    let named: Vec<_> = roll::config_maps(&server(spec("ca")).spec).into_iter().collect();
    assert_eq!(named, ["ca"]);
    let audit = json!({"sinks": ["Postgres"], "postgres": {"secretRef": key("p"), "caConfigMapRef": key("other")}});
    let both = plain(json!({"audit": audit}));
    assert_eq!(roll::config_maps(&server(both).spec).into_iter().collect::<Vec<_>>(), ["other"]);
}

#[test]
fn every_kind_has_its_binary_its_name_and_room() {
    for (kind, binary) in [
        (json!({"aws": {}}), "mcp-aws"),
        (json!({"database": {"sqlite": {}}}), "mcp-database"),
        (json!({"custom": {}}), "mcp-custom"),
    ] {
        let deployment = &objects(json!({"server": kind}))[&ChildKind::Deployment];
        assert_eq!(deployment["metadata"]["labels"]["app.kubernetes.io/name"], binary);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["command"], json!([binary]));
        assert!(container["resources"]["requests"]["memory"].is_string(), "{container}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
        assert_eq!(container["resources"]["limits"]["cpu"], Value::Null, "a limit on CPU only slows it down");
        assert_eq!(container["livenessProbe"]["httpGet"]["port"], "health");
    }
}
