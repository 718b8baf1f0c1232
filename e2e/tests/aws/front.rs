//! A front of MiniStack, for what it does not see in requests or does not do.
//!
//! MiniStack takes `Converse` for an IAM action, where AWS asks for `bedrock:InvokeModel`: the front names that in a header which
//! MiniStack believes. In a CloudWatch request of the SDK, which is CBOR, it finds no action and lets it through: the same request
//! in JSON is judged by it before (`emulators/cbor.py`). What else was sent goes on as it came, signature and all. Performance
//! Insights, which MiniStack lacks, is a double that asks MiniStack who may. And a log query goes on for as long as the test
//! likes, or CloudWatch Logs is away.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header},
};
use mcp_e2e::{install::repository, ministack::Emulator};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::fixture::ROOT;

const TARGET: &str = "x-amz-target";
const LOGS: &str = "Logs_20140328.";
const RESULTS: &str = "Logs_20140328.GetQueryResults";
/// Where the SDK asks CloudWatch and Performance Insights: the operation follows.
const CLOUDWATCH: &str = "/service/GraniteServiceVersion20100801/operation/";
const INSIGHTS: &str = "/service/PerformanceInsightsv20180227/operation/";
/// The largest request or answer.
const LARGEST: usize = 4 * 1024 * 1024;

/// A running front. It ends with the suite.
pub(crate) struct Front {
    pub(crate) url: String,
    play: Arc<Play>,
    /// What reads CBOR; it ends with its input.
    _reader: Child,
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
    reader: String,
    client: reqwest::Client,
    play: Arc<Play>,
}

impl Front {
    /// Before that MiniStack, for requests of the root and of a user, whose key and secret these are.
    pub(crate) async fn of(ministack: &Emulator, user: Option<(&str, &str)>) -> Result<Self> {
        let play = Arc::<Play>::default();
        let (process, reader) = reader(ministack, user).await?;
        let behind = Behind {
            ministack: ministack.url().to_owned(),
            reader,
            client: reqwest::Client::new(),
            play: Arc::clone(&play),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(forward).with_state(behind);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, play, _reader: process })
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

/// Starts what reads CBOR beside that MiniStack; where it answers.
async fn reader(ministack: &Emulator, user: Option<(&str, &str)>) -> Result<(Child, String)> {
    let mut command = Command::new(ministack.python());
    command.arg(repository().join("e2e/emulators/cbor.py")).arg(ministack.url());
    for (key, secret) in [ROOT].into_iter().chain(user) {
        command.args([key, secret]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().context("start cbor.py")?;
    let stdout = process.stdout.take().context("no stdout")?;
    let url = BufReader::new(stdout).lines().next_line().await?.context("cbor.py does not say where it answers")?;
    Ok((process, url))
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
    let mut answer = None;
    if place.starts_with(CLOUDWATCH) || place.starts_with(INSIGHTS) {
        let url = format!("{}{place}", behind.reader);
        let read = behind.client.request(head.method.clone(), url).headers(headers.clone()).body(body.clone());
        answer = Some(read.send().await?).filter(|answer| answer.status() != StatusCode::NO_CONTENT);
    }
    let answer = if let Some(answer) = answer {
        answer
    } else {
        let url = format!("{}{place}", behind.ministack);
        behind.client.request(head.method, url).headers(headers).body(body).send().await?
    };
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
