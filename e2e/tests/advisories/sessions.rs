//! Sessions: ids that are guessed or known, and answers that go to somebody else.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    thread,
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    support::{Server, connect},
    world::{World, call, lines, measures, request, start},
};

const ALICE: &str = "the-key-of-alice-0123456789";
const BOB: &str = "the-key-of-bob-0123456789abc";

/// Opens a session; its id.
fn open(server: &Server, headers: &[(&str, &str)]) -> String {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let answer = server.post(headers, &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
    let id = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    let id = id.unwrap_or_else(|| panic!("no session: {answer:?}")).to_owned();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let headers: Vec<_> = headers.iter().copied().chain([("mcp-session-id", id.as_str())]).collect();
    assert_eq!(server.post(&headers, &ready).status, 202);
    id
}

fn stateful(more: &[&str]) -> Server {
    let arguments: Vec<&str> =
        ["--weather=off", "--writes=allow", "--sessions=stateful"].into_iter().chain(more.iter().copied()).collect();
    start("mcp-custom", &arguments)
}

pub(crate) async fn guess(_: &World) -> Result<()> {
    const SESSIONS: usize = 256;
    let server = stateful(&[]);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        let id = open(&server, &[]);
        // Whatever was freed would be what the next one gets.
        assert!(request(&server, "DELETE", "/mcp", &[("mcp-session-id", &id)], "").status < 300);
        ids.push(id);
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), SESSIONS, "an id came again");
    // Two dashes and a digit of a UUID are given; of the others each takes every value. A counter or an address does not.
    let digits: Vec<Vec<char>> = ids.iter().map(|id| id.chars().filter(|one| *one != '-').collect()).collect();
    let random = (0..digits[0].len()).filter(|at| {
        let values: BTreeSet<char> = digits.iter().map(|id| id[*at]).collect();
        values.len() >= 15
    });
    assert!(random.count() >= 30, "less than 120 random bits: {ids:?}");
    let live = open(&server, &[]);
    // Its neighbours, and those that are over, are nobody's.
    let (head, end) = live.split_at(live.len() - 1);
    let neighbours = "0123456789abcdef".chars().filter(|one| !end.contains(*one)).map(|one| format!("{head}{one}"));
    for id in neighbours.chain(ids.into_iter().take(16)) {
        assert_eq!(server.post(&[("mcp-session-id", &id)], &list).status, 404, "{id}");
    }
    assert_eq!(server.post(&[("mcp-session-id", &live)], &list).status, 200);
    Ok(())
}

/// Listens on the stream of a session; what was said on it when `work` is done.
fn heard(server: &Server, headers: &[(&str, &str)], work: impl FnOnce()) -> String {
    let lines = lines(headers);
    let mut stream = connect(server.address);
    let text = format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{lines}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    let mut take = |said: &mut Vec<u8>| {
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            said.extend_from_slice(&piece[..length]);
        }
    };
    take(&mut said);
    work();
    take(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

pub(crate) async fn stream(_: &World) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("keys");
    fs::write(&file, format!("{ALICE}\n{BOB}\n"))?;
    let server = stateful(&[&format!("--api-keys={}", file.display())]);
    let id = open(&server, &[("x-api-key", ALICE)]);
    let (alices, bobs) = (
        [("x-api-key", ALICE), ("mcp-session-id", id.as_str())],
        [("x-api-key", BOB), ("mcp-session-id", id.as_str())],
    );
    let works = || {
        let body = call("kv_set", &json!({"key": "mine", "value": "alices-own"}));
        let answer = server.post(&alices, &body);
        assert!(answer.status == 200 && answer.body.contains("\"isError\":false"), "{answer:?}");
        let answer = server.post(&alices, &call("kv_get", &json!({"key": "mine"})));
        assert!(answer.body.contains("alices-own"), "the answer is hers: {answer:?}");
    };
    // Bob knows the id, and is a caller like any other.
    let taken = heard(&server, &alices, || {
        let heard = heard(&server, &bobs, works);
        assert!(heard.starts_with("HTTP/1.1 404"), "{heard}");
        assert_eq!(server.post(&bobs, &call("kv_get", &json!({"key": "mine"}))).status, 404);
        assert_eq!(request(&server, "DELETE", "/mcp", &bobs, "").status, 404);
        let nobody = heard_without_key(&server, &id);
        assert!(nobody.starts_with("HTTP/1.1 401"), "{nobody}");
    });
    assert!(taken.starts_with("HTTP/1.1 200"), "her stream was opened: {taken}");
    assert!(!taken.ends_with("0\r\n\r\n"), "her stream was ended by somebody else: {taken:?}");
    works();
    measures(&server, "mcp_sessions_open 1");

    // Without keys the id is all there is; even then no answer goes to who listens in.
    let server = stateful(&[]);
    let id = open(&server, &[]);
    let session = [("mcp-session-id", id.as_str())];
    let mut second = String::new();
    heard(&server, &session, || {
        second = heard(&server, &session, || {
            let answer = server.post(&session, &call("kv_set", &json!({"key": "mine", "value": "victims-own"})));
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = server.post(&session, &call("kv_get", &json!({"key": "mine"})));
            assert!(answer.body.contains("victims-own"), "{answer:?}");
        });
    });
    assert!(!second.contains("victims-own"), "{second}");
    Ok(())
}

fn heard_without_key(server: &Server, id: &str) -> String {
    heard(server, &[("mcp-session-id", id)], || {})
}

pub(crate) async fn crossed(w: &World) -> Result<()> {
    const CLIENTS: usize = 8;
    const CALLS: usize = 60;
    let sessions = stateful(&[]);
    let keyless: (&Server, bool) = (&w.custom, false);
    for (server, with_session) in [keyless, (&sessions, true)] {
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || {
                    let session = with_session.then(|| open(server, &[]));
                    let headers: Vec<_> = session.iter().map(|id| ("mcp-session-id", id.as_str())).collect();
                    for number in 0..CALLS {
                        // All clients count alike, as their libraries do.
                        let mine = format!("2026-01-{:02}T{client:02}:00:00Z", number % 28 + 1);
                        let mut body = call("parse_timestamp", &json!({"text": mine}));
                        body["id"] = Value::from(number);
                        let answer = server.post(&headers, &body);
                        assert!(answer.body.contains(&mine[..13]), "client {client} got {answer:?}");
                        assert!(
                            answer.body.contains(&format!("\"id\":{number},"))
                                || answer.body.contains(&format!("\"id\":{number}}}")),
                            "{answer:?}"
                        );
                    }
                });
            }
        });
    }
    Ok(())
}
