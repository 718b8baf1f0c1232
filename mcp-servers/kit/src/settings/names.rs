//! Names of hosts and web origins as they are compared: lower case, default ports filled in, no patterns.

use std::{fmt, net::IpAddr};

use http::{Uri, uri::Authority};

/// A host name or address without its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// Reads a host with or without a port, as in a Host header.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') || text.contains('*') {
            return None;
        }
        // An IPv6 address may be written in settings without its brackets.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self(address.to_string()));
        }
        let authority = text.parse::<Authority>().ok()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // `a.example.` and `a.example` are one name.
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty()).then(|| {
            Self(host.parse::<IpAddr>().map_or_else(|_| host.to_ascii_lowercase(), |address| address.to_string()))
        })
    }

    /// Whether this is an IP address.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.0.parse::<IpAddr>().is_ok()
    }

    /// Whether this is the machine itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.0.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A web origin: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebOrigin {
    scheme: String,
    host: HostName,
    port: u16,
}

impl WebOrigin {
    /// Reads `https://app.example.com` or `http://localhost:6274`; anything more than that is not an origin.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://")?;
        if rest.contains(['/', '?', '#']) {
            return None;
        }
        let uri = text.parse::<Uri>().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = HostName::parse(uri.authority()?.as_str())?;
        Some(Self { scheme, host, port: uri.port_u16().unwrap_or(default) })
    }

    /// Whether the page comes from the machine itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::{HostName, WebOrigin};

    #[test]
    fn hosts_compare_without_port_case_and_final_dot() {
        for (left, right) in [
            ("MCP.Example.com:8080", "mcp.example.com"),
            ("mcp.example.com.", "mcp.example.com"),
            ("[::1]:8080", "::1"),
            ("[2001:DB8::1]", "2001:db8:0::1"),
        ] {
            assert_eq!(HostName::parse(left).unwrap(), HostName::parse(right).unwrap(), "{left}");
        }
    }

    #[test]
    fn only_the_machine_itself_is_loopback() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9", "[::1]:1", "[::ffff:127.0.0.1]"] {
            assert!(HostName::parse(host).unwrap().is_loopback(), "{host}");
        }
        for host in ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "[::]"] {
            assert!(!HostName::parse(host).unwrap().is_loopback(), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "*", "*.example.com", "user@host", "a b", "http://a"] {
            assert_eq!(HostName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn origins_compare_scheme_host_and_port() {
        let app = WebOrigin::parse("https://app.example.com").unwrap();
        assert_eq!(WebOrigin::parse("https://APP.example.com:443"), Some(app.clone()));
        assert_ne!(WebOrigin::parse("http://app.example.com"), Some(app.clone()));
        assert_ne!(WebOrigin::parse("https://app.example.com:8443"), Some(app));
        for text in ["null", "app.example.com", "https://a/path", "file://a", "https://"] {
            assert_eq!(WebOrigin::parse(text), None, "{text}");
        }
    }
}
