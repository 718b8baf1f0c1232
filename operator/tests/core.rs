//! Laws of the pure core: what is rendered, that a second look finds nothing to do, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test"
)]

use std::{collections::BTreeMap, fs, path::Path};

use mcp_crds::McpServer;
use mcp_operator::{
    desired::{self, Child, ChildKind, Defaults, Problem, Valid, roll::Named, scaled_object::Keda},
    diff::{self, Live, compare::settle},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn defaults() -> Defaults {
    Defaults {
        servers_image: "localhost/servers:test".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: desired::exposure::Balancers::default(),
    }
}

/// A server with the given spec, as the API server would hand it out.
fn server(spec: Value) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

fn valid(spec: Value) -> Valid {
    desired::validate(&server(spec), &defaults()).unwrap()
}

/// The children of a server whose spec names no ConfigMap.
fn build(server: &Valid) -> Vec<Child> {
    desired::build(server, &Named::default())
}

fn of_kind(children: &[Child], kind: ChildKind) -> Value {
    children.iter().find(|child| child.kind == kind).unwrap().object.clone()
}

fn samples() -> BTreeMap<String, McpServer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value: Value = serde::Deserialize::deserialize(document).unwrap();
            if value["kind"] == "McpServer" {
                let mut server: McpServer = serde_json::from_value(value).unwrap();
                server.metadata.uid = Some("uid-1".to_owned());
                found.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), server);
            }
        }
    }
    found
}

/// Zero values that Go's types leave out when they are stored.
fn drop_zero(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| match key.as_str() {
                "readOnly" => *value != json!(false),
                "value" | "subPath" | "prefix" => *value != json!(""),
                _ => true,
            });
            map.values_mut().for_each(drop_zero);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_zero),
        _ => {}
    }
}

/// What the API server would hold after the plan: every step merged into what was there.
fn run(plan: &diff::Plan, live: &Live) -> Live {
    let mut after = live.clone();
    for step in &plan.steps {
        let child = &step.child;
        let mut next =
            live.get(&child.kind).map_or_else(|| child.object.clone(), |old| settle(child.kind, &child.object, old));
        drop_zero(&mut next);
        next["metadata"]["annotations"] = child.object["metadata"]["annotations"].clone();
        after.insert(child.kind, next);
    }
    for unwanted in &plan.prune {
        after.remove(&unwanted.kind);
    }
    after
}

#[test]
fn every_sample_renders_as_it_did() {
    let samples = samples();
    assert!(samples.len() >= 2, "{:?}", samples.keys());
    for (name, server) in samples {
        let valid = desired::validate(&server, &defaults()).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let valid = Valid { keda: Keda { installed: true, holds: false }, ..valid };
        let objects: Vec<_> = build(&valid).into_iter().map(|child| child.object).collect();
        insta::assert_yaml_snapshot!(format!("sample_{name}"), objects);
    }
}

#[test]
fn the_second_look_at_every_sample_finds_nothing_to_do() {
    for (name, server) in samples() {
        let children = build(&desired::validate(&server, &defaults()).unwrap());
        let first = diff::plan(&children, &Live::new(), "uid-1");
        assert_eq!(first.steps.len(), children.len(), "{name}");
        let after = run(&first, &Live::new());
        assert_eq!(diff::plan(&children, &after, "uid-1"), diff::Plan::default(), "{name}");
    }
}

#[test]
fn a_field_that_left_the_spec_is_a_difference() {
    let with = json!({"server": {"image": {"ref": "a"}}, "env": [{"name": "A", "value": "1"}]});
    let without = json!({"server": {"image": {"ref": "a"}}});
    let build = |spec| build(&valid(spec));
    let live = run(&diff::plan(&build(with), &Live::new(), "uid-1"), &Live::new());
    let plan = diff::plan(&build(without), &live, "uid-1");
    let kinds: Vec<_> = plan.steps.iter().map(|step| step.child.kind).collect();
    assert_eq!(kinds, [ChildKind::Deployment]);
}

#[test]
fn what_belongs_to_somebody_else_is_never_written() {
    let children = build(&valid(json!({"server": {"image": {"ref": "a"}}})));
    let foreign = json!({"metadata": {"name": "files", "uid": "x"}});
    let mut other_owner = of_kind(&children, ChildKind::Service);
    other_owner["metadata"]["ownerReferences"][0]["uid"] = json!("uid-of-another");
    other_owner["metadata"]["ownerReferences"][0]["name"] = json!("another");
    let live = Live::from([(ChildKind::ServiceAccount, foreign), (ChildKind::Service, other_owner)]);
    let plan = diff::plan(&children, &live, "uid-1");
    assert_eq!(plan.conflicts, ["ServiceAccount files", "Service files"]);
    let taken = [ChildKind::ServiceAccount, ChildKind::Service];
    assert!(plan.steps.iter().all(|step| !taken.contains(&step.child.kind)));
}

#[test]
fn what_a_deleted_server_of_the_same_name_left_behind_is_waited_for() {
    let spec = json!({"server": {"image": {"ref": "a"}}});
    let children = build(&valid(spec));
    let old = |kind: ChildKind| {
        let mut object = of_kind(&children, kind);
        object["metadata"]["ownerReferences"][0]["uid"] = json!("uid-of-the-old-one");
        object
    };
    let mut terminating = of_kind(&children, ChildKind::Deployment);
    terminating["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let live =
        Live::from([(ChildKind::ServiceAccount, old(ChildKind::ServiceAccount)), (ChildKind::Deployment, terminating)]);
    let plan = diff::plan(&children, &live, "uid-1");
    assert_eq!(plan.leftovers, ["ServiceAccount files", "Deployment files"]);
    assert!(plan.conflicts.is_empty());
}

#[test]
fn every_mistake_is_reported_at_once_and_says_how_to_mend_it() {
    let problems = |spec| match desired::validate(&server(spec), &defaults()) {
        Ok(valid) => panic!("taken: {valid:?}"),
        Err(problems) => problems,
    };
    let fields = |problems: &[Problem]| problems.iter().map(|problem| problem.field.clone()).collect::<Vec<_>>();
    let found = problems(json!({
        "server": {"filesystem": {"roots": [{"name": "a", "volume": "missing"}]}},
        "replicas": -1,
        "env": [{"name": "A"}, {"name": "A", "value": "1", "valueFrom": {}}],
        "envFrom": [{}],
        "volumes": [{"name": "host"}, {"name": "mcp-eks-x", "emptyDir": {"sizeLimit": "lots"}}],
        "volumeMounts": [{"name": "nope", "mountPath": "/roots/a"}],
        "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m", "memory": "1 Gi"}},
    }));
    let expected = [
        "spec.replicas",
        "spec.volumes[host]",
        "spec.volumes[mcp-eks-x]",
        "spec.volumes[mcp-eks-x].emptyDir.sizeLimit",
        "spec.volumeMounts[/roots/a]",
        "spec.volumeMounts[/roots/a]",
        "spec.env[A]",
        "spec.env[A]",
        "spec.env[A].valueFrom",
        "spec.envFrom[0]",
        "spec.server.filesystem.roots[a].volume",
        "spec.resources.limits[memory]",
        "spec.resources.requests[cpu]",
    ];
    assert_eq!(fields(&found), expected);
    assert!(found.iter().all(|problem| problem.message.len() > 20), "{found:?}");
    let both = json!({"server": {"image": {"ref": ":::"}, "filesystem": {"roots": []}}});
    assert_eq!(fields(&problems(both)), ["spec.server"]);
    assert_eq!(fields(&problems(json!({"server": {"image": {"ref": ":::"}}}))), ["spec.server.image.ref"]);
}

/// Specs of every shape that validation takes.
fn any_spec() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[A-Z]{1,3}", "[a-z]{0,3}", 0..4);
    let volumes = prop::collection::btree_set("[a-z]{1,3}", 0..4);
    let cpu = prop::option::of(1..4000_u32);
    (0..5_i32, any::<bool>(), env, volumes, cpu).prop_map(|(replicas, filesystem, env, volumes, cpu)| {
        let volumes: Vec<String> = volumes.into_iter().collect();
        let runs = match volumes.first() {
            Some(first) if filesystem => json!({"filesystem": {"roots": [{"name": "root", "volume": first}]}}),
            _ => json!({"image": {"ref": "ghcr.io/acme/tools:1", "args": ["--fast"]}}),
        };
        let mut spec = json!({
            "server": runs,
            "replicas": replicas,
            "env": env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>(),
            "volumeMounts": volumes.iter().map(|name| json!({"name": name, "mountPath": format!("/{name}"), "readOnly": replicas == 1, "subPath": ""})).collect::<Vec<_>>(),
            "volumes": volumes.iter().map(|name| json!({"name": name, "emptyDir": {}})).collect::<Vec<_>>(),
        });
        if let Some(cpu) = cpu {
            spec["resources"] = json!({"requests": {"cpu": format!("{cpu}m")}});
        }
        spec
    })
}

/// Things that people, tools and attackers do to a Deployment.
fn vandalise(deployment: &mut Value, how: u8) {
    let spec = &mut deployment["spec"]["template"]["spec"];
    match how % 8 {
        6 => spec["containers"][0]["startupProbe"] = json!({"exec": {"command": ["true"]}}),
        7 => spec["dnsPolicy"] = json!("None"),
        0 => spec["containers"].as_array_mut().unwrap().push(json!({"name": "spy", "image": "x"})),
        1 => spec["containers"][0]["env"] = json!([{"name": "Z", "value": "z"}]),
        2 => spec["hostNetwork"] = json!(true),
        3 => spec["containers"][0]["securityContext"] = json!({"privileged": true}),
        4 => spec["volumes"].as_array_mut().unwrap().push(json!({"name": "host", "hostPath": {"path": "/"}})),
        _ => deployment["spec"]["replicas"] = json!(99),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_end_depends_on_the_last_spec_alone(first in any_spec(), last in any_spec(), how in any::<u8>()) {
        let build = |spec: &Value| build(&valid(spec.clone()));
        let (first, last) = (build(&first), build(&last));
        let straight = run(&diff::plan(&last, &Live::new(), "uid-1"), &Live::new());
        let mut live = run(&diff::plan(&first, &Live::new(), "uid-1"), &Live::new());
        vandalise(live.get_mut(&ChildKind::Deployment).unwrap(), how);
        let healed = run(&diff::plan(&last, &live, "uid-1"), &live);
        prop_assert_eq!(diff::plan(&last, &healed, "uid-1"), diff::Plan::default(), "idempotent");
        let template = |live: &Live| live[&ChildKind::Deployment]["spec"]["template"]["spec"]["containers"].clone();
        let sorted = |value: Value| {
            let mut env = value[0]["env"].as_array().cloned().unwrap_or_default();
            env.sort_by_key(ToString::to_string);
            (value.as_array().map(Vec::len), value[0]["image"].clone(), env, value[0]["securityContext"].clone())
        };
        prop_assert_eq!(sorted(template(&healed)), sorted(template(&straight)), "path independent");
    }
}
