//! The one client of the API server, and what every request passes on its way.
//!
//! In: a cluster's configuration and the fence. Out: the client. Reads and writes have connections of their own, because
//! those of writes end with leadership. Outermost is the count of requests, then the span of a call, then the fence.

use std::{error::Error, fmt::Display, time::Duration};

use anyhow::{Context as _, bail};
use http::{
    Request, Response, Uri,
    header::{HeaderValue, USER_AGENT},
};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{
        Client as HttpClient,
        connect::{Connection, HttpConnector},
    },
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
};
use tower::{BoxError, Layer, Service, ServiceBuilder, util::BoxService};
use tower_http::trace::TraceLayer;
use tracing::{Span, debug, field::Empty};

use crate::{
    leader::{fence::Fence, socket::FencedConnector},
    metrics::Metrics,
};

/// Makes the client. `identity` becomes part of the User-Agent, so that an audit log tells operators apart.
pub fn connect(mut config: Config, identity: &str, fence: &Fence, metrics: &Metrics) -> anyhow::Result<Client> {
    if let Some(proxy) = &config.proxy_url {
        // Without the user and password that may stand before it.
        let proxy = proxy.host().unwrap_or("without a host");
        bail!(
            "the kubeconfig or HTTPS_PROXY asks for a proxy ({proxy}): expected none, the operator talks to the API server \
             directly"
        );
    }
    let agent = format!("mcp-eks-operator/{} ({identity})", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_str(&agent).context("the host's name does not fit into a User-Agent")?;
    config.headers.push((USER_AGENT, agent));
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let what = "cannot make a client from the cluster's configuration";
    let writes = connections(&config, FencedConnector::new(fence, tcp.clone())).context(what)?;
    let reads = connections(&config, tcp).context(what)?;
    let traced =
        TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(answered).on_failure(failed);
    let requests = metrics.requests.layer(config.cluster_url.authority().map_or("", |host| host.as_str()));
    let service = requests.layer(traced.layer(fence.guard(reads, writes)));
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// Connections to the API server, and what the configuration asks of every request on them. Nothing is tried again here:
/// the streams, the reconciles and the election each have a backoff of their own.
fn connections<C>(
    config: &Config,
    connector: C,
) -> kube::Result<BoxService<Request<Body>, Response<Incoming>, BoxError>>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Error + Send + Sync + 'static,
{
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build(connector));
    Ok(BoxService::new(stack))
}

/// A call's span. <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
fn span<B>(request: &Request<B>) -> Span {
    tracing::debug_span!(
        "HTTP",
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        url.query = request.uri().query(),
        http.response.status_code = Empty,
        otel.name = request.extensions().get::<&'static str>().unwrap_or(&"HTTP"),
        otel.kind = "client",
        otel.status_code = Empty,
    )
}

fn answered<B>(response: &Response<B>, took: Duration, span: &Span) {
    let status = response.status();
    debug!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
    span.record("http.response.status_code", status.as_u16());
    if status.is_client_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// No answer, or one that is an error of the API server. Who asked gets it and says it.
fn failed<F: Display>(failure: F, took: Duration, span: &Span) {
    debug!(%failure, took_ms = took.as_millis(), "failed");
    span.record("otel.status_code", "ERROR");
}
