//! The real binary over real HTTP and stdio: both eras, refusals, settings, shutdown.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

#[path = "../../kit/tests/support/mod.rs"]
mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Answer, Server, connect, exchange, get};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-filesystem");

fn root() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("hello.txt"), "hello\n").unwrap();
    let argument = format!("--root=data={}", directory.path().display());
    (directory, argument)
}

fn server(arguments: &[&str]) -> (TempDir, Server) {
    let (directory, root) = root();
    let arguments: Vec<&str> = [root.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    let server = Server::start(BINARY, &arguments);
    (directory, server)
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn refused(answer: &Answer, status: u16, code: i64) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let body = answer.json();
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["error"]["code"], code, "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_revisions_with_initialize_are_spoken() {
    let (_root, server) = server(&[]);
    for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let hello =
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = server.post(&[], &request("initialize", hello));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.head.contains("mcp-session-id"), "stateless: {}", answer.head);
        let result = &answer.json()["result"];
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "mcp-filesystem");
        assert_eq!(result["serverInfo"]["title"], "Filesystem");
        assert_eq!(result["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(result["capabilities"], json!({"tools": {}}));

        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(server.post(&[("mcp-protocol-version", version)], &initialized).status, 202);
        let call = json!({"name": "list_directory", "arguments": {"path": "/data"}});
        let answer = server.post(&[("mcp-protocol-version", version)], &request("tools/call", call));
        assert_eq!(answer.json()["result"]["structuredContent"]["entries"][0]["name"], "hello.txt");
    }
}

#[test]
fn the_stateless_revision_is_spoken() {
    let (_root, server) = server(&[]);
    let discovered = server.modern("server/discover", None, json!({})).json();
    let versions = json!(["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]);
    assert_eq!(discovered["result"]["supportedVersions"], versions);
    let info = &discovered["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info["name"], "mcp-filesystem", "{discovered}");

    let listed = server.modern("tools/list", None, json!({})).json();
    assert_eq!(listed["result"]["resultType"], "complete");
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 10);

    let call = json!({"name": "list_directory", "arguments": {"path": "/data"}});
    let answer = server.modern("tools/call", Some("list_directory"), call.clone());
    assert_eq!(answer.json()["result"]["structuredContent"]["entries"][0]["name"], "hello.txt");

    let mismatch = server.modern("tools/call", Some("read_text_file"), call);
    refused(&mismatch, 400, -32020);
}

#[test]
fn every_accept_header_a_client_sends_is_served() {
    let (_root, server) = server(&[]);
    let list = request("tools/list", json!({})).to_string();
    for accept in [Some("application/json"), Some("*/*"), Some("application/json, text/event-stream"), None] {
        let mut headers = vec![("host", "localhost"), ("content-type", "application/json")];
        headers.extend(accept.map(|accept| ("accept", accept)));
        let answer = server.send(&headers, list.as_bytes());
        assert_eq!(answer.status, 200, "{accept:?}: {answer:?}");
        assert_eq!(answer.json()["result"]["tools"].as_array().unwrap().len(), 10, "{accept:?}");
    }
    for modern in [false, true] {
        let accept = [("accept", "text/event-stream")];
        let answer = if modern {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            let headers = [accept[0], ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
            server.post(&headers, &request("tools/list", json!({"_meta": meta})))
        } else {
            server.post(&accept, &request("tools/list", json!({})))
        };
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
        let data = answer.body.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
        let message: Value = serde_json::from_str(data).unwrap();
        assert_eq!(message["result"]["tools"].as_array().unwrap().len(), 10);
    }
    refused(&server.post(&[("accept", "text/html")], &request("tools/list", json!({}))), 406, -32600);
}

#[test]
fn hosts_that_are_not_allowed_are_refused_by_name() {
    let (_root, server) = server(&["--allowed-hosts=files.team.svc,Files.Example.COM", "--allowed-hosts=10.0.0.7"]);
    let list = request("tools/list", json!({}));
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:80",
        "[::1]:8080",
        "files.team.svc",
        "FILES.team.svc:8080",
        "files.example.com.",
        "10.0.0.7:8080",
    ] {
        assert_eq!(server.post(&[("host", host)], &list).status, 200, "{host}");
    }
    for host in ["evil.example", "files.team.svc.evil.example", "xfiles.team.svc", "10.0.0.8", "localhost.evil.example"]
    {
        let answer = server.post(&[("host", host)], &list);
        let message = refused(&answer, 403, -32600);
        assert!(message.contains(host) && message.contains("--allowed-hosts"), "{message}");
        assert_eq!(answer.json()["error"]["data"], json!({"host": host, "setting": "allowedHosts"}));
    }
    let twice = [("host", "localhost"), ("host", "evil.example"), ("content-type", "application/json")];
    assert_eq!(server.send(&twice, b"{}").status, 400);
    let absolute =
        b"POST http://evil.example/mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(server.address, absolute).status, 403);
}

#[test]
fn a_server_behind_a_service_may_be_called_by_any_address_but_not_by_any_name() {
    let (_root, server) = server(&["--ip-hosts=any"]);
    let list = request("tools/list", json!({}));
    for host in ["10.0.0.8:8080", "[fd00::1]:8080"] {
        assert_eq!(server.post(&[("host", host)], &list).status, 200, "{host}");
    }
    for host in ["evil.example", "10.0.0.8.evil.example", "10.0.0"] {
        refused(&server.post(&[("host", host)], &list), 403, -32600);
    }
    let rebound = [("host", "10.0.0.8"), ("origin", "https://evil.example")];
    refused(&server.post(&rebound, &list), 403, -32600);
}

#[test]
fn foreign_pages_are_refused_and_absent_origins_are_fine() {
    let (_root, server) = server(&["--allowed-origins=https://app.example.com"]);
    let list = request("tools/list", json!({}));
    for origin in
        ["https://app.example.com", "https://APP.example.com:443", "http://localhost:6274", "http://127.0.0.1"]
    {
        assert_eq!(server.post(&[("origin", origin)], &list).status, 200, "{origin}");
    }
    for origin in ["https://evil.example", "http://app.example.com", "https://app.example.com:8443", "null"] {
        let answer = server.post(&[("origin", origin)], &list);
        let message = refused(&answer, 403, -32600);
        assert!(message.contains(origin) && message.contains("--allowed-origins"), "{message}");
    }
}

#[test]
fn health_answers_whatever_the_host() {
    let (_root, server) = server(&[]);
    for (address, path) in [
        (server.address, "/health"),
        (server.address, "/ready"),
        (server.health, "/livez"),
        (server.health, "/readyz"),
        (server.health, "/metrics"),
    ] {
        assert_eq!(get(address, path).status, 200, "{path}");
    }
    let lost = get(server.address, "/");
    assert!(refused(&lost, 404, -32600).contains("MCP is at /mcp"));
    let metrics = get(server.health, "/metrics").body;
    assert!(metrics.contains("mcp_up 1") && metrics.ends_with("# EOF\n"), "{metrics}");
}

#[test]
fn what_is_no_message_is_refused_as_json_rpc() {
    let (_root, server) = server(&[]);
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    for (body, code) in [
        ("{nope", -32700),
        ("", -32700),
        ("{\"jsonrpc\":\"2.0\"", -32700),
        ("\u{0}", -32700),
        ("[]", -32600),
        ("[1]", -32600),
        ("[[]]", -32600),
        ("\"text\"", -32600),
        ("{}", -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
    ] {
        refused(&server.send(&headers, body.as_bytes()), 400, code);
    }
    let deep = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{}", "[".repeat(100_000));
    refused(&server.send(&headers, deep.as_bytes()), 400, -32700);
    let other = [("host", "localhost"), ("content-type", "text/plain")];
    refused(&server.send(&other, b"{}"), 415, -32600);
    let foreign = get(server.address, "/mcp");
    assert_eq!(foreign.status, 403, "GET /mcp from a foreign host is refused like any other: {foreign:?}");
    let get = exchange(server.address, b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    refused(&get, 405, -32600);
    assert!(get.head.contains("allow: post"), "{}", get.head);
}

#[test]
fn large_bodies_are_refused_before_and_while_they_are_read() {
    let (_root, server) = server(&[]);
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let announced = format!("{head}content-length: 300000\r\n\r\n");
    assert_eq!(exchange(server.address, announced.as_bytes()).status, 413);

    let size = 256 * 1024 + 1;
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{size:x}\r\n").into_bytes();
    chunked.resize(chunked.len() + size, b' ');
    refused(&exchange(server.address, &chunked), 413, -32600);

    let call = json!({"name": "list_directory", "arguments": {"path": "/data"}, "padding": "x".repeat(260_000)});
    assert_eq!(server.post(&[], &request("tools/call", call)).status, 200, "just below the limit");
}

#[test]
fn what_the_server_does_not_have_is_not_found() {
    let (_root, server) = server(&[]);
    for method in ["prompts/list", "resources/list", "resources/templates/list", "completion/complete", "no/such"] {
        let params = json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}});
        let answer = server.post(&[], &request(method, params.clone())).json();
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
        refused(&server.modern(method, None, params), 404, -32601);
    }
    for method in ["initialize", "ping"] {
        refused(&server.modern(method, None, json!({})), 404, -32601);
    }
    let unknown = server.post(&[], &request("tools/call", json!({"name": "write_file", "arguments": {}}))).json();
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert!(unknown["error"]["message"].as_str().unwrap().contains("list_directory"), "{unknown}");
    let nameless = server.post(&[], &request("tools/call", json!({"arguments": {}}))).json();
    assert_eq!(nameless["error"]["code"], -32602, "{nameless}");
    let cursor = server.post(&[], &request("tools/list", json!({"cursor": "x"}))).json();
    assert_eq!(cursor["error"]["code"], -32602, "{cursor}");
    assert_eq!(server.post(&[], &request("ping", json!({}))).json()["result"], json!({}));
}

#[test]
fn stdio_speaks_the_protocol_and_nothing_else() {
    let (_directory, root) = root();
    let mut child = Command::new(BINARY)
        .args(["--stdio", "--log=debug", &root])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |message: Value| {
        writeln!(input, "{message}").unwrap();
        let line = output.next().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("not the protocol: {line}"))
    };
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    assert_eq!(ask(request("initialize", hello))["result"]["protocolVersion"], "2025-11-25");
    let listed = ask(request("tools/list", json!({})));
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 10);
    let call = json!({"name": "read_text_file", "arguments": {"path": "/data/hello.txt"}});
    assert_eq!(ask(request("tools/call", call))["result"]["structuredContent"]["content"], "hello\n");
    drop(input);
    assert_eq!(output.next().map(Result::unwrap), None);
    assert!(child.wait().unwrap().success());
}

#[test]
fn stdio_ends_on_sigterm_while_the_client_keeps_the_pipe_open() {
    let (_directory, root) = root();
    let mut child =
        Command::new(BINARY).args(["--stdio", &root]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    writeln!(input, "{}", request("initialize", hello)).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(input);
}

#[test]
fn a_half_sent_request_does_not_outlast_the_drain() {
    let (_root, mut server) = server(&["--drain-seconds=1"]);
    let mut stream = connect(server.address);
    stream.write_all(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-le").unwrap();
    let full = exchange(server.address, b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(full.status, 200);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn one_connection_carries_many_requests() {
    let (_root, server) = server(&[]);
    let mut stream = connect(server.address);
    let body = request("tools/list", json!({})).to_string();
    let one = |close: &str| {
        let length = body.len();
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{close}content-length: {length}\r\n\r\n{body}"
        )
    };
    stream.write_all(one("").as_bytes()).unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stream.write_all(one("connection: close\r\n").as_bytes()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 200 OK"), "{rest}");
}
