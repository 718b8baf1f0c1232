//! Who may reach whom: the NetworkPolicies, judged by an evaluator of their rules. It is written from the words of the
//! API reference and knows nothing of the builder; the local clusters' bridge enforces no policy, so this is the proof.
//! Source: <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/>.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "a test")]

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use mcp_crds::McpServer;
use mcp_operator::desired::{
    self, ChildKind, Defaults, Valid,
    network::{Needs, Network, Reach, egress},
    roll::Named,
};
use serde_json::{Value, json};

type Labels = BTreeMap<String, String>;

/// Somebody with an address.
#[derive(Clone, Debug)]
struct Party {
    address: IpAddr,
    /// Namespace, its labels and the pod's, if it is a pod.
    pod: Option<(String, Labels, Labels)>,
    /// Whether it is the node of the server's pod.
    node: bool,
}

fn outside(address: &str) -> Party {
    Party { address: address.parse().unwrap(), pod: None, node: false }
}

fn node() -> Party {
    Party { node: true, ..outside("10.1.0.1") }
}

fn pod(namespace: &str, namespace_labels: Value, labels: Value) -> Party {
    let mut namespace_labels: Labels = serde_json::from_value(namespace_labels).unwrap();
    namespace_labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
    let pod = Some((namespace.to_owned(), namespace_labels, serde_json::from_value(labels).unwrap()));
    Party { pod, ..outside("10.2.0.7") }
}

/// The pod of a server `files` in the namespace `team`.
fn server_pod() -> Party {
    pod("team", json!({}), json!({"mcp-eks.dev/server": "files"}))
}

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let expressed = selector.match_expressions.iter().flatten().all(|expression| {
        let value = labels.get(&expression.key);
        let listed = value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
        match expression.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => panic!("no operator {other}"),
        }
    });
    equal && expressed
}

fn in_cidr(cidr: &str, address: IpAddr) -> bool {
    let (first, length) = cidr.split_once('/').unwrap();
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 4),
        IpAddr::V6(address) => (u128::from(address), 6),
    };
    let ((first, family), (address, of)) = (bits(first.parse().unwrap()), bits(address));
    let length: u32 = length.parse().unwrap();
    family == of && (length == 0 || (first ^ address) >> (128 - length) == 0)
}

fn in_block(block: &IPBlock, address: IpAddr) -> bool {
    in_cidr(&block.cidr, address) && !block.except.iter().flatten().any(|except| in_cidr(except, address))
}

fn is_peer(peer: &NetworkPolicyPeer, namespace: &str, party: &Party) -> bool {
    if let Some(block) = &peer.ip_block {
        assert!(peer.pod_selector.is_none() && peer.namespace_selector.is_none(), "a block stands alone");
        return in_block(block, party.address);
    }
    let Some((of, namespace_labels, labels)) = &party.pod else { return false };
    let there = match &peer.namespace_selector {
        Some(selector) => selects(selector, namespace_labels),
        None => of == namespace,
    };
    there && peer.pod_selector.as_ref().is_none_or(|selector| selects(selector, labels))
}

fn is_port(port: &NetworkPolicyPort, protocol: &str, number: i32) -> bool {
    let first = match &port.port {
        None => 0,
        Some(IntOrString::Int(first)) => *first,
        Some(IntOrString::String(name)) => panic!("port {name}: not every network plugin knows names"),
    };
    let last = port.end_port.unwrap_or(if first == 0 { 65535 } else { first });
    port.protocol.as_deref().unwrap_or("TCP") == protocol && (first..=last).contains(&number)
}

/// Whether one rule lets a packet pass; an empty list names everybody.
fn passes(
    peers: Option<&Vec<NetworkPolicyPeer>>,
    ports: Option<&Vec<NetworkPolicyPort>>,
    namespace: &str,
    party: &Party,
    (protocol, number): (&str, i32),
) -> bool {
    let everybody = peers.is_none_or(Vec::is_empty);
    let every_port = ports.is_none_or(Vec::is_empty);
    (everybody || peers.into_iter().flatten().any(|peer| is_peer(peer, namespace, party)))
        && (every_port || ports.into_iter().flatten().any(|port| is_port(port, protocol, number)))
}

/// The policies of a namespace that are about the server's pod in one direction; without any, everything is allowed.
fn about<'a>(policies: &'a [NetworkPolicy], direction: &str) -> Vec<&'a NetworkPolicy> {
    let (namespace, _, labels) = server_pod().pod.unwrap();
    let chosen = policies.iter().filter(|policy| {
        let spec = policy.spec.as_ref().unwrap();
        let types = spec.policy_types.as_ref().unwrap();
        policy.metadata.namespace.as_ref() == Some(&namespace)
            && selects(&spec.pod_selector.clone().unwrap_or_default(), &labels)
            && types.iter().any(|one| one == direction)
    });
    chosen.collect()
}

fn may_enter(policies: &[NetworkPolicy], from: &Party, port: i32) -> bool {
    let about = about(policies, "Ingress");
    from.node
        || about.is_empty()
        || about.iter().any(|policy| {
            let rules = policy.spec.as_ref().unwrap().ingress.iter().flatten();
            rules.into_iter().any(|rule| passes(rule.from.as_ref(), rule.ports.as_ref(), "team", from, ("TCP", port)))
        })
}

fn may_leave(policies: &[NetworkPolicy], to: &Party, protocol: &str, port: i32) -> bool {
    let about = about(policies, "Egress");
    about.is_empty()
        || about.iter().any(|policy| {
            let rules = policy.spec.as_ref().unwrap().egress.iter().flatten();
            rules.into_iter().any(|rule| passes(rule.to.as_ref(), rule.ports.as_ref(), "team", to, (protocol, port)))
        })
}

fn valid(runs: Value) -> Valid {
    of_spec(json!({"server": runs, "volumes": [{"name": "data", "emptyDir": {}}]}))
}

fn of_spec(spec: Value) -> Valid {
    let server: McpServer = serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1}, "spec": spec,
    }))
    .unwrap();
    let defaults = Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: desired::exposure::Balancers::default(),
    };
    desired::validate(&server, &defaults).unwrap()
}

fn filesystem() -> Valid {
    valid(json!({"filesystem": {"roots": [{"name": "data", "volume": "data"}]}}))
}

fn image(network: Network) -> Valid {
    Valid { network, ..valid(json!({"image": {"ref": "a", "port": 3001}})) }
}

fn policies(server: &Valid) -> Vec<NetworkPolicy> {
    let children = desired::build(server, &Named::default());
    let policies = children.into_iter().filter(|child| child.kind == ChildKind::NetworkPolicy);
    policies.map(|child| serde_json::from_value(child.object).unwrap()).collect()
}

fn callers() -> Vec<(&'static str, Party)> {
    vec![
        ("the operator", pod("mcp-eks-system", json!({}), json!({"app.kubernetes.io/name": "mcp-eks-operator"}))),
        ("the own namespace", pod("team", json!({}), json!({"app": "agent"}))),
        ("an agent elsewhere", pod("agents", json!({"team": "agents"}), json!({"app": "agent"}))),
        ("another pod of that namespace", pod("agents", json!({"team": "agents"}), json!({"app": "cron"}))),
        ("another namespace", pod("other", json!({}), json!({"app": "agent"}))),
        ("a named block", outside("192.0.2.9")),
        ("the internet", outside("203.0.113.9")),
        ("kubelet", node()),
    ]
}

/// Who gets in at a port.
fn let_in(server: &Valid, port: i32) -> Vec<&'static str> {
    let policies = policies(server);
    callers().into_iter().filter(|(_, party)| may_enter(&policies, party, port)).map(|(name, _)| name).collect()
}

#[test]
fn by_itself_a_server_is_called_by_its_namespace_and_the_operator_on_its_mcp_port_alone() {
    for (server, port) in [(filesystem(), 8080), (image(Network::default()), 3001)] {
        assert_eq!(let_in(&server, port), ["the operator", "the own namespace", "kubelet"]);
        for other in [9090, 22, port + 1] {
            assert_eq!(let_in(&server, other), ["kubelet"], "port {other}");
        }
    }
}

#[test]
fn who_is_named_gets_in_instead_of_the_own_namespace() {
    let labels = |labels: Value| Some(serde_json::from_value(json!({"matchLabels": labels})).unwrap());
    let agents = NetworkPolicyPeer {
        namespace_selector: labels(json!({"team": "agents"})),
        pod_selector: labels(json!({"app": "agent"})),
        ip_block: None,
    };
    let block = IPBlock { cidr: "192.0.2.0/24".to_owned(), except: None };
    let block = NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() };
    let server = image(Network { ingress_from: vec![agents, block], ..Network::default() });
    assert_eq!(let_in(&server, 3001), ["the operator", "an agent elsewhere", "a named block", "kubelet"]);
    assert_eq!(let_in(&server, 9090), ["kubelet"]);
}

#[test]
fn without_a_policy_everybody_gets_in() {
    let server = image(Network { enabled: false, ..Network::default() });
    assert_eq!(let_in(&server, 3001).len(), callers().len());
}

/// What a pod could want to reach: a name, where, by which protocol and port.
fn goals() -> Vec<(&'static str, Party, &'static str, i32)> {
    vec![
        ("dns of the cluster", pod("kube-system", json!({}), json!({"k8s-app": "kube-dns"})), "UDP", 53),
        ("dns of the cluster by tcp", pod("kube-system", json!({}), json!({"k8s-app": "kube-dns"})), "TCP", 53),
        ("dns of the node", outside("169.254.20.10"), "UDP", 53),
        ("the upstream", outside("198.51.100.7"), "TCP", 443),
        ("the upstream's other port", outside("198.51.100.7"), "TCP", 22),
        ("the internet", outside("203.0.113.9"), "TCP", 443),
        ("the internet by IPv6", outside("2001:db8::9"), "TCP", 443),
        ("another pod", pod("other", json!({}), json!({})), "TCP", 8080),
        ("the identity agent", outside("169.254.170.23"), "TCP", 80),
        ("the identity agent by IPv6", outside("fd00:ec2::23"), "TCP", 80),
        ("the agent's other port", outside("169.254.170.23"), "TCP", 2703),
    ]
}

/// What a pod reaches, besides the instance metadata, which it never does.
fn reached(policies: &[NetworkPolicy]) -> Vec<&'static str> {
    for address in ["169.254.169.254", "fd00:ec2::254"] {
        for port in [53, 80, 443, 8080] {
            for protocol in ["TCP", "UDP"] {
                assert!(!may_leave(policies, &outside(address), protocol, port), "{protocol} {address} {port}");
            }
        }
    }
    let reached = goals().into_iter().filter(|(_, party, protocol, port)| may_leave(policies, party, protocol, *port));
    reached.map(|(name, ..)| name).collect()
}

const DNS: [&str; 3] = ["dns of the cluster", "dns of the cluster by tcp", "dns of the node"];

fn with_dns(more: &[&'static str]) -> Vec<&'static str> {
    DNS.iter().chain(more).copied().collect()
}

fn egress_to(cidrs: &[&str], ports: &[i32]) -> Network {
    let cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
    Network { egress: vec![Reach { cidrs, ports: ports.to_vec() }], ..Network::default() }
}

#[test]
fn a_filesystem_server_reaches_nobody_and_an_image_looks_up_names() {
    assert!(reached(&policies(&filesystem())).is_empty());
    assert_eq!(reached(&policies(&image(Network::default()))), DNS);
}

#[test]
fn a_bundled_server_reaches_what_its_kind_and_its_spec_are_about() {
    let key = json!({"name": "a", "key": "b"});
    let (world, agent) = (["the upstream", "the internet", "the internet by IPv6"], ["the identity agent"]);
    let world = world.as_slice();
    let open = |server: &Valid| {
        let policies = policies(server);
        reached(&policies);
        let there = outside("198.51.100.7");
        (1..10_000).filter(|port| may_leave(&policies, &there, "TCP", *port)).collect::<Vec<_>>()
    };
    let aws = valid(json!({"aws": {}}));
    assert_eq!(reached(&policies(&aws)), with_dns(&[world, &agent, &["the identity agent by IPv6"]].concat()));
    let weather = |more: Value| valid(json!({"custom": {"weather": more}}));
    for (server, ports) in [
        (aws, vec![53, 443]),
        (valid(json!({"database": {"sqlite": {}}})), vec![]),
        (valid(json!({"custom": {}})), vec![]),
        (weather(json!({})), vec![53, 443]),
        (weather(json!({"wttrUrl": "http://a", "openMeteoUrl": "http://b:8081/v1"})), vec![53, 80, 8081]),
        (valid(json!({"database": {"postgres": {"secretRef": key}}})), vec![53, 5432]),
        (valid(json!({"custom": {"kv": {"backend": "Valkey", "valkey": {"secretRef": key}}}})), vec![53, 6379]),
    ] {
        assert_eq!(open(&server), ports, "{:?}", server.runs);
    }
}

#[test]
fn where_a_secret_s_database_is_the_spec_may_say_and_then_nothing_else_is_open() {
    let key = json!({"name": "a", "key": "b"});
    let spec = json!({
        "server": {"database": {"postgres": {"secretRef": key}}},
        "network": {"egress": {"cidrs": ["203.0.113.0/24"], "ports": [6432]}},
    });
    let policies = policies(&of_spec(spec));
    assert!(may_leave(&policies, &outside("203.0.113.9"), "TCP", 6432));
    assert!(!may_leave(&policies, &outside("198.51.100.7"), "TCP", 6432));
    assert!(!may_leave(&policies, &outside("203.0.113.9"), "TCP", 5432));
}

#[test]
fn what_is_named_is_reached_at_its_ports() {
    let upstream = egress_to(&["198.51.100.0/24"], &[443]);
    let expected = with_dns(&["the upstream"]);
    assert_eq!(reached(&policies(&image(upstream.clone()))), expected);
    assert_eq!(reached(&policies(&Valid { network: upstream, ..filesystem() })), expected);
    let every_port = egress_to(&["198.51.100.0/24"], &[]);
    let expected = with_dns(&["the upstream", "the upstream's other port"]);
    assert_eq!(reached(&policies(&image(every_port))), expected);
}

#[test]
fn not_even_a_block_of_everything_reaches_the_node_s_own_services() {
    let everything = egress_to(&["0.0.0.0/0", "::/0", "169.0.0.0/8"], &[]);
    let expected =
        with_dns(&["the upstream", "the upstream's other port", "the internet", "the internet by IPv6", "another pod"]);
    assert_eq!(reached(&policies(&image(everything))), expected);
}

/// A policy with the rules of certain needs.
fn needing(needs: Needs) -> Vec<NetworkPolicy> {
    let mut policies = policies(&filesystem());
    let rules: Vec<NetworkPolicyEgressRule> = egress(&needs, &[]);
    for policy in &mut policies {
        policy.spec.as_mut().unwrap().egress = Some(rules.clone());
    }
    policies
}

#[test]
fn aws_is_reached_by_https_and_the_agent_by_who_has_an_identity() {
    let aws = Needs { ports: vec![443], ..Needs::default() };
    let expected = with_dns(&["the upstream", "the internet", "the internet by IPv6"]);
    assert_eq!(reached(&needing(aws)), expected);
    let identity = Needs { identity: true, ..Needs::default() };
    assert_eq!(reached(&needing(identity)), ["the identity agent", "the identity agent by IPv6"]);
}

#[test]
fn every_block_is_one_that_the_api_server_takes() {
    let everything = image(egress_to(&["0.0.0.0/0", "::/0", "169.0.0.0/8", "10.0.0.0/8"], &[443]));
    for policy in
        policies(&everything).iter().chain(&needing(Needs { names: true, ports: vec![443, 5432], identity: true }))
    {
        let rules = policy.spec.as_ref().unwrap().egress.iter().flatten();
        let blocks = rules.flat_map(|rule| rule.to.iter().flatten()).filter_map(|peer| peer.ip_block.as_ref());
        for block in blocks {
            let (_, length) = block.cidr.split_once('/').unwrap();
            for except in block.except.iter().flatten() {
                let (first, longer) = except.split_once('/').unwrap();
                let strictly = longer.parse::<u8>().unwrap() > length.parse::<u8>().unwrap();
                assert!(strictly && in_cidr(&block.cidr, first.parse().unwrap()), "{except} of {}", block.cidr);
            }
        }
    }
}
