//! Consent: a tool that may destroy something asks first, in both eras, on whichever replica.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Server, error_of, get};
use tempfile::TempDir;

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
const ALICE: &str = "the-key-of-alice-0123456789";
const BOB: &str = "the-key-of-bob-0123456789abc";

/// A directory with keys of callers and a key for consent, as replicas mount it.
struct Mount(TempDir);

impl Mount {
    fn new(secret: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = format!("keys: [{{name: alice, key: {ALICE}}}, {{name: bob, key: {BOB}}}]");
        std::fs::write(directory.path().join("keys.yaml"), keys).unwrap();
        std::fs::write(directory.path().join("consent"), [secret; 32]).unwrap();
        Self(directory)
    }

    /// What kubelet does when the Secret changes: another file in its place.
    fn change(&self, secret: &[u8]) {
        let new = self.0.path().join("new");
        std::fs::write(&new, secret).unwrap();
        std::fs::rename(new, self.0.path().join("consent")).unwrap();
    }

    fn replica(&self) -> Server {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let (keys, secret) =
            (format!("--api-keys={}", path("keys.yaml")), format!("--consent-key={}", path("consent")));
        Server::start(DEMO, &["--writes=consent", &keys, &secret])
    }
}

/// A call of `wipe` by a client without forms.
fn plain(server: &Server, key: &str, arguments: Value) -> Value {
    let params = json!({"name": "wipe", "arguments": arguments});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    server.post(&[("x-api-key", key)], &body).json()
}

/// A request of 2026-07-28 by a client that shows forms, with what else belongs to its params.
fn round(server: &Server, key: &str, tool: &str, arguments: Value, more: Value) -> Value {
    let mut params = json!({"name": tool, "arguments": arguments, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    }});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool), ("x-api-key", key)];
    server.post(&headers, &body).json()
}

fn state(asked: &Value) -> String {
    asked["result"]["requestState"].as_str().unwrap_or_else(|| panic!("no state in {asked}")).to_owned()
}

fn yes(state: &str) -> Value {
    json!({"requestState": state, "inputResponses": {"consent": {"action": "accept", "content": {"agree": true}}}})
}

fn token(asked: &Value) -> String {
    let token = &asked["result"]["structuredContent"]["consent_needed"]["consent_token"];
    token.as_str().unwrap_or_else(|| panic!("no token in {asked}")).to_owned()
}

fn done(answer: &Value) -> bool {
    answer["result"]["isError"] == json!(false) && answer["result"]["structuredContent"] == json!({"said": "done"})
}

#[test]
fn consent_begun_on_one_replica_completes_on_another() {
    let mount = Mount::new(7);
    let (one, two) = (mount.replica(), mount.replica());
    let asked = round(&one, ALICE, "wipe", json!({"number": 3}), json!({}));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let question = &asked["result"]["inputRequests"]["consent"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    assert!(question["params"]["message"].as_str().unwrap().contains(r#"{"number":3}"#), "{asked}");
    let answer = round(&two, ALICE, "wipe", json!({"number": 3}), yes(&state(&asked)));
    assert!(done(&answer), "{answer}");

    let asked = plain(&one, ALICE, json!({"number": 3}));
    assert_eq!(asked["result"]["isError"], false, "{asked}");
    assert!(asked["result"]["content"][0]["text"].as_str().unwrap().contains("Nothing was done yet"), "{asked}");
    let answer = plain(&two, ALICE, json!({"number": 3, "consent_token": token(&asked)}));
    assert!(done(&answer), "{answer}");
}

#[test]
fn a_changed_key_counts_without_a_restart_and_a_broken_one_changes_nothing() {
    let (mount, reference) = (Mount::new(7), Mount::new(8).replica());
    let server = mount.replica();
    let with = |token: &str| json!({"number": 1, "consent_token": token});
    let ask = || token(&plain(&server, ALICE, json!({"number": 1})));
    let before = ask();
    assert!(!done(&plain(&reference, ALICE, with(&before))), "they have the same key already");
    mount.change(&[8; 32]);
    let start = Instant::now();
    while !done(&plain(&reference, ALICE, with(&ask()))) {
        assert!(start.elapsed() < Duration::from_secs(30), "the new key is not picked up");
        sleep(Duration::from_millis(200));
    }
    let answer = plain(&server, ALICE, with(&before));
    assert!(error_of(&answer["result"]).contains("or the server's key was"), "{answer}");
    mount.change(b"too short");
    // Longer than it takes to look again.
    sleep(Duration::from_secs(4));
    assert!(done(&plain(&reference, ALICE, with(&ask()))), "the key of before stays");
}

#[test]
fn a_client_without_forms_is_asked_by_an_answer_in_either_era() {
    let server = Server::start(DEMO, &["--writes=consent"]);
    let params = json!({"name": "wipe", "arguments": {"number": 0}});
    let asked = server.modern("tools/call", Some("wipe"), params).json();
    let params = json!({"name": "wipe", "arguments": {"number": 0, "consent_token": token(&asked)}});
    assert!(done(&server.modern("tools/call", Some("wipe"), params).json()));
}

#[test]
fn tools_that_destroy_nothing_do_not_ask() {
    let server = Server::start(DEMO, &["--writes=consent"]);
    for name in ["put", "wait", "trade"] {
        assert_eq!(server.call(name, json!({"number": 0}))["structuredContent"], json!({"said": "done"}), "{name}");
    }
    let server = Server::start(DEMO, &["--writes=allow"]);
    assert_eq!(server.call("wipe", json!({"number": 0}))["structuredContent"], json!({"said": "done"}));
}

#[test]
fn a_token_counts_for_its_caller_and_its_arguments_once_under_its_key() {
    let mount = Mount::new(7);
    let (server, stranger) = (mount.replica(), Mount::new(8).replica());
    let good = token(&plain(&server, ALICE, json!({"number": 1})));
    let with = |number: u32, token: &str| json!({"number": number, "consent_token": token});
    let tampered = format!("{}{}", &good[..good.len() - 2], if good.ends_with("AA") { "BB" } else { "AA" });
    for (what, answer, told) in [
        ("other arguments", plain(&server, ALICE, with(2, &good)), "other arguments"),
        ("another caller", plain(&server, BOB, with(1, &good)), "another caller"),
        ("another key", plain(&stranger, ALICE, with(1, &good)), "not given out by this server"),
        ("tampered", plain(&server, ALICE, with(1, &tampered)), "not given out by this server"),
        ("made up", plain(&server, ALICE, with(1, "true")), "not given out by this server"),
        ("a yes", plain(&server, ALICE, json!({"number": 1, "consent_token": true})), "expected consent_token as text"),
        ("another name", plain(&server, ALICE, json!({"number": 1, "confirm": true})), "Nothing was done yet"),
    ] {
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(told) && !done(&answer), "{what}: {answer}");
    }
    assert!(done(&plain(&server, ALICE, with(1, &good))), "refusals do not use it up");
    let again = plain(&server, ALICE, with(1, &good));
    assert!(error_of(&again["result"]).contains("used already"), "{again}");
    let metrics = get(server.health, "/metrics").body;
    assert!(metrics.contains(r#"mcp_tool_calls_total{tool="wipe",outcome="consent_asked"} 2"#), "{metrics}");
    assert!(metrics.contains(r#"mcp_tool_calls_total{tool="wipe",outcome="consent_refused"} 6"#), "{metrics}");
}

#[test]
fn a_request_state_counts_for_its_caller_and_its_arguments_once_under_its_key() {
    let mount = Mount::new(7);
    let (server, stranger) = (mount.replica(), Mount::new(8).replica());
    let ask = || state(&round(&server, ALICE, "wipe", json!({"number": 1}), json!({})));
    let good = ask();
    let tampered = format!("{}{}", &good[..good.len() - 2], if good.ends_with("AA") { "BB" } else { "AA" });
    let one = json!({"number": 1});
    for (what, answer, told) in [
        ("other arguments", round(&server, ALICE, "wipe", json!({"number": 2}), yes(&good)), "other arguments"),
        ("another caller", round(&server, BOB, "wipe", one.clone(), yes(&good)), "another caller"),
        ("another key", round(&stranger, ALICE, "wipe", one.clone(), yes(&good)), "not given out by this server"),
        ("tampered", round(&server, ALICE, "wipe", one.clone(), yes(&tampered)), "not given out by this server"),
        ("no answer", round(&server, ALICE, "wipe", one.clone(), json!({"requestState": good})), "no answer"),
    ] {
        assert_eq!(answer["error"]["code"], -32602, "{what}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(told), "{what}: {answer}");
    }
    assert!(done(&round(&server, ALICE, "wipe", one.clone(), yes(&good))), "refusals do not use it up");
    let again = round(&server, ALICE, "wipe", one.clone(), yes(&good));
    assert!(again["error"]["message"].as_str().unwrap().contains("used already"), "{again}");
    for (action, content) in [("decline", json!({})), ("cancel", json!({})), ("accept", json!({"agree": false}))] {
        let said = json!({"consent": {"action": action, "content": content}});
        let said = json!({"requestState": ask(), "inputResponses": said});
        let answer = round(&server, ALICE, "wipe", one.clone(), said);
        assert_eq!(error_of(&answer["result"]), "wipe was not called: the person did not agree", "{action}");
    }
    let unasked = json!({"inputResponses": {"consent": {"action": "accept", "content": {"agree": true}}}});
    let answer = round(&server, ALICE, "wipe", one, unasked);
    assert_eq!(answer["result"]["resultType"], "input_required", "an answer nobody asked for asks: {answer}");
}

#[test]
fn what_asks_says_so_in_its_schemas() {
    let server = Server::start(DEMO, &["--writes=consent"]);
    let tools = server.tools();
    let tool = |name: &str| tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap().clone();
    let asking = tool("wipe");
    assert_eq!(asking["inputSchema"]["properties"]["consent_token"]["type"], "string");
    assert_eq!(asking["inputSchema"]["required"], json!(["number"]));
    assert_eq!(asking["outputSchema"]["type"], "object");
    let asked = server.call("wipe", json!({"number": 0}));
    for result in [&asked["structuredContent"], &json!({"said": "done"})] {
        assert!(jsonschema::is_valid(&asking["outputSchema"], result), "{result}");
    }
    assert!(!jsonschema::is_valid(&asking["outputSchema"], &json!({"other": 1})));
    assert_eq!(tool("put")["inputSchema"]["properties"]["consent_token"], Value::Null);
}

#[test]
fn a_key_that_is_none_is_told_and_nothing_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    for (path, found) in [
        (file("short", &[7; 31]), "31 bytes"),
        (file("long", &[7; 4097]), "too large"),
        ("/no/such/file".to_owned(), "No such file"),
    ] {
        let output = Command::new(DEMO).arg(format!("--consent-key={path}")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(found) && told.contains("32 to 4096 random bytes"), "{told}");
    }
}
