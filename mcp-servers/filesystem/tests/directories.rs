//! The tools that list, search and describe.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::{fs, path::Path};

use serde_json::{Value, json};
use world::world;

#[test]
fn directories_are_listed_by_name_or_size_with_totals() {
    let world = world(|root| {
        fs::write(root.join("small.txt"), "1").unwrap();
        fs::write(root.join("big.txt"), "123").unwrap();
        fs::create_dir(root.join("dir")).unwrap();
    });
    let listed = world.call("list_directory", json!({"path": "/data/"}));
    let entries = json!([
        {"name": "big.txt", "type": "file"},
        {"name": "dir", "type": "directory"},
        {"name": "small.txt", "type": "file"},
    ]);
    assert_eq!(listed, json!({"entries": entries, "truncated": false}));
    let sized = world.call("list_directory_with_sizes", json!({"path": "/data", "sortBy": "size"}));
    let names: Vec<&Value> = sized["entries"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["big.txt", "small.txt", "dir"]);
    assert_eq!(
        (&sized["total_files"], &sized["total_directories"], &sized["total_size"]),
        (&json!(2), &json!(1), &json!(4))
    );
    assert!(world.fails("list_directory_with_sizes", json!({"path": "/data", "sortBy": "age"})).contains("`sortBy`"));
    assert!(world.fails("list_directory", json!({"path": "/data/big.txt"})).contains("not a directory"));
    let text = world.server.call("list_directory", json!({"path": "/data"}))["content"][0]["text"].clone();
    assert_eq!(text, "[FILE] big.txt\n[DIR] dir\n[FILE] small.txt\n");
    assert_eq!(world.call("list_allowed_directories", json!({})), json!({"directories": ["/data"]}));
}

#[test]
fn large_directories_come_in_pages() {
    let name = |number: usize| format!("{number:04}-{}.txt", "\"".repeat(60));
    let world = world(|root| {
        for number in 0..1500 {
            fs::write(root.join(name(number)), "").unwrap();
        }
    });
    for tool in ["list_directory", "list_directory_with_sizes"] {
        let (mut names, mut offset) = (Vec::new(), json!(0));
        while !offset.is_null() {
            let page = world.call(tool, json!({"path": "/data", "offset": offset}));
            names.extend(
                page["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()),
            );
            offset = page["next_offset"].clone();
        }
        assert_eq!(names, (0..1500).map(name).collect::<Vec<_>>(), "{tool}");
    }
    let tree = world.call("directory_tree", json!({"path": "/data"}));
    assert_eq!(tree["truncated"], true);
    assert!(tree["tree"].as_array().unwrap().len() > 300);
}

#[test]
fn a_directory_too_large_to_be_read_whole_is_told() {
    let world = world(|root| (0..=50_000).for_each(|number| drop(fs::File::create(root.join(number.to_string())))));
    for tool in ["list_directory", "list_directory_with_sizes"] {
        let last = world.server.call(tool, json!({"path": "/data", "offset": 49_990}));
        let structured = &last["structuredContent"];
        assert_eq!(structured["entries"].as_array().unwrap().len(), 10, "{tool}");
        assert_eq!((&structured["truncated"], &structured["next_offset"]), (&json!(true), &Value::Null), "{tool}");
        let text = last["content"][0]["text"].as_str().unwrap();
        assert!(
            text.ends_with("[truncated; the directory has more than 50000 entries, of which no more are read]\n"),
            "{text}"
        );
    }
}

fn forest(root: &Path) {
    fs::create_dir_all(root.join("src/deep/deeper")).unwrap();
    fs::create_dir_all(root.join("node_modules/pkg")).unwrap();
    for (path, text) in [
        ("readme.md", "# Title\nhello world\n"),
        ("src/main.rs", "fn main() {\n    hello();\n}\n"),
        ("src/deep/lib.rs", "pub fn Hello() {}\n"),
        ("src/deep/deeper/end.md", "the end\n"),
        ("node_modules/pkg/index.js", "hello\n"),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    fs::write(root.join("binary.bin"), b"hello\0hello\n").unwrap();
}

#[test]
fn trees_have_depth_and_leave_out_what_is_excluded() {
    let world = world(forest);
    let tree = world.call("directory_tree", json!({"path": "/data", "excludePatterns": ["node_modules", "*.bin"]}));
    let expected = json!([
        {"name": "readme.md", "type": "file"},
        {"name": "src", "type": "directory", "children": [
            {"name": "deep", "type": "directory", "children": [
                {"name": "deeper", "type": "directory", "children": [{"name": "end.md", "type": "file"}]},
                {"name": "lib.rs", "type": "file"},
            ]},
            {"name": "main.rs", "type": "file"},
        ]},
    ]);
    assert_eq!(tree, json!({"tree": expected, "truncated": false}));
    let shallow = world.call("directory_tree", json!({"path": "/data/src", "depth": 1}));
    let expected = json!([{"name": "deep", "type": "directory"}, {"name": "main.rs", "type": "file"}]);
    assert_eq!(shallow, json!({"tree": expected, "truncated": true}));
    assert!(world.fails("directory_tree", json!({"path": "/data", "depth": 0})).contains("1 to 32"));
    assert!(
        world.fails("directory_tree", json!({"path": "/data", "excludePatterns": ["[z-a]"]})).contains("not a glob")
    );
}

#[test]
fn files_are_found_by_glob() {
    let world = world(forest);
    let find = |more: Value| {
        let mut arguments = json!({"path": "/data"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.call("search_files", arguments)["matches"].clone()
    };
    assert_eq!(find(json!({"pattern": "*.md"})), json!(["/data/readme.md"]));
    assert_eq!(find(json!({"pattern": "**/*.md"})), json!(["/data/readme.md", "/data/src/deep/deeper/end.md"]));
    assert_eq!(find(json!({"pattern": "**/deep"})), json!(["/data/src/deep"]));
    assert_eq!(find(json!({"pattern": "**/*.md", "offset": 1})), json!(["/data/src/deep/deeper/end.md"]));
    assert_eq!(
        find(json!({"pattern": "**/*.{md,rs}", "excludePatterns": ["deep"]})),
        json!(["/data/readme.md", "/data/src/main.rs"])
    );
    assert_eq!(find(json!({"pattern": "nothing"})), json!([]));
    assert!(
        world.fails("search_files", json!({"path": "/data/readme.md", "pattern": "*"})).contains("not a directory")
    );
}

#[test]
fn lines_are_found_by_regular_expression() {
    let world = world(forest);
    let find = |more: Value| {
        let mut arguments = json!({"path": "/data"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let matches = world.call("search_content", arguments)["matches"].clone();
        let matches = matches.as_array().unwrap().iter();
        matches.map(|found| format!("{}:{}", found["path"].as_str().unwrap(), found["line"])).collect::<Vec<_>>()
    };
    let all = ["/data/node_modules/pkg/index.js:1", "/data/readme.md:2", "/data/src/main.rs:2"];
    assert_eq!(find(json!({"pattern": "hello"})), all);
    assert_eq!(find(json!({"pattern": "hello", "offset": 2})), [all[2]]);
    assert_eq!(find(json!({"pattern": "hello", "excludePatterns": ["node_modules"]})), [all[1], all[2]]);
    assert_eq!(
        find(json!({"pattern": "HELLO", "ignoreCase": true, "glob": "**/*.rs"})),
        ["/data/src/deep/lib.rs:1", all[2]]
    );
    assert_eq!(find(json!({"pattern": "^# ", "path": "/data/readme.md"})), ["/data/readme.md:1"]);
    assert!(world.fails("search_content", json!({"path": "/data", "pattern": "("})).contains("regular expression"));
    let bomb = json!({"path": "/data", "pattern": "(a{1000}){1000}"});
    assert!(world.fails("search_content", bomb).contains("regular expression"));
}

#[test]
fn many_long_matches_come_in_pages() {
    let line = |number: usize| format!("{}needle {number}{}\n", "x".repeat(2000), "y".repeat(2000));
    let world = world(|root| fs::write(root.join("long.txt"), (0..700).map(line).collect::<String>()).unwrap());
    let (mut lines, mut offset) = (Vec::new(), json!(0));
    while !offset.is_null() {
        let page = world.call("search_content", json!({"path": "/data", "pattern": "needle", "offset": offset}));
        for found in page["matches"].as_array().unwrap() {
            let text = found["text"].as_str().unwrap();
            assert!(text.contains("needle") && text.chars().count() <= 402, "{text}");
            lines.push(found["line"].as_u64().unwrap());
        }
        offset = page["next_offset"].clone();
    }
    assert_eq!(lines, (1..=700).collect::<Vec<_>>());
}

#[test]
fn what_is_known_of_a_file_is_told() {
    let world = world(|root| {
        fs::write(root.join("abc.txt"), "abc").unwrap();
        fs::create_dir(root.join("dir")).unwrap();
    });
    let path = world.directory.path().join("abc.txt");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let info = world.call("get_file_info", json!({"path": "/data/abc.txt"}));
    assert_eq!((&info["type"], &info["size"], &info["permissions"]), (&json!("file"), &json!(3), &json!("0640")));
    assert_eq!(info["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let modified: jiff::Timestamp = info["modified"].as_str().unwrap().parse().unwrap();
    let expected = jiff::Timestamp::try_from(fs::metadata(&path).unwrap().modified().unwrap()).unwrap();
    assert_eq!(modified, expected);
    let info = world.call("get_file_info", json!({"path": "/data/dir"}));
    assert_eq!((&info["type"], &info["sha256"]), (&json!("directory"), &Value::Null));
    assert_eq!(world.call("get_file_info", json!({"path": "/data"}))["type"], "directory");
}
