//! A front of EKS that loses answers: what was asked is done, and nobody hears of it.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, Response, StatusCode, header},
};

/// The largest request or answer.
const LARGEST: usize = 1024 * 1024;

/// A running front. It ends with the suite.
pub(crate) struct Front {
    pub(crate) url: String,
    lose: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Behind {
    aws: String,
    client: reqwest::Client,
    lose: Arc<AtomicUsize>,
}

impl Front {
    pub(crate) async fn of(host: Ipv4Addr, aws: &str) -> Result<Self> {
        let lose = Arc::<AtomicUsize>::default();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let behind = Behind { aws: aws.to_owned(), client, lose: lose.clone() };
        let listener = tokio::net::TcpListener::bind((host, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(forward).with_state(behind);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, lose })
    }

    /// The answers to the next so many deletions are lost.
    pub(crate) fn lose(&self, deletions: usize) {
        self.lose.store(deletions, Ordering::SeqCst);
    }

    /// How many are still to be lost.
    pub(crate) fn left(&self) -> usize {
        self.lose.load(Ordering::SeqCst)
    }
}

async fn forward(State(behind): State<Behind>, request: Request) -> Response<Body> {
    let is_deletion = request.method() == Method::DELETE;
    let answer = answered(&behind, request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(Body::from(format!("the front of EKS: {error:#}")));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    });
    let one_less = |left: usize| left.checked_sub(1);
    if is_deletion && behind.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
        // Until who asked gives up.
        std::future::pending::<()>().await;
    }
    answer
}

async fn answered(behind: &Behind, request: Request) -> Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await?;
    let place = head.uri.path_and_query().map_or("/", |place| place.as_str());
    let mut headers = head.headers;
    // How a body is framed is between neighbours; the rest is signed.
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let sent = behind.client.request(head.method, format!("{}{place}", behind.aws)).headers(headers).body(body);
    let answer = sent.send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    let mut answer = Response::new(Body::from(answer.bytes().await?));
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}
