//! What makes the Service one of a Network Load Balancer: its class, its ports, and annotations of the controller.
//!
//! Every annotation is described at
//! <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/>, under the anchor that
//! stands beside it. Targets are the pods themselves, so the Service needs no port of the nodes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Valid,
    exposure::{Balancer, CHECK, Exposure, TLS_POLICY, check, tags},
    pod::MCP_PORT_NAME,
};

/// Begin of the controller's annotations on Services.
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";
/// Name of the port at which clients outside of the cluster expect a server.
const EXTERNAL_PORT_NAME: &str = "external";

/// Adds a Network Load Balancer to a Service, if the spec asks for one.
pub(super) fn add(service: &mut Service, server: &Valid) {
    let Some(exposure) = &server.exposure else { return };
    let Balancer::Network { cross_zone } = exposure.kind else { return };
    let spec = service.spec.get_or_insert_default();
    spec.type_ = Some("LoadBalancer".to_owned());
    spec.load_balancer_class = Some(server.balancers.network_class.clone());
    spec.allocate_load_balancer_node_ports = Some(false);
    spec.external_traffic_policy = Some("Cluster".to_owned());
    spec.load_balancer_source_ranges = Some(exposure.ranges()).filter(|ranges| !ranges.is_empty());
    let ports = spec.ports.get_or_insert_default();
    // The port inside the cluster stays what it is; the controller makes a listener of each, all alike.
    if !ports.iter().any(|port| port.port == exposure.port()) {
        ports.push(ServicePort {
            name: Some(EXTERNAL_PORT_NAME.to_owned()),
            port: exposure.port(),
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::String(MCP_PORT_NAME.to_owned())),
            ..ServicePort::default()
        });
    }
    let listeners: Vec<_> = ports.iter().map(|port| port.port).collect();
    let annotations = annotations(server, exposure, cross_zone, &listeners);
    service.metadata.annotations.get_or_insert_default().extend(annotations);
}

fn annotations(server: &Valid, exposure: &Exposure, cross_zone: bool, listeners: &[i32]) -> BTreeMap<String, String> {
    let (interval, timeout, threshold) = CHECK;
    let check = check(server);
    let mut all: Vec<(String, String)> = [
        ("nlb-target-type", "ip".to_owned()),    // #nlb-target-type
        ("scheme", exposure.reach().to_owned()), // #lb-scheme
        ("attributes", format!("load_balancing.cross_zone.enabled={cross_zone}")), // #load-balancer-attributes
        ("target-group-attributes", target_group(server)), // #target-group-attributes
        ("additional-resource-tags", tags(server)), // #additional-resource-tags
        ("healthcheck-port", check.port),        // #healthcheck-port
        ("healthcheck-protocol", if check.path.is_some() { "http" } else { "tcp" }.to_owned()), // #healthcheck-protocol
        ("healthcheck-interval", interval.to_string()), // #healthcheck-interval
        ("healthcheck-timeout", timeout.to_string()), // #healthcheck-timeout
        ("healthcheck-healthy-threshold", threshold.to_string()), // #healthcheck-healthy-threshold
        ("healthcheck-unhealthy-threshold", threshold.to_string()), // #healthcheck-unhealthy-threshold
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    all.extend(check.path.map(|path| ("healthcheck-path".to_owned(), path))); // #healthcheck-path
    match &exposure.certificate {
        // On every port, so that none is left on which calls go in clear text.
        Some(certificate) => all.extend([
            ("ssl-cert".to_owned(), certificate.clone()),                 // #ssl-cert
            ("ssl-negotiation-policy".to_owned(), TLS_POLICY.to_owned()), // #ssl-negotiation-policy
        ]),
        None => all.extend(listeners.iter().map(|port| {
            let value = format!("tcp.idle_timeout.seconds={}", exposure.idle_seconds);
            (format!("listener-attributes.TCP-{port}"), value) // #listener-attributes
        })),
    }
    all.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value)).collect()
}

/// Pods see the load balancer and not the client, by which the NetworkPolicy knows whom to let in; one that ends has as
/// long as its drain. Where clients belong to pods, what comes from one address goes to one pod.
/// Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html>.
fn target_group(server: &Valid) -> String {
    let sticky = if server.stateful { ",stickiness.enabled=true,stickiness.type=source_ip" } else { "" };
    format!("preserve_client_ip.enabled=false,deregistration_delay.timeout_seconds={}{sticky}", server.drain_seconds)
}
