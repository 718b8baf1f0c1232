//! Under which names and from which pages clients call, as far as a bundled server has to know them.

use mcp_crds::expose::Expose;

use super::Problems;

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
