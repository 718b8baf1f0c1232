//! What `validate` refuses, what it leaves for later, and what becomes of the rest in the pod.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test"
)]

use mcp_crds::McpServer;
use mcp_operator::{
    desired::{
        self, ChildKind, Defaults, Problem, Valid,
        validate::{Strategy, left_out},
    },
    diff::compare::settle,
    vocabulary::Reason,
};
use serde_json::{Value, json};

fn defaults() -> Defaults {
    Defaults {
        servers_image: "localhost/servers:test".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: desired::exposure::Balancers::default(),
    }
}

fn server(spec: Value) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

fn with(mut spec: Value, more: Value) -> Value {
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// A server by its image, with more.
fn image(more: Value) -> Value {
    with(json!({"server": {"image": {"ref": "a"}}}), more)
}

/// A Filesystem server, with more.
fn filesystem(more: Value) -> Value {
    let volume = json!([{"name": "data", "emptyDir": {}}]);
    with(json!({"server": {"filesystem": {"roots": [{"name": "data", "volume": "data"}]}}, "volumes": volume}), more)
}

fn valid(spec: Value) -> Valid {
    desired::validate(&server(spec.clone()), &defaults()).unwrap_or_else(|problems| panic!("{spec}: {problems:?}"))
}

fn problems(spec: Value) -> Vec<Problem> {
    match desired::validate(&server(spec.clone()), &defaults()) {
        Ok(_) => panic!("taken: {spec}"),
        Err(problems) => problems,
    }
}

fn fields(problems: &[Problem], reason: Reason) -> Vec<&str> {
    problems.iter().filter(|problem| problem.reason == reason).map(|problem| problem.field.as_str()).collect()
}

/// The Deployment of a spec.
fn deployment(spec: Value) -> Value {
    let children = desired::build(&valid(spec), &desired::roll::Named::default());
    children.into_iter().find(|child| child.kind == ChildKind::Deployment).unwrap().object
}

fn pod(spec: Value) -> Value {
    deployment(spec)["spec"]["template"]["spec"].clone()
}

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

#[test]
fn what_would_loosen_security_or_run_the_wrong_thing_is_not_yet_taken() {
    let key = json!({"name": "a", "key": "b"});
    let logs = json!({"audit": {"sinks": ["Stdout", "CloudWatchLogs"], "required": true}});
    for (spec, field) in [
        (json!({"server": {"product": {"postgres": {"secretRef": key}}}}), "spec.server.product"),
        (json!({"server": {"order": {"postgres": {"secretRef": key}, "productServer": "p"}}}), "spec.server.order"),
        (json!({"server": {"image": {"ref": "a", "transport": "Stdio"}}}), "spec.server.image.transport"),
        (image(json!({"auth": {"mode": "ApiKey", "apiKey": {"secretRef": key}}})), "spec.auth.mode"),
        (image(json!({"auth": {"rateLimit": {"requestsPerSecond": 5}}})), "spec.auth.rateLimit"),
        (image(json!({"tools": {"allow": ["a"]}})), "spec.tools.allow"),
        (image(json!({"tools": {"deny": ["a"]}})), "spec.tools.deny"),
        (image(json!({"tools": {"consentKeyRef": key}})), "spec.tools.consentKeyRef"),
        (image(json!({"tools": {"onChange": "Block"}})), "spec.tools.onChange"),
        (image(json!({"audit": {"required": true}})), "spec.audit.required"),
        (filesystem(logs), "spec.audit.sinks"),
        (image(json!({"network": {"egress": {"hosts": ["a.example.com"]}}})), "spec.network.egress.hosts"),
    ] {
        let found = problems(spec.clone());
        assert_eq!(fields(&found, Reason::NotYetSupported), [field], "{spec}");
        assert_eq!(fields(&found, Reason::InvalidSpec), Vec::<&str>::new(), "{spec}");
        assert!(found.iter().all(|problem| problem.message.len() > 20), "{found:?}");
    }
}

#[test]
fn every_part_that_is_not_there_yet_is_named_at_once() {
    let spec = image(json!({
        "className": "a", "tools": {"onChange": "Block"}, "auth": {"rateLimit": {"requestsPerSecond": 5}},
        "replicas": -1, "expose": {"type": "LoadBalancer"}, "identity": {"roleArn": ROLE},
    }));
    let found = problems(spec);
    assert_eq!(fields(&found, Reason::NotYetSupported), ["spec.tools.onChange", "spec.auth.rateLimit"]);
    assert_eq!(fields(&found, Reason::InvalidSpec), ["spec.replicas"]);
}

#[test]
fn a_missing_convenience_does_not_keep_a_server_from_running() {
    let spec = image(json!({
        "tools": {"onChange": "Warn"}, "audit": {"sinks": ["Stdout", "Postgres"]},
        "telemetry": {"otlpEndpoint": "http://collector:4317", "metrics": {"podMonitor": true}},
        "conformance": {"schedule": "OnChange"}, "replicas": 3,
    }));
    assert_eq!(valid(spec.clone()).replicas, 3);
    let expected = [
        "spec.tools.onChange",
        "spec.audit.sinks",
        "spec.telemetry.otlpEndpoint",
        "spec.telemetry.metrics.podMonitor",
        "spec.conformance",
    ];
    assert_eq!(left_out(&server(spec).spec), expected);
    let bundled = filesystem(json!({
        "audit": {"sinks": ["Stdout", "Postgres"], "postgres": {"secretRef": {"name": "a", "key": "b"}}},
        "telemetry": {"otlpEndpoint": "http://collector:4317"},
    }));
    assert_eq!(left_out(&server(bundled.clone()).spec), Vec::<&str>::new(), "bundled servers do it");
    valid(bundled);
    let logs = filesystem(json!({"audit": {"sinks": ["CloudWatchLogs"]}}));
    assert_eq!(left_out(&server(logs.clone()).spec), ["spec.audit.sinks"]);
    valid(logs);
    let silent =
        image(json!({"audit": {}, "tools": {}, "telemetry": {}, "conformance": {}, "auth": {}, "session": {}}));
    assert_eq!(left_out(&server(silent.clone()).spec), Vec::<&str>::new(), "what is the default is there");
    valid(silent);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn mistakes_in_every_part_are_found_without_the_api_server() {
    let name = |count: usize| format!("object-{count}");
    let many = |key: &str| {
        let volume = |at| json!({"name": format!("v{at}"), key: {"secretName": name(at), "name": name(at)}});
        image(json!({"volumes": (0..9).map(volume).collect::<Vec<_>>()}))
    };
    let kv = json!({"custom": {"kv": {"backend": "Disk", "disk": {"volume": "data"}}}});
    let sqlite = json!({"database": {"sqlite": {"persistence": {"volume": "data"}}}});
    let on = |volume: Value| json!({"server": sqlite, "replicas": 1, "volumes": [volume]});
    let hours = |replicas: i32, end: &str| json!({"name": "office", "timezone": "UTC", "start": "0 8 * * *", "end": end, "replicas": replicas});
    let scaled = |autoscaling: Value| filesystem(json!({"autoscaling": autoscaling}));
    for (spec, field, words) in [
        (image(json!({"image": "b"})), "spec.image", "spec.server.image.ref"),
        (filesystem(json!({"image": ":::"})), "spec.image", "not an image reference"),
        (json!({"server": {"image": {"ref": "a", "path": "mcp"}}}), "spec.server.image.path", "begin it with a slash"),
        (
            json!({"server": kv, "volumes": [{"name": "data", "emptyDir": {}}]}),
            "spec.replicas",
            "key-value store on disk",
        ),
        (json!({"server": kv, "replicas": 1}), "spec.server.custom", "no volume \"data\""),
        (json!({"server": {"aws": {"writes": "Consent"}}}), "spec.replicas", "spec.tools.consentKeyRef"),
        (
            json!({"server": {"custom": {"kv": {}}}, "replicas": 1, "autoscaling": {"maxReplicas": 2}}),
            "spec.autoscaling",
            "in memory",
        ),
        (
            on(json!({"name": "data", "csi": {"driver": "efs.csi.aws.com"}})),
            "spec.server.database",
            "network file system",
        ),
        (
            on(json!({"name": "data", "persistentVolumeClaim": {"claimName": "c", "accessMode": "ReadWriteMany"}})),
            "spec.server.database",
            "network file system",
        ),
        (many("secret"), "spec", "9 Secrets"),
        (many("configMap"), "spec", "9 ConfigMaps"),
        (image(json!({"expose": {"hosts": ["MCP:80"]}})), "spec.expose.hosts[MCP:80]", "not a host name"),
        (
            image(json!({"expose": {"allowedOrigins": ["https://a/b"]}})),
            "spec.expose.allowedOrigins[https://a/b]",
            "not an origin",
        ),
        (image(json!({"network": {"ingressFrom": [{}]}})), "spec.network.ingressFrom[0]", "either cidr"),
        (
            image(json!({"network": {"ingressFrom": [{"cidr": "10.0.0.1/8"}]}})),
            "spec.network.ingressFrom[0].cidr",
            "not a block",
        ),
        (
            image(json!({"network": {"ingressFrom": [{"podSelector": {"matchLabels": {"a": "b c"}}}]}})),
            "spec.network.ingressFrom[0].podSelector.matchLabels[a]",
            "no label can have",
        ),
        (image(json!({"network": {"egress": {"cidrs": ["ten"]}}})), "spec.network.egress.cidrs[ten]", "not a block"),
        (
            image(json!({"network": {"egress": {"cidrs": ["169.254.169.254/32"]}}})),
            "spec.network.egress.cidrs[169.254.169.254/32]",
            "services of the node",
        ),
        (
            image(json!({"network": {"egress": {"ports": [70000]}}})),
            "spec.network.egress.ports[70000]",
            "not a TCP port",
        ),
        (image(json!({"disruption": {}})), "spec.disruption", "exactly one"),
        (
            image(json!({"disruption": {"minAvailable": "120%"}})),
            "spec.disruption.minAvailable",
            "not a number of pods",
        ),
        (image(json!({"scheduling": {"nodeSelector": {"-a": "b"}}})), "spec.scheduling.nodeSelector[-a]", "not a key"),
        (
            image(json!({"scheduling": {"tolerations": [{"value": "b"}]}})),
            "spec.scheduling.tolerations[0]",
            "needs a key",
        ),
        (
            image(json!({"scheduling": {"tolerations": [{"key": "a", "tolerationSeconds": 1}]}})),
            "spec.scheduling.tolerations[0]",
            "NoExecute",
        ),
        (
            image(json!({"scheduling": {"topologySpread": [{"topologyKey": "a"}, {"topologyKey": "a"}]}})),
            "spec.scheduling.topologySpread[a]",
            "more than once",
        ),
        (filesystem(json!({"probes": {"path": "/up"}})), "spec.probes.path", "probes of their own"),
        (image(json!({"probes": {"path": "up"}})), "spec.probes.path", "begin it with a slash"),
        (image(json!({"probes": {"periodSeconds": 0}})), "spec.probes.periodSeconds", "too short"),
        (image(json!({"session": {"drainSeconds": -1}})), "spec.session.drainSeconds", "no time to end"),
        (scaled(json!({"minReplicas": 3, "maxReplicas": 2})), "spec.autoscaling.minReplicas", "3 to 2 pods cannot be"),
        (scaled(json!({"minReplicas": 0, "maxReplicas": 2})), "spec.autoscaling.minReplicas", "schedule trigger"),
        (
            with(
                scaled(json!({"minReplicas": 0, "maxReplicas": 2, "schedule": [hours(1, "0 18 * * *")]})),
                json!({"session": {"mode": "Stateful"}}),
            ),
            "spec.autoscaling.minReplicas",
            "ends sessions",
        ),
        (
            scaled(json!({"maxReplicas": 2, "schedule": [hours(3, "0 18 * * *")]})),
            "spec.autoscaling.schedule[office].replicas",
            "1 to maxReplicas, which is 2",
        ),
        (
            scaled(json!({"maxReplicas": 2, "schedule": [hours(1, "0 8 * * *")]})),
            "spec.autoscaling.schedule[office].end",
            "is its start",
        ),
        (
            scaled(json!({"maxReplicas": 2, "schedule": [hours(1, "0 18 * * *"), hours(2, "0 19 * * *")]})),
            "spec.autoscaling.schedule[office]",
            "more than once",
        ),
        (image(json!({"autoscaling": {"maxReplicas": 2}})), "spec.resources.requests[cpu]", "measures cpu against it"),
        (
            with(scaled(json!({"maxReplicas": 2, "memory": {}})), json!({"resources": {"requests": {"cpu": "1"}}})),
            "spec.resources.requests[memory]",
            "measures memory against it",
        ),
    ] {
        let found = problems(spec.clone());
        let hit = found.iter().find(|problem| problem.field == field && problem.message.contains(words));
        assert!(hit.is_some(), "{spec}: {found:?}");
    }
}

#[test]
fn mistakes_in_a_bundled_server_are_found_without_the_api_server() {
    let sqlite = json!({"database": {"sqlite": {"persistence": {"volume": "data"}}}});
    let on = |volume: Value| json!({"server": sqlite, "replicas": 1, "volumes": [volume]});
    let root = |writes: Value, source: Value| {
        let roots = json!([{"name": "a", "volume": "a", "access": "ReadWrite"}]);
        let volume = with(json!({"name": "a"}), source);
        json!({"server": {"filesystem": {"roots": roots, "writes": writes}}, "volumes": [volume], "replicas": 1})
    };
    for (spec, field, words) in [
        (
            filesystem(json!({"env": [{"name": "MCP_WRITES", "value": "allow"}]})),
            "spec.env[MCP_WRITES]",
            "has fields for",
        ),
        (
            filesystem(json!({"env": [{"name": "MCP_AUDIT_WRITER", "value": "somebody"}]})),
            "spec.env[MCP_AUDIT_WRITER]",
            "has fields for",
        ),
        (filesystem(json!({"auth": {"mode": "ApiKey"}})), "spec.auth", "apiKey with mode ApiKey"),
        (
            filesystem(json!({"auth": {"jwt": {"issuer": "https://a", "audience": "b"}}})),
            "spec.auth",
            "jwt with mode Jwt",
        ),
        (
            filesystem(json!({"auth": {"mode": "Jwt", "jwt": {"issuer": "a", "audience": "b"}}})),
            "spec.auth.jwt.issuer",
            "not a URL",
        ),
        (
            filesystem(json!({"auth": {"rateLimit": {"requestsPerSecond": 0}}})),
            "spec.auth.rateLimit.requestsPerSecond",
            "nobody in",
        ),
        (filesystem(json!({"audit": {"sinks": ["Postgres"]}})), "spec.audit.postgres", "with the sink Postgres"),
        (filesystem(json!({"telemetry": {"otlpEndpoint": "a"}})), "spec.telemetry.otlpEndpoint", "not a URL"),
        (
            filesystem(json!({"volumeMounts": [{"name": "data", "mountPath": "/run/mcp-eks/x"}]})),
            "spec.volumeMounts[/run/mcp-eks/x]",
            "mount it elsewhere",
        ),
        (root(json!("Off"), json!({"emptyDir": {}})), "spec.server.filesystem.roots[a].access", "needs writes"),
        (
            root(json!("Allow"), json!({"configMap": {"name": "c"}})),
            "spec.server.filesystem.roots[a].access",
            "cannot be written",
        ),
        (
            with(root(json!("Allow"), json!({"emptyDir": {}})), json!({"replicas": 2})),
            "spec.replicas",
            "files that clients may change in an emptyDir",
        ),
        (on(json!({"name": "data", "configMap": {"name": "c"}})), "spec.server.database", "cannot be written"),
        (json!({"server": {"database": {}}}), "spec.server.database", "exactly one of sqlite and postgres"),
        (
            json!({"server": {"custom": {"kv": {"backend": "Valkey"}}}}),
            "spec.server.custom.kv",
            "valkey with backend Valkey",
        ),
        (
            json!({"server": {"custom": {"weather": {"wttrUrl": "mirror"}}}}),
            "spec.server.custom.weather.wttrUrl",
            "not a URL",
        ),
        (
            json!({"server": {"aws": {"accounts": [{"alias": "a", "roleArn": ROLE}, {"alias": "a", "roleArn": ROLE}]}}}),
            "spec.server.aws.accounts[a]",
            "more than once",
        ),
    ] {
        let found = problems(spec.clone());
        let hit = found.iter().find(|problem| problem.field == field && problem.message.contains(words));
        assert!(hit.is_some(), "{spec}: {found:?}");
    }
}

#[test]
fn labels_and_annotations_by_which_others_know_their_own_are_refused() {
    for key in [
        "app.kubernetes.io/instance",
        "app.kubernetes.io/name",
        "app.kubernetes.io/managed-by",
        "mcp-eks.dev/server",
        "argocd.argoproj.io/tracking-id",
        "kustomize.toolkit.fluxcd.io/name",
        "helm.sh/chart",
        "meta.helm.sh/release-name",
        "pod-template-hash",
        "kubectl.kubernetes.io/last-applied-configuration",
    ] {
        for part in ["podLabels", "podAnnotations"] {
            let found = problems(image(json!({part: {key: "x"}})));
            assert_eq!(found[0].field, format!("spec.{part}[{key}]"));
            assert!(found[0].message.contains("belongs to"), "{found:?}");
        }
    }
    let unconfined = json!({"container.apparmor.security.beta.kubernetes.io/server": "unconfined"});
    assert_eq!(problems(image(json!({"podAnnotations": unconfined}))).len(), 1);
    let own = deployment(image(json!({"podLabels": {"team": "blue"}, "podAnnotations": {"example.com/a": "b c"}})));
    let metadata = &own["spec"]["template"]["metadata"];
    assert_eq!(
        (&metadata["labels"]["team"], &metadata["annotations"]["example.com/a"]),
        (&json!("blue"), &json!("b c"))
    );
    assert_eq!(metadata["labels"]["mcp-eks.dev/server"], "files", "the operator's labels stay");
    assert_eq!(own["metadata"]["labels"]["team"], Value::Null, "labels of pods are for pods");
}

#[test]
fn pods_lie_over_zones_and_nodes_unless_the_spec_says_otherwise() {
    let keys = |spec: Value| {
        let spread = pod(spec)["topologySpreadConstraints"].clone();
        let words = |it: &Value| format!("{} {}", it["topologyKey"], it["whenUnsatisfiable"]).replace('"', "");
        spread.as_array().map(|spread| spread.iter().map(words).collect::<Vec<_>>())
    };
    let by_default = ["topology.kubernetes.io/zone ScheduleAnyway", "kubernetes.io/hostname ScheduleAnyway"];
    assert_eq!(keys(image(json!({}))).unwrap(), by_default);
    assert_eq!(keys(image(json!({"scheduling": {"nodeSelector": {"a": "b"}}}))).unwrap(), by_default);
    let own =
        json!({"scheduling": {"topologySpread": [{"topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]}});
    assert_eq!(keys(image(own)).unwrap(), ["rack DoNotSchedule"]);
    assert_eq!(keys(image(json!({"scheduling": {"topologySpread": []}}))), None);
}

#[test]
fn what_two_pods_could_not_share_is_recreated() {
    let claim = |more: Value| {
        let claim = with(json!({"claimName": "c"}), more);
        image(json!({"volumes": [{"name": "data", "persistentVolumeClaim": claim}]}))
    };
    for (spec, expected) in [
        (image(json!({})), Strategy::Rolling),
        (claim(json!({})), Strategy::Recreate),
        (claim(json!({"readOnly": true})), Strategy::Recreate),
        (claim(json!({"accessMode": "ReadWriteMany"})), Strategy::Rolling),
    ] {
        assert_eq!(valid(spec.clone()).strategy, expected, "{spec}");
        let strategy = &deployment(spec)["spec"]["strategy"];
        match expected {
            Strategy::Rolling => assert_eq!(strategy["rollingUpdate"]["maxUnavailable"], 0),
            Strategy::Recreate => assert_eq!(strategy, &json!({"type": "Recreate"})),
        }
    }
}

#[test]
fn the_settings_of_another_strategy_do_not_stay() {
    let claim = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]);
    let (rolling, recreate) = (deployment(image(json!({}))), deployment(image(json!({"volumes": claim}))));
    let settled = settle(ChildKind::Deployment, &recreate, &rolling);
    assert_eq!(settled["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(settle(ChildKind::Deployment, &rolling, &settled)["spec"]["strategy"], rolling["spec"]["strategy"]);
}

#[test]
fn one_number_says_how_long_an_end_takes() {
    let spec = filesystem(json!({"session": {"drainSeconds": 100}}));
    let pod = pod(spec);
    let container = &pod["containers"][0];
    let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
    assert!(container["args"].as_array().unwrap().contains(&json!("--drain-seconds=100")), "{container}");
    assert!(pod["terminationGracePeriodSeconds"].as_i64().unwrap() >= sleep + 100, "killed before it is drained");
}

#[test]
fn probes_are_what_the_kind_of_server_can_answer() {
    let probes = |spec: Value| {
        let container = pod(spec)["containers"][0].clone();
        ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| container[name].clone())
    };
    let [startup, ready, alive] = probes(image(json!({})));
    assert_eq!((&startup["tcpSocket"]["port"], &ready["tcpSocket"]["port"]), (&json!("mcp"), &json!("mcp")));
    assert_eq!(alive, Value::Null, "an open port says nothing about life");
    let spec = json!({"probes": {"path": "/up", "startupSeconds": 300, "periodSeconds": 7, "timeoutSeconds": 9}});
    let [startup, ready, _] = probes(image(spec));
    assert_eq!((&startup["httpGet"]["path"], &startup["httpGet"]["port"]), (&json!("/up"), &json!("mcp")));
    assert_eq!((&startup["failureThreshold"], &ready["periodSeconds"]), (&json!(300), &json!(7)));
    assert_eq!(ready["timeoutSeconds"], 9);
    let [startup, ready, alive] = probes(filesystem(json!({})));
    assert!([startup, ready, alive].iter().all(|probe| probe["httpGet"]["port"] == "health"));
}

#[test]
fn a_bundled_server_runs_from_a_mirror() {
    let spec = filesystem(json!({"image": "mirror.example.com/servers:1", "imagePullSecrets": [{"name": "mirror"}]}));
    let pod = pod(spec);
    assert_eq!(pod["containers"][0]["image"], "mirror.example.com/servers:1");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "mirror"}]));
}

#[test]
fn a_bundled_server_knows_the_names_and_pages_that_clients_come_from() {
    let spec =
        filesystem(json!({"expose": {"hosts": ["mcp.example.com"], "allowedOrigins": ["https://app.example.com"]}}));
    let children = desired::build(&valid(spec), &desired::roll::Named::default());
    let settings = children.iter().find(|child| child.kind == ChildKind::ConfigMap).unwrap();
    let settings = settings.object["data"]["settings.yaml"].as_str().unwrap();
    assert!(settings.contains("- mcp.example.com") && settings.contains("- https://app.example.com"), "{settings}");
}

#[test]
fn where_a_pod_may_run_cannot_be_widened_by_hand() {
    let spec = image(json!({"scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "x", "value": "y"}]}}));
    let desired = deployment(spec);
    let mut live = desired.clone();
    let pod = &mut live["spec"]["template"]["spec"];
    pod["nodeSelector"]["c"] = json!("d");
    pod["tolerations"].as_array_mut().unwrap().push(json!({"operator": "Exists"}));
    pod["runtimeClassName"] = json!("privileged");
    assert_eq!(settle(ChildKind::Deployment, &desired, &live), desired);
}
