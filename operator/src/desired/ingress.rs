//! The Ingress: an Application Load Balancer in front of the Service.
//!
//! In: a [`Valid`] server. Out: an Ingress, none where the spec asks for no such load balancer. Every annotation is described
//! at <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/>, under the anchor
//! that stands beside it.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    ServiceBackendPort,
};
use serde_json::json;

use super::{
    ChildKind, Valid,
    exposure::{Balancer, CHECK, Exposure, TLS_POLICY, check, tags},
    labels, names,
    pod::MCP_PORT_NAME,
};

/// Begin of the controller's annotations on Ingresses.
const PREFIX: &str = "alb.ingress.kubernetes.io/";

pub(super) fn build(server: &Valid) -> Option<Ingress> {
    let exposure = server.exposure.as_ref()?;
    let Balancer::Application { web_acl, group } = &exposure.kind else { return None };
    let mut metadata = labels::metadata(ChildKind::Ingress, server);
    metadata.annotations = Some(annotations(server, exposure, web_acl.as_ref(), group.as_ref()));
    // Without names of its own a server is reached under that of the load balancer.
    let rules = if server.hosts.is_empty() {
        vec![rule(server, None)]
    } else {
        server.hosts.iter().map(|host| rule(server, Some(host.clone()))).collect()
    };
    Some(Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: Some(server.balancers.ingress_class.clone()),
            rules: Some(rules),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

/// All paths: beside that of the endpoint there are those by which clients learn where to get a token.
fn rule(server: &Valid, host: Option<String>) -> IngressRule {
    let port = ServiceBackendPort { name: Some(MCP_PORT_NAME.to_owned()), number: None };
    let service = IngressServiceBackend { name: names::child(ChildKind::Service, &server.name), port: Some(port) };
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend { service: Some(service), resource: None },
    };
    IngressRule { host, http: Some(HTTPIngressRuleValue { paths: vec![path] }) }
}

fn annotations(
    server: &Valid,
    exposure: &Exposure,
    web_acl: Option<&String>,
    group: Option<&String>,
) -> BTreeMap<String, String> {
    let (interval, timeout, threshold) = CHECK;
    let check = check(server);
    let ports = match exposure.certificate {
        Some(_) => json!([{"HTTP": 80}, {"HTTPS": 443}]),
        None => json!([{"HTTP": 80}]),
    };
    // A server of which nobody knows where it tells its health is well if it answers anything but an error of its own.
    let (path, codes) = check.path.map_or_else(|| (server.runs.path().to_owned(), "200-499"), |path| (path, "200"));
    let mut all: Vec<(&str, String)> = vec![
        ("target-type", "ip".to_owned()),                   // #target-type
        ("scheme", exposure.reach().to_owned()),            // #scheme
        ("listen-ports", ports.to_string()),                // #listen-ports
        ("load-balancer-attributes", attributes(exposure)), // #load-balancer-attributes
        ("target-group-attributes", format!("deregistration_delay.timeout_seconds={}", server.drain_seconds)), // #target-group-attributes
        ("healthcheck-protocol", "HTTP".to_owned()), // #healthcheck-protocol
        ("healthcheck-port", check.port),            // #healthcheck-port
        ("healthcheck-path", path),                  // #healthcheck-path
        ("success-codes", codes.to_owned()),         // #success-codes
        ("healthcheck-interval-seconds", interval.to_string()), // #healthcheck-interval-seconds
        ("healthcheck-timeout-seconds", timeout.to_string()), // #healthcheck-timeout-seconds
        ("healthy-threshold-count", threshold.to_string()), // #healthy-threshold-count
        ("unhealthy-threshold-count", threshold.to_string()), // #unhealthy-threshold-count
    ];
    if let Some(certificate) = &exposure.certificate {
        all.extend([
            ("certificate-arn", certificate.clone()), // #certificate-arn
            ("ssl-policy", TLS_POLICY.to_owned()),    // #ssl-policy
            ("ssl-redirect", "443".to_owned()),       // #ssl-redirect
        ]);
    }
    let ranges = exposure.ranges();
    if !ranges.is_empty() {
        all.push(("inbound-cidrs", ranges.join(","))); // #inbound-cidrs
    }
    all.extend(web_acl.map(|arn| ("wafv2-acl-arn", arn.clone()))); // #wafv2-acl-arn
    match group {
        Some(group) => all.push(("group.name", group.clone())), // #group.name
        // The members of a group would have to agree on them.
        None => all.push(("tags", tags(server))), // #tags
    }
    all.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value)).collect()
}

/// Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>.
fn attributes(exposure: &Exposure) -> String {
    format!(
        "idle_timeout.timeout_seconds={},routing.http.drop_invalid_header_fields.enabled=true",
        exposure.idle_seconds
    )
}
