//! How a server is reached from outside of the cluster; under which names and from which pages clients call it.

use mcp_crds::{
    McpServerSpec,
    auth::AuthMode,
    expose::{CrossZone, Expose, ExposeType, Scheme},
};

use super::{Problems, is_stateful};
use crate::desired::{
    exposure::{Balancer, Exposure, IDLE_SECONDS, TLS_IDLE_SECONDS, is_internet_facing},
    network::Cidr,
};

/// Idle timeouts that both kinds of load balancers take.
const IDLE: std::ops::RangeInclusive<i32> = 60..=4000;

/// Hosts and origins beside those inside the cluster.
pub(super) fn names(spec: Option<&Expose>, problems: &mut Problems) -> (Vec<String>, Vec<String>) {
    let Some(spec) = spec else {
        return (Vec::new(), Vec::new());
    };
    for host in spec.hosts.iter().filter(|host| !is_host(host)) {
        let message = "is not a host name: write it in lower case and without port, for example mcp.example.com";
        problems.add(format!("spec.expose.hosts[{host}]"), message);
    }
    for origin in spec.allowed_origins.iter().filter(|origin| !is_origin(origin)) {
        let message = "is not an origin: write scheme and host, without a path, for example https://app.example.com";
        problems.add(format!("spec.expose.allowedOrigins[{origin}]"), message);
    }
    (spec.hosts.clone(), spec.allowed_origins.clone())
}

/// The load balancer; none if the server is reached from inside the cluster alone.
pub(super) fn exposure(spec: &McpServerSpec, problems: &mut Problems) -> Option<Exposure> {
    let expose = spec.expose.as_ref()?;
    misplaced(expose, problems);
    open(spec, expose, problems);
    sticky(spec, expose, problems);
    let kind = match expose.type_ {
        ExposeType::ClusterIP => return None,
        ExposeType::LoadBalancer => Balancer::Network { cross_zone: expose.cross_zone == CrossZone::Enabled },
        ExposeType::Ingress => {
            Balancer::Application { web_acl: expose.waf_acl_arn.clone(), group: expose.group.clone() }
        }
    };
    let certificate = expose.tls.as_ref().map(|tls| tls.certificate_arn.clone());
    if certificate.is_some() && expose.hosts.is_empty() {
        problems.add(
            "spec.expose.hosts",
            "is empty, and tls is set: no certificate is for the load balancer's own name, so write the names that the \
             certificate is for, and point them at the load balancer",
        );
    }
    if expose.group.is_some() && expose.type_ == ExposeType::Ingress && expose.hosts.is_empty() {
        problems.add(
            "spec.expose.hosts",
            "is empty, and group is set: the servers behind one load balancer are told apart by their names, so write \
             those of this one",
        );
    }
    if expose.group.as_ref().is_some_and(|group| !is_group(group)) {
        let message = "is not the name of a group: use at most 63 lower-case letters, digits, '-' and '.', beginning and \
                       ending with a letter or digit";
        problems.add("spec.expose.group", message);
    }
    if expose.waf_acl_arn.as_ref().is_some_and(|arn| !is_web_acl(arn)) {
        let message = "is not the ARN of a regional web ACL: write \
                       arn:aws:wafv2:REGION:123456789012:regional/webacl/NAME/ID";
        problems.add("spec.expose.wafAclArn", message);
    }
    let mut source_ranges = Vec::new();
    for text in &expose.source_ranges {
        match text.parse::<Cidr>() {
            Ok(block) => source_ranges.push(block),
            Err(()) => problems.add(
                format!("spec.expose.sourceRanges[{text}]"),
                "is not a block of addresses: write its first address and a length, for example 10.0.0.0/16 or fd00::/8",
            ),
        }
    }
    let network_tls = certificate.is_some() && expose.type_ == ExposeType::LoadBalancer;
    Some(Exposure {
        kind,
        internet_facing: expose.scheme == Scheme::InternetFacing,
        certificate,
        source_ranges,
        idle_seconds: idle_seconds(expose, network_tls, problems),
    })
}

/// What belongs to another kind of load balancer, or to any. The schema says so too.
fn misplaced(expose: &Expose, problems: &mut Problems) {
    let network = expose.type_ == ExposeType::LoadBalancer;
    let application = expose.type_ == ExposeType::Ingress;
    for (asked, allowed, field, message) in [
        (
            expose.waf_acl_arn.is_some(),
            application,
            "wafAclArn",
            "AWS WAF is for type Ingress: set it, or take this out",
        ),
        (expose.group.is_some(), application, "group", "a group is of type Ingress: set it, or take this out"),
        (
            expose.cross_zone == CrossZone::Disabled,
            network,
            "crossZone",
            "is of type LoadBalancer: set it, or take this out",
        ),
        (expose.tls.is_some(), network || application, "tls", "is of a load balancer: set type, or take this out"),
    ] {
        if asked && !allowed {
            problems.add(format!("spec.expose.{field}"), message);
        }
    }
}

/// Whoever lets the whole internet in has to want it.
fn open(spec: &McpServerSpec, expose: &Expose, problems: &mut Problems) {
    if !is_internet_facing(spec) {
        return;
    }
    let asks = spec.auth.as_ref().is_some_and(|auth| auth.mode != AuthMode::None);
    if !asks && !expose.acknowledge_unauthenticated {
        problems.add(
            "spec.expose.scheme",
            "InternetFacing lets the whole internet call this server: set spec.auth.mode to ApiKey or Jwt, or \
             acknowledgeUnauthenticated to true if that is what you want",
        );
    }
    if asks && expose.tls.is_none() {
        problems.add(
            "spec.expose.tls",
            "is not set, and keys and tokens would cross the internet in clear text: name a certificate in \
             certificateArn, or set scheme to Internal",
        );
    }
}

/// A load balancer keeps a client on its pod by the client's address, or not at all: MCP clients send no cookies back, and
/// TLS listeners of Network Load Balancers know no stickiness.
/// Source: <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html>.
fn sticky(spec: &McpServerSpec, expose: &Expose, problems: &mut Problems) {
    let loses = match expose.type_ {
        ExposeType::ClusterIP => false,
        ExposeType::LoadBalancer => expose.tls.is_some(),
        ExposeType::Ingress => true,
    };
    if is_stateful(spec) && loses {
        problems.add(
            "spec.session.mode",
            "is Stateful, and this load balancer would send a client to a pod that does not know its session: set it to \
             Stateless, or expose.type to LoadBalancer without tls",
        );
    }
}

fn idle_seconds(expose: &Expose, network_tls: bool, problems: &mut Problems) -> i32 {
    const FIELD: &str = "spec.expose.idleTimeoutSeconds";
    let Some(asked) = expose.idle_timeout_seconds else {
        return if network_tls { TLS_IDLE_SECONDS } else { IDLE_SECONDS };
    };
    if network_tls && asked != TLS_IDLE_SECONDS {
        problems.add(
            FIELD,
            format!(
                "a Network Load Balancer ends a silent TLS connection after {TLS_IDLE_SECONDS} s, and no other number \
                     can be: take it out, or set type to Ingress"
            ),
        );
    } else if !IDLE.contains(&asked) {
        problems
            .add(FIELD, format!("{asked} is no time that load balancers take: use {} to {}", IDLE.start(), IDLE.end()));
    }
    asked
}

fn is_group(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| plain(c) || c == '-' || c == '.';
    name.len() <= 63 && name.starts_with(plain) && name.ends_with(plain) && name.chars().all(inner)
}

/// Source: <https://docs.aws.amazon.com/waf/latest/APIReference/API_WebACL.html>.
fn is_web_acl(arn: &str) -> bool {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let [_, partition, service, region, account, resource] = parts.as_slice() else { return false };
    let name = resource.strip_prefix("regional/webacl/").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    arn.starts_with("arn:")
        && partition.starts_with("aws")
        && *service == "wafv2"
        && !region.is_empty()
        && account.len() == 12
        && name.contains('/')
        && name.chars().all(plain)
}

fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label =
        |label: &str| label.starts_with(plain) && label.ends_with(plain) && label.chars().all(|c| plain(c) || c == '-');
    host.len() <= 253 && host.split('.').all(label)
}

fn is_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let (host, port) = rest.map_or(("", None), |rest| rest.split_once(':').map_or((rest, None), |(h, p)| (h, Some(p))));
    is_host(host) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}
