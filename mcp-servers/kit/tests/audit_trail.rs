//! The audit as its lines tell: who called what, with what, by whose leave, and how it ended.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::{fs::File, path::PathBuf, process::Command};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Server, error_of};
use tempfile::TempDir;

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
const KEYS: &str = "keys:\n- {name: alice, key: correct-horse-battery-staple}\n- {name: bob, key: another-key-of-good-length, scopes: [read]}\n";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A server whose audit goes to a file.
struct Audited {
    home: TempDir,
    server: Server,
}

impl Audited {
    fn start(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let lines = File::create(home.path().join("audit")).unwrap();
        Self { server: Server::start_to(DEMO, arguments, lines), home }
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("audit")
    }

    /// Ends the server in order; all its records.
    fn end(mut self) -> (Vec<Value>, Self) {
        self.server.signal(Signal::SIGINT);
        assert_eq!(self.server.end().code(), Some(0));
        let text = std::fs::read_to_string(self.file()).unwrap();
        (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), self)
    }
}

fn verify(path: &str) -> (Option<i32>, String) {
    let output = Command::new(DEMO).args(["verify-audit", "--file", path]).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_call_that_reads_is_one_record_with_all_that_is_known_of_it() {
    let audited = Audited::start(&[]);
    let params = json!({"name": "wait", "arguments": {"number": 0}});
    let trace = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [
        ("traceparent", trace.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "wait"),
    ];
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = json!({"jsonrpc": "2.0", "id": "a-7", "method": "tools/call", "params": params});
    assert_eq!(audited.server.post(&headers, &request).status, 200);
    let (records, _) = audited.end();
    let record = &records[0];
    for (field, expected) in [
        ("kind", json!("audit")),
        ("sequence", json!(0)),
        ("event", json!("done")),
        ("request", json!("a-7")),
        ("trace", json!(TRACE)),
        ("principal", json!("anonymous")),
        ("client", json!({"name": "test", "version": "1"})),
        ("protocol", json!("2026-07-28")),
        ("transport", json!("tcp")),
        ("server", json!(format!("mcp-demo/{}", env!("CARGO_PKG_VERSION")))),
        ("tool", json!("wait")),
        ("arguments", json!({"number": 0})),
        ("decision", json!("allowed")),
        ("result", json!("ok")),
        ("bytes", json!(15)),
    ] {
        assert_eq!(record[field], expected, "{field} of {record}");
    }
    assert!(record["time"].as_str().unwrap().ends_with("+00:00"), "{record}");
    assert!(record["duration_seconds"].as_f64().unwrap() > 0.0, "{record}");
    assert_eq!(records.last().unwrap()["event"], "closed");
    assert_eq!(records.len(), 2);
}

#[test]
fn a_call_that_changes_something_is_recorded_before_and_after() {
    let audited = Audited::start(&["--writes=allow"]);
    audited.server.call("put", json!({"number": 0}));
    let (records, _) = audited.end();
    let events: Vec<_> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["intended", "done", "closed"]);
    assert_eq!(records[0]["call"], records[1]["call"]);
    assert_eq!(records[0]["arguments"], json!({"number": 0}));
    assert_eq!(records[0]["result"], Value::Null);
    assert_eq!(records[1]["result"], "ok");
}

#[test]
fn a_resource_that_is_read_is_named() {
    let audited = Audited::start(&[]);
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "demo://greeting"}});
    assert_eq!(audited.server.post(&[], &request).status, 200);
    let (records, _) = audited.end();
    assert_eq!((&records[0]["resources"], &records[0]["result"]), (&json!(["demo://greeting"]), &json!("ok")));
}

#[test]
fn refusals_are_recorded_with_their_reason() {
    let home = tempfile::tempdir().unwrap();
    let keys = home.path().join("keys.yaml");
    std::fs::write(&keys, KEYS).unwrap();
    let keys = format!("--api-keys={}", keys.display());
    let audited = Audited::start(&[&keys, "--writes=allow", "--deny-tools=wipe", "--rate-limit=1", "--rate-burst=4"]);
    let call = |tool: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {"number": 0}}});
    let post = |key: &str, tool: &str| {
        let key = format!("Bearer {key}");
        audited.server.post(&[("authorization", &key)], &call(tool)).status
    };
    assert_eq!(audited.server.post(&[], &call("wait")).status, 401);
    assert_eq!(post("a-key-that-nobody-was-given", "wait"), 401);
    assert_eq!(post("another-key-of-good-length", "put"), 403);
    post("correct-horse-battery-staple", "wipe");
    post("correct-horse-battery-staple", "x".repeat(5000).as_str());
    assert_eq!(audited.server.post(&[("host", "evil.example")], &call("wait")).status, 403);
    while post("another-key-of-good-length", "wait") != 429 {}
    let (records, audited) = audited.end();
    let told: Vec<_> = records
        .iter()
        .filter(|record| record["event"] == "refused")
        .map(|record| (record["result"].as_str().unwrap(), record["principal"].as_str().unwrap()))
        .collect();
    let expected = [
        ("no_credentials", "unknown"),
        ("wrong_credentials", "unknown"),
        ("insufficient_scope", "bob"),
        ("unknown_tool", "alice"),
        ("unknown_tool", "alice"),
        ("host_or_origin", "unknown"),
        ("rate_limited", "unknown"),
    ];
    assert_eq!(told, expected, "{records:?}");
    assert_eq!(records[2]["tool"], "put");
    let text = std::fs::read_to_string(audited.file()).unwrap();
    for secret in ["correct-horse", "nobody-was-given", "another-key"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.lines().all(|line| line.len() < 2000), "{text}");
}

#[test]
fn secrets_of_arguments_are_not_in_the_records() {
    let audited = Audited::start(&[]);
    let failed = audited.server.call("wait", json!({"number": 0, "password": "hunter2", "note": "Bearer hunter2"}));
    assert!(error_of(&failed).contains("unknown field"), "{failed}");
    let (records, audited) = audited.end();
    assert_eq!(records[0]["result"], "invalid_arguments");
    assert_eq!(records[0]["arguments"]["password"], "[redacted]");
    assert!(!std::fs::read_to_string(audited.file()).unwrap().contains("hunter2"));
}

#[test]
fn lines_are_verified_and_what_was_done_to_them_is_named() {
    let audited = Audited::start(&["--writes=allow"]);
    for number in 0..3 {
        audited.server.call("put", json!({"number": number}));
    }
    let (records, audited) = audited.end();
    let path = audited.file();
    let (code, told) = verify(path.to_str().unwrap());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("7 records in 1 chains, of which 0 have no end yet"), "{told}");
    let whole = std::fs::read_to_string(&path).unwrap();
    let chain = records[0]["chain"].as_str().unwrap();
    let without: Vec<&str> = whole.lines().enumerate().filter(|(at, _)| *at != 2).map(|(_, line)| line).collect();
    for (tampered, expected) in
        [(whole.replacen("\"put\"", "\"get\"", 1), "record 0 was altered"), (without.join("\n"), "record 2 is missing")]
    {
        std::fs::write(&path, tampered).unwrap();
        let (code, told) = verify(path.to_str().unwrap());
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(&format!("wrong: chain {chain}: {expected}")), "{told}");
    }
}

#[test]
fn a_full_disk_refuses_changes_where_records_are_required_and_reads_go_on() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = Server::start_to(DEMO, &["--writes=allow", "--audit-required=true"], full);
    let refused = server.call("put", json!({"number": 0}));
    assert!(error_of(&refused).contains("put was not called and nothing was changed"), "{refused}");
    assert_eq!(server.call("wait", json!({"number": 0}))["isError"], false);
    let metrics = support::get(server.health, "/metrics").body;
    for line in
        [r#"mcp_tool_calls_total{tool="put",outcome="audit_unavailable"} 1"#, r#"mcp_audit_failing{sink="stdout"} 1"#]
    {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[test]
fn wrong_settings_of_the_audit_are_told_together() {
    let arguments = ["--audit=stdout,paper,cloudwatch-logs,postgres", "--audit-required=perhaps"];
    let output = Command::new(DEMO).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    let logs = if cfg!(feature = "cloudwatch-logs") { "--audit-log-group NAME" } else { "the log agent" };
    for part in ["\"paper\"", logs, "--audit-postgres FILE", "\"perhaps\"", "4 settings are wrong"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}
