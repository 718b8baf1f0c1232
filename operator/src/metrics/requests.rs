//! A layer around the client that counts what is asked of the API server, and how long it takes.
//!
//! A call that is given up (its deadline passed, its reconcile was cut short) is dropped half-way: it counts as
//! `<error>`, as one without an answer does.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use http::{Request, Response};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tower::{Layer, Service};

use super::{HistogramFamily, Label, names, register, request_buckets};

/// Code of a request that got no answer.
const NO_ANSWER: &str = "<error>";

/// Counters of requests.
#[derive(Clone, Debug)]
pub struct Requests {
    total: Family<[Label; 3], Counter>,
    seconds: HistogramFamily<[Label; 2]>,
}

impl Requests {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let seconds = Family::new_with_constructor(request_buckets as fn() -> Histogram);
        Self {
            total: register(registry, &names::REQUESTS, Family::default()),
            seconds: register(registry, &names::REQUEST_SECONDS, seconds),
        }
    }

    /// The layer for a client that talks to `host`.
    #[must_use]
    pub fn layer(&self, host: &str) -> CountRequests {
        CountRequests { requests: self.clone(), host: host.to_owned() }
    }
}

/// Counts the requests of the service that it is put around.
#[derive(Clone, Debug)]
pub struct CountRequests {
    requests: Requests,
    host: String,
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, with: self.clone() }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    with: CountRequests,
}

impl<S, I, O> Service<Request<I>> for Counted<S>
where
    S: Service<Request<I>, Response = Response<O>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let call = Call {
            with: self.with.clone(),
            method: request.method().as_str().to_owned(),
            is_watch: request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true")),
            begun: Instant::now(),
            code: NO_ANSWER.to_owned(),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut call = call;
            let answer = answer.await;
            if let Ok(response) = &answer {
                response.status().as_str().clone_into(&mut call.code);
            }
            answer
        })
    }
}

/// One request; counted when it is dropped, answered or not.
struct Call {
    with: CountRequests,
    method: String,
    is_watch: bool,
    begun: Instant,
    code: String,
}

impl Drop for Call {
    fn drop(&mut self) {
        let CountRequests { requests, host } = &self.with;
        let method = || self.method.clone();
        let labels = [("code", self.code.clone()), ("method", method()), ("host", host.clone())];
        requests.total.get_or_create(&labels).inc();
        if !self.is_watch {
            let labels = [("verb", method()), ("host", host.clone())];
            requests.seconds.get_or_create(&labels).observe(self.begun.elapsed().as_secs_f64());
        }
    }
}
