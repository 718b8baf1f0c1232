//! The direct way to a tool and rmcp answer alike: status, headers and body of well- and ill-formed requests, both eras.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Answer, Server, get};

/// The smallest server on the kit.
const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
const READER: &str = "a-key-that-may-only-read-things";
const WRITER: &str = "a-key-that-may-read-and-write-it";
const MODERN: &str = "2026-07-28";

/// Two servers that differ in nothing but the way.
struct Pair {
    direct: Server,
    by_rmcp: Server,
}

impl Pair {
    fn start(arguments: &[&str]) -> Self {
        let by_rmcp = [arguments, &["--no-direct-path"]].concat();
        Self { direct: Server::start(DEMO, arguments), by_rmcp: Server::start(DEMO, &by_rmcp) }
    }

    /// Asks both, insists on one answer, and returns it.
    fn ask(&self, case: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (direct, by_rmcp) = (self.direct.send(headers, body), self.by_rmcp.send(headers, body));
        assert_eq!(direct.status, by_rmcp.status, "{case}: {direct:?} {by_rmcp:?}");
        assert_eq!(told(&direct), told(&by_rmcp), "{case}");
        assert_eq!(direct.body, by_rmcp.body, "{case}");
        direct
    }
}

/// The headers of an answer but for its time, in an order of our own.
fn told(answer: &Answer) -> Vec<&str> {
    let mut lines: Vec<&str> = answer.head.lines().filter(|line| !line.starts_with("date: ")).collect();
    lines.sort_unstable();
    lines
}

/// How many calls took the direct way.
fn taken(server: &Server) -> u64 {
    let metrics = get(server.health, "/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("mcp_direct_calls_total "));
    line.unwrap_or_else(|| panic!("no counter of direct calls in {metrics}")).parse().unwrap()
}

type Headers<'a> = Vec<(&'a str, &'a str)>;

const USUAL: [(&str, &str); 3] =
    [("host", "localhost"), ("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// The usual headers, where those given do not replace them; a header without a value is left out.
fn with<'a>(headers: &[(&'a str, &'a str)]) -> Headers<'a> {
    let usual = USUAL.into_iter().filter(|(name, _)| !headers.iter().any(|(own, _)| own == name));
    usual.chain(headers.iter().copied()).filter(|(_, value)| !value.is_empty()).collect()
}

fn modern_headers(tool: &str) -> Headers<'_> {
    with(&[("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", tool)])
}

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn call(id: Value, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

fn params(tool: &str, number: u32) -> Value {
    json!({"name": tool, "arguments": {"number": number}})
}

fn modern_params(tool: &str, number: u32) -> Value {
    json!({"name": tool, "arguments": {"number": number}, "_meta": meta()})
}

/// Params with one more field.
fn and(mut params: Value, name: &str, value: Value) -> Value {
    params[name] = value;
    params
}

#[test]
fn plain_calls_take_the_direct_way_and_are_answered_alike() {
    let pair = Pair::start(&[]);
    let ids = [json!(1), json!("one"), json!(-7), json!(9_007_199_254_740_993_i64), json!("\u{2028} \" é")];
    let mut asked = 0;
    for id in ids {
        for version in ["", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let headers = with(&[("mcp-protocol-version", version)]);
            let answer = pair.ask("legacy", &headers, call(id.clone(), params("wait", 0)).to_string().as_bytes());
            assert_eq!(answer.json()["result"]["structuredContent"], json!({"said": "done"}));
            asked += 1;
        }
        let body = call(id.clone(), modern_params("wait", 0)).to_string();
        let answer = pair.ask("modern", &modern_headers("wait"), body.as_bytes());
        assert_eq!(answer.json()["result"]["resultType"], "complete");
        asked += 1;
    }
    // Everything a tool can end in.
    for (tool, number) in
        [("flood", 3), ("flood", 40_000), ("flood", 70_000), ("fall", 0), ("hurry", 60_000), ("ask", 1)]
    {
        let answer = pair.ask(tool, &with(&[]), call(json!(1), params(tool, number)).to_string().as_bytes());
        assert_eq!(answer.status, 200);
        let body = call(json!(1), modern_params(tool, number)).to_string();
        assert_eq!(pair.ask(tool, &modern_headers(tool), body.as_bytes()).status, 200);
        asked += 2;
    }
    // Wrong arguments are the tool's to refuse; the trace context and another Accept are still plain.
    for arguments in [json!({}), json!({"number": "one"}), json!({"number": 1, "other": 2}), json!(null)] {
        let body = call(json!(1), json!({"name": "wait", "arguments": arguments})).to_string();
        pair.ask("arguments", &with(&[]), body.as_bytes());
        asked += 1;
    }
    let traced = and(meta(), "traceparent", json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    let body = call(json!(1), and(params("wait", 0), "_meta", traced)).to_string();
    pair.ask("traced", &modern_headers("wait"), body.as_bytes());
    for accept in ["*/*", "application/json", "text/event-stream;q=0.5, application/json"] {
        pair.ask(accept, &with(&[("accept", accept)]), call(json!(1), params("wait", 0)).to_string().as_bytes());
    }
    asked += 4;
    assert_eq!(taken(&pair.direct), asked);
    assert_eq!(taken(&pair.by_rmcp), 0);
}

#[test]
fn what_is_not_plain_is_left_to_rmcp() {
    let pair = Pair::start(&[]);
    let plain = params("wait", 0);
    let modern = modern_params("wait", 0);
    let in_meta = |name: &str, value: Value| and(plain.clone(), "_meta", and(meta(), name, value));
    let version = "io.modelcontextprotocol/protocolVersion";
    let legacy: Vec<(&str, Headers<'_>, Value)> = vec![
        ("list", vec![], json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})),
        ("ping", vec![], json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})),
        ("notification", vec![], json!({"jsonrpc": "2.0", "method": "tools/call", "params": plain})),
        ("null id", vec![], call(json!(null), plain.clone())),
        ("fraction id", vec![], call(json!(1.5), plain.clone())),
        ("old jsonrpc", vec![], and(call(json!(1), plain.clone()), "jsonrpc", json!("1.0"))),
        ("more fields", vec![], and(call(json!(1), plain.clone()), "extra", json!(1))),
        ("more params", vec![], call(json!(1), and(plain.clone(), "extra", json!(1)))),
        ("a task", vec![], call(json!(1), and(plain.clone(), "task", json!({})))),
        ("a round", vec![], call(json!(1), and(plain.clone(), "requestState", json!("x")))),
        ("progress", vec![], call(json!(1), and(plain.clone(), "_meta", json!({"progressToken": 1})))),
        ("no name", vec![], call(json!(1), json!({"arguments": {}}))),
        ("no params", vec![], json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call"})),
        ("list of params", vec![], call(json!(1), json!(["wait"]))),
        ("text for arguments", vec![], call(json!(1), json!({"name": "wait", "arguments": "x"}))),
        ("unknown tool", vec![], call(json!(1), params("weit", 0))),
        ("a session", vec![("mcp-session-id", "1")], call(json!(1), plain.clone())),
        ("unknown revision", vec![("mcp-protocol-version", "2031-01-01")], call(json!(1), plain.clone())),
        ("first revision", vec![("mcp-protocol-version", "2024-11-05")], call(json!(1), plain.clone())),
        ("modern head", vec![("mcp-protocol-version", MODERN)], call(json!(1), plain.clone())),
        ("modern body", vec![], call(json!(1), modern.clone())),
        ("half a meta", vec![], call(json!(1), and(plain.clone(), "_meta", json!({version: MODERN})))),
    ];
    for (case, headers, body) in legacy {
        pair.ask(case, &with(&headers), body.to_string().as_bytes());
    }
    let name = ("mcp-name", "wait");
    let method = ("mcp-method", "tools/call");
    let head = ("mcp-protocol-version", MODERN);
    let stateless: Vec<(&str, Headers<'_>, Value)> = vec![
        ("no method", vec![head, name], modern.clone()),
        ("other method", vec![head, name, ("mcp-method", "tools/list")], modern.clone()),
        ("two methods", vec![head, name, method, method], modern.clone()),
        ("no name", vec![head, method], modern.clone()),
        ("other name", vec![head, method, ("mcp-name", "fall")], modern.clone()),
        ("two names", vec![head, method, name, ("mcp-name", "fall")], modern.clone()),
        ("encoded name", vec![head, method, ("mcp-name", "=?base64?d2FpdA==?=")], modern.clone()),
        ("older head", vec![("mcp-protocol-version", "2025-11-25"), method, name], modern.clone()),
        ("older body", vec![head, method, name], in_meta(version, json!("2025-11-25"))),
        ("unknown body", vec![head, method, name], in_meta(version, json!("2031-01-01"))),
        ("no capabilities", vec![head, method, name], and(plain.clone(), "_meta", json!({version: MODERN}))),
        (
            "wrong capabilities",
            vec![head, method, name],
            in_meta("io.modelcontextprotocol/clientCapabilities", json!("none")),
        ),
        ("progress", vec![head, method, name], in_meta("progressToken", json!(1))),
        ("log level", vec![head, method, name], in_meta("io.modelcontextprotocol/logLevel", json!("debug"))),
        ("unknown meta", vec![head, method, name], in_meta("example.com/x", json!(1))),
    ];
    for (case, headers, params) in stateless {
        pair.ask(case, &with(&headers), call(json!(1), params).to_string().as_bytes());
    }
    for (case, body) in [
        ("nothing", ""),
        ("half", r#"{"jsonrpc": "2.0", "id": 1"#),
        ("text", "\"x\""),
        ("a number", "7"),
        ("twice the same", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"wait"}}"#),
        ("an empty batch", "[]"),
        (
            "a batch",
            r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","arguments":{"number":0}}}]"#,
        ),
        (
            "escapes",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"w\u0061it","arguments":{"number":0}}}"#,
        ),
        ("no UTF-8", "\u{0}"),
    ] {
        pair.ask(case, &with(&[]), body.as_bytes());
    }
    pair.ask("no UTF-8", &with(&[]), b"{\"jsonrpc\": \"\xff\"}");
    let events = call(json!(1), plain).to_string();
    for accept in ["text/event-stream", "text/html"] {
        pair.ask(accept, &with(&[("accept", accept)]), events.as_bytes());
    }
    assert_eq!(taken(&pair.direct), 0);
}

#[test]
fn whoever_is_refused_is_refused_on_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let keys = keys(directory.path());
    let pair = Pair::start(&[&keys, "--allowed-origins=https://app.example.com", "--deny-tools=fall"]);
    let body = |tool: &str| call(json!(1), params(tool, 0)).to_string();
    let bearer = |key: &str| format!("Bearer {key}");
    let (reader, writer) = (bearer(READER), bearer(WRITER));
    let cases: Vec<(&str, Headers<'_>, &str, u16)> = vec![
        ("no key", vec![], "wait", 401),
        ("wrong key", vec![("authorization", "Bearer wrong")], "wait", 401),
        ("reader reads", vec![("authorization", &reader)], "wait", 200),
        ("reader writes", vec![("authorization", &reader)], "change", 403),
        ("writer writes", vec![("authorization", &writer)], "change", 200),
        ("denied tool", vec![("authorization", &writer)], "fall", 200),
        ("other host", vec![("authorization", &writer), ("host", "evil.example.com")], "wait", 403),
        ("two hosts", vec![("authorization", &writer), ("host", "localhost"), ("host", "localhost")], "wait", 400),
        ("other origin", vec![("authorization", &writer), ("origin", "https://evil.example.com")], "wait", 403),
        ("allowed origin", vec![("authorization", &writer), ("origin", "https://app.example.com")], "wait", 200),
        ("no JSON", vec![("authorization", &writer), ("content-type", "text/plain")], "wait", 415),
    ];
    for (case, headers, tool, status) in cases {
        let answer = pair.ask(case, &with(&headers), body(tool).as_bytes());
        assert_eq!(answer.status, status, "{case}: {answer:?}");
    }
    let large = call(json!(1), json!({"name": "wait", "arguments": {"number": "x".repeat(300 * 1024)}})).to_string();
    assert_eq!(pair.ask("large", &with(&[("authorization", &writer)]), large.as_bytes()).status, 413);
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"wait","arguments":{}}}}}"#, {
            r#"{"number":"#.repeat(500) + "1" + &"}".repeat(500)
        });
    pair.ask("deep", &with(&[("authorization", &writer)]), deep.as_bytes());
    assert!(taken(&pair.direct) > 0);
    for series in ["mcp_tool_calls_total", "mcp_http_requests_total"] {
        let lines = |server: &Server| -> Vec<String> {
            let metrics = get(server.health, "/metrics").body;
            let mut lines: Vec<String> =
                metrics.lines().filter(|line| line.starts_with(series)).map(ToOwned::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(lines(&pair.direct), lines(&pair.by_rmcp), "both count alike");
    }
}

fn keys(directory: &Path) -> String {
    let file = directory.join("keys.yaml");
    let text = format!("keys: [{{name: reader, key: {READER}, scopes: [read]}}, {{name: writer, key: {WRITER}}}]");
    std::fs::write(&file, text).unwrap();
    format!("--api-keys={}", file.display())
}
