//! The door: API keys, scopes, rate limits, and tools that are not there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Answer, Server, get};

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
const ALICE: &str = "the-key-of-alice-0123456789";
const BOB: &str = "the-key-of-bob-0123456789abc";

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
}

fn call(tool: &str) -> Value {
    let params = json!({"name": tool, "arguments": {"number": 0}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

fn with(server: &Server, key: &str, body: &Value) -> Answer {
    server.post(&[("authorization", &format!("Bearer {key}"))], body)
}

/// A server with two keys; Bob may only read.
fn guarded(more: &[&str]) -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.yaml");
    std::fs::write(&file, format!("keys: [{{name: alice, key: {ALICE}}}, {{name: bob, key: {BOB}, scopes: [read]}}]"))
        .unwrap();
    let keys = format!("--api-keys={}", file.display());
    let arguments: Vec<&str> = [keys.as_str()].into_iter().chain(more.iter().copied()).collect();
    (directory, Server::start(DEMO, &arguments))
}

#[test]
fn without_a_key_nothing_is_served_but_health() {
    let (_keys, server) = guarded(&[]);
    for headers in [&[][..], &[("authorization", "Basic YWxpY2U6eA==")], &[("authorization", ALICE)]] {
        let answer = server.post(headers, &list());
        assert_eq!(answer.status, 401, "{headers:?}: {answer:?}");
        assert!(answer.head.contains("www-authenticate: bearer realm=\"mcp\"\r\n"), "{}", answer.head);
        assert_eq!(answer.json()["error"]["code"], -32600);
    }
    assert_eq!(get(server.address, "/health").status, 200);
    assert_eq!(get(server.address, "/ready").status, 200);
}

#[test]
fn a_wrong_key_is_told_from_none_and_a_right_one_opens() {
    let (_keys, server) = guarded(&[]);
    for wrong in ["x", &ALICE[1..], &format!("{ALICE}0"), &ALICE.to_uppercase()] {
        let answer = with(&server, wrong, &list());
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.head.contains("error=\"invalid_token\""), "{wrong}: {}", answer.head);
    }
    assert_eq!(with(&server, ALICE, &list()).status, 200);
    assert_eq!(server.post(&[("authorization", &format!("bEaReR {ALICE}"))], &list()).status, 200);
    assert_eq!(server.post(&[("x-api-key", ALICE)], &list()).status, 200);
}

#[test]
fn a_tool_is_told_whose_key_it_was() {
    let whoami = |answer: Answer| answer.json()["result"]["structuredContent"]["said"].clone();
    let (_keys, server) = guarded(&[]);
    assert_eq!(whoami(with(&server, ALICE, &call("whoami"))), "alice");
    assert_eq!(whoami(with(&server, BOB, &call("whoami"))), "bob");
    assert_eq!(whoami(Server::start(DEMO, &[]).post(&[], &call("whoami"))), "anonymous");
}

#[test]
fn a_page_may_ask_before_it_has_a_key_and_read_that_it_needs_one() {
    let (_keys, server) = guarded(&["--allowed-origins=https://app.example.com"]);
    let answer = server.post(&[("origin", "https://app.example.com")], &list());
    assert_eq!(answer.status, 401);
    assert!(answer.head.contains("access-control-allow-origin: https://app.example.com"), "{}", answer.head);
    let asked = "OPTIONS /mcp HTTP/1.1\r\nhost: localhost\r\norigin: https://app.example.com\r\n\
                 access-control-request-method: POST\r\nconnection: close\r\n\r\n";
    assert_eq!(support::exchange(server.address, asked.as_bytes()).status, 204);
}

#[test]
fn a_key_sees_and_calls_the_tools_of_its_scopes_and_no_others() {
    let (_keys, server) = guarded(&[]);
    let names = |key| {
        let listed = with(&server, key, &list()).json();
        let tools = listed["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(ALICE), ["ask", "change", "fall", "flood", "hurry", "trade", "wait", "whoami"]);
    assert_eq!(names(BOB), ["ask", "fall", "flood", "hurry", "wait", "whoami"]);
    assert_eq!(with(&server, BOB, &call("wait")).json()["result"]["isError"], false);
    assert_eq!(with(&server, ALICE, &call("change")).json()["result"]["isError"], false);
    let refused = with(&server, BOB, &call("change"));
    assert_eq!(refused.status, 403, "{refused:?}");
    let challenge = "www-authenticate: bearer realm=\"mcp\", error=\"insufficient_scope\", scope=\"write\"";
    assert!(refused.head.contains(challenge), "{}", refused.head);
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("\"bob\""), "{refused:?}");
    let unknown = with(&server, BOB, &call("nothing")).json();
    assert!(!unknown["error"]["message"].as_str().unwrap().contains("change"), "{unknown}");
}

#[test]
fn a_scope_is_missed_in_every_form_of_a_call() {
    let (_keys, server) = guarded(&[]);
    let bearer = format!("Bearer {BOB}");
    let batch = server.post(&[("authorization", &bearer)], &json!([call("change"), call("wait")])).json();
    assert!(batch[0]["error"]["message"].as_str().unwrap().contains("scope"), "{batch}");
    assert_eq!(batch[1]["result"]["isError"], false);
    let events = server.post(&[("authorization", &bearer), ("accept", "text/event-stream")], &call("change"));
    assert!(events.body.contains("needs the scope") && !events.body.contains("done"), "{}", events.body);
    let metrics = get(server.health, "/metrics").body;
    assert!(metrics.contains(r#"mcp_tool_calls_total{tool="change",outcome="forbidden"} 2"#), "{metrics}");
}

#[test]
fn keys_are_exchanged_without_a_restart_and_a_broken_file_changes_nothing() {
    let (directory, server) = guarded(&[]);
    let file = directory.path().join("keys.yaml");
    let until = |key: &str, status: u16| {
        let start = Instant::now();
        while with(&server, key, &list()).status != status {
            assert!(start.elapsed() < Duration::from_mins(1), "{key} is still not {status}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let next = "a-new-key-of-alice-0123456789";
    std::fs::write(&file, format!("keys: [{{name: alice, key: {ALICE}}}, {{name: alice-2, key: {next}}}]")).unwrap();
    until(next, 200);
    assert_eq!(with(&server, ALICE, &list()).status, 200, "both are good while clients change over");
    assert_eq!(with(&server, BOB, &list()).status, 401, "what left the file is refused");
    std::fs::write(&file, "keys: [").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(with(&server, next, &list()).status, 200);
    std::fs::write(&file, format!("keys: [{{name: alice-2, key: {next}}}]")).unwrap();
    until(ALICE, 401);
}

#[test]
fn each_key_has_a_rate_of_its_own() {
    let (_keys, server) = guarded(&["--rate-limit=1", "--rate-burst=3"]);
    let answers: Vec<Answer> = (0..12).map(|_| with(&server, ALICE, &list())).collect();
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(answers[..3].iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(!refused.is_empty());
    assert!(refused[0].head.contains("retry-after: 1") || refused[0].head.contains("retry-after: 2"), "{refused:?}");
    assert_eq!(with(&server, BOB, &list()).status, 200, "another key is not slowed down");
    assert_eq!(with(&server, BOB, &json!([list(), list(), list()])).status, 429, "a batch counts as what is in it");
}

#[test]
fn without_keys_all_callers_share_the_rate() {
    let server = Server::start(DEMO, &["--rate-limit=1"]);
    let refused = (0..8).filter(|_| server.post(&[], &list()).status == 429).count();
    assert!(refused > 0);
}

#[test]
fn a_tool_that_is_gated_is_neither_listed_nor_called() {
    for (setting, left) in [("--deny-tools=fall,change", "flood"), ("--allow-tools=flood,wait", "wait")] {
        let server = Server::start(DEMO, &[setting]);
        let names = server.tools().to_string();
        assert!(!names.contains("\"fall\"") && names.contains(left), "{names}");
        let answer = server.post(&[], &call("fall")).json();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert_eq!(server.modern("tools/call", Some("fall"), json!({"name": "fall"})).json()["error"]["code"], -32602);
    }
    let server = Server::start(DEMO, &["--allow-tools=wait,fall", "--deny-tools=fall"]);
    assert_eq!(server.tools().as_array().unwrap().len(), 1, "deny wins");
}

#[test]
fn wrong_settings_of_the_door_are_told_and_nothing_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.yaml");
    std::fs::write(&file, "keys: [{name: a, key: hunter2}]").unwrap();
    let output = Command::new(DEMO)
        .arg(format!("--api-keys={}", file.display()))
        .args(["--rate-burst=2", "--deny-tools=fell", "--allow-tools=wait,weit"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for expected in
        ["4 settings are wrong", "22 characters", "--rate-limit", "\"fell\"", "\"weit\"", "ask, change, fall"]
    {
        assert!(told.contains(expected), "no {expected} in {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}
