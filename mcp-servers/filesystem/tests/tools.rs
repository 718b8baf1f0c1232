//! The list of tools, and the tools that read files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use world::{world, writable};

/// The same JSON with sorted keys, however maps are ordered in this build.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), sorted(value)))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect(),
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_list_of_tools_is_stable_small_and_complete() {
    let world = world(|_| ());
    let tools = world.tools.as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for tool in tools {
        assert!(tool["title"].is_string() && tool["outputSchema"]["type"] == "object", "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert!(!tool.to_string().contains("$ref"), "{tool}");
        assert!(tool["description"].as_str().unwrap().len() < 200, "{tool}");
        let hints =
            json!({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false});
        assert_eq!(tool["annotations"], hints);
    }
    let tokens = world.tools.to_string().len() / 4;
    assert!(tokens <= 2500, "the tools cost {tokens} tokens");
    insta::assert_snapshot!(serde_json::to_string_pretty(&sorted(&world.tools)).unwrap());
}

#[test]
fn the_tools_that_write_are_small_and_complete_too() {
    let world = writable(|_| ());
    let tools = world.tools.as_array().unwrap();
    let writing: Vec<&Value> = tools.iter().filter(|tool| tool["annotations"]["readOnlyHint"] == false).collect();
    let hints: Vec<_> = writing
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap(), tool["annotations"]["destructiveHint"] == true))
        .collect();
    let expected = [
        ("copy_file", false),
        ("create_directory", false),
        ("delete_file", true),
        ("edit_file", true),
        ("move_file", true),
        ("write_file", true),
    ];
    assert_eq!(hints, expected);
    for tool in &writing {
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert!(!tool.to_string().contains("$ref") && tool["annotations"]["openWorldHint"] == false, "{tool}");
    }
    let tokens = world.tools.to_string().len() / 4;
    // The budget of a server is for what it lists by default; six tools more are wanted by whoever turns writes on.
    assert!(tokens <= 3100, "the tools cost {tokens} tokens");
    insta::assert_snapshot!(serde_json::to_string_pretty(&sorted(&json!(writing))).unwrap());
}

#[test]
fn text_is_read_whole_by_head_tail_and_lines() {
    let world = world(|root| {
        fs::write(root.join("five.txt"), "one\ntwo\nthree\nfour\nfive\n").unwrap();
        fs::write(root.join("open.txt"), "one\ntwo").unwrap();
        fs::write(root.join("bom.txt"), "\u{feff}text").unwrap();
        fs::write(root.join("empty.txt"), "").unwrap();
    });
    let read = |name: &str, more: Value| {
        let mut arguments = json!({"path": format!("/data/{name}")});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let result = world.call("read_text_file", arguments);
        assert_eq!(result["truncated"], false);
        result["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(read("five.txt", json!({})), "one\ntwo\nthree\nfour\nfive\n");
    for (more, expected) in [
        (json!({"head": 2}), "one\ntwo\n"),
        (json!({"head": 0}), ""),
        (json!({"head": 9}), "one\ntwo\nthree\nfour\nfive\n"),
        (json!({"tail": 2}), "four\nfive\n"),
        (json!({"tail": 0}), ""),
        (json!({"tail": 9}), "one\ntwo\nthree\nfour\nfive\n"),
        (json!({"offset": 2, "limit": 2}), "two\nthree\n"),
        (json!({"offset": 4}), "four\nfive\n"),
        (json!({"offset": 9}), ""),
    ] {
        assert_eq!(read("five.txt", more.clone()), expected, "{more}");
    }
    assert_eq!(read("open.txt", json!({"tail": 1})), "two");
    assert_eq!(read("open.txt", json!({"tail": 2})), "one\ntwo");
    assert_eq!(read("bom.txt", json!({})), "text");
    assert_eq!(read("empty.txt", json!({"tail": 3})), "");
    assert!(
        world.fails("read_text_file", json!({"path": "/data/five.txt", "head": 1, "tail": 1})).contains("choose one")
    );
    assert!(world.fails("read_text_file", json!({"path": "/data/five.txt", "offset": 0})).contains("from 1"));
    assert!(world.fails("read_text_file", json!({"path": "/data"})).contains("not a regular file"));
    assert!(world.fails("read_text_file", json!({"path": "/data/none.txt"})).contains("does not exist"));
}

#[test]
fn long_text_comes_in_pieces_that_join_without_loss() {
    // Quotes and control characters grow in JSON, and the budget counts them as they will be written.
    let line = |number: usize| format!("{number}: \"quoted\"\t\u{1} — {}\n", "é".repeat(number % 90));
    let whole: String = (0..4000).map(line).collect();
    let world = world(|root| fs::write(root.join("long.txt"), &whole).unwrap());
    let (mut joined, mut offset, mut pieces) = (String::new(), json!(1), 0);
    while !offset.is_null() {
        let piece = world.call("read_text_file", json!({"path": "/data/long.txt", "offset": offset}));
        joined.push_str(piece["content"].as_str().unwrap());
        assert_eq!(piece["truncated"], !piece["next_offset"].is_null());
        offset = piece["next_offset"].clone();
        pieces += 1;
    }
    assert_eq!(joined, whole);
    assert!(pieces > 3, "{pieces}");
    let tail = world.call("read_text_file", json!({"path": "/data/long.txt", "tail": 3999}));
    assert_eq!(tail["truncated"], true);
    let content = tail["content"].as_str().unwrap();
    assert!(whole.ends_with(content) && content.len() > 20_000, "{} bytes", content.len());
}

#[test]
fn one_endless_line_is_cut_at_a_character() {
    let world = world(|root| {
        fs::write(root.join("line.txt"), format!("{}\nnext\n", "é".repeat(100_000))).unwrap();
        fs::write(root.join("binary.dat"), [0xff, 0xfe, 0, 1]).unwrap();
        fs::write(root.join("nul.txt"), "a\0b").unwrap();
    });
    let first = world.call("read_text_file", json!({"path": "/data/line.txt"}));
    assert_eq!((&first["truncated"], &first["next_offset"]), (&json!(true), &json!(2)));
    assert!(first["content"].as_str().unwrap().chars().all(|letter| letter == 'é'));
    let second = world.call("read_text_file", json!({"path": "/data/line.txt", "offset": 2}));
    assert_eq!(second["content"], "next\n");
    let last = world.call("read_text_file", json!({"path": "/data/line.txt", "tail": 2}));
    assert_eq!((&last["truncated"], &last["content"]), (&json!(true), &json!("next\n")));
    for name in ["binary.dat", "nul.txt"] {
        let error = world.fails("read_text_file", json!({"path": format!("/data/{name}")}));
        assert!(error.contains("not UTF-8 text; read_media_file"), "{error}");
    }
}

#[test]
fn several_files_are_read_with_an_error_in_place_of_each_that_fails() {
    let world = world(|root| {
        fs::write(root.join("a.txt"), "a").unwrap();
        fs::write(root.join("large.txt"), "x\n".repeat(60_000)).unwrap();
    });
    let paths = json!(["/data/a.txt", "/data/none.txt", "/data/large.txt", "/data/a.txt", "/data/../x"]);
    let files = world.call("read_multiple_files", json!({"paths": paths}))["files"].clone();
    assert_eq!(files[0], json!({"path": "/data/a.txt", "content": "a", "truncated": false}));
    assert!(files[1]["error"].as_str().unwrap().contains("does not exist"));
    assert_eq!(files[2]["truncated"], true);
    assert!(files[4]["error"].is_string());
    assert!(world.fails("read_multiple_files", json!({"paths": []})).contains("1 to 50 paths"));
    let many = vec!["/data/large.txt"; 50];
    assert_eq!(world.call("read_multiple_files", json!({"paths": many}))["files"].as_array().unwrap().len(), 50);
    let silly = vec!["\u{1}".repeat(800); 50];
    assert_eq!(world.call("read_multiple_files", json!({"paths": silly}))["files"].as_array().unwrap().len(), 50);
}

#[test]
fn media_comes_as_base64_of_its_kind() {
    let world = world(|root| {
        fs::write(root.join("dot.png"), [0x89, b'P', b'N', b'G']).unwrap();
        fs::write(root.join("beep.wav"), b"RIFF").unwrap();
        fs::write(root.join("a b.pdf"), b"%PDF").unwrap();
        fs::write(root.join("huge.bin"), vec![0; 4 * 1024 * 1024 + 1]).unwrap();
        fs::write(root.join("largest.png"), vec![0; 4 * 1024 * 1024]).unwrap();
    });
    let content =
        |name: &str| world.server.call("read_media_file", json!({"path": format!("/data/{name}")}))["content"].clone();
    assert_eq!(content("dot.png"), json!([{"type": "image", "data": "iVBORw==", "mimeType": "image/png"}]));
    assert_eq!(content("beep.wav"), json!([{"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"}]));
    let resource = json!({"uri": "file:///data/a%20b.pdf", "mimeType": "application/pdf", "blob": "JVBERg=="});
    assert_eq!(content("a b.pdf"), json!([{"type": "resource", "resource": resource}]));
    let result = world.call("read_media_file", json!({"path": "/data/dot.png"}));
    assert_eq!(result, json!({"path": "/data/dot.png", "mime_type": "image/png", "size": 4}));
    assert!(world.fails("read_media_file", json!({"path": "/data/huge.bin"})).contains("at most 4194304"));
    assert_eq!(world.call("read_media_file", json!({"path": "/data/largest.png"}))["size"], 4 * 1024 * 1024);
}

#[test]
fn wrong_arguments_are_the_tools_errors_and_say_what_is_expected() {
    let world = world(|_| ());
    let error = world.fails("list_directory", json!({}));
    assert_eq!(
        error,
        "invalid arguments for list_directory: missing field `path`; expected an object with offset (integer, optional), \
         path (string, required)"
    );
    assert!(
        world.fails("list_directory", json!({"path": "/data", "confirm": true})).contains("unknown field `confirm`")
    );
    assert!(world.fails("list_allowed_directories", json!({"x": 1})).contains("expected no arguments"));
    assert!(world.fails("read_text_file", json!({"path": ["/data"]})).contains("at `path`"));
}
