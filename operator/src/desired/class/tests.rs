#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::indexing_slicing, reason = "a test")]

use serde_json::{Value, json};

use super::*;

const READER: &str = "arn:aws:iam::123456789012:role/mcp/reader";

fn defaults() -> Defaults {
    Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: crate::desired::exposure::Balancers::default(),
    }
}

fn server(more: Value) -> McpServer {
    let mut spec = json!({"className": "team", "server": {"custom": {}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "tools", "namespace": "team", "uid": "uid-1"}, "spec": spec,
    }))
    .unwrap()
}

/// A class for the namespace `team`, with more.
fn standing(more: Value) -> Standing {
    let mut spec = json!({"allowedNamespaces": {"names": ["team"]}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let class = serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServerClass", "metadata": {"name": "team"}, "spec": spec,
    }));
    let labels = [("tier".to_owned(), "gold".to_owned())].into();
    Standing { class: Some(Arc::new(class.unwrap())), namespace: labels }
}

/// Fields that are denied.
fn denied(class: Value, spec: Value) -> Vec<String> {
    let server = server(spec);
    let ruling = rule(&server, &standing(class));
    ruling.denied.iter().map(|problem| problem.field.clone()).collect()
}

#[test]
fn what_a_class_does_not_name_is_denied_and_what_it_names_is_not() {
    let aws = |more: Value| {
        let mut identity = json!({"roleArn": READER});
        identity.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"identity": identity})
    };
    let optional = |more: Value| {
        let mut identity =
            json!({"allowedRoleArns": ["arn:aws:iam::123456789012:role/*"], "sessionPolicy": "Optional"});
        identity.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"identity": identity})
    };
    let target = "arn:aws:iam::210987654321:role/mcp/target";
    let policy = json!({"sessionPolicy": {"type": "Inline", "policy": "{}"}});
    let image = |image: &str| json!({"server": {"image": {"ref": image}}});
    let volume = |volume: Value| json!({"volumes": [volume]});
    let secret = json!({"envFrom": [{"secretRef": {"name": "team-db"}}]});
    let place = |place: Value| json!({"scheduling": place});
    let egress = |egress: Value| json!({"network": {"egress": egress}});
    let cases = [
        ("roles", aws(json!({})), optional(json!({})), "spec.identity"),
        ("a role", aws(json!({"roleArn": "arn:aws:iam::210987654321:role/x"})), Value::Null, "spec.identity.roleArn"),
        ("a path", aws(json!({})), optional(json!({"allowedRolePath": "/mcp/"})), "spec.identity"),
        ("another path", aws(json!({})), Value::Null, "spec.identity.roleArn"),
        (
            "a target",
            aws(json!({"targetRoleArn": target})),
            optional(json!({"allowedTargetRoles": [target]})),
            "spec.identity",
        ),
        ("a policy", aws(policy), optional(json!({})), "spec.identity"),
        ("an image", image("acme/a:1"), json!({"images": {"allowedPrefixes": ["acme/"]}}), "spec.server.image.ref"),
        ("a Secret", secret, json!({"secretNames": ["team-*"]}), "spec"),
        (
            "a volume",
            volume(json!({"name": "a", "emptyDir": {}})),
            json!({"volumes": {"allowedTypes": ["EmptyDir"]}}),
            "spec.volumes[a]",
        ),
        (
            "a priority",
            place(json!({"priorityClassName": "high"})),
            json!({"scheduling": {"allowedPriorityClasses": ["high"]}}),
            "spec.scheduling.priorityClassName",
        ),
        (
            "a taint",
            place(json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]})),
            json!({"scheduling": {"allowedTaints": ["gpu"]}}),
            "spec.scheduling.tolerations",
        ),
        (
            "a load balancer",
            json!({"expose": {"type": "LoadBalancer"}}),
            json!({"expose": {"allowedTypes": ["LoadBalancer"]}}),
            "spec.expose.type",
        ),
        (
            "addresses",
            egress(json!({"cidrs": ["10.1.2.0/24"]})),
            json!({"egress": {"allowedCidrs": ["10.0.0.0/8"]}}),
            "spec.network.egress.cidrs",
        ),
        (
            "a host",
            egress(json!({"hosts": ["api.example.com"]})),
            json!({"egress": {"allowedHosts": ["*.example.com"]}}),
            "spec.network.egress.hosts",
        ),
        (
            "no policy",
            json!({"network": {"enabled": false}}),
            json!({"egress": {"allowedCidrs": ["0.0.0.0/0", "::/0"]}}),
            "spec.network.enabled",
        ),
    ];
    for (what, spec, allowed, field) in cases {
        // What nothing allows here is denied by a class that allows other things.
        let (denies, allows) = match allowed {
            Value::Null => (optional(json!({"allowedRolePath": "/other/"})), None),
            allowed => (json!({}), Some(allowed)),
        };
        assert_eq!(denied(denies, spec.clone()), [field], "{what}");
        if let Some(allowed) = allows {
            assert_eq!(denied(allowed, spec), Vec::<String>::new(), "{what}");
        }
    }
}

#[test]
fn who_shares_a_load_balancer_needs_leave_for_its_group() {
    let asked = json!({"expose": {"type": "Ingress", "hosts": ["a.example.com"], "group": "tools"}});
    let class = |groups: Value| json!({"expose": {"allowedTypes": ["Ingress"], "allowedGroups": groups}});
    assert_eq!(denied(class(json!(["others"])), asked.clone()), ["spec.expose.group"]);
    assert_eq!(denied(class(json!(["tools"])), asked), Vec::<String>::new());
}

#[test]
fn a_session_policy_is_wanted_unless_the_class_says_otherwise() {
    let identity = |rule: Option<&str>| {
        let mut identity = json!({"allowedRoleArns": [READER]});
        if let Some(rule) = rule {
            identity["sessionPolicy"] = json!(rule);
        }
        json!({"identity": identity})
    };
    let without = json!({"identity": {"roleArn": READER}});
    let with = json!({"identity": {"roleArn": READER, "sessionPolicy": {"type": "Inline", "policy": "{}"}}});
    for (rule, takes_without, takes_with) in [
        (None, false, true),
        (Some("Required"), false, true),
        (Some("Optional"), true, true),
        (Some("Forbidden"), true, false),
    ] {
        assert_eq!(denied(identity(rule), without.clone()).is_empty(), takes_without, "{rule:?}");
        assert_eq!(denied(identity(rule), with.clone()).is_empty(), takes_with, "{rule:?}");
    }
}

#[test]
fn a_role_lies_below_a_path_as_a_whole() {
    let class = |path: &str, roles: &[&str]| {
        serde_json::from_value(json!({"identity": {"allowedRolePath": path, "allowedRoleArns": roles}})).unwrap()
    };
    let every = "arn:aws:iam::123456789012:role/*";
    for (path, roles, role, expected) in [
        ("/mcp/", vec![every], READER, true),
        ("/", vec![every], READER, true),
        ("/mcp/", vec![every], "arn:aws:iam::123456789012:role/mcp", false),
        ("/mcp/", vec![every], "arn:aws:iam::123456789012:role/mcpx/reader", false),
        ("/mcp/", vec![every], "arn:aws:iam::123456789012:role/other/mcp/reader", false),
        ("/mcp/", vec![every], "arn:aws:iam::210987654321:role/mcp/reader", false),
        ("/mcp/", vec![READER], "arn:aws:iam::123456789012:role/mcp/reader2", false),
        ("/mcp/", vec![], READER, false),
    ] {
        assert_eq!(identity::allows(&class(path, &roles), role), expected, "{path} {roles:?} {role}");
    }
}

#[test]
fn a_class_is_for_the_namespaces_that_it_names_or_selects() {
    let server = server(json!({}));
    for (allowed, admitted) in [
        (json!(null), false),
        (json!({}), false),
        (json!({"names": ["team"]}), true),
        (json!({"names": ["other"]}), false),
        (json!({"selector": {"matchLabels": {"tier": "gold"}}}), true),
        (json!({"selector": {"matchLabels": {"tier": "iron"}}}), false),
        (json!({"selector": {}}), true),
    ] {
        let ruling = rule(&server, &standing(json!({"allowedNamespaces": allowed})));
        assert_eq!(ruling.denied.is_empty(), admitted, "{allowed}");
        assert_eq!(ruling.revoked(None).is_none(), admitted, "{allowed}");
    }
    let ruling = rule(&server, &Standing::default());
    assert!(
        ruling.revoked(None).unwrap().contains("no McpServerClass \"team\""),
        "a class that is not there allows nothing"
    );
}

#[test]
fn what_is_denied_beside_the_identity_takes_no_role_away() {
    let class = json!({"identity": {"allowedRoleArns": [READER], "sessionPolicy": "Optional"}});
    let server = server(json!({"identity": {"roleArn": READER}, "server": {"image": {"ref": "acme/a:1"}}}));
    let ruling = rule(&server, &standing(class));
    assert_eq!(ruling.validate(&defaults()).unwrap_err()[0].reason, Reason::ClassDenied);
    assert_eq!(ruling.revoked(Some(READER)), None);
    assert!(
        ruling.revoked(Some("arn:aws:iam::123456789012:role/other")).is_some(),
        "what the pods still have counts too"
    );
}

#[test]
fn limits_hold_for_what_is_asked_for_and_want_a_limit() {
    let class =
        json!({"limits": {"maxReplicas": 3, "cpu": "1", "memory": "1Gi"}, "images": {"allowedPrefixes": ["a"]}});
    let resources = |cpu: &str, memory: &str| json!({"resources": {"limits": {"cpu": cpu, "memory": memory}}});
    assert_eq!(denied(class.clone(), json!({"replicas": 3})), Vec::<String>::new());
    assert_eq!(denied(class.clone(), json!({"replicas": 4})), ["spec.replicas"]);
    assert_eq!(denied(class.clone(), resources("1000m", "1024Mi")), Vec::<String>::new());
    assert_eq!(denied(class.clone(), resources("1001m", "1Gi")), ["spec.resources.limits[cpu]"]);
    let unlimited = ["spec.resources.limits[cpu]", "spec.resources.limits[memory]"];
    assert_eq!(denied(class.clone(), json!({"server": {"image": {"ref": "a"}}})), unlimited);
    // Unless the class brings some.
    let mut class = class;
    class["defaults"] = resources("500m", "512Mi");
    assert_eq!(denied(class, json!({"server": {"image": {"ref": "a"}}})), Vec::<String>::new());
}

#[test]
fn defaults_fill_in_and_the_own_spec_wins_but_for_where_pods_run() {
    let class = json!({
        "defaults": {"podLabels": {"a": "class", "b": "class"}, "scheduling": {"nodeSelector": {"pool": "mcp"}}},
        "scheduling": {"nodeSelector": {"zone": "a"}},
        "podSecurity": {"rootFilesystem": "ReadWrite", "runAsUser": 1000},
    });
    let own = server(json!({"podLabels": {"a": "own"}}));
    let valid = rule(&own, &standing(class.clone())).validate(&defaults()).unwrap();
    assert_eq!((valid.pod_labels["a"].as_str(), valid.pod_labels["b"].as_str()), ("own", "class"));
    assert_eq!(
        valid.scheduling.node_selector,
        [("pool", "mcp"), ("zone", "a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    );
    assert_eq!(valid.pod_security.run_as_user, Some(1000));
    let own = server(json!({"scheduling": {"nodeSelector": {"zone": "b", "disk": "ssd"}}}));
    let valid = rule(&own, &standing(class)).validate(&defaults()).unwrap();
    assert_eq!(
        valid.scheduling.node_selector,
        [("disk", "ssd"), ("zone", "a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    );
}

#[test]
fn without_a_class_there_is_neither_identity_nor_load_balancer() {
    let mut plain = server(json!({"identity": {"roleArn": READER}, "expose": {"type": "Ingress"}}));
    plain.spec.class_name = None;
    let ruling = rule(&plain, &Standing::default());
    let fields: Vec<_> = ruling.denied.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["spec.identity", "spec.expose.type"]);
    assert!(ruling.revoked(None).is_some());
    plain.spec.identity = None;
    plain.spec.expose = None;
    assert!(rule(&plain, &Standing::default()).validate(&defaults()).is_ok());
}
