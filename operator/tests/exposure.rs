//! Load balancers: what is asked of the AWS Load Balancer Controller, whom the NetworkPolicy lets in, and what is refused.

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
        self, ChildKind, Defaults, Valid,
        exposure::{AUTO_MODE_CLASS, Balancers},
        hosts,
        roll::Named,
    },
    diff::compare,
    vocabulary::Reason,
};
use serde_json::{Value, json};

const CERTIFICATE: &str = "arn:aws:acm:us-west-2:123456789012:certificate/a-b";
const WEB_ACL: &str = "arn:aws:wafv2:us-west-2:123456789012:regional/webacl/mcp/a-b";

fn server(expose: Value, more: Value) -> McpServer {
    let mut spec = json!({"className": "team", "server": {"aws": {}}, "expose": expose});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1}, "spec": spec,
    }))
    .unwrap()
}

fn defaults() -> Defaults {
    Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: Balancers {
            subnets: ["10.0.0.0/20", "10.0.16.0/20"].map(|block| block.parse().unwrap()).into(),
            ..Balancers::default()
        },
    }
}

fn valid_with(expose: Value, more: Value) -> Valid {
    let server = server(expose, more);
    desired::validate(&server, &defaults()).unwrap_or_else(|problems| panic!("{:?}: {problems:?}", server.spec.expose))
}

fn valid(expose: Value) -> Valid {
    valid_with(expose, json!({}))
}

fn child(valid: &Valid, kind: ChildKind) -> Option<Value> {
    let children = desired::build(valid, &Named::default());
    children.into_iter().find(|child| child.kind == kind).map(|child| child.object)
}

fn service(valid: &Valid) -> Value {
    child(valid, ChildKind::Service).unwrap()
}

/// A server that anybody may run: nothing is known of it but its image.
fn image() -> Value {
    json!({"server": {"image": {"ref": "ghcr.io/acme/tools:1", "port": 3001}}})
}

#[test]
fn a_private_network_load_balancer() {
    insta::assert_yaml_snapshot!(service(&valid(json!({"type": "LoadBalancer"}))));
}

#[test]
fn a_network_load_balancer_with_everything() {
    let everything = json!({
        "type": "LoadBalancer", "scheme": "InternetFacing", "hosts": ["mcp.example.com"], "crossZone": "Disabled",
        "tls": {"certificateArn": CERTIFICATE}, "sourceRanges": ["192.0.2.0/24"],
    });
    let auth = json!({"auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "k", "key": "k"}}}});
    let valid = valid_with(everything, auth);
    insta::assert_yaml_snapshot!(service(&valid));
    assert!(child(&valid, ChildKind::Ingress).is_none());
}

#[test]
fn a_client_with_a_session_stays_with_its_pod_or_the_spec_is_refused() {
    let stateful = || json!({"session": {"mode": "Stateful"}});
    let attributes = |more| {
        let service = service(&valid_with(json!({"type": "LoadBalancer"}), more));
        let attributes =
            &service["metadata"]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"];
        attributes.as_str().unwrap().to_owned()
    };
    assert!(attributes(stateful()).ends_with(",stickiness.enabled=true,stickiness.type=source_ip"));
    assert!(!attributes(json!({})).contains("stickiness"));
    let tls = json!({"type": "LoadBalancer", "hosts": ["mcp.example.com"], "tls": {"certificateArn": CERTIFICATE}});
    for expose in [tls, json!({"type": "Ingress"})] {
        let problems = desired::validate(&server(expose.clone(), stateful()), &defaults()).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["spec.session.mode"], "{expose}");
        assert!(desired::validate(&server(expose, json!({})), &defaults()).is_ok());
    }
}

#[test]
fn a_private_application_load_balancer() {
    let valid = valid(json!({"type": "Ingress"}));
    insta::assert_yaml_snapshot!(child(&valid, ChildKind::Ingress));
    assert_eq!(service(&valid)["spec"]["type"], "ClusterIP");
}

#[test]
fn an_application_load_balancer_with_everything() {
    let everything = json!({
        "type": "Ingress", "scheme": "InternetFacing", "acknowledgeUnauthenticated": true, "idleTimeoutSeconds": 120,
        "hosts": ["mcp.example.com", "tools.example.com"], "tls": {"certificateArn": CERTIFICATE},
        "sourceRanges": ["192.0.2.0/24", "2001:db8::/32"], "wafAclArn": WEB_ACL, "group": "tools",
    });
    insta::assert_yaml_snapshot!(child(&valid(everything), ChildKind::Ingress));
}

#[test]
fn what_is_known_by_its_image_alone_is_asked_for_an_open_port_or_for_its_path() {
    let of = |type_: &str, more: Value| {
        let valid = valid_with(json!({"type": type_}), more);
        let kind = if type_ == "Ingress" { ChildKind::Ingress } else { ChildKind::Service };
        child(&valid, kind).unwrap()["metadata"]["annotations"].clone()
    };
    let nlb = |name: &str| format!("service.beta.kubernetes.io/aws-load-balancer-{name}");
    let alb = |name: &str| format!("alb.ingress.kubernetes.io/{name}");
    let network = of("LoadBalancer", image());
    assert_eq!(network[nlb("healthcheck-protocol")], "tcp");
    assert_eq!(network[nlb("healthcheck-port")], "traffic-port");
    assert_eq!(network.get(nlb("healthcheck-path")), None);
    let application = of("Ingress", image());
    assert_eq!(
        (&application[alb("healthcheck-path")], &application[alb("success-codes")]),
        (&json!("/mcp"), &json!("200-499"))
    );
    let mut with_path = image();
    with_path["probes"] = json!({"path": "/health"});
    let (network, application) = (of("LoadBalancer", with_path.clone()), of("Ingress", with_path));
    assert_eq!(
        (&network[nlb("healthcheck-protocol")], &network[nlb("healthcheck-path")]),
        (&json!("http"), &json!("/health"))
    );
    assert_eq!(
        (&application[alb("healthcheck-path")], &application[alb("success-codes")]),
        (&json!("/health"), &json!("200"))
    );
}

#[test]
fn a_drain_is_as_long_at_the_load_balancer_as_in_the_pod() {
    for (type_, kind) in [("LoadBalancer", ChildKind::Service), ("Ingress", ChildKind::Ingress)] {
        let valid = valid_with(json!({"type": type_}), json!({"session": {"drainSeconds": 77}}));
        let text = child(&valid, kind).unwrap().to_string();
        assert!(text.contains("deregistration_delay.timeout_seconds=77"), "{text}");
    }
}

#[test]
fn eks_auto_mode_makes_it_where_the_operator_is_told_so() {
    let mut valid = valid(json!({"type": "LoadBalancer"}));
    valid.balancers.network_class = AUTO_MODE_CLASS.to_owned();
    assert_eq!(service(&valid)["spec"]["loadBalancerClass"], AUTO_MODE_CLASS);
    assert_eq!(valid.balancers.gate_label(), "eks.amazonaws.com/pod-readiness-gate-inject");
}

#[test]
fn a_namespace_asks_for_readiness_gates_by_the_label_alone() {
    let label = Balancers::default().gate_label();
    let gates = |labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Balancers::default().gates(&labels.collect())
    };
    assert!(gates(&[(label, "enabled")]));
    assert!(!gates(&[]) && !gates(&[(label, "disabled")]) && !gates(&[("a", "enabled")]));
}

#[test]
fn the_port_inside_the_cluster_stays_and_no_port_is_there_twice() {
    let ports = |expose: Value, port: i32| -> Vec<i64> {
        let valid = valid_with(expose, json!({"server": {"image": {"ref": "a", "port": port}}}));
        let ports = service(&valid)["spec"]["ports"].as_array().unwrap().clone();
        ports.iter().map(|port| port["port"].as_i64().unwrap()).collect()
    };
    let tls = json!({"type": "LoadBalancer", "hosts": ["a.example.com"], "tls": {"certificateArn": CERTIFICATE}});
    assert_eq!(ports(json!({"type": "LoadBalancer"}), 3001), [3001, 80]);
    assert_eq!(ports(json!({"type": "LoadBalancer"}), 80), [80]);
    assert_eq!(ports(tls.clone(), 3001), [3001, 443]);
    assert_eq!(ports(tls, 443), [443]);
    assert_eq!(ports(json!({"type": "Ingress"}), 3001), [3001]);
}

#[test]
fn the_address_is_the_first_name_of_its_own_or_that_of_the_load_balancer_when_it_has_one() {
    let url = |expose: Value, balancer: Option<&str>| {
        let valid = Valid { balancer: balancer.map(str::to_owned), ..valid(expose) };
        (hosts::external_url(&valid), hosts::all(&valid).split_off(4))
    };
    let (early, none) = url(json!({"type": "LoadBalancer"}), None);
    assert!(early.is_none() && none.is_empty());
    let (late, known) = url(json!({"type": "LoadBalancer"}), Some("a.elb.amazonaws.com"));
    assert_eq!(late.as_deref(), Some("http://a.elb.amazonaws.com/mcp"));
    assert_eq!(known, ["a.elb.amazonaws.com"], "the server takes calls under it");
    let named =
        json!({"type": "Ingress", "hosts": ["b.example.com", "c.example.com"], "tls": {"certificateArn": CERTIFICATE}});
    let (named, known) = url(named, Some("a.elb.amazonaws.com"));
    assert_eq!(named.as_deref(), Some("https://b.example.com/mcp"));
    assert_eq!(known, ["b.example.com", "c.example.com"], "nobody is told the other name");
    assert_eq!(url(json!({"hosts": ["b.example.com"]}), Some("a")).0, None, "inside the cluster alone");
}

/// Who gets in beside the operator and the own namespace: address blocks, and ports.
fn let_in(valid: &Valid) -> Vec<(Vec<String>, Vec<i64>)> {
    let policy = child(valid, ChildKind::NetworkPolicy).unwrap();
    let rules = policy["spec"]["ingress"].as_array().unwrap().iter().skip(1);
    rules
        .map(|rule| {
            let from = rule["from"].as_array().unwrap().iter();
            let blocks = from.map(|from| from["ipBlock"]["cidr"].as_str().unwrap().to_owned()).collect();
            let ports = rule["ports"].as_array().unwrap().iter().map(|port| port["port"].as_i64().unwrap()).collect();
            (blocks, ports)
        })
        .collect()
}

#[test]
fn the_policy_lets_load_balancers_call_and_ask_for_health_where_one_is_asked_for() {
    let blocks = || ["10.0.0.0/20", "10.0.16.0/20"].map(str::to_owned).to_vec();
    for type_ in ["LoadBalancer", "Ingress"] {
        assert_eq!(let_in(&valid(json!({"type": type_}))), [(blocks(), vec![8080, 9090])]);
        assert_eq!(let_in(&valid_with(json!({"type": type_}), image())), [(blocks(), vec![3001])]);
    }
    assert_eq!(let_in(&valid(json!({}))), []);
    let mut unknown = valid(json!({"type": "Ingress"}));
    unknown.balancers.subnets.clear();
    assert_eq!(let_in(&unknown), [], "nobody is let in by a guess");
}

#[test]
fn what_the_api_server_and_the_controller_add_is_no_difference() {
    let service = service(&valid(json!({"type": "LoadBalancer"})));
    let mut live = service.clone();
    live["metadata"]["finalizers"] = json!(["service.k8s.aws/resources"]);
    live["spec"]["clusterIP"] = json!("10.96.0.7");
    live["spec"]["clusterIPs"] = json!(["10.96.0.7"]);
    live["spec"]["ipFamilies"] = json!(["IPv4"]);
    live["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    live["status"]["loadBalancer"]["ingress"] = json!([{"hostname": "a.elb.amazonaws.com"}]);
    assert_eq!(compare::settle(ChildKind::Service, &service, &live), live);
    let ingress = child(&valid(json!({"type": "Ingress"})), ChildKind::Ingress).unwrap();
    let mut live = ingress.clone();
    live["metadata"]["finalizers"] = json!(["ingress.k8s.aws/resources"]);
    live["status"]["loadBalancer"]["ingress"] = json!([{"hostname": "a.elb.amazonaws.com"}]);
    assert_eq!(compare::settle(ChildKind::Ingress, &ingress, &live), live);
}

#[test]
fn who_opens_it_to_others_by_hand_finds_it_as_it_was() {
    let service = service(&valid(json!({"type": "LoadBalancer"})));
    let mut live = service.clone();
    live["metadata"]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-scheme"] = json!("internet-facing");
    live["spec"]["loadBalancerSourceRanges"] = json!(["0.0.0.0/0"]);
    assert_eq!(compare::settle(ChildKind::Service, &service, &live), service);
    let ingress = child(&valid(json!({"type": "Ingress"})), ChildKind::Ingress).unwrap();
    let mut live = ingress.clone();
    live["metadata"]["annotations"]["alb.ingress.kubernetes.io/scheme"] = json!("internet-facing");
    live["spec"]["defaultBackend"] = json!({"service": {"name": "other", "port": {"number": 80}}});
    assert_eq!(compare::settle(ChildKind::Ingress, &ingress, &live), ingress);
}

#[test]
fn what_cannot_be_is_refused_with_words_that_mend_it() {
    let keys = json!({"auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "k", "key": "k"}}}});
    let tls = json!({"certificateArn": CERTIFICATE});
    let nothing = json!({});
    for (expose, more, field, words) in [
        (json!({"type": "LoadBalancer", "scheme": "InternetFacing"}), &nothing, "scheme", "acknowledgeUnauthenticated"),
        (json!({"type": "Ingress", "scheme": "InternetFacing"}), &nothing, "scheme", "spec.auth.mode"),
        (json!({"type": "Ingress", "scheme": "InternetFacing"}), &keys, "tls", "clear text"),
        (json!({"type": "LoadBalancer", "tls": tls}), &nothing, "hosts", "point them at the load balancer"),
        (json!({"type": "Ingress", "group": "tools"}), &nothing, "hosts", "told apart by their names"),
        (json!({"type": "LoadBalancer", "wafAclArn": WEB_ACL}), &nothing, "wafAclArn", "type Ingress"),
        (json!({"type": "LoadBalancer", "group": "tools"}), &nothing, "group", "type Ingress"),
        (
            json!({"type": "Ingress", "wafAclArn": "arn:aws:wafv2:us-east-1:1:global/webacl/a/b"}),
            &nothing,
            "wafAclArn",
            "regional/webacl",
        ),
        (
            json!({"type": "Ingress", "group": "Tools,x", "hosts": ["a.example.com"]}),
            &nothing,
            "group",
            "lower-case letters",
        ),
        (json!({"type": "Ingress", "crossZone": "Disabled"}), &nothing, "crossZone", "type LoadBalancer"),
        (json!({"tls": tls}), &nothing, "tls", "set type"),
        (
            json!({"type": "Ingress", "sourceRanges": ["10.0.0.1/8"]}),
            &nothing,
            "sourceRanges[10.0.0.1/8]",
            "10.0.0.0/16",
        ),
        (json!({"type": "Ingress", "idleTimeoutSeconds": 5}), &nothing, "idleTimeoutSeconds", "60 to 4000"),
        (
            json!({"type": "LoadBalancer", "hosts": ["a.example.com"], "tls": tls, "idleTimeoutSeconds": 600}),
            &nothing,
            "idleTimeoutSeconds",
            "350 s",
        ),
    ] {
        let Err(problems) = desired::validate(&server(expose.clone(), more.clone()), &defaults()) else {
            panic!("taken: {expose}")
        };
        let [problem] = problems.as_slice() else { panic!("{expose}: {problems:?}") };
        assert_eq!(
            (problem.field.as_str(), problem.reason),
            (format!("spec.expose.{field}").as_str(), Reason::InvalidSpec)
        );
        assert!(problem.message.contains(words), "{problem:?}");
    }
}
