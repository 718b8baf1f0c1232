//! A front of MiniStack, for what it does not see in requests or does not do.
//!
//! MiniStack takes `Converse` for an IAM action, where AWS asks for `bedrock:InvokeModel`: the front names that in a header which
//! MiniStack believes. What else was sent goes on as it came, signature and all. And a log query goes on for as long as the
//! test likes, or CloudWatch Logs is away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header},
};

const TARGET: &str = "x-amz-target";
const LOGS: &str = "Logs_20140328.";
const RESULTS: &str = "Logs_20140328.GetQueryResults";
/// The largest request or answer.
const LARGEST: usize = 4 * 1024 * 1024;

/// A running front. It ends with the suite.
pub(crate) struct Front {
    pub(crate) url: String,
    play: Arc<Play>,
}

/// What it plays.
#[derive(Debug, Default)]
struct Play {
    slow: AtomicBool,
    away: AtomicBool,
}

#[derive(Clone)]
struct Behind {
    ministack: String,
    client: reqwest::Client,
    play: Arc<Play>,
}

impl Front {
    pub(crate) async fn of(ministack: &str) -> Result<Self> {
        let play = Arc::<Play>::default();
        let behind =
            Behind { ministack: ministack.to_owned(), client: reqwest::Client::new(), play: Arc::clone(&play) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(forward).with_state(behind);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, play })
    }

    /// From now on no log query comes to an end by itself.
    pub(crate) fn slow(&self) {
        self.play.slow.store(true, Ordering::SeqCst);
    }

    /// Whether CloudWatch Logs is away.
    pub(crate) fn away(&self, whether: bool) {
        self.play.away.store(whether, Ordering::SeqCst);
    }
}

/// What the header has to say for a request to that path.
fn target(path: &str) -> Option<HeaderValue> {
    let is_converse = path.starts_with("/model/") && path.ends_with("/converse");
    is_converse.then(|| HeaderValue::from_static("AmazonBedrock.InvokeModel"))
}

async fn forward(State(behind): State<Behind>, request: Request) -> Response<Body> {
    match answered(&behind, request).await {
        Ok(answer) => answer,
        Err(error) => {
            let mut answer = Response::new(Body::from(format!("the front of MiniStack: {error:#}")));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    }
}

async fn answered(behind: &Behind, request: Request) -> Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await?;
    let place = head.uri.path_and_query().map_or("/", |place| place.as_str());
    let mut headers = head.headers;
    let asked = headers.get(TARGET).cloned();
    if let Some(target) = target(head.uri.path()) {
        headers.insert(TARGET, target);
    }
    let is_logs = asked.as_ref().is_some_and(|asked| asked.as_bytes().starts_with(LOGS.as_bytes()));
    if is_logs && behind.play.away.load(Ordering::SeqCst) {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(answer);
    }
    // How a body is framed is between neighbours; its length may be signed.
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let sent = behind.client.request(head.method, format!("{}{place}", behind.ministack)).headers(headers).body(body);
    let answer = sent.send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    let mut body = answer.bytes().await?;
    if behind.play.slow.load(Ordering::SeqCst) && asked.is_some_and(|asked| asked == RESULTS) {
        body = Bytes::from(String::from_utf8(body.to_vec())?.replace("\"Complete\"", "\"Running\""));
    }
    let mut answer = Response::new(Body::from(body));
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}
