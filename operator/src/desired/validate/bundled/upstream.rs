//! Whom a server calls, as far as its spec tells: the NetworkPolicy opens those ports and no more.

use mcp_crds::McpServerSpec;

use super::super::Problems;
use crate::desired::bundled::Bundled;

/// It calls names behind this port; where they are, nobody knows beforehand.
pub(super) fn call(bundled: &mut Bundled, port: i32) {
    if !bundled.needs.ports.contains(&port) {
        bundled.needs.ports.push(port);
        bundled.needs.ports.sort_unstable();
    }
}

/// It calls what a URL of the spec names.
pub(super) fn call_url(bundled: &mut Bundled, field: &str, url: &str, problems: &mut Problems) {
    match port_of(url) {
        Some(port) => call(bundled, port),
        None => problems.add(field, format!("{url:?} is not a URL: write https://HOST/PATH")),
    }
}

/// It calls what a Secret names, which the operator may not read: the usual port, unless `spec.network.egress` says
/// where.
pub(super) fn guess(bundled: &mut Bundled, port: i32, spec: &McpServerSpec) {
    let egress = spec.network.as_ref().and_then(|network| network.egress.as_ref());
    if egress.is_none_or(|egress| egress.cidrs.is_empty() && egress.ports.is_empty()) {
        call(bundled, port);
    }
}

fn port_of(url: &str) -> Option<i32> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().filter(|host| !host.is_empty())?;
    match (uri.port_u16(), uri.scheme_str()?) {
        (Some(port), _) => Some(i32::from(port)),
        (None, "https") => Some(443),
        (None, "http") => Some(80),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn a_url_says_its_port_or_its_scheme_does() {
        for (url, port) in [
            ("https://wttr.in", Some(443)),
            ("http://collector.observability:4317", Some(4317)),
            ("http://[::1]:80/v1/traces", Some(80)),
            ("http://mirror/path", Some(80)),
            ("ftp://mirror/path", None),
            ("https:///path", None),
            ("mirror", None),
            ("https://a b", None),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
