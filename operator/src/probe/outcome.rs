//! What a probe means for a server: it speaks MCP, it asks for credentials, or it fails, and why.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::heard::Listing;
use crate::vocabulary::Reason;

/// First revision without a handshake.
const MODERN: &str = "2026-07-28";
/// Bytes of a server's name, and so on: below the bounds of the schema, so that the whole status stays under 4 KiB.
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 32;
const MAX_WORD: usize = 20;
const MAX_REVISIONS: usize = 8;
const MAX_CAPABILITIES: usize = 12;

/// What a probe means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handshake and list of tools succeeded.
    Spoke(Arc<Spoken>),
    /// It wants credentials.
    AuthRequired(Wants),
    /// Anything else.
    Failed(Failure),
}

/// Which credentials a server wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// The scheme of HTTP.
    pub scheme: String,
    /// Whether it saw the operator's token, and did not take it.
    pub shown: bool,
}

/// Why a probe failed, in words that go after "pod NAME".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What conditions say.
    pub reason: Reason,
    /// What happened; the same for the same trouble.
    pub what: String,
    /// The server's own words, which may differ from one time to the next.
    pub quote: String,
    /// Whether it may be gone a second later: a rule of kube-proxy on its way, a pause.
    pub passing: bool,
}

/// What an MCP server says of itself, bounded and clean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// `modern` or `legacy`.
    pub era: &'static str,
    /// Revisions it speaks.
    pub protocol_versions: Vec<String>,
    /// Its name.
    pub server_name: Option<String>,
    /// Its version.
    pub server_version: Option<String>,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// How many tools.
    pub tool_count: i32,
    /// Hash of the tools, whatever their order.
    pub tools_digest: String,
}

impl Outcome {
    /// Whether this is the same news: a failure may quote other words.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(one), Self::Failed(two)) => (one.reason, &one.what) == (two.reason, &two.what),
            _ => self == other,
        }
    }

    /// Its name among the metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Spoke(_) => Reason::ToolsListed.as_str(),
            Self::AuthRequired(_) => Reason::AuthRequired.as_str(),
            Self::Failed(failure) => failure.reason.as_str(),
        }
    }
}

impl Failure {
    /// How many failures in a row are news.
    #[must_use]
    pub fn patience(&self, spoke_before: bool) -> u32 {
        if self.passing && (spoke_before || self.reason != Reason::ProbeTimeout) { 2 } else { 1 }
    }
}

/// Longest wait after a failure, given the interval between successes.
#[must_use]
pub fn backoff(failures: u32, interval: Duration) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    Duration::from_secs(1).saturating_mul(doubled).min(interval)
}

impl From<Listing> for Spoken {
    fn from(listing: Listing) -> Self {
        let (name, version) = listing.server.unzip();
        let offered: Vec<String> =
            listing.capabilities.as_object().into_iter().flat_map(|it| it.keys().cloned()).collect();
        Self {
            era: if listing.version.as_str() < MODERN { "legacy" } else { "modern" },
            protocol_versions: set(&listing.versions, MAX_REVISIONS),
            server_name: name.map(|name| clean(&name, MAX_NAME)),
            server_version: version.map(|version| clean(&version, MAX_VERSION)),
            capabilities: set(&offered, MAX_CAPABILITIES),
            tool_count: i32::try_from(listing.tools.len()).unwrap_or(i32::MAX),
            tools_digest: digest(&listing.tools),
        }
    }
}

/// Sorted, each once, bounded in number and length.
fn set(words: &[String], most: usize) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|word| clean(word, MAX_WORD)).collect();
    words.sort();
    words.dedup();
    words.truncate(most);
    words
}

/// Printable, on one line, of at most so many bytes as JSON writes them.
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    let printable = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    let line: String = text.chars().map(printable).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let size = |c: char| if matches!(c, '"' | '\\') { 2 } else { c.len_utf8() };
    if line.chars().map(size).sum::<usize>() <= most {
        return line;
    }
    let room = most.saturating_sub(size('…'));
    let mut used = 0;
    let fits = |c: &char| {
        used += size(*c);
        used <= room
    };
    line.chars().take_while(fits).chain(['…']).collect()
}

/// What turns a line of text around or hides in it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn digest(tools: &[Value]) -> String {
    let mut lines: Vec<String> = tools.iter().map(canonical).collect();
    lines.sort();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().fold("sha256:".to_owned(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// JSON with sorted keys, whatever order the map keeps.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing(tools: Vec<Value>) -> Listing {
        Listing {
            version: "2025-11-25".to_owned(),
            versions: vec!["2025-11-25".to_owned()],
            server: Some(("files".to_owned(), "1".to_owned())),
            capabilities: json!({"tools": {}, "prompts": {}}),
            tools,
        }
    }

    #[test]
    fn the_digest_sees_every_word_of_a_tool_and_not_their_order() {
        let (one, two) = (json!({"name": "a", "description": "reads"}), json!({"name": "b"}));
        let digest = |tools| Spoken::from(listing(tools)).tools_digest;
        assert_eq!(digest(vec![one.clone(), two.clone()]), digest(vec![two.clone(), one]));
        assert_ne!(digest(vec![json!({"name": "a", "description": "writes"}), two.clone()]), digest(vec![two]));
        assert!(digest(vec![]).len() <= 80);
    }

    #[test]
    fn what_a_server_says_of_itself_fits_the_schema_whatever_it_says() {
        let mut hostile = listing(vec![]);
        hostile.server = Some(("\u{1b}[31m\u{202e}".repeat(1000) + "x", "é".repeat(1000)));
        hostile.versions = (0..100).map(|n| format!("{n}{}", "v".repeat(100))).collect();
        hostile.capabilities = (0..100).map(|n| (format!("{n}\n{}", "c".repeat(100)), json!({}))).collect();
        let spoken = Spoken::from(hostile);
        let longest = |words: &[String]| words.iter().map(String::len).max();
        assert_eq!((spoken.protocol_versions.len(), longest(&spoken.protocol_versions)), (8, Some(20)));
        assert_eq!((spoken.capabilities.len(), longest(&spoken.capabilities)), (12, Some(20)));
        assert!(spoken.server_version.unwrap().len() <= 32);
        assert!(!spoken.server_name.unwrap().chars().any(|c| c.is_control() || is_invisible(c)));
    }

    #[test]
    fn other_words_for_the_same_failure_are_no_news() {
        let failed = |what: &str, quote: &str| {
            let (what, quote) = (what.to_owned(), quote.to_owned());
            Outcome::Failed(Failure { reason: Reason::ProbeFailed, what, quote, passing: false })
        };
        assert!(failed("answers HTTP 500", "at 10:00").is_like(&failed("answers HTTP 500", "at 10:05")));
        assert!(!failed("answers HTTP 500", "").is_like(&failed("answers HTTP 404", "")));
    }

    #[test]
    fn a_failing_server_is_asked_again_soon_then_rarely() {
        let waits: Vec<_> = (1..12).map(|failures| backoff(failures, Duration::from_mins(5)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }
}
