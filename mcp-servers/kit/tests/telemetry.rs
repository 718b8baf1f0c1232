//! Spans and metrics by OpenTelemetry's names, as a receiver of OTLP and a scraper see them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, routing::post};
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Any,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use serde_json::{Value, json};
use support::{Server, get};
use tokio::{net::TcpListener, runtime::Runtime};

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A span, and its attributes.
type Told = (Span, BTreeMap<String, String>);

/// Takes spans as a collector does.
struct Receiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    _runtime: Runtime,
}

impl Receiver {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let bodies = Arc::<Mutex<Vec<Bytes>>>::default();
        let taken = Arc::clone(&bodies);
        let take = move |body: Bytes| async move { taken.lock().unwrap().push(body) };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/v1/traces", post(take));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, bodies, _runtime: runtime }
    }

    /// Every span with its attributes, and the names of the services.
    fn spans(&self) -> (Vec<Told>, BTreeSet<String>) {
        let (mut spans, mut services) = (Vec::new(), BTreeSet::new());
        for body in self.bodies.lock().unwrap().iter() {
            for resource in ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                services.extend(attributes.into_iter().filter(|it| it.key == "service.name").map(|it| text(it.value)));
                for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    let told = span.attributes.iter().map(|it| (it.key.clone(), text(it.value.clone()))).collect();
                    spans.push((span, told));
                }
            }
        }
        (spans, services)
    }
}

fn text(value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Any::StringValue(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.concat()
}

fn request(method: &str, mut params: Value, parent: bool) -> Value {
    if parent {
        params["_meta"] = json!({"traceparent": format!("00-{TRACE}-{PARENT}-01")});
    }
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

#[test]
fn requests_are_spans_by_the_conventions_in_the_trace_of_their_client() {
    let receiver = Receiver::start();
    let endpoint = format!("--otlp-endpoint=http://{}", receiver.address);
    let mut server = Server::start(DEMO, &[&endpoint]);
    let wait = |number: Value| json!({"name": "wait", "arguments": {"number": number}});
    server.post(&[], &request("tools/call", wait(json!(0)), true));
    server.post(&[], &request("tools/call", wait(json!("soon")), true));
    server.post(&[], &request("tools/call", json!({"name": "nothing"}), true));
    server.post(&[("traceparent", &format!("00-{TRACE}-{PARENT}-01"))], &request("tools/list", json!({}), false));
    server.post(&[], &request("resources/read", json!({"uri": "demo://greeting"}), true));
    server.post(&[], &request("prompts/get", json!({"name": "wait_for", "arguments": {"number": "1"}}), true));
    // By another's wish nothing of this one is sent.
    let unsampled = json!({"traceparent": format!("00-{TRACE}-{PARENT}-00")});
    let quiet = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/list", "params": {"_meta": unsampled}});
    server.post(&[], &quiet);
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().code(), Some(0));

    let (spans, services) = receiver.spans();
    assert_eq!(services, BTreeSet::from(["mcp-demo".to_owned()]));
    let told: Vec<_> = spans.iter().map(|(span, _)| span.name.as_str()).collect();
    let names =
        ["tools/call wait", "tools/call wait", "tools/call", "tools/list", "resources/read", "prompts/get wait_for"];
    assert_eq!(told, names);
    for (span, attributes) in &spans {
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
        assert_eq!(span.kind, SpanKind::Server as i32);
        for (name, expected) in
            [("jsonrpc.request.id", "7"), ("network.transport", "tcp"), ("network.protocol.name", "http")]
        {
            assert_eq!(attributes[name], expected, "{attributes:?}");
        }
        assert!(span.name.starts_with(&attributes["mcp.method.name"]), "{attributes:?}");
    }
    let (good, wrong, unknown) = (&spans[0], &spans[1], &spans[2]);
    assert_eq!(
        (good.1["gen_ai.tool.name"].as_str(), good.1["gen_ai.operation.name"].as_str()),
        ("wait", "execute_tool")
    );
    assert!(!good.1.contains_key("error.type") && good.0.status.as_ref().is_none_or(|it| it.code == 0), "{good:?}");
    assert_eq!(wrong.1["error.type"], "tool_error");
    assert_eq!(wrong.0.status.as_ref().unwrap().code, StatusCode::Error as i32);
    assert_eq!(
        (unknown.1["error.type"].as_str(), unknown.1["rpc.response.status_code"].as_str()),
        ("-32602", "-32602")
    );
    assert_eq!(spans[4].1["mcp.resource.uri"], "demo://greeting");
    assert_eq!(spans[5].1["gen_ai.prompt.name"], "wait_for");
}

#[test]
fn without_an_endpoint_there_are_no_spans_and_the_durations_are_there_all_the_same() {
    let server = Server::start(DEMO, &[]);
    server.call("wait", json!({"number": 0}));
    server.call("wait", json!({"number": "soon"}));
    server.tools();
    let metrics = get(server.health, "/metrics").body;
    for labels in [
        r#"mcp_method_name="tools/call",gen_ai_tool_name="wait",error_type="",network_transport="tcp""#,
        r#"mcp_method_name="tools/call",gen_ai_tool_name="wait",error_type="tool_error",network_transport="tcp""#,
        r#"mcp_method_name="tools/list",gen_ai_tool_name="",error_type="",network_transport="tcp""#,
    ] {
        let line = format!("mcp_server_operation_duration_seconds_count{{{labels}}} 1");
        assert!(metrics.contains(&line), "no {line} in {metrics}");
    }
}

#[test]
fn a_receiver_that_is_not_there_holds_nothing_up() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = Server::start(DEMO, &[&format!("--otlp-endpoint=http://{gone}")]);
    assert_eq!(server.call("wait", json!({"number": 0}))["isError"], false);
    let start = Instant::now();
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn an_endpoint_that_is_no_url_is_told() {
    let output = Command::new(DEMO).args(["--otlp-endpoint=collector:4318"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("http://collector:4318") && told.contains("--otlp-endpoint"), "{told}");
}

/// The names in a text that begin with this and end where no name goes on.
fn names(text: &str, before: &str) -> BTreeSet<String> {
    let found = text.match_indices(before).filter_map(|(at, _)| text.get(at + before.len()..));
    let name = |rest: &str| rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
    found.map(name).filter(|name: &String| name.starts_with("mcp_")).collect()
}

fn file(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_metric_is_in_the_table_and_every_alarm_has_its_metric() {
    let table: BTreeSet<String> = names(&file("docs/servers/metrics.md"), "\n| `");
    let bare = |names: &BTreeSet<String>| -> BTreeSet<String> {
        names.iter().map(|name| name.trim_end_matches("_total").to_owned()).collect()
    };
    let source = include_str!("../src/metrics.rs");
    let source = source.split("#[cfg(test)]").next().unwrap();
    assert_eq!(bare(&table), names(source, "\""), "docs/servers/metrics.md and metrics.rs differ");
    let alarms = names(&file("terraform/modules/observability/alarms.tf"), "\"");
    let missing: Vec<_> = alarms.difference(&table).collect();
    assert!(missing.is_empty(), "alarms watch what nobody publishes: {missing:?}");
}
