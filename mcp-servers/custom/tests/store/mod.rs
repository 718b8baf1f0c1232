//! What every place of the key-value store must do. The suite `e2e/tests/custom.rs` runs the same against a real Valkey
//! or Redis.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy takes this for no test"
)]

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::support::{Server, error_of};

fn call(server: &Server, tool: &str, arguments: Value) -> Value {
    let mut result = server.call(tool, arguments);
    assert_eq!(result["isError"], false, "{tool}: {result}");
    result["structuredContent"].take()
}

fn fails(server: &Server, tool: &str, arguments: Value) -> String {
    error_of(&server.call(tool, arguments)).to_owned()
}

/// All that one server must do with its store, which is empty and may hold many entries.
pub fn behaves(server: &Server) {
    what_is_set_is_got(server);
    a_change_is_not_overwritten(server);
    an_entry_ends_in_time(server);
    numbers_are_added_exactly(server);
    keys_are_listed_by_prefix_and_page(server);
    keys_and_values_have_bounds(server);
}

fn what_is_set_is_got(server: &Server) {
    assert_eq!(call(server, "kv_get", json!({"key": "a"})), json!({"found": false}));
    for text in ["", "plain", "späße \u{1F600} \"quoted\"\n\t\u{0}\u{1}", "{\"json\": [1]}"] {
        let version = call(server, "kv_set", json!({"key": "a", "value": text}))["version"].clone();
        let expected = json!({"found": true, "value": text, "version": version});
        assert_eq!(call(server, "kv_get", json!({"key": "a"})), expected);
    }
    assert_eq!(call(server, "kv_delete", json!({"key": "a"})), json!({"deleted": true}));
    assert_eq!(call(server, "kv_delete", json!({"key": "a"})), json!({"deleted": false}));
    assert_eq!(call(server, "kv_get", json!({"key": "a"})), json!({"found": false}));
}

fn a_change_is_not_overwritten(server: &Server) {
    let set = |value: &str, version: Value| json!({"key": "v", "value": value, "if_version": version});
    let first = call(server, "kv_set", set("first", json!(0)))["version"].clone();
    assert!(fails(server, "kv_set", set("again", json!(0))).contains(&format!("has version {first}")), "it exists now");
    let second = call(server, "kv_set", set("second", first.clone()))["version"].clone();
    assert!(second.as_u64() > first.as_u64(), "{second} {first}");
    let conflict = fails(server, "kv_set", set("third", first.clone()));
    assert!(conflict.contains("conflict") && conflict.contains(&second.to_string()), "{conflict}");
    assert!(fails(server, "kv_delete", json!({"key": "v", "if_version": first})).contains("conflict"));
    assert_eq!(call(server, "kv_get", json!({"key": "v"}))["value"], "second");
    assert_eq!(call(server, "kv_delete", json!({"key": "v", "if_version": second})), json!({"deleted": true}));
    assert!(fails(server, "kv_set", set("fourth", second.clone())).contains("does not exist"));
    let anew = call(server, "kv_set", set("anew", json!(0)))["version"].clone();
    assert!(anew.as_u64() > second.as_u64(), "a version never comes again");
}

fn an_entry_ends_in_time(server: &Server) {
    let set = call(server, "kv_set", json!({"key": "brief", "value": "x", "ttl_seconds": 2}));
    assert!(set["expires_at"].as_str().unwrap().ends_with('Z'), "{set}");
    let got = call(server, "kv_get", json!({"key": "brief"}));
    assert_eq!((&got["found"], &got["expires_at"]), (&json!(true), &set["expires_at"]));
    call(server, "kv_increment", json!({"key": "brief-number", "ttl_seconds": 2}));
    call(server, "kv_increment", json!({"key": "brief-number", "ttl_seconds": 3600}));
    call(server, "kv_set", json!({"key": "kept", "value": "x", "ttl_seconds": 2}));
    call(server, "kv_set", json!({"key": "kept", "value": "y"}));
    let start = Instant::now();
    for key in ["brief", "brief-number"] {
        while call(server, "kv_get", json!({"key": key}))["found"] == true {
            assert!(start.elapsed() < Duration::from_secs(30), "{key} does not end");
            thread::sleep(Duration::from_millis(50));
        }
    }
    let listed = call(server, "kv_list", json!({"prefix": "brief"}));
    assert_eq!(listed["keys"], json!([]), "what is over is not listed");
    assert_eq!(call(server, "kv_get", json!({"key": "kept"}))["value"], "y", "a write without ttl is for ever");
    assert_eq!(call(server, "kv_increment", json!({"key": "brief-number"}))["value"], 1, "a new one begins at 0");
}

fn numbers_are_added_exactly(server: &Server) {
    let values: BTreeSet<i64> = thread::scope(|scope| {
        let one = || call(server, "kv_increment", json!({"key": "count"}))["value"].as_i64().unwrap();
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(values, (1..=100).collect(), "each of a hundred saw its own number");
    assert_eq!(call(server, "kv_increment", json!({"key": "count", "by": -101}))["value"], -1);
    assert_eq!(call(server, "kv_get", json!({"key": "count"}))["value"], "-1");

    call(server, "kv_set", json!({"key": "large", "value": i64::MAX.to_string()}));
    assert!(fails(server, "kv_increment", json!({"key": "large"})).contains("would not fit 64 bits"));
    assert_eq!(call(server, "kv_get", json!({"key": "large"}))["value"], i64::MAX.to_string(), "exact in 64 bits");
    for text in ["ten", "1.5", "007", "+5", " 5", ""] {
        call(server, "kv_set", json!({"key": "text", "value": text}));
        let error = fails(server, "kv_increment", json!({"key": "text"}));
        assert!(error.contains("something else than a whole number"), "{text:?}: {error}");
        assert_eq!(call(server, "kv_get", json!({"key": "text"}))["value"], text);
    }
}

fn keys_are_listed_by_prefix_and_page(server: &Server) {
    let names: Vec<String> = (10..35).map(|number| format!("page:{number}")).collect();
    for name in names.iter().rev() {
        call(server, "kv_set", json!({"key": name, "value": "x"}));
    }
    for odd in ["page", "page;", "pagf", "päge:1"] {
        call(server, "kv_set", json!({"key": odd, "value": "x"}));
    }
    let (mut found, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let mut arguments = json!({"prefix": "page:", "limit": 10});
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let page = call(server, "kv_list", arguments);
        found.extend(page["keys"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap().to_owned()));
        pages += 1;
        assert_eq!(page["truncated"], !page["next_cursor"].is_null());
        if page["truncated"] == false {
            break;
        }
        cursor = page["next_cursor"].clone();
    }
    assert_eq!((found, pages), (names, 3));
    assert_eq!(call(server, "kv_list", json!({"prefix": "nothing"})), json!({"keys": [], "truncated": false}));
    let all = call(server, "kv_list", json!({}))["keys"].clone();
    let all: Vec<&str> = all.as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap()).collect();
    assert!(all.is_sorted() && all.contains(&"päge:1"), "{all:?}");

    // Many long keys full of quotes are more than one answer may have.
    for number in 0..150 {
        let key = format!("wide:{number:03}{}", "\"".repeat(247));
        call(server, "kv_set", json!({"key": key, "value": ""}));
    }
    let wide = call(server, "kv_list", json!({"prefix": "wide:"}));
    assert_eq!(wide["truncated"], true);
    let rest = call(server, "kv_list", json!({"prefix": "wide:", "cursor": wide["next_cursor"]}));
    let count = |page: &Value| page["keys"].as_array().unwrap().len();
    assert_eq!(count(&wide) + count(&rest), 150);
}

fn keys_and_values_have_bounds(server: &Server) {
    for key in ["", "a\nb", "a\u{0}b", &"k".repeat(257), &"ü".repeat(129)] {
        for (tool, arguments) in [
            ("kv_get", json!({"key": key})),
            ("kv_set", json!({"key": key, "value": "x"})),
            ("kv_delete", json!({"key": key})),
            ("kv_increment", json!({"key": key})),
        ] {
            assert!(fails(server, tool, arguments).contains("expected a key"), "{tool} {key:?}");
        }
    }
    let largest = "x".repeat(48 * 1024 - 2);
    call(server, "kv_set", json!({"key": "k".repeat(256), "value": largest}));
    assert_eq!(call(server, "kv_get", json!({"key": "k".repeat(256)}))["value"], largest);
    for value in [format!("{largest}x"), "\u{1}".repeat(8200)] {
        assert!(fails(server, "kv_set", json!({"key": "big", "value": value})).contains("at most 49152"));
    }
    for ttl in [json!(0), json!(400_000_000_u64), json!(u64::MAX)] {
        let error = fails(server, "kv_set", json!({"key": "t", "value": "", "ttl_seconds": ttl}));
        assert!(error.contains("ttl_seconds from 1"), "{error}");
    }
    // Keys that look like parts of where they are kept are keys like others.
    for key in ["1:a:b", "anonymous:x", "{mcp-kv}:last", "*", "a' OR '1'='1", "%", "..", "[a", "(a", "\u{ff}\u{ffff}"] {
        call(server, "kv_set", json!({"key": key, "value": key}));
        assert_eq!(call(server, "kv_get", json!({"key": key}))["value"], key);
        assert_eq!(call(server, "kv_list", json!({"prefix": key}))["keys"][0]["key"], key);
        assert_eq!(call(server, "kv_delete", json!({"key": key}))["deleted"], true);
    }
}

/// A store of at most five entries keeps the five that were written last.
pub fn the_oldest_go_first(server: &Server) {
    for number in 0..8 {
        call(server, "kv_set", json!({"key": format!("n{number}"), "value": "x"}));
    }
    call(server, "kv_set", json!({"key": "n3", "value": "y"}));
    call(server, "kv_set", json!({"key": "n8", "value": "x"}));
    let listed = call(server, "kv_list", json!({}))["keys"].clone();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap()).collect();
    assert_eq!(names, ["n3", "n5", "n6", "n7", "n8"], "n3 was written again, so n4 was the oldest");
}

const ALICE: &str = "the-key-of-alice-0123456789";
const BOB: &str = "the-key-of-bob-0123456789abc";
const READER: &str = "the-key-of-a-reader-012345";

/// A file of API keys for [`callers_do_not_meet`].
pub fn keys() -> String {
    format!(
        "keys: [{{name: alice, key: {ALICE}}}, {{name: bob, key: {BOB}}}, {{name: reader, key: {READER}, scopes: [read]}}]"
    )
}

/// Callers with keys of their own have entries of their own.
pub fn callers_do_not_meet(server: &Server) {
    let call = |key: &str, tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let answer = server.post(&[("authorization", &format!("Bearer {key}"))], &body);
        (answer.status, answer.json()["result"]["structuredContent"].clone())
    };
    call(ALICE, "kv_set", json!({"key": "shared", "value": "of alice"}));
    assert_eq!(call(BOB, "kv_get", json!({"key": "shared"})).1["found"], false);
    call(BOB, "kv_set", json!({"key": "shared", "value": "of bob"}));
    assert_eq!(call(BOB, "kv_delete", json!({"key": "shared"})).1["deleted"], true);
    assert_eq!(call(ALICE, "kv_get", json!({"key": "shared"})).1["value"], "of alice");
    assert_eq!(call(BOB, "kv_list", json!({})).1["keys"], json!([]));
    // Who may only read may not set.
    assert_eq!(call(READER, "kv_set", json!({"key": "a", "value": "b"})).0, 403);
    assert_eq!(call(READER, "kv_get", json!({"key": "shared"})).1["found"], false);
}
