//! Web pages of other origins, and batches: what browsers and clients of revision 2025-03-26 send.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use serde_json::{Value, json};
use world::{Answer, Server, exchange, world_with};

const PAGE: &str = "https://app.example.com";

fn preflight(server: &Server, origin: &str, headers: &str) -> Answer {
    let request = format!(
        "OPTIONS /mcp HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: {headers}\r\nconnection: close\r\n\r\n"
    );
    exchange(server.address, request.as_bytes())
}

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
}

#[test]
fn a_page_of_an_allowed_origin_may_ask_and_call() {
    let world = world_with(&[&format!("--allowed-origins={PAGE}")]);
    for origin in [PAGE, "http://localhost:6274"] {
        let asked = preflight(&world.server, origin, "content-type,mcp-protocol-version,mcp-method,x-other");
        assert_eq!(asked.status, 204, "{asked:?}");
        assert!(asked.head.contains(&format!("access-control-allow-origin: {origin}\r\n")), "{}", asked.head);
        assert!(asked.head.contains("access-control-allow-methods: post"), "{}", asked.head);
        let granted = "access-control-allow-headers: content-type, mcp-protocol-version, mcp-method\r\n";
        assert!(asked.head.contains(granted), "{}", asked.head);
        let called = world.server.post(&[("origin", origin)], &list());
        assert_eq!(called.status, 200);
        assert!(called.head.contains(&format!("access-control-allow-origin: {origin}\r\n")), "{}", called.head);
        assert!(called.head.contains("access-control-expose-headers: mcp-protocol-version,"), "{}", called.head);
        assert!(called.head.contains("vary: origin"), "{}", called.head);
    }
}

#[test]
fn a_page_may_read_why_it_was_refused() {
    let world = world_with(&[&format!("--allowed-origins={PAGE}")]);
    let refused = world.server.post(&[("origin", PAGE), ("content-type", "text/plain")], &list());
    assert_eq!(refused.status, 415);
    assert!(refused.head.contains("access-control-allow-origin: https://app.example.com"), "{}", refused.head);
}

#[test]
fn a_page_of_another_origin_learns_nothing() {
    let world = world_with(&[&format!("--allowed-origins={PAGE}")]);
    for origin in ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"] {
        for answer in
            [preflight(&world.server, origin, "content-type"), world.server.post(&[("origin", origin)], &list())]
        {
            assert_eq!(answer.status, 403, "{origin}: {answer:?}");
            assert!(!answer.head.contains("access-control-"), "{origin}: {}", answer.head);
        }
    }
    let foreign = "OPTIONS /mcp HTTP/1.1\r\nhost: evil.example\r\norigin: https://app.example.com\r\n\
                   access-control-request-method: POST\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(world.server.address, foreign.as_bytes()).status, 403, "the Host is checked first");
}

#[test]
fn options_without_a_question_is_no_preflight() {
    let world = world_with(&[]);
    let plain = "OPTIONS /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(world.server.address, plain.as_bytes()).status, 405);
}

#[test]
fn a_batch_is_answered_in_the_revision_that_has_them() {
    let world = world_with(&[]);
    let call = |id: u32, tool: &str| {
        let params = json!({"name": tool, "arguments": {}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let batch = json!([call(1, "list_allowed_directories"), told, call(2, "no_such_tool"), {"id": 3}]);
    for version in [&[][..], &[("mcp-protocol-version", "2025-03-26")]] {
        let answer = world.server.post(version, &batch);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answers = answer.json();
        let answers = answers.as_array().unwrap();
        assert_eq!(answers.len(), 3, "{answers:?}");
        assert_eq!(answers[0]["id"], 1);
        assert_eq!(answers[0]["result"]["isError"], false);
        assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(2), &json!(-32602)));
        assert_eq!(answers[2]["error"]["code"], -32600, "what is no message does not spoil the others");
    }
    let answer = world.server.post(&[], &json!([told, told]));
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
}

#[test]
fn a_batch_is_refused_where_there_are_none_and_where_it_is_too_much() {
    let world = world_with(&[]);
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let answer = world.server.post(&[("mcp-protocol-version", version)], &json!([list()]));
        assert_eq!(answer.status, 400, "{version}: {answer:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("has no batches"), "{answer:?}");
    }
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
    for (batch, word) in [
        (json!([hello, list()]), "initialize"),
        (json!(vec![list(); 17]), "1 to 16"),
        (json!([]), "1 to 16"),
        (json!([list(), "text"]), "objects"),
    ] {
        let answer = world.server.post(&[], &batch);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(word), "{answer:?}");
    }
}

#[test]
fn the_answers_of_a_batch_have_a_largest_size() {
    let world = world_with(&[]);
    std::fs::write(world.directory.path().join("long.txt"), "x".repeat(50_000)).unwrap();
    let params = json!({"name": "read_text_file", "arguments": {"path": "/data/long.txt"}});
    let batch: Vec<Value> =
        (0..8).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})).collect();
    let answers = world.server.post(&[], &json!(batch)).json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 8, "each is answered");
    assert_eq!(answers[0]["result"]["isError"], false);
    assert!(answers[7]["error"]["message"].as_str().unwrap().contains("alone"), "{}", answers[7]);
}
