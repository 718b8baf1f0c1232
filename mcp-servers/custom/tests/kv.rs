//! The key-value store in memory and on disk, through the real server. `e2e/tests/custom.rs` has Valkey.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod store;
mod world;

use std::{
    fs::File,
    sync::atomic::{AtomicI64, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use world::{BINARY, support, support::Server, world, wrong_settings};

fn on_disk(directory: &TempDir, more: &[&str]) -> Server {
    let path = format!("--kv-disk={}", directory.path().display());
    let arguments: Vec<&str> = ["--weather=off", "--kv=disk", &path].into_iter().chain(more.iter().copied()).collect();
    Server::start(BINARY, &arguments)
}

fn in_memory(more: &[&str]) -> Server {
    let arguments: Vec<&str> = ["--weather=off"].into_iter().chain(more.iter().copied()).collect();
    Server::start(BINARY, &arguments)
}

#[test]
fn entries_in_memory_behave() {
    store::behaves(&in_memory(&[]));
}

#[test]
fn entries_on_disk_behave() {
    store::behaves(&on_disk(&tempfile::tempdir().unwrap(), &[]));
}

#[test]
fn the_oldest_entries_go_first() {
    store::the_oldest_go_first(&in_memory(&["--kv-max-entries=5"]));
    store::the_oldest_go_first(&on_disk(&tempfile::tempdir().unwrap(), &["--kv-max-entries=5"]));
}

#[test]
fn callers_do_not_meet() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.yaml");
    std::fs::write(&file, store::keys()).unwrap();
    let keys = format!("--api-keys={}", file.display());
    store::callers_do_not_meet(&in_memory(&[&keys]));
    store::callers_do_not_meet(&on_disk(&tempfile::tempdir().unwrap(), &[&keys]));
}

#[test]
fn memory_has_an_end() {
    let server = in_memory(&[]);
    // 1,600 values of 48 KiB are more than the 64 MiB it keeps.
    let value = "x".repeat(48 * 1024 - 2);
    for number in 0..1600 {
        assert_eq!(server.call("kv_set", json!({"key": format!("{number:04}"), "value": value}))["isError"], false);
    }
    assert_eq!(server.call("kv_get", json!({"key": "0000"}))["structuredContent"]["found"], false);
    assert_eq!(server.call("kv_get", json!({"key": "1599"}))["structuredContent"]["found"], true);
    assert!(server.kib("VmHWM") < 160 * 1024, "{} KiB", server.kib("VmHWM"));
}

#[test]
fn what_was_answered_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let server = on_disk(&directory, &[]);
        let key = format!("count{round}");
        let answered = AtomicI64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(value) = increment(&server, &key) {
                    answered.store(value, Ordering::SeqCst);
                }
            });
            thread::sleep(Duration::from_millis(400));
            server.signal(Signal::SIGKILL);
        });
        drop(server);
        let answered = answered.into_inner();
        assert!(answered > 0, "nothing was written in time");
        let server = on_disk(&directory, &[]);
        let found = server.call("kv_get", json!({"key": key}))["structuredContent"]["value"].clone();
        let found: i64 = found.as_str().unwrap().parse().unwrap();
        // One more may have been written whose answer was on its way.
        assert!(found == answered || found == answered + 1, "{answered} were answered, {found} are there");
        let version = |key: &str| server.call("kv_get", json!({"key": key}))["structuredContent"]["version"].as_u64();
        let before = version(&key);
        server.call("kv_set", json!({"key": "after", "value": "x"}));
        assert!(version("after") > before);
    }
}

/// One increment; none when the server is gone.
fn increment(server: &Server, key: &str) -> Option<i64> {
    use std::io::{Read, Write};
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "kv_increment", "arguments": {"key": key}}})
    .to_string();
    let head =
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json\r\n";
    let mut stream = std::net::TcpStream::connect(server.address).ok()?;
    stream.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
    write!(stream, "{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let answer: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    answer["result"]["structuredContent"]["value"].as_i64()
}

#[test]
fn a_second_server_on_the_same_directory_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let first = on_disk(&directory, &[]);
    let path = format!("--kv-disk={}", directory.path().display());
    let text = wrong_settings(&["--weather=off", "--kv=disk", &path]);
    assert!(text.contains("no other server uses") && text.contains("locked"), "{text}");
    drop(first);
    assert_eq!(on_disk(&directory, &[]).call("kv_list", json!({}))["isError"], false);
}

#[test]
fn results_are_as_their_schemas_say() {
    let world = world(&["--weather=off"]);
    world.call("kv_set", json!({"key": "a", "value": "1", "ttl_seconds": 60, "if_version": 0}));
    world.call("kv_get", json!({"key": "a"}));
    world.call("kv_get", json!({"key": "b"}));
    world.call("kv_increment", json!({"key": "a", "by": 2}));
    world.call("kv_list", json!({"prefix": "a", "limit": 1}));
    world.call("kv_delete", json!({"key": "a"}));
}

#[test]
fn the_audit_names_the_key_of_every_call_and_still_no_credential() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    let mut server = Server::start_to(BINARY, &["--weather=off"], File::create(&path).unwrap());
    for (tool, more) in [
        ("kv_set", json!({"value": "1"})),
        ("kv_increment", json!({})),
        ("kv_get", json!({})),
        ("kv_delete", json!({})),
    ] {
        for key in ["orders/7", "postgres://app:hunter2@db/orders"] {
            let mut arguments = more.clone();
            arguments["key"] = json!(key);
            server.call(tool, arguments);
        }
    }
    server.signal(Signal::SIGINT);
    server.end();
    let text = std::fs::read_to_string(path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<(String, String)> = records
        .filter(|record| record["arguments"].is_object())
        .map(|record| [&record["tool"], &record["arguments"]["key"]].map(|it| it.as_str().unwrap().to_owned()).into())
        .collect();
    let expected: Vec<_> = ["kv_set", "kv_increment", "kv_get", "kv_delete"]
        .iter()
        .flat_map(|tool| ["orders/7", "[redacted]"].map(|key| ((*tool).to_owned(), key.to_owned())))
        .collect();
    assert_eq!(told, expected, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
