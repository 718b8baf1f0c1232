//! The door: names and pages that may not come in, requests of pages, and who shows no key. What each of them would like to do
//! is leave an entry in the store.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    support::{Answer, Server, get},
    world::{World, binary, call, entry, measures, request, start},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");
const KEY: &str = "the-key-of-alice-0123456789";

/// Hosts of a page whose name now leads to this machine.
const REBOUND: [&str; 10] = [
    "attacker.example",
    "attacker.example:8080",
    "localhost.attacker.example",
    "127.0.0.1.attacker.example:8080",
    "notlocalhost",
    "localhost@attacker.example",
    "attacker.example#localhost",
    "0.0.0.0",
    "10.0.0.7",
    "[::ffff:10.0.0.7]:8080",
];

/// The same call in the era without sessions.
fn modern(key: &str) -> Value {
    let mut body = entry(key);
    body["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "page", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    body
}

fn hello() -> Value {
    let client = json!({"name": "page", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

fn forbidden(answer: &Answer, what: &str) {
    assert!(matches!(answer.status, 400 | 403), "{what}: {answer:?}");
    assert!(answer.json()["error"]["message"].is_string(), "{what}: {answer:?}");
    assert!(!answer.head.contains("access-control-allow-origin"), "{what}: {}", answer.head);
}

pub(crate) async fn host(w: &World) -> Result<()> {
    for host in REBOUND {
        for body in [entry("host"), call("kv_list", &json!({})), hello()] {
            let answer = w.custom.send(&[("host", host), JSON, ACCEPT], body.to_string().as_bytes());
            forbidden(&answer, host);
            assert_eq!(answer.status, 403, "{host}");
        }
    }
    w.has_no_entry("host");
    // The names of this machine are good, so it was the name.
    for host in ["localhost", "127.0.0.1", "[::1]:8080"] {
        let answer = w.custom.send(&[("host", host), JSON, ACCEPT], hello().to_string().as_bytes());
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
    Ok(())
}

pub(crate) async fn same(w: &World) -> Result<()> {
    for host in REBOUND {
        let origin = format!("http://{host}");
        let headers = [("host", host), ("origin", origin.as_str()), ("sec-fetch-site", "same-origin"), JSON, ACCEPT];
        forbidden(&w.custom.send(&headers, entry("same").to_string().as_bytes()), host);
        let read = request(&w.custom, "GET", "/mcp", &[("host", host), ("origin", &origin), ACCEPT], "");
        forbidden(&read, host);
    }
    w.has_no_entry("same");
    Ok(())
}

pub(crate) async fn named(w: &World) -> Result<()> {
    let body = modern("named").to_string();
    let era =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "kv_set"), JSON, ACCEPT];
    let with = |target: &str, hosts: &[&str]| {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).chain(era).collect();
        request(&w.custom, "POST", target, &headers, &body)
    };
    for host in REBOUND {
        assert_eq!(with("/mcp", &[host]).status, 403, "{host}");
    }
    // A name that is said twice has to be good both times.
    assert_eq!(with("http://attacker.example/mcp", &["localhost"]).status, 403);
    assert_eq!(with("http://localhost/mcp", &["attacker.example"]).status, 403);
    assert_eq!(with("/mcp", &["localhost", "attacker.example"]).status, 400);
    assert_eq!(with("/mcp", &["attacker.example", "localhost"]).status, 400);
    let forwarded: Vec<_> =
        [("host", "attacker.example"), ("x-forwarded-host", "localhost"), ("forwarded", "host=localhost")].into();
    let headers: Vec<_> = forwarded.into_iter().chain(era).collect();
    assert_eq!(request(&w.custom, "POST", "/mcp", &headers, &body).status, 403, "what a proxy says is not believed");
    w.has_no_entry("named");
    Ok(())
}

/// Origins of pages that were not let in.
const PAGES: [&str; 8] = [
    "http://attacker.example",
    "https://attacker.example:8080",
    "null",
    "http://localhost.attacker.example",
    "http://localhost@attacker.example",
    "http://attacker.example/http://localhost",
    "file://localhost",
    "chrome-extension://abcdefghijklmnop",
];

pub(crate) async fn origin(w: &World) -> Result<()> {
    for page in PAGES {
        let headers = [("host", "localhost"), ("origin", page), JSON, ACCEPT];
        let answer = w.custom.send(&headers, entry("origin").to_string().as_bytes());
        forbidden(&answer, page);
        assert_eq!(answer.status, 403, "{page}");
    }
    let several = [("host", "localhost"), ("origin", "http://localhost"), ("origin", PAGES[0]), JSON, ACCEPT];
    forbidden(&w.custom.send(&several, entry("origin").to_string().as_bytes()), "two origins");
    w.has_no_entry("origin");
    Ok(())
}

pub(crate) async fn simple(w: &World) -> Result<()> {
    // What a form or a script may send anywhere without asking first.
    let kinds =
        ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data", ""];
    let body = entry("simple").to_string();
    for kind in kinds {
        for page in [Some(PAGES[0]), Some("null"), None] {
            let mut headers = vec![("host", "localhost"), ("accept", "*/*"), ("sec-fetch-site", "cross-site")];
            headers.extend((!kind.is_empty()).then_some(("content-type", kind)));
            headers.extend(page.map(|page| ("origin", page)));
            let answer = w.custom.send(&headers, body.as_bytes());
            let expected = if page.is_some() { 403 } else { 415 };
            assert_eq!(answer.status, expected, "{kind:?} {page:?}: {answer:?}");
        }
    }
    // And who asks first, is told no.
    let asks = [("origin", PAGES[0]), ("access-control-request-method", "POST")];
    let preflight = request(&w.custom, "OPTIONS", "/mcp", &asks, "");
    assert!(!preflight.head.contains("access-control-allow"), "{}", preflight.head);
    w.has_no_entry("simple");
    Ok(())
}

pub(crate) async fn stream(_: &World) -> Result<()> {
    let server = start("mcp-custom", &["--weather=off", "--sessions=stateful"]);
    let opened = server.post(&[], &hello());
    let id = opened.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
    for host in REBOUND {
        let answer = server.send(&[("host", host), JSON, ACCEPT], hello().to_string().as_bytes());
        forbidden(&answer, host);
        assert!(!answer.head.contains("mcp-session-id"), "{host}: {}", answer.head);
        // Not even with the id of a session that is there.
        for method in ["GET", "DELETE"] {
            let headers = [("host", host), ("mcp-session-id", id.as_str()), ("accept", "text/event-stream")];
            forbidden(&request(&server, method, "/mcp", &headers, ""), host);
        }
    }
    measures(&server, "mcp_sessions_open 1");
    Ok(())
}

/// A server that asks for a key, and a call that is good for it.
fn guarded() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let keys = format!("--api-keys={}", file.display());
    (directory, start("mcp-custom", &["--weather=off", "--writes=allow", &keys]))
}

fn holds(server: &Server, prefix: &str) -> Value {
    let answer = server.post(&[("x-api-key", KEY)], &call("kv_list", &json!({"prefix": prefix})));
    answer.json()["result"]["structuredContent"]["keys"].clone()
}

pub(crate) async fn credentials(_: &World) -> Result<()> {
    let (_keys, server) = guarded();
    let asked = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let bodies = [
        hello(),
        entry("open"),
        modern("open"),
        asked("tools/list", json!({})),
        asked("server/discover", json!({})),
        asked("resources/list", json!({})),
        asked("prompts/list", json!({})),
        asked("logging/setLevel", json!({"level": "debug"})),
        json!([entry("open")]),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ];
    let wrong = format!("Bearer {}", &KEY[1..]);
    let shown: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "")],
        &[("authorization", &wrong)],
        &[("authorization", "Basic YWxpY2U6")],
        &[("x-api-key", "")],
        &[("cookie", "key=the-key-of-alice-0123456789")],
    ];
    for body in &bodies {
        for headers in shown {
            let answer = server.post(headers, body);
            assert_eq!(answer.status, 401, "{body} {headers:?}: {answer:?}");
            assert!(!answer.body.contains("kv_"), "{answer:?}");
            // The challenge does not repeat what was shown.
            assert!(!answer.head.contains(&KEY[1..]) && !answer.body.contains(&KEY[1..]), "{answer:?}");
        }
    }
    for (address, path) in [(server.address, "/health"), (server.address, "/ready"), (server.health, "/metrics")] {
        let answer = get(address, path);
        assert!(answer.status == 200 && !answer.body.contains(KEY), "{path}: {answer:?}");
    }
    assert_eq!(holds(&server, "open"), json!([]), "no call was made");
    Ok(())
}

pub(crate) async fn second(_: &World) -> Result<()> {
    let (directory, server) = guarded();
    let body = entry("second").to_string();
    for path in [
        "/mcp_message",
        "/mcp/message",
        "/message",
        "/messages",
        "/sse",
        "/mcp/",
        "//mcp",
        "/MCP",
        "/mcp?key=1",
        "/mcp;x",
        "/mcp/..;/mcp",
        "/./mcp",
        "/%6dcp",
        "/health/../mcp",
        "/api/mcp",
        "/",
    ] {
        for method in ["POST", "PUT", "PATCH"] {
            let answer = request(&server, method, path, &[JSON, ACCEPT], &body);
            assert!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
            assert!(!answer.body.contains("\"result\""), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(holds(&server, "second"), json!([]), "no call was made");

    // A list that is empty lets nobody in; a file of keys without a key starts nothing.
    for list in ["--allowed-hosts=", "--allowed-origins="] {
        let server = start("mcp-custom", &["--weather=off", list]);
        for (host, page) in [("attacker.example", "http://localhost"), ("localhost", PAGES[0])] {
            let headers = [("host", host), ("origin", page), JSON, ACCEPT];
            assert_eq!(server.send(&headers, body.as_bytes()).status, 403, "{list} {host} {page}");
        }
    }
    let empty = directory.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let output = std::process::Command::new(binary("mcp-custom"))
        .args(["--weather=off", "--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"])
        .arg(format!("--api-keys={}", empty.display()))
        .output()?;
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
