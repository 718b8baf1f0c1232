//! Spans over OTLP (http/protobuf): a trace a reconcile, a span a call to the API server.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, layer::Context, registry::LookupSpan};

/// Longest wait for the receiver, on a thread of the exporter's own.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);

/// Where the client makes a span a call.
const CALLS: &str = "mcp_operator::client";

/// What makes spans, and sends them when there is an endpoint. Without one, logs have trace ids all the same.
pub(super) fn provider(endpoint: Option<&str>) -> anyhow::Result<SdkTracerProvider> {
    // OTEL_RESOURCE_ATTRIBUTES brings the k8s.* attributes: the manifests set it.
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name("mcp-eks-operator").with_attribute(version).build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = endpoint else { return Ok(builder.with_sampler(Sampler::AlwaysOff).build()) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_DEADLINE)
        .build()
        .with_context(|| format!("--otlp-endpoint {endpoint:?}: expected a URL such as http://collector:4318"))?;
    Ok(builder.with_batch_exporter(exporter).build())
}

/// Turns tracing's spans into OpenTelemetry's: ours, and the calls made within them. Watches belong to no reconcile,
/// and are left out.
pub(super) fn layer<S>(provider: &SdkTracerProvider, sent: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The spans of calls are at level debug, and of use only to a receiver.
    let level = if sent { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let ours = move |metadata: &Metadata<'_>, context: &Context<'_, S>| {
        let target = metadata.target();
        let of_interest = target.starts_with("mcp_operator") && (target != CALLS || context.lookup_current().is_some());
        // The hint below is a promise: a filter that lets more through panics.
        *metadata.level() <= level && of_interest
    };
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("mcp-operator"));
    layer.with_filter(dynamic_filter_fn(ours).with_max_level_hint(level))
}
