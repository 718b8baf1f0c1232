//! From what was heard to what it means: pure, one sentence a trouble.

use std::sync::Arc;

use super::{
    client::DEADLINE,
    heard::{End, Endpoint, Exchange, Heard, Trouble},
    outcome::{Failure, Outcome, Spoken, Wants, clean},
};
use crate::vocabulary::Reason;

/// Characters of a server's own words.
const MAX_QUOTE: usize = 120;

/// Judges a probe of an endpoint.
#[must_use]
pub fn judge(endpoint: &Endpoint, heard: Heard) -> Outcome {
    let last = heard.last.unwrap_or_default();
    let asked = heard.asked;
    let failed = |what: String| Failure {
        reason: Reason::ProbeFailed,
        what,
        quote: clean(&last.quote, MAX_QUOTE),
        passing: false,
    };
    Outcome::Failed(match heard.end {
        End::Listed(listing) => return Outcome::Spoke(Arc::new(Spoken::from(*listing))),
        End::Trouble(Trouble::Refused) => match refused(endpoint, &last, heard.host_matters, asked) {
            Ok(scheme) => return Outcome::AuthRequired(Wants { scheme, shown: heard.shown }),
            Err((reason, what)) => Failure { reason, ..failed(what) },
        },
        End::Mismatch(theirs) => Failure {
            reason: Reason::ProtocolMismatch,
            quote: String::new(),
            ..failed(format!(
                "speaks MCP {} alone, which the operator does not: it speaks 2024-11-05 to 2026-07-28",
                clean(&theirs.join(", "), MAX_QUOTE)
            ))
        },
        End::Error { code, message } => Failure {
            quote: clean(&message, MAX_QUOTE),
            ..failed(format!("answers {asked} with the error {code}, and not with what MCP expects"))
        },
        End::Hung => Failure {
            reason: Reason::ProbeTimeout,
            quote: String::new(),
            passing: true,
            ..failed(format!("does not answer {asked} within {} s", DEADLINE.as_secs()))
        },
        End::Trouble(Trouble::Unreachable(why)) => Failure {
            quote: String::new(),
            passing: true,
            ..failed(format!("cannot be reached on port {}: {}", endpoint.port, clean(&why, MAX_QUOTE)))
        },
        End::Trouble(Trouble::Broken(why)) => {
            Failure { quote: String::new(), ..failed(format!("does not speak MCP: asked for {asked}, {why}")) }
        }
        End::Trouble(Trouble::TooMuch(limit)) => {
            Failure { quote: String::new(), ..failed(format!("says more than the operator listens to: {limit}")) }
        }
        End::Trouble(Trouble::NotMcp) => failed(format!(
            "does not speak MCP: it answers POST {} ({asked}) with {}; is it an MCP server, and are port and path its own",
            clean(&endpoint.path, MAX_QUOTE),
            answer(&last)
        )),
    })
}

/// An HTTP answer in a few words that stay the same.
fn answer(last: &Exchange) -> String {
    let content = match last.content_type.split(';').next().unwrap_or_default().trim() {
        "" => "no content type".to_owned(),
        kind => format!("content type {}", clean(kind, MAX_QUOTE / 2)),
    };
    let redirect = if last.location.is_empty() { "" } else { " (redirects are not followed)" };
    format!("HTTP {}{redirect}, {content}", last.status)
}

/// The scheme by which it wants credentials, or why else it refuses.
fn refused(endpoint: &Endpoint, last: &Exchange, host_matters: bool, asked: &str) -> Result<String, (Reason, String)> {
    let status = last.status;
    if status != 421 && !last.challenge.is_empty() {
        // The scheme alone: what comes after it may be made anew every time.
        return Ok(clean(last.challenge.split([' ', ',']).next().unwrap_or_default(), MAX_QUOTE / 4));
    }
    if status == 421 || host_matters || (status == 403 && last.quote.to_lowercase().contains("host")) {
        let what = format!(
            "refuses the Host {} with HTTP {status}: add it to the hosts that the server allows",
            clean(&endpoint.host, 2 * MAX_QUOTE)
        );
        return Err((Reason::HostNotAllowed, what));
    }
    let what = format!("refuses {asked} with HTTP {status}, and does not say which credentials it wants");
    Err((Reason::ProbeFailed, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::heard::{Limit, Place};

    fn endpoint() -> Endpoint {
        let place = Place::Ip([10, 0, 0, 1].into());
        Endpoint { place, port: 8080, host: "files.team.svc:8080".to_owned(), path: "/mcp".to_owned() }
    }

    fn heard(end: End, last: impl Into<Option<Exchange>>) -> Heard {
        Heard { end, asked: "initialize", last: last.into(), host_matters: false, shown: false }
    }

    fn http(status: u16, content_type: &str, quote: &str) -> Exchange {
        let (content_type, quote) = (content_type.to_owned(), quote.to_owned());
        Exchange { status, content_type, quote, ..Exchange::default() }
    }

    fn failure(heard: Heard) -> Failure {
        match judge(&endpoint(), heard) {
            Outcome::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_way_to_fail_has_its_reason_and_says_what_came_back() {
        let trouble = |trouble, last: Option<Exchange>| heard(End::Trouble(trouble), last);
        let refusal = |status, quote| trouble(Trouble::Refused, http(status, "text/plain", quote).into());
        let table = [
            (
                trouble(Trouble::NotMcp, http(200, "text/html; charset=utf-8", "<html>").into()),
                Reason::ProbeFailed,
                "HTTP 200, content type text/html;",
            ),
            (trouble(Trouble::NotMcp, http(404, "", "").into()), Reason::ProbeFailed, "HTTP 404, no content type;"),
            (heard(End::Hung, None), Reason::ProbeTimeout, "does not answer initialize within 4 s"),
            (
                refusal(403, "Forbidden: Host header is not allowed"),
                Reason::HostNotAllowed,
                "files.team.svc:8080 with HTTP 403",
            ),
            (
                Heard { host_matters: true, ..refusal(403, "") },
                Reason::HostNotAllowed,
                "files.team.svc:8080 with HTTP 403",
            ),
            (refusal(421, ""), Reason::HostNotAllowed, "HTTP 421"),
            (refusal(403, "no"), Reason::ProbeFailed, "refuses initialize with HTTP 403"),
            (refusal(401, ""), Reason::ProbeFailed, "refuses initialize with HTTP 401"),
            (
                heard(End::Mismatch(vec!["2030-01-01".to_owned()]), None),
                Reason::ProtocolMismatch,
                "speaks MCP 2030-01-01 alone",
            ),
            (
                heard(End::Error { code: -32603, message: "no".to_owned() }, http(200, "application/json", "")),
                Reason::ProbeFailed,
                "the error -32603",
            ),
            (
                trouble(Trouble::Unreachable("connection refused".to_owned()), None),
                Reason::ProbeFailed,
                "on port 8080: connection refused",
            ),
            (
                trouble(Trouble::TooMuch(Limit::Bytes), http(200, "application/json", "[").into()),
                Reason::ProbeFailed,
                "1 MiB",
            ),
        ];
        for (heard, reason, expected) in table {
            let failure = failure(heard.clone());
            assert_eq!(failure.reason, reason, "{heard:?}");
            assert!(failure.what.contains(expected), "{:?} lacks {expected:?}", failure.what);
        }
    }

    #[test]
    fn a_server_that_wants_credentials_is_not_told_apart_by_what_it_makes_anew_every_time() {
        let challenged = |nonce: &str| {
            let challenge = format!("Digest realm=\"x\", nonce=\"{nonce}\"");
            let last = Exchange { status: 401, challenge, ..Exchange::default() };
            judge(&endpoint(), heard(End::Trouble(Trouble::Refused), Some(last)))
        };
        assert_eq!(challenged("a"), Outcome::AuthRequired(Wants { scheme: "Digest".to_owned(), shown: false }));
        assert_eq!(challenged("a"), challenged("b"));
    }

    #[test]
    fn hostile_words_are_cleaned_and_short() {
        let quote = "\u{1b}[2J\u{202e}\0".repeat(100_000);
        let Failure { what, quote, .. } = failure(heard(End::Trouble(Trouble::NotMcp), http(200, &quote, &quote)));
        assert!(what.chars().count() < 350 && quote.chars().count() <= MAX_QUOTE, "{what} {quote}");
        assert!(!what.chars().chain(quote.chars()).any(char::is_control));
    }
}
