//! One audit record, and its place in a chain.
//!
//! A line is one JSON object: `kind`, `chain` and `sequence`, the fields of the record, `previous` (the hash of the line
//! before it, or 64 zeros) and `hash`. The hash is SHA-256 over the text of the line up to `,"hash"`, and a closing brace:
//! whoever has the line can check it without knowing the fields.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::Offset};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    origin::{Client, Origin},
    redact,
    telemetry::operation::current_trace,
    trail::{AwsCall, Left},
};

/// What the first line of a chain has in place of a hash.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The longest id or name of a client's own choice that is kept, in bytes.
const NAME: usize = 128;

/// What a record says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// A call that changes something is about to begin.
    Intended,
    /// A call ended.
    Done,
    /// A request was refused.
    Refused,
    /// The writer ended in order: nothing follows in this chain.
    Closed,
}

/// One record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    time: String,
    pub(super) event: Event,
    /// The same number for everything about one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Client>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    server: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aws: Vec<AwsCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_more: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// Refusals before this one that were too many to be recorded one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<u64>,
}

impl Record {
    /// A record of nobody's request.
    pub(super) fn new(server: &Arc<str>, event: Event) -> Self {
        Self {
            time: now(),
            event,
            call: None,
            request: None,
            trace: None,
            principal: None,
            client: None,
            protocol: None,
            transport: None,
            server: Arc::clone(server),
            tool: None,
            arguments: None,
            resources: Vec::new(),
            aws: Vec::new(),
            aws_more: None,
            decision: None,
            result: None,
            duration_seconds: None,
            bytes: None,
            suppressed: None,
        }
    }

    pub(super) fn of(mut self, origin: &Origin) -> Self {
        self.principal = Some(Arc::clone(&origin.principal));
        self.request = origin.request.as_deref().map(|id| redact::cut(id, NAME));
        let parent = origin.parent.as_ref().map(|parent| parent.trace().to_owned());
        self.trace = parent.or_else(current_trace);
        self.client = origin.client.as_ref().map(|client| Client {
            name: redact::cut(&client.name, NAME),
            version: redact::cut(&client.version, NAME),
        });
        self.protocol = origin.version.as_deref().map(|version| redact::cut(version, NAME));
        self.transport = Some(origin.transport.label());
        self
    }

    pub(super) const fn call(mut self, number: u64) -> Self {
        self.call = Some(number);
        self
    }

    pub(super) fn tool(mut self, name: Option<&str>, arguments: Option<Value>) -> Self {
        self.tool = name.map(|name| redact::cut(name, NAME));
        self.arguments = arguments;
        self
    }

    pub(super) fn decision(mut self, decision: &'static str, result: Option<&str>) -> Self {
        self.decision = Some(decision);
        self.result = result.map(str::to_owned);
        self
    }

    pub(super) fn ended(mut self, left: Left, duration: Duration, bytes: Option<usize>) -> Self {
        self.resources = left.resources;
        self.aws = left.calls;
        self.aws_more = (left.more > 0).then_some(left.more);
        // Microseconds are what clocks of containers can tell.
        self.duration_seconds = Some((duration.as_secs_f64() * 1e6).round() / 1e6);
        self.bytes = bytes;
        self
    }

    pub(super) fn suppressed(mut self, number: u64) -> Self {
        self.suppressed = (number > 0).then_some(number);
        self
    }
}

/// Now, by RFC 3339 with offset and microseconds.
pub(super) fn now() -> String {
    format!("{:.6}", Timestamp::now().display_with_offset(Offset::UTC))
}

/// A chain as its one writer knows it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) id: String,
    next: u64,
    head: String,
}

/// One line of a chain.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) text: String,
    pub(super) hash: String,
}

impl Chain {
    pub(super) fn new(id: String) -> Self {
        Self { id, next: 0, head: GENESIS.to_owned() }
    }

    /// The next line. `lost` records before it could not be kept.
    pub(super) fn append(&mut self, record: &Record, lost: u64) -> Line {
        let head = Head { kind: "audit", chain: &self.id, sequence: self.next };
        let lost = if lost > 0 { format!(",\"lost\":{lost}") } else { String::new() };
        let line = seal(&head, record, &lost, &self.head);
        let line = Line { sequence: self.next, ..line };
        self.head.clone_from(&line.hash);
        self.next += 1;
        line
    }
}

#[derive(Serialize)]
struct Head<'a> {
    kind: &'static str,
    chain: &'a str,
    sequence: u64,
}

/// Joins two objects, more fields and the hash of the line before into one line with a hash of its own.
pub(super) fn seal(head: &impl Serialize, body: &impl Serialize, more: &str, previous: &str) -> Line {
    // Both are structs of plain fields: there is nothing that could fail.
    let head = serde_json::to_string(head).unwrap_or_default();
    let body = serde_json::to_string(body).unwrap_or_default();
    let (head, body) = (head.trim_end_matches('}'), body.strip_prefix('{').unwrap_or_default());
    let body = body.strip_suffix('}').unwrap_or_default();
    let hashed = format!("{head},{body}{more},\"previous\":\"{previous}\"}}");
    let hash = hex(&hashed);
    let text = format!("{},\"hash\":\"{hash}\"}}", hashed.strip_suffix('}').unwrap_or_default());
    Line { sequence: 0, text, hash }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hex(text: &str) -> String {
    use std::fmt::Write;
    let hash = Sha256::digest(text);
    hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whose_hash_covers_all_of_it() {
        let mut chain = Chain::new("pod.1".to_owned());
        let record = Record::new(&"mcp-demo".into(), Event::Done).tool(Some("wait"), Some(serde_json::json!({"a": 1})));
        let (first, second) = (chain.append(&record, 0), chain.append(&record, 7));
        let parsed: Value = serde_json::from_str(&second.text).unwrap();
        assert_eq!(parsed["previous"], first.hash.as_str());
        assert_eq!((&parsed["kind"], &parsed["sequence"], &parsed["lost"]), (&"audit".into(), &1.into(), &7.into()));
        assert_eq!(parsed["event"], "done");
        let (hashed, _) = second.text.rsplit_once(",\"hash\"").unwrap();
        assert_eq!(hex(&format!("{hashed}}}")), second.hash);
    }

    #[test]
    fn times_have_an_offset() {
        let time = now();
        assert!(time.ends_with("+00:00") && time.len() == "2026-11-25T13:00:00.000000+00:00".len(), "{time}");
    }
}
