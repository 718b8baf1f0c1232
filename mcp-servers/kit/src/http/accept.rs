//! Content negotiation: what the client can read, and whether it sent JSON.
//!
//! The specification asks clients to accept both forms. Many accept one, or say `*/*`, or nothing: all are served.

use http::{HeaderMap, StatusCode, header};

use super::error::Refusal;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`, whenever the client can read it.
    Json,
    /// `text/event-stream`.
    Events,
}

/// Chooses the form by the Accept header.
pub(super) fn choose(headers: &HeaderMap) -> Result<Form, Refusal> {
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut ranges = values.iter().flat_map(|value| value.split(',')).filter_map(range).peekable();
    if ranges.peek().is_none() && values.iter().all(|value| value.trim().is_empty()) {
        return Ok(Form::Json);
    }
    let (mut json, mut events) = (false, false);
    for range in ranges {
        let is = |known: &[&str]| known.iter().any(|known| range.eq_ignore_ascii_case(known));
        json |= is(&["application/json", "application/*", "*/*"]);
        events |= is(&["text/event-stream", "text/*", "*/*"]);
    }
    match (json, events) {
        (true, _) => Ok(Form::Json),
        (false, true) => Ok(Form::Events),
        (false, false) => {
            let message = format!(
                "expected an Accept header that admits application/json or text/event-stream, found {:?}",
                values.join(", ")
            );
            Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, message))
        }
    }
}

/// Whether event streams are admitted, also beside JSON.
pub(super) fn admits_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let admits =
        |range: &str| ["text/event-stream", "text/*", "*/*"].iter().any(|known| range.eq_ignore_ascii_case(known));
    values.flat_map(|value| value.split(',')).filter_map(range).any(admits)
}

/// The media range of one entry, unless its weight is zero.
fn range(entry: &str) -> Option<&str> {
    let mut parts = entry.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let refused = parts.filter_map(|parameter| parameter.split_once('=')).any(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
    });
    (!refused).then_some(range)
}

/// Insists on a JSON body.
pub(super) fn content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("expected Content-Type application/json, found {found}");
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{Form, choose};

    fn chosen(values: &[&'static str]) -> Option<Form> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        choose(&headers).ok()
    }

    #[test]
    fn json_is_answered_wherever_it_is_accepted() {
        for values in [
            &[][..],
            &[""],
            &["application/json"],
            &["*/*"],
            &["application/*"],
            &["APPLICATION/JSON; charset=utf-8"],
            &["application/json, text/event-stream"],
            &["text/event-stream", "application/json;q=0.1"],
        ] {
            assert_eq!(chosen(values), Some(Form::Json), "{values:?}");
        }
    }

    #[test]
    fn events_are_for_clients_that_read_nothing_else() {
        for values in [&["text/event-stream"][..], &["text/*"], &["text/event-stream, application/json;q=0"]] {
            assert_eq!(chosen(values), Some(Form::Events), "{values:?}");
        }
    }

    #[test]
    fn clients_that_read_neither_are_told() {
        for values in [&["text/html"][..], &["application/json;q=0"], &["image/*"]] {
            assert_eq!(chosen(values), None, "{values:?}");
        }
    }
}
