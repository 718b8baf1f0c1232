//! What a server offers: prompts and resources in both eras, and tools that write only where they may.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{Answer, Server};

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");

fn legacy(server: &Server, method: &str, params: Value) -> Value {
    server.post(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).json()
}

fn modern(server: &Server, method: &str, params: Value) -> Value {
    let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).map(str::to_owned);
    server.modern(method, name.as_deref(), params).json()
}

/// Asks in both eras; answers with what both said.
fn both(server: &Server, method: &str, params: Value, part: &str) -> Value {
    let (old, new) = (legacy(server, method, params.clone()), modern(server, method, params));
    assert_eq!(old.pointer(part), new.pointer(part), "{method}: {old} {new}");
    old.pointer(part).unwrap_or_else(|| panic!("{method}: no {part} in {old}")).clone()
}

#[test]
fn what_there_is_is_announced() {
    let server = Server::start(DEMO, &[]);
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let expected = json!({"tools": {}, "prompts": {}, "resources": {}, "completions": {}});
    assert_eq!(legacy(&server, "initialize", hello)["result"]["capabilities"], expected);
    assert_eq!(modern(&server, "server/discover", json!({}))["result"]["capabilities"], expected);
}

#[test]
fn prompts_are_listed_written_and_completed() {
    let server = Server::start(DEMO, &[]);
    let listed = both(&server, "prompts/list", json!({}), "/result/prompts");
    let arguments = json!([
        {"name": "number", "description": "How long", "required": true},
        {"name": "unit", "description": "Of what", "required": false},
    ]);
    let expected = json!([{
        "name": "wait_for", "title": "Wait for it", "description": "Asks the model to wait", "arguments": arguments,
    }]);
    assert_eq!(listed, expected);
    let asked = json!({"name": "wait_for", "arguments": {"number": "7"}});
    let messages = both(&server, "prompts/get", asked, "/result/messages");
    assert_eq!(messages[0], json!({"role": "user", "content": {"type": "text", "text": "Wait 7 milliseconds"}}));
    assert_eq!(messages[1]["role"], "assistant");
    let typed = json!({"ref": {"type": "ref/prompt", "name": "wait_for"}, "argument": {"name": "unit", "value": "mi"}});
    let completion = both(&server, "completion/complete", typed, "/result/completion");
    assert_eq!(completion, json!({"values": ["milliseconds", "minutes"], "total": 2, "hasMore": false}));
}

#[test]
fn resources_are_listed_and_read() {
    let server = Server::start(DEMO, &[]);
    let uris = |listed: Value, key: &str| -> Vec<String> {
        listed.as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
    };
    let fixed = both(&server, "resources/list", json!({}), "/result/resources");
    assert_eq!(uris(fixed, "uri"), ["demo://greeting", "demo://secret"]);
    let templates = both(&server, "resources/templates/list", json!({}), "/result/resourceTemplates");
    assert_eq!(uris(templates, "uriTemplate"), ["demo://floods/{bytes}", "demo://pixels/{color}"]);
    let greeting = both(&server, "resources/read", json!({"uri": "demo://greeting"}), "/result/contents/0");
    assert_eq!(greeting, json!({"uri": "demo://greeting", "mimeType": "text/plain", "text": "hello"}));
    let pixel = both(&server, "resources/read", json!({"uri": "demo://pixels/light%20blue"}), "/result/contents/0");
    assert_eq!(pixel["mimeType"], "image/gif");
    assert!(pixel["blob"].as_str().unwrap().starts_with("R0lG"), "{pixel}");
}

#[test]
fn what_cannot_be_read_is_told_with_the_code_of_its_era() {
    let server = Server::start(DEMO, &[]);
    for uri in ["demo://nothing", "demo://pixels/green", "demo://pixels/a/b", "file:///etc/passwd", ""] {
        let old = legacy(&server, "resources/read", json!({"uri": uri}));
        assert_eq!((&old["error"]["code"], &old["error"]["data"]["uri"]), (&json!(-32002), &json!(uri)), "{old}");
        let new = modern(&server, "resources/read", json!({"uri": uri}));
        assert_eq!(new["error"]["code"], -32602, "{new}");
    }
    for (uri, told) in
        [("demo://floods/65537", "65537 bytes, more than"), ("demo://floods/x", "failed inside the server")]
    {
        let message = both(&server, "resources/read", json!({"uri": uri}), "/error/message");
        assert!(message.as_str().unwrap().contains(told), "{uri}: {message}");
    }
}

#[test]
fn wrong_questions_about_prompts_and_lists_are_told() {
    let server = Server::start(DEMO, &[]);
    let prompt = json!({"type": "ref/prompt", "name": "wait_for"});
    for (method, params, told) in [
        ("prompts/get", json!({"name": "wait"}), "unknown prompt \"wait\"; the prompts are wait_for"),
        ("prompts/get", json!({"name": "wait_for"}), "number is missing"),
        ("prompts/get", json!({"name": "wait_for", "arguments": {"number": 7}}), "expected number as text"),
        ("prompts/get", json!({"arguments": {}}), "missing or malformed"),
        ("completion/complete", json!({"ref": prompt, "argument": {"name": "x", "value": ""}}), "no argument \"x\""),
        ("prompts/list", json!({"cursor": "x"}), "unknown cursor"),
        ("resources/list", json!({"cursor": "x"}), "unknown cursor"),
        ("resources/read", json!({}), "missing or malformed"),
    ] {
        let answer = legacy(&server, method, params.clone());
        assert_eq!(answer["error"]["code"], -32602, "{method} {params}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(told), "{method} {params}: {answer}");
    }
}

#[test]
fn a_scope_hides_and_refuses_resources_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.yaml");
    let key = "the-key-of-bob-0123456789abc";
    std::fs::write(&file, format!("keys: [{{name: bob, key: {key}, scopes: [read]}}]")).unwrap();
    let server = Server::start(DEMO, &[&format!("--api-keys={}", file.display())]);
    let ask = |method: &str, params: Value| -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        server.post(&[("x-api-key", key)], &body)
    };
    let listed = ask("resources/list", json!({}));
    assert!(listed.body.contains("greeting") && !listed.body.contains("secret"), "{}", listed.body);
    assert_eq!(ask("resources/read", json!({"uri": "demo://greeting"})).status, 200);
    let refused = ask("resources/read", json!({"uri": "demo://secret"}));
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.head.contains("error=\"insufficient_scope\", scope=\"write\""), "{}", refused.head);
}

#[test]
fn tools_that_write_are_there_only_where_they_may() {
    for (settings, put, wipe) in [
        (&[][..], false, false),
        (&["--writes=off"], false, false),
        (&["--writes=consent"], true, true),
        (&["--writes=allow"], true, true),
        (&["--writes=allow", "--deny-tools=wipe"], true, false),
        (&["--writes=off", "--allow-tools=put,wipe,wait,trade"], false, false),
    ] {
        let server = Server::start(DEMO, settings);
        let listed = server.tools();
        let there = |name: &str| listed.as_array().unwrap().iter().any(|tool| tool["name"] == name);
        assert_eq!((there("put"), there("wipe")), (put, wipe), "{settings:?}");
        assert!(there("trade") && there("wait"), "{settings:?}");
        for (name, allowed) in [("put", put), ("wipe", wipe), ("trade", true)] {
            let params = json!({"name": name, "arguments": {"number": 0}});
            for answer in [legacy(&server, "tools/call", params.clone()), modern(&server, "tools/call", params)] {
                let code = &answer["error"]["code"];
                assert_eq!(*code == json!(-32602), !allowed, "{settings:?} {name}: {answer}");
                assert_eq!(answer["result"]["isError"] == json!(false), allowed, "{settings:?} {name}: {answer}");
            }
        }
    }
}

#[test]
fn a_slip_in_writes_opens_nothing() {
    let output = Command::new(DEMO).arg("--writes=yes").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("off, consent or allow") && told.contains("\"yes\""), "{told}");
}
