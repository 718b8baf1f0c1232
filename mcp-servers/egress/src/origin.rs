//! A place requests may go to, as it is written in the settings: `https://wttr.in`, `http://10.1.2.3:8080/mirror`.

use std::{fmt, net::IpAddr, str::FromStr};

use url::{Host, Url};

use crate::address;

/// A base URL that was looked at: its scheme, host and port are where requests may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    base: Url,
}

/// Why a base URL is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongOrigin {
    /// It is no URL of HTTP.
    #[error("not a URL of the form https://HOST/PATH")]
    Form,
    /// A name or password, which would end up in logs; a query or fragment, which requests have themselves.
    #[error("a URL with a user, password, query or fragment")]
    Extras,
    /// A host in another spelling than its own: 0x7f.1, 2130706433, ①.example.
    #[error("a host in an unusual spelling; it means {0}")]
    Spelling(String),
    /// A link-local, metadata or otherwise special address.
    #[error("{0}, an address that requests never go to (link-local, metadata, mapped and other special ranges)")]
    Address(IpAddr),
}

impl Origin {
    /// The URL of a path below this base. Each segment is one name, whatever is in it: it cannot lead elsewhere.
    #[must_use]
    pub fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The host, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Whether a URL has this origin's scheme, host and port, and nothing that speaks for somebody.
    pub(crate) fn covers(&self, url: &Url) -> bool {
        url.origin() == self.base.origin() && url.username().is_empty() && url.password().is_none()
    }
}

impl FromStr for Origin {
    type Err = WrongOrigin;

    fn from_str(text: &str) -> Result<Self, WrongOrigin> {
        let base = Url::parse(text).map_err(|_| WrongOrigin::Form)?;
        let (Some(host), "http" | "https") = (base.host(), base.scheme()) else { return Err(WrongOrigin::Form) };
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(WrongOrigin::Extras);
        }
        // URL parsers read 0x7f.1 and 2130706433 as 127.0.0.1. Whoever means that writes it.
        let meant = host.to_string();
        let written = text.split_once("://").map_or("", |(_, rest)| rest).to_ascii_lowercase();
        let after = written.strip_prefix(&meant).ok_or_else(|| WrongOrigin::Spelling(meant.clone()))?;
        if !(after.is_empty() || after.starts_with([':', '/'])) {
            return Err(WrongOrigin::Spelling(meant));
        }
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        match literal {
            Some(address) if !address::may_be_written(address) => Err(WrongOrigin::Address(address)),
            _ => Ok(Self { base }),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_written_plainly() {
        for text in [
            "https://wttr.in",
            "https://wttr.in:443/",
            "http://mirror.team.svc:8080/weather/",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://10.1.2.3",
            "http://localhost:8080",
        ] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        let mirror: Origin = "http://mirror.team.svc:8080/weather/".parse().unwrap();
        assert_eq!(mirror.join(&["v1", "search"]).as_str(), "http://mirror.team.svc:8080/weather/v1/search");
        for name in ["../../admin", "..", "a/b", "a?b=c", "a#b", "//evil.example", "@evil.example", "%2e%2e"] {
            let url = mirror.join(&[name]);
            assert!(
                url.path().starts_with("/weather") && url.query().is_none() && mirror.covers(&url),
                "{name}: {url}"
            );
            assert!(url.path_segments().unwrap().count() <= 2, "{name}: {url}");
        }
    }

    #[test]
    fn literals_in_disguise_and_special_addresses_are_not_taken() {
        for text in [
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://①②⑦.0.0.1/",
            "http://127。0。0。1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http:/\\127.0.0.1/",
            "https://wttr.in@127.0.0.1/",
            "https://user:password@wttr.in/",
            "https://wttr.in/?key=1",
            "https://wttr.in/#x",
            "ftp://wttr.in/",
            "file:///etc/passwd",
            "wttr.in",
            "",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_covers_its_scheme_host_and_port_alone() {
        let origin: Origin = "https://wttr.in/base".parse().unwrap();
        for (url, covered) in [
            ("https://wttr.in/anything?q=1", true),
            ("https://WTTR.in:443/", true),
            ("http://wttr.in/", false),
            ("https://wttr.in:8443/", false),
            ("https://wttr.in.evil.example/", false),
            ("https://evil.example/wttr.in", false),
            ("https://wttr.in@evil.example/", false),
            ("https://user@wttr.in/", false),
            ("https://wttr.in./", false),
            ("https://127.0.0.1/", false),
        ] {
            assert_eq!(origin.covers(&Url::parse(url).unwrap()), covered, "{url}");
        }
    }
}
