//! Messages: keys that are nearly those of the protocol, and bodies without end.

use std::io::{Read, Write};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    support::{Answer, connect},
    world::{World, entry},
};

/// Sends a message as it is written; it has to be refused, or to be answered for what its real keys say.
fn sent(w: &World, body: &str) -> Answer {
    let headers = [("host", "localhost"), ("content-type", "application/json"), ("accept", "application/json")];
    let answer = w.custom.send(&headers, body.as_bytes());
    assert!(answer.status < 500, "{body}: {answer:?}");
    assert!(!answer.body.contains("structuredContent"), "a tool was called by {body}: {answer:?}");
    answer
}

/// Messages that call the tool for whoever takes `disguise` of a key for the key.
fn disguised(key: &str, disguise: impl Fn(&str) -> String) -> Vec<String> {
    let whole = entry(key);
    let params = &whole["params"];
    let name = |key: &str| Value::String(disguise(key)).to_string();
    let arguments = &params["arguments"];
    vec![
        // Nothing but the disguised key.
        format!(r#"{{"jsonrpc":"2.0","id":1,{}:"tools/call","params":{params}}}"#, name("method")),
        format!(r#"{{{}:"2.0","id":1,"method":"tools/call","params":{params}}}"#, name("jsonrpc")),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{}:{params}}}"#, name("params")),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{}:"kv_set","arguments":{arguments}}}}}"#,
            name("name")
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"kv_set",{}:{arguments}}}}}"#,
            name("arguments")
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"kv_set","arguments":{{{}:{},"value":"owned"}}}}}}"#,
            name("key"),
            arguments["key"]
        ),
        // The real key says something harmless, for whoever inspects it on the way.
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping",{}:"tools/call","params":{params}}}"#, name("method")),
        format!(r#"{{"jsonrpc":"2.0","id":1,{}:"tools/call","method":"ping","params":{params}}}"#, name("method")),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"nothing",{}:"kv_set","arguments":{arguments}}}}}"#,
            name("name")
        ),
    ]
}

pub(crate) async fn letters(w: &World) -> Result<()> {
    let capital = |key: &str| key[..1].to_uppercase() + &key[1..];
    let folded = |key: &str| key.replace('s', "\u{17f}").replace('k', "\u{212a}");
    for body in disguised("letters", str::to_uppercase) {
        sent(w, &body);
    }
    for body in disguised("letters", capital) {
        sent(w, &body);
    }
    // Letters that fold to s and k; a key without them is the real one, and its call would be right.
    for body in disguised("letters", folded).iter().filter(|body| body.contains(['\u{17f}', '\u{212a}'])) {
        sent(w, body);
    }
    w.has_no_entry("letters");
    Ok(())
}

pub(crate) async fn nul(w: &World) -> Result<()> {
    for body in disguised("nul", |key| format!("{key}\0")) {
        assert!(body.contains("\\u0000"), "{body}");
        sent(w, &body);
    }
    // What the advisory needs besides: the same key twice, the last one wins.
    for body in disguised("nul", str::to_owned).into_iter().skip(6) {
        sent(w, &body);
    }
    w.has_no_entry("nul");
    Ok(())
}

/// A request whose body goes on until the server says enough; its answer, if it did not just hang up.
fn poured(w: &World, head: &str, piece: &[u8], pieces: usize) -> (usize, String) {
    let mut stream = connect(w.custom.address);
    let mut taken = 0;
    let fixed =
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json\r\n";
    stream.write_all(format!("{fixed}{head}\r\n\r\n").as_bytes()).unwrap();
    for _ in 0..pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
        taken += piece.len();
    }
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    (taken, String::from_utf8_lossy(&said).into_owned())
}

pub(crate) async fn body(w: &World) -> Result<()> {
    const PIECE: usize = 64 * 1024;
    const MOST: usize = 2048;
    let before = w.custom.kib("VmHWM");
    let (plain, mut chunk) = ("x".repeat(PIECE).into_bytes(), format!("{PIECE:x}\r\n").into_bytes());
    chunk.extend(&plain);
    chunk.extend(b"\r\n");
    for (head, piece) in [
        ("content-length: 137438953472", &plain),
        ("transfer-encoding: chunked", &chunk),
        ("content-length: 300000", &plain),
    ] {
        let (taken, said) = poured(w, head, piece, MOST);
        assert!(taken < PIECE * MOST, "{head}: all of it was taken");
        // Whoever goes on writing may not hear the answer any more.
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 413"), "{head}: {said}");
    }
    let grown = w.custom.kib("VmHWM") - before;
    assert!(grown < 16 * 1024, "{grown} KiB were taken for what is refused");
    let small = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(w.custom.post(&[], &small).status, 200, "it still answers");
    let nested =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#, "[".repeat(90_000), "]".repeat(90_000));
    assert!(sent(w, &nested).status < 500);
    Ok(())
}
