//! Answers of a service over HTTP: JSON, or a failure of the service. An HTTP 200 with text in it is a failure too.

use mcp_egress::{Answer, Egress};
use mcp_kit::ToolError;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use url::Url;

use super::Known;

/// Gets JSON from a service. `None` is HTTP 404: it does not know the place.
pub(super) async fn json<T: DeserializeOwned>(egress: &Egress, service: &str, url: Url) -> Known<T> {
    let answer = egress.get(url).await.map_err(|error| ToolError::upstream(format!("{service}: {error}")))?;
    read(service, &answer)
}

fn read<T: DeserializeOwned>(service: &str, answer: &Answer) -> Known<T> {
    let trouble = match answer.status {
        200 => match serde_json::from_slice(&answer.body) {
            Ok(value) => return Ok(Some(value)),
            Err(error) if error.is_data() => "answered with JSON of another form than expected".to_owned(),
            Err(_) => "answered with something that is not JSON".to_owned(),
        },
        404 => return Ok(None),
        429 => "takes no more requests for now (HTTP 429)".to_owned(),
        status => format!("answered with HTTP {status}"),
    };
    tracing::warn!(service, status = answer.status, content_type = answer.content_type, "{trouble}");
    Err(ToolError::upstream(format!("{service} {trouble}")))
}

/// A number that may have come as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        let number = match Either::deserialize(deserializer)? {
            Either::Number(number) => number,
            Either::Text(text) => text.trim().parse().map_err(serde::de::Error::custom)?,
        };
        // Rust reads `NaN`, and JSON has no such number.
        if number.is_finite() { Ok(Self(number)) } else { Err(serde::de::Error::custom("expected a finite number")) }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_of_the_right_form_is_an_answer() {
        let answer = |status: u16, body: &str| {
            let answer = Answer { status, content_type: String::new(), body: body.as_bytes().to_vec() };
            read::<Vec<Number>>("sky", &answer).map_err(|error| error.to_string())
        };
        assert_eq!(answer(200, r#"[1, "2.5", " -3 "]"#), Ok(Some(vec![Number(1.0), Number(2.5), Number(-3.0)])));
        assert_eq!(answer(404, "Unknown location"), Ok(None));
        for (status, body, expected) in [
            (200, "Unknown location; please try ~52,13", "sky answered with something that is not JSON"),
            (200, "", "sky answered with something that is not JSON"),
            (200, "[1, 2", "sky answered with something that is not JSON"),
            (200, "<html>Sorry, we are running out of queries</html>", "sky answered with something that is not JSON"),
            (200, r#"{"error": true}"#, "sky answered with JSON of another form than expected"),
            (200, r#"["NaN"]"#, "sky answered with JSON of another form than expected"),
            (200, r#"["warm"]"#, "sky answered with JSON of another form than expected"),
            (429, "", "sky takes no more requests for now (HTTP 429)"),
            (500, "[1]", "sky answered with HTTP 500"),
        ] {
            assert_eq!(answer(status, body), Err(expected.to_owned()), "{status} {body}");
        }
    }
}
