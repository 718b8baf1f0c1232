//! The kit around tools that misbehave: time limits, panics, floods, and an end that waits for nobody too long.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;
use support::{Server, connect, error_of, exchange, get, read_answer};

/// The smallest server on the kit.
const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");

fn call_of(tool: &str, number: u32, accept: &str) -> String {
    let body = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": tool, "arguments": {"number": number}}
    })
    .to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: {accept}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until the metrics say so.
fn wait_for(server: &Server, line: &str) {
    let start = Instant::now();
    loop {
        let metrics = get(server.health, "/metrics").body;
        if metrics.contains(line) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no {line} in {metrics}");
    }
}

#[test]
fn a_tool_that_panics_fails_alone() {
    let server = Server::start(DEMO, &[]);
    let failed = server.call("fall", json!({"number": 1}));
    assert_eq!(error_of(&failed), "fall failed inside the server; this is a defect of the server, not of the call");
    assert_eq!(server.call("wait", json!({"number": 0}))["structuredContent"], json!({"said": "done"}));
    let metrics = get(server.health, "/metrics").body;
    assert!(metrics.contains(r#"mcp_tool_calls_total{tool="fall",outcome="panic"} 1"#), "{metrics}");
}

#[test]
fn a_tool_that_takes_too_long_is_stopped() {
    let server = Server::start(DEMO, &[]);
    let failed = server.call("hurry", json!({"number": 60_000}));
    assert_eq!(error_of(&failed), "hurry took longer than 50ms and was stopped; ask for less at once");
}

#[test]
fn an_answer_has_a_largest_size() {
    let server = Server::start(DEMO, &[]);
    let frame = r#"{"said":""}"#.len();
    let largest = 64 * 1024 - frame;
    assert_eq!(server.call("flood", json!({"number": largest}))["isError"], false);
    let failed = server.call("flood", json!({"number": largest + 1}));
    assert!(error_of(&failed).contains("65537 bytes, more than the 65536"), "{failed}");
}

#[test]
fn an_upstream_that_fails_again_and_again_is_left_alone() {
    let server = Server::start(DEMO, &[]);
    for _ in 0..4 {
        assert_eq!(error_of(&server.call("ask", json!({"number": 1}))), "the oracle is silent");
    }
    assert_eq!(server.call("ask", json!({"number": 0}))["isError"], false, "four failures are borne");
    for _ in 0..5 {
        assert_eq!(error_of(&server.call("ask", json!({"number": 1}))), "the oracle is silent");
    }
    for number in [0, 1] {
        let failed = server.call("ask", json!({"number": number}));
        assert!(error_of(&failed).contains("oracle failed several times in a row"), "{failed}");
    }
    assert_eq!(server.call("wait", json!({"number": 0}))["isError"], false, "other tools go on");
    let metrics = get(server.health, "/metrics").body;
    for line in [
        r#"mcp_breaker_state{upstream="oracle",state="open"} 1"#,
        r#"mcp_breaker_state{upstream="oracle",state="closed"} 0"#,
        r#"mcp_breaker_changes_total{upstream="oracle",state="open"} 1"#,
        r#"mcp_tool_calls_total{tool="ask",outcome="breaker_open"} 2"#,
        r#"mcp_tool_calls_total{tool="ask",outcome="upstream_error"} 9"#,
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[test]
fn an_open_event_stream_does_not_outlast_the_drain() {
    let mut server = Server::start(DEMO, &["--drain-seconds=2"]);
    let mut stream = connect(server.address);
    stream.write_all(call_of("wait", 120_000, "text/event-stream").as_bytes()).unwrap();
    wait_for(&server, "mcp_tool_calls_running 1");
    assert_eq!(get(server.health, "/readyz").status, 200);
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "the drain was 2 s, the end came after {:?}", start.elapsed());
}

#[test]
fn a_call_under_way_is_answered_before_the_end() {
    let mut server = Server::start(DEMO, &["--drain-seconds=20"]);
    let mut stream = connect(server.address);
    stream.write_all(call_of("wait", 700, "application/json").as_bytes()).unwrap();
    wait_for(&server, "mcp_tool_calls_running 1");
    // SIGINT has no grace: the listener closes at once, and still the call is answered.
    server.signal(Signal::SIGINT);
    let answer = read_answer(stream);
    assert_eq!(answer.json()["result"]["structuredContent"], json!({"said": "done"}));
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn not_ready_comes_before_the_end_and_calls_are_still_served() {
    let mut server = Server::start(DEMO, &["--drain-seconds=8"]);
    server.signal(Signal::SIGTERM);
    let start = Instant::now();
    while get(server.health, "/readyz").status == 200 && start.elapsed() < Duration::from_secs(5) {}
    assert_eq!(get(server.health, "/readyz").status, 503);
    assert_eq!(get(server.address, "/ready").status, 503);
    assert_eq!(get(server.health, "/livez").status, 200);
    assert_eq!(server.call("wait", json!({"number": 0}))["isError"], false);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(DEMO, &["--drain-seconds=600"]);
    let mut stream = connect(server.address);
    stream.write_all(call_of("wait", 120_000, "text/event-stream").as_bytes()).unwrap();
    wait_for(&server, "mcp_tool_calls_running 1");
    server.signal(Signal::SIGINT);
    while get(server.health, "/readyz").status == 200 {}
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().code(), Some(130));
}

#[test]
fn headers_have_a_largest_size() {
    let server = Server::start(DEMO, &[]);
    let request = format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(exchange(server.address, request.as_bytes()).status, 431);
}

#[test]
fn a_client_that_hangs_up_stops_its_call() {
    let server = Server::start(DEMO, &[]);
    let mut stream = connect(server.address);
    stream.write_all(call_of("wait", 120_000, "application/json").as_bytes()).unwrap();
    wait_for(&server, "mcp_tool_calls_running 1");
    drop(stream);
    wait_for(&server, r#"mcp_tool_calls_total{tool="wait",outcome="cancelled"} 1"#);
}

#[test]
fn an_answer_as_events_carries_the_same_message() {
    let server = Server::start(DEMO, &[]);
    let request = call_of("wait", 0, "text/event-stream").replace("\r\nhost", "\r\nconnection: close\r\nhost");
    let answer = exchange(server.address, request.as_bytes());
    assert!(answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
    let data = answer.body.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
    let message: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(message["result"]["structuredContent"], json!({"said": "done"}));
}

#[test]
fn an_idle_connection_does_not_delay_the_end() {
    let mut server = Server::start(DEMO, &["--drain-seconds=60"]);
    let mut idle = connect(server.address);
    idle.write_all(call_of("wait", 0, "application/json").as_bytes()).unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let start = Instant::now();
    server.signal(Signal::SIGINT);
    assert_eq!(server.end().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
