//! Sessions of the 2025 revisions: opened, bounded, their opener's alone, ended, and drained.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::{
    fmt::Write as _,
    io::{Read, Write},
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Answer, Server, connect, exchange, get};

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
/// Bounds a wait that only a defect makes long.
const PATIENCE: Duration = Duration::from_secs(30);

fn stateful(more: &[&str]) -> Server {
    let arguments: Vec<&str> = ["--sessions=stateful"].into_iter().chain(more.iter().copied()).collect();
    Server::start(DEMO, &arguments)
}

fn hello() -> Value {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
}

fn call(tool: &str, number: u32) -> Value {
    let params = json!({"name": tool, "arguments": {"number": number}});
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
}

/// A request without a body.
fn bare(server: &Server, method: &str, headers: &[(&str, &str)]) -> Answer {
    exchange(server.address, head(method, headers).as_bytes())
}

fn head(method: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("{method} /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request + "\r\n"
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    line.unwrap_or_else(|| panic!("no session in {}", answer.head)).to_owned()
}

/// Opens a session; answers with its id.
fn open(server: &Server, headers: &[(&str, &str)]) -> String {
    let id = id_of(&server.post(headers, &hello()));
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let headers: Vec<_> = headers.iter().copied().chain([("mcp-session-id", id.as_str())]).collect();
    assert_eq!(server.post(&headers, &ready).status, 202);
    id
}

/// A request in a session, answered in JSON.
fn within(server: &Server, id: &str, body: &Value) -> Answer {
    server.post(&[("mcp-session-id", id), ("accept", "application/json")], body)
}

fn until(what: &str, met: impl Fn() -> bool) {
    let start = Instant::now();
    while !met() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn shows(server: &Server, line: &str) {
    until(line, || get(server.health, "/metrics").body.contains(line));
}

#[test]
fn a_session_lives_from_initialize_to_delete() {
    let server = stateful(&[]);
    let id = open(&server, &[]);
    shows(&server, "mcp_sessions_open 1\n");
    let listed = within(&server, &id, &list());
    assert_eq!(listed.json()["result"]["tools"][0]["name"], "ask", "{listed:?}");
    assert_eq!(within(&server, &id, &call("wait", 0)).json()["result"]["structuredContent"]["said"], "done");
    assert!(bare(&server, "DELETE", &[("mcp-session-id", &id)]).status < 300);
    for again in [
        within(&server, &id, &list()),
        bare(&server, "DELETE", &[("mcp-session-id", &id)]),
        bare(&server, "GET", &[("mcp-session-id", &id), ("accept", "text/event-stream")]),
    ] {
        assert_eq!(again.status, 404, "{again:?}");
        assert!(again.json()["error"]["message"].as_str().unwrap().contains("initialize again"), "{again:?}");
    }
    shows(&server, "mcp_sessions_open 0\n");
    shows(&server, "mcp_sessions_ended_total{reason=\"closed\"} 1\n");
}

#[test]
fn without_a_session_only_initialize_is_served() {
    let server = stateful(&[]);
    for body in [list(), call("wait", 0), json!({"jsonrpc": "2.0", "method": "notifications/initialized"})] {
        let refused = server.post(&[], &body);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json()["error"]["message"].as_str().unwrap().contains("Session ID"), "{refused:?}");
    }
    for made_up in ["x", "00000000-0000-4000-8000-000000000000", "../../etc/passwd"] {
        assert_eq!(within(&server, made_up, &list()).status, 404, "{made_up}");
    }
    assert_eq!(bare(&server, "DELETE", &[]).status, 400);
    let put = bare(&server, "PUT", &[]);
    assert_eq!(put.status, 405);
    assert!(put.head.contains("allow: get, post, delete"), "{}", put.head);
    let asked = [("origin", "http://localhost:6274"), ("access-control-request-method", "DELETE")];
    let preflight = bare(&server, "OPTIONS", &asked);
    assert!(preflight.head.contains("access-control-allow-methods: get, post, delete"), "{}", preflight.head);
}

#[test]
fn there_are_as_many_sessions_as_there_may_be() {
    let server = stateful(&["--max-sessions=2"]);
    let first = open(&server, &[]);
    let _second = open(&server, &[]);
    let refused = server.post(&[], &hello());
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.contains("retry-after: ") && !refused.head.contains("mcp-session-id"), "{}", refused.head);
    assert_eq!(refused.json()["id"], 0);
    assert_eq!(within(&server, &first, &list()).status, 200, "those that are open go on");
    assert!(bare(&server, "DELETE", &[("mcp-session-id", &first)]).status < 300);
    open(&server, &[]);
    shows(&server, "mcp_sessions_refused_total{reason=\"full\"} 1\n");
    shows(&server, "mcp_sessions_open 2\n");
}

#[test]
fn whoever_hangs_up_in_the_middle_leaves_no_place_taken() {
    let server = stateful(&["--max-sessions=1", "--session-idle-seconds=1"]);
    let body = hello().to_string();
    let length = body.len().to_string();
    let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
    for _ in 0..20 {
        let mut stream = connect(server.address);
        stream.write_all((head("POST", &headers) + &body).as_bytes()).unwrap();
        drop(stream);
    }
    until("a place is free again", || server.post(&[], &hello()).status == 200);
}

#[test]
fn a_session_that_is_idle_ends_and_one_that_works_does_not() {
    let server = stateful(&["--session-idle-seconds=1"]);
    let (idle, busy) = (open(&server, &[]), open(&server, &[]));
    // A stream that waits for messages is no work.
    let mut listening = connect(server.address);
    let stream = [("mcp-session-id", idle.as_str()), ("accept", "text/event-stream")];
    listening.write_all(head("GET", &stream).as_bytes()).unwrap();
    let answer = within(&server, &busy, &call("wait", 3_000));
    assert_eq!(answer.json()["result"]["structuredContent"]["said"], "done", "{answer:?}");
    assert_eq!(within(&server, &busy, &list()).status, 200, "a call of 3 s is longer than the limit of 1 s");
    assert_eq!(within(&server, &idle, &list()).status, 404);
    let mut said = String::new();
    listening.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "the stream was there, and ended with its session: {said}");
    shows(&server, "mcp_sessions_ended_total{reason=\"idle\"} ");
}

#[test]
fn a_session_is_its_openers_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    let (alice, bob) = ("the-key-of-alice-0123456789", "the-key-of-bob-0123456789abc");
    std::fs::write(&file, format!("{alice}\n{bob}\n")).unwrap();
    let server = stateful(&[&format!("--api-keys={}", file.display())]);
    let id = open(&server, &[("x-api-key", alice)]);
    let bobs = [("x-api-key", bob), ("mcp-session-id", id.as_str()), ("accept", "text/event-stream")];
    assert_eq!(server.post(&bobs, &list()).status, 404);
    assert_eq!(bare(&server, "GET", &bobs).status, 404);
    assert_eq!(bare(&server, "DELETE", &bobs).status, 404);
    for method in ["GET", "DELETE"] {
        let nobody = bare(&server, method, &[("mcp-session-id", &id), ("accept", "text/event-stream")]);
        assert_eq!(nobody.status, 401, "{method}");
    }
    let alices = [("x-api-key", alice), ("mcp-session-id", id.as_str()), ("accept", "application/json")];
    assert_eq!(server.post(&alices, &list()).status, 200, "it was left alone");
}

#[test]
fn answers_have_the_form_that_the_client_reads() {
    let server = stateful(&[]);
    let id = open(&server, &[("accept", "application/json")]);
    for (accept, kind) in [
        ("application/json", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("*/*", "text/event-stream"),
        ("application/json, text/event-stream", "text/event-stream"),
    ] {
        let answer = server.post(&[("mcp-session-id", &id), ("accept", accept)], &call("wait", 1));
        assert_eq!(answer.status, 200, "{accept}");
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{accept}: {}", answer.head);
        assert!(answer.body.contains(r#""said":"done""#), "{accept}: {answer:?}");
    }
    let failed = within(&server, &id, &call("nothing", 1));
    assert_eq!(failed.json()["error"]["code"], -32602, "{failed:?}");
    let json = bare(&server, "GET", &[("mcp-session-id", &id), ("accept", "application/json")]);
    assert_eq!(json.status, 406, "the stream of a session is no JSON");
    let batch = json!([list(), call("wait", 0)]);
    let early = id_of(&server.post(&[], &{
        let mut hello = hello();
        hello["params"]["protocolVersion"] = json!("2025-03-26");
        hello
    }));
    let answers = within(&server, &early, &batch).json();
    assert_eq!(answers[1]["result"]["structuredContent"]["said"], "done", "{answers}");
}

#[test]
fn clients_of_the_stateless_era_need_no_session_and_get_none() {
    let server = stateful(&["--max-sessions=1"]);
    let _only = open(&server, &[]);
    let answer = server.modern("tools/call", Some("wait"), json!({"name": "wait", "arguments": {"number": 0}}));
    assert_eq!(answer.json()["result"]["structuredContent"]["said"], "done", "{answer:?}");
    assert!(!answer.head.contains("mcp-session-id"), "{}", answer.head);
    assert_eq!(server.modern("server/discover", None, json!({})).status, 200);
    shows(&server, "mcp_sessions_open 1\n");
}

#[test]
fn at_the_end_sessions_live_on_and_none_is_opened() {
    let mut server = stateful(&["--drain-seconds=600"]);
    let id = open(&server, &[]);
    server.signal(Signal::SIGINT);
    until("not ready", || get(server.health, "/readyz").status == 503);
    let refused = server.post(&[], &hello());
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("about to end"), "{refused:?}");
    assert_eq!(within(&server, &id, &call("wait", 100)).status, 200, "its session goes on");
    assert!(bare(&server, "DELETE", &[("mcp-session-id", &id)]).status < 300);
    let start = Instant::now();
    assert_eq!(server.end().code(), Some(0));
    assert!(start.elapsed() < PATIENCE, "with its last session it ends, not with the drain");
}

#[test]
fn a_session_does_not_outlast_the_drain() {
    let mut server = stateful(&["--drain-seconds=2"]);
    let id = open(&server, &[]);
    let mut listening = connect(server.address);
    let stream = [("mcp-session-id", id.as_str()), ("accept", "text/event-stream")];
    listening.write_all(head("GET", &stream).as_bytes()).unwrap();
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "the drain was 2 s, the end came after {:?}", start.elapsed());
}

#[test]
fn wrong_settings_of_sessions_are_told_together() {
    let output = Command::new(DEMO)
        .args(["--sessions=sticky", "--max-sessions=0", "--session-idle-seconds=forever"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for expected in ["3 settings are wrong", "stateless or stateful", "from 1 to 512", "from 1 to 86400"] {
        assert!(told.contains(expected), "no {expected} in {told}");
    }
}
