//! The whole process against an API server and a trace receiver that are a few lines each: what it tells about itself
//! while it works, and how it ends.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    future::pending,
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::Json,
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Any, trace::v1::Span,
};
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

type Seen<T> = Arc<Mutex<Vec<T>>>;

/// Time for what takes milliseconds on a quiet machine.
const SOON: Duration = Duration::from_secs(30);

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// One McpServer, no children, watches that say nothing; writes are taken and remembered.
async fn api_server() -> (SocketAddr, Seen<String>) {
    let writes: Seen<String> = Arc::default();
    let answer = async |State(writes): State<Seen<String>>, method: Method, uri: Uri, body: Bytes| {
        if uri.query().unwrap_or_default().contains("watch=true") {
            return pending().await;
        }
        let mut object: Value = serde_json::from_slice(&body).unwrap_or_default();
        match method {
            // Lists in one namespace are of the operator's own; the rest are looks at single objects.
            Method::GET if uri.path().contains("/namespaces/") && !uri.path().ends_with("/secrets") => {
                let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"});
                (StatusCode::NOT_FOUND, Json(gone))
            }
            Method::GET => {
                let items = if uri.path().ends_with("/mcpservers") { vec![server()] } else { vec![] };
                (
                    StatusCode::OK,
                    Json(
                        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": items}),
                    ),
                )
            }
            _ => {
                let version = {
                    let mut writes = writes.lock().unwrap();
                    writes.push(uri.path().to_owned());
                    1000 + writes.len()
                };
                object["metadata"]["resourceVersion"] = json!(version.to_string());
                object["metadata"]["uid"] = json!("uid-1");
                if object["kind"] == "McpServer" {
                    object["spec"] = server()["spec"].clone();
                }
                (StatusCode::OK, Json(object))
            }
        }
    };
    (serve(Router::new().fallback(answer).with_state(writes.clone())).await, writes)
}

fn server() -> Value {
    json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "uid": "uid-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"server": {"image": {"ref": "a"}}},
    })
}

/// A running operator.
struct Operator {
    child: Child,
    admin: SocketAddr,
    home: TempDir,
}

impl Operator {
    /// Starts it. Without a receiver it logs more: whatever is logged must not disturb it.
    async fn start(api: SocketAddr, receiver: Option<SocketAddr>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": format!("http://{api}")}}],
            "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        fs::write(home.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mcp-operator"))
            .env("KUBECONFIG", home.path().join("kubeconfig"))
            .env("MCP_EKS_ADMIN_LISTEN", admin.to_string())
            .env("MCP_EKS_LEADER_ELECT", "false")
            .env(
                "MCP_EKS_LOG",
                if receiver.is_some() { "info,mcp_operator::client=debug" } else { "debug,mcp_operator=trace" },
            )
            .env("MCP_EKS_LOG_FORMAT", "json")
            .envs(receiver.map(|receiver| ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{receiver}"))))
            .env("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=operator-1,k8s.namespace.name=mcp-eks-system")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, admin, home }
    }

    /// Waits until a write to a path was seen.
    async fn wrote(&self, writes: &Seen<String>, path: &str) {
        let begun = Instant::now();
        while !writes.lock().unwrap().iter().any(|write| write.ends_with(path)) {
            assert!(begun.elapsed() < SOON, "{:?}; log: {}", writes.lock().unwrap(), self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// One request to the admin port, sent to `host` by name.
    async fn ask(&self, method: &str, path: &str, host: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A body that is refused unread may end the connection under the writer.
        let _ = stream.read_to_string(&mut answer).await;
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        (code, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// Ends it with SIGTERM.
    async fn stop(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begun.elapsed());
            }
            assert!(begun.elapsed() < SOON, "it does not end; log: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: Option<Any>) -> String {
    match value {
        Some(Any::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reconcile_is_one_trace_with_a_span_a_call_and_its_log_lines_name_it() {
    let bodies: Seen<Bytes> = Arc::default();
    let receive = post(async |State(bodies): State<Seen<Bytes>>, body: Bytes| bodies.lock().unwrap().push(body));
    let receiver = serve(Router::new().route("/v1/traces", receive).with_state(bodies.clone())).await;
    let (api, writes) = api_server().await;
    let mut operator = Operator::start(api, Some(receiver)).await;
    operator.wrote(&writes, "/mcpservers/files/status").await;
    sleep(Duration::from_millis(500)).await;
    let (status, _) = operator.stop().await;
    assert!(status.success(), "{status}");

    let mut spans: Vec<Span> = Vec::new();
    for body in bodies.lock().unwrap().iter() {
        for resource in ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let named = |key: &str| {
                let found = attributes.iter().find(|attribute| attribute.key == key);
                text(found.and_then(|attribute| attribute.value.clone()?.value))
            };
            assert_eq!(named("service.name"), "mcp-eks-operator");
            assert_eq!(
                (named("k8s.pod.name"), named("k8s.namespace.name")),
                ("operator-1".into(), "mcp-eks-system".into())
            );
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert!(!roots.is_empty() && roots.iter().all(|root| root.name == "reconcile"), "{roots:?}");
    let first = roots.iter().min_by_key(|root| root.start_time_unix_nano).unwrap();
    let calls = spans.iter().filter(|span| span.parent_span_id == first.span_id).count();
    assert_eq!(calls, 6, "a write for each of five children, and a status: {spans:#?}");
    let trace = opentelemetry::TraceId::from_bytes(first.trace_id.clone().try_into().unwrap()).to_string();
    let lines: Vec<Value> = operator.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_trace =
        lines.iter().filter(|line| line["trace_id"] == trace.as_str() && line["span_id"].is_string()).count();
    assert!(of_trace >= calls, "{}", operator.log());
    assert!(lines[0]["trace_id"].is_null() && lines[0]["message"] == "starting", "{}", lines[0]);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_nothing_up() {
    let receiver = serve(Router::new().fallback(pending::<()>)).await;
    let (api, writes) = api_server().await;
    let mut operator = Operator::start(api, Some(receiver)).await;
    operator.wrote(&writes, "/mcpservers/files/status").await;
    let (status, took) = operator.stop().await;
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}: {}", operator.log());
}

#[tokio::test]
async fn the_admin_port_tells_what_it_does_and_changes_the_log_level() {
    let (api, writes) = api_server().await;
    let operator = Operator::start(api, None).await;
    operator.wrote(&writes, "/mcpservers/files/status").await;
    sleep(Duration::from_millis(500)).await;

    let (code, metrics) = operator.ask("GET", "/metrics", "10.0.0.7:8081", "").await;
    assert_eq!(code, 200);
    for begin in [
        "controller_runtime_reconcile_total{controller=\"mcpserver\",result=\"success\"} ",
        &format!("rest_client_requests_total{{code=\"200\",method=\"PATCH\",host=\"{api}\"}} "),
        "mcp_eks_cached_objects{kind=\"mcpservers\"} 1",
        "process_resident_memory_bytes ",
        "operator_mcpserver_status_condition_transitions_total{type=\"Accepted\",status=\"True\",reason=\"Valid\"} 1",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(begin)), "{begin} is not in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));

    let (code, state) = operator.ask("GET", "/debug/state", "localhost:8081", "").await;
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((code, &state["version"]), (200, &json!(env!("CARGO_PKG_VERSION"))));
    let servers = json!({"kind": "mcpservers", "listed": true, "objects": 1});
    assert!(state["kinds"].as_array().unwrap().contains(&servers), "{state}");
    let (code, why) = operator.ask("GET", "/debug/state", "attacker.example", "").await;
    assert!(code == 403 && why.contains("port-forward"), "{code} {why}");

    let put = async |body: &str| operator.ask("PUT", "/debug/log", "localhost", body).await;
    let (code, why) = put("mcp_operator=loud").await;
    assert!(code == 400 && why.contains("mcp_operator=loud") && why.contains("expected directives"), "{code} {why}");
    let (code, why) = put("  ").await;
    assert!(code == 400 && why.contains("expected directives"), "{code} {why}");
    assert_eq!(put(&"a".repeat(5000)).await.0, 413);
    // The change to `error` is too quiet to be logged, that to `info` is not.
    assert_eq!(put("error").await, (200, "error\n".to_owned()));
    assert_eq!(operator.ask("GET", "/debug/log", "localhost", "").await, (200, "error\n".to_owned()));
    assert_eq!(put("info").await.0, 200);
    let log = operator.log();
    let changes: Vec<_> = log.lines().filter(|line| line.contains("log level changed")).collect();
    assert!(matches!(changes.as_slice(), [change] if change.contains("\"now\":\"info\"")), "{changes:?}");
}
