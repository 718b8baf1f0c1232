//! The request a call came in: who asked, by which client, under which ids. Audit records and spans begin with it.

use std::sync::Arc;

use serde::Serialize;

/// The request a call came in.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The name of the key or token, `anonymous`, or `stdio`.
    pub(crate) principal: Arc<str>,
    /// What the client says it is: nobody checks it.
    pub(crate) client: Option<Client>,
    /// The JSON-RPC id, as the client chose it.
    pub(crate) request: Option<String>,
    /// The revision of the protocol, where the request names it.
    pub(crate) version: Option<String>,
    pub(crate) transport: Transport,
    /// Where the request belongs in a trace.
    pub(crate) parent: Option<Parent>,
}

/// What a client says it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// How requests come, by OpenTelemetry's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Pipe,
}

impl Transport {
    pub(crate) fn is_http(self) -> bool {
        self == Self::Tcp
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Pipe => "pipe",
        }
    }
}

/// A W3C trace parent (`traceparent`, version 00), and the vendors' `tracestate` beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) header: String,
    pub(crate) state: Option<String>,
}

impl Parent {
    /// Takes what a client sent; anything that is no trace parent is none.
    pub(crate) fn parse(header: &str, state: Option<&str>) -> Option<Self> {
        let mut parts = header.split('-');
        let fits = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let good = fits(version, 2) && version != "ff" && fits(trace, 32) && fits(span, 16) && fits(flags, 2);
        // Later versions may add fields at the end; ours has none.
        let length = header.len() == 55 || (version != "00" && header.len() < 256);
        let state = state.filter(|state| state.len() <= 512).map(str::to_owned);
        (good && length && !zero(trace) && !zero(span)).then(|| Self { header: header.to_owned(), state })
    }

    /// The id of the trace, 32 hexadecimal digits.
    pub(crate) fn trace(&self) -> &str {
        self.header.get(3..35).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_parent_is_taken_as_w3c_writes_it() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::parse(good, Some("congo=t61rcWkgMzE")).unwrap();
        assert_eq!(parent.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(wrong, None), None, "{wrong}");
        }
        assert_eq!(Parent::parse(good, Some(&"x".repeat(600))).unwrap().state, None);
    }
}
