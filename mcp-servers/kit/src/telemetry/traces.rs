//! Spans over OTLP (http/protobuf).

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::operation;
use crate::run::Identity;

/// Longest wait for the receiver, on a thread of the exporter's own.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);

/// What makes spans and sends them. How many of those that nobody asked for by a trace parent are sent is OpenTelemetry's
/// to say (`OTEL_TRACES_SAMPLER`), and so are attributes of the pod (`OTEL_RESOURCE_ATTRIBUTES`).
pub(super) fn provider(endpoint: &str, identity: &Identity) -> Result<SdkTracerProvider, String> {
    let version = KeyValue::new("service.version", identity.version);
    let resource = Resource::builder().with_service_name(identity.name).with_attribute(version).build();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_DEADLINE)
        .build()
        .map_err(|error| format!("--otlp-endpoint {endpoint:?}: {error}"))?;
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Turns the spans of operations into OpenTelemetry's, and no others.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("mcp-kit"))
        .with_location(false)
        .with_tracked_inactivity(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false);
    layer.with_filter(Targets::new().with_target(operation::TARGET, LevelFilter::DEBUG))
}
