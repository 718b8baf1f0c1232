//! A stream as the one message it comes to, for clients that read no streams.

use axum::{
    body::{Body, to_bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, de::IgnoredAny};

use crate::http::error::Refusal;

/// The most bytes of a stream: more than the largest answer that any tool has.
const STREAM: usize = 64 * 1024 * 1024;

/// What tells an answer from other messages.
#[derive(Deserialize)]
struct Outline {
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// The answer at the end of an event stream, alone; anything else passes unchanged.
pub(super) async fn whole(response: Response) -> Response {
    let is_stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    if !is_stream {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let events = to_bytes(body, STREAM).await.unwrap_or_default();
    let events = String::from_utf8_lossy(&events);
    let Some(answer) = answer(&events) else {
        let message = "the session ended before the answer was there: initialize again";
        return Refusal::new(StatusCode::NOT_FOUND, message).into_response();
    };
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(answer.to_owned()))
}

/// The last message with a result or an error. rmcp writes each on one line.
fn answer(events: &str) -> Option<&str> {
    let messages = events.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    messages.rev().find(|message| {
        serde_json::from_str::<Outline>(message).is_ok_and(|it| it.result.is_some() || it.error.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn the_answer_is_found_among_other_messages() {
        let progress = r#"data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#;
        for said in [r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1}}"#] {
            let events = format!("id: 0\nretry: 3000\ndata: \n\n{progress}\n\nid: 1\ndata: {said}\n\n: ping\n\n");
            assert_eq!(answer(&events), Some(said));
        }
        assert_eq!(answer(progress), None);
        assert_eq!(answer(""), None);
    }
}
