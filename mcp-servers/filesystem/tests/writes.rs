//! The tools that change files, through the real server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};
use world::{BINARY, Server, World, world, writable};

fn sha256(world: &World, path: &str) -> Value {
    world.call("get_file_info", json!({"path": path}))["sha256"].clone()
}

fn text(world: &World, name: &str) -> String {
    fs::read_to_string(world.directory.path().join(name)).unwrap()
}

#[test]
fn without_a_writable_root_there_is_nothing_to_write_with() {
    let world = world(|_| ());
    for tool in world.tools.as_array().unwrap() {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
    }
    assert_eq!(world.call("list_allowed_directories", json!({})), json!({"directories": ["/data"]}));
    let told = writable(|_| ()).call("list_allowed_directories", json!({}));
    assert_eq!(told, json!({"directories": ["/data"], "writable": ["/data"]}));
}

#[test]
fn writing_is_wanted_twice_by_the_root_and_by_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.yaml");
    let path = directory.path().display();
    let names = |roots: &str, more: &str| {
        fs::write(&file, format!("roots: {roots}\n{more}\n")).unwrap();
        let server = Server::start(BINARY, &[&format!("--config={}", file.display())]);
        let tools = server.tools();
        let tools = tools.as_array().unwrap().clone();
        (server, tools.iter().any(|tool| tool["name"] == "write_file"))
    };
    let both = format!("[{{name: a, path: {path}}}, {{name: b, path: {path}, access: readWrite}}]");
    assert!(!names(&both, "").1, "writes are off unless they are on");
    assert!(!names(&format!("[{{name: a, path: {path}, access: readOnly}}]"), "writes: allow").1);
    let (server, there) = names(&both, "writes: allow");
    assert!(there);
    let write = |path: &str| server.call("write_file", json!({"path": path, "content": ""}))["isError"] == false;
    assert_eq!((write("/a/x.txt"), write("/b/x.txt")), (false, true));
}

#[test]
fn a_file_is_written_new_and_over_the_old_one() {
    let world = writable(|root| {
        fs::write(root.join("script.sh"), "old").unwrap();
        fs::set_permissions(root.join("script.sh"), fs::Permissions::from_mode(0o4750)).unwrap();
    });
    let new = world.call("write_file", json!({"path": "/data/new.txt", "content": "späße\n"}));
    assert_eq!((&new["created"], &new["size"]), (&json!(true), &json!(8)));
    assert_eq!(new["sha256"], sha256(&world, "/data/new.txt"));
    assert_eq!(text(&world, "new.txt"), "späße\n");

    let over = world.call("write_file", json!({"path": "/data/script.sh", "content": "new"}));
    assert_eq!((&over["created"], text(&world, "script.sh").as_str()), (&json!(false), "new"));
    let mode = fs::metadata(world.directory.path().join("script.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750, "permissions stay, set-user-id does not");
    assert_eq!(fs::read_dir(world.directory.path()).unwrap().count(), 2, "nothing unfinished is left");

    let error = world.fails("write_file", json!({"path": "/data/none/new.txt", "content": ""}));
    assert!(error.contains("does not exist"), "{error}");
    assert!(world.fails("write_file", json!({"path": "/data/new.txt/x", "content": ""})).contains("not a directory"));
}

#[test]
fn a_change_of_somebody_else_is_not_overwritten() {
    let world = writable(|root| fs::write(root.join("a.txt"), "first").unwrap());
    let known = sha256(&world, "/data/a.txt");
    fs::write(world.directory.path().join("a.txt"), "of somebody else").unwrap();
    let edits = json!([{"oldText": "first", "newText": "x"}]);
    for (tool, arguments) in [
        ("write_file", json!({"path": "/data/a.txt", "content": "mine", "if_match": known})),
        ("write_file", json!({"path": "/data/a.txt", "content": "mine", "if_match": ""})),
        ("edit_file", json!({"path": "/data/a.txt", "edits": edits, "if_match": known})),
        ("delete_file", json!({"path": "/data/a.txt", "if_match": known})),
        ("write_file", json!({"path": "/data/none.txt", "content": "mine", "if_match": known})),
    ] {
        let error = world.fails(tool, arguments);
        assert!(error.starts_with("conflict: "), "{tool}: {error}");
    }
    assert_eq!(text(&world, "a.txt"), "of somebody else");
    let now = sha256(&world, "/data/a.txt");
    world.call("write_file", json!({"path": "/data/a.txt", "content": "mine", "if_match": now}));
    world.call("write_file", json!({"path": "/data/b.txt", "content": "new", "if_match": ""}));
    let error = world.fails("write_file", json!({"path": "/data/a.txt", "content": "", "if_match": "abc"}));
    assert!(error.contains("64 hexadecimal digits"), "{error}");
}

#[test]
fn of_many_who_know_the_same_file_one_writes() {
    let world = writable(|root| fs::write(root.join("a.txt"), "first").unwrap());
    let known = sha256(&world, "/data/a.txt");
    let write = |number: usize| {
        let arguments = json!({"path": "/data/a.txt", "content": number.to_string(), "if_match": known});
        world.server.call("write_file", arguments)["isError"] == false
    };
    let wins = thread::scope(|scope| {
        let write = &write;
        let threads: Vec<_> = (0..20).map(|number| scope.spawn(move || write(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
}

#[test]
fn whoever_reads_sees_the_old_file_or_the_new_one() {
    let whole = |letter: &str| letter.repeat(100_000);
    let world = writable(|root| fs::write(root.join("a.txt"), whole("a")).unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) {
                let text = text(&world, "a.txt");
                let first = text.chars().next().unwrap();
                assert!(text.len() == 100_000 && text.chars().all(|letter| letter == first));
                reads += 1;
            }
            reads
        });
        let write = |letter| world.server.call("write_file", json!({"path": "/data/a.txt", "content": whole(letter)}));
        let written: Vec<Value> = ["b", "c", "d", "e", "f", "g"].into_iter().map(write).collect();
        done.store(true, Ordering::SeqCst);
        assert!(written.iter().all(|result| result["isError"] == false), "{written:?}");
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn an_edit_shows_its_difference_and_a_dry_run_only_shows_it() {
    let world = writable(|root| {
        fs::write(root.join("a.txt"), "one\ntwo\nthree\nfour\nfive\n").unwrap();
        fs::write(root.join("windows.txt"), "one\r\ntwo\r\nthree\r\n").unwrap();
    });
    let edits = json!([{"oldText": "two\n", "newText": "2\n"}, {"oldText": "2\nthree", "newText": "2\n3"}]);
    let dry = world.call("edit_file", json!({"path": "/data/a.txt", "edits": edits, "dryRun": true}));
    let diff = "--- /data/a.txt\n+++ /data/a.txt\n@@ -1,5 +1,5 @@\n one\n-two\n-three\n+2\n+3\n four\n five\n";
    assert_eq!((&dry["diff"], &dry["applied"], &dry["truncated"]), (&json!(diff), &json!(false), &json!(false)));
    assert_eq!(text(&world, "a.txt"), "one\ntwo\nthree\nfour\nfive\n");
    let done = world.call("edit_file", json!({"path": "/data/a.txt", "edits": edits}));
    assert_eq!((&done["diff"], &done["applied"], &done["sha256"]), (&dry["diff"], &json!(true), &dry["sha256"]));
    assert_eq!(text(&world, "a.txt"), "one\n2\n3\nfour\nfive\n");
    assert_eq!(done["sha256"], sha256(&world, "/data/a.txt"));

    let edits = json!([{"oldText": "one\ntwo", "newText": "1\n2"}]);
    world.call("edit_file", json!({"path": "/data/windows.txt", "edits": edits}));
    assert_eq!(text(&world, "windows.txt"), "1\r\n2\r\nthree\r\n", "line ends stay what they were");
}

#[test]
fn an_edit_that_is_not_clear_changes_nothing() {
    let before = "one\ntwo\ntwo\n";
    let world = writable(|root| {
        fs::write(root.join("a.txt"), before).unwrap();
        fs::write(root.join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(root.join("large.txt"), "x\n".repeat(2_100_000)).unwrap();
    });
    let edit =
        |name: &str, edits: Value| world.fails("edit_file", json!({"path": format!("/data/{name}"), "edits": edits}));
    for (name, edits, expected) in [
        (
            "a.txt",
            json!([{"oldText": "one", "newText": "1"}, {"oldText": "three", "newText": "3"}]),
            "edit 2: oldText is not in",
        ),
        ("a.txt", json!([{"oldText": "two", "newText": "2"}]), "edit 1: oldText comes 2 times"),
        ("a.txt", json!([{"oldText": "", "newText": "2"}]), "found an empty one"),
        ("a.txt", json!([]), "1 to 100 edits"),
        ("a.txt", json!([{"oldText": "one", "newText": "1", "all": true}]), "unknown field `all`"),
        ("none.txt", json!([{"oldText": "one", "newText": "1"}]), "does not exist; write_file makes"),
        ("binary", json!([{"oldText": "one", "newText": "1"}]), "not UTF-8 text"),
        ("large.txt", json!([{"oldText": "one", "newText": "1"}]), "more than 4194304 bytes"),
    ] {
        let error = edit(name, edits.clone());
        assert!(error.contains(expected), "{edits}: {error}");
    }
    assert_eq!(text(&world, "a.txt"), before);
}

#[test]
fn a_large_difference_is_cut_and_applied_whole() {
    let world =
        writable(|root| fs::write(root.join("a.txt"), format!("start\n{}", "\"line\"\n".repeat(20_000))).unwrap());
    let edits = json!([{"oldText": "start\n", "newText": "\"new\"\n".repeat(20_000)}]);
    let done = world.call("edit_file", json!({"path": "/data/a.txt", "edits": edits}));
    assert_eq!((&done["truncated"], &done["applied"]), (&json!(true), &json!(true)));
    assert_eq!(text(&world, "a.txt").lines().count(), 40_000);
}

#[test]
fn directories_are_made_with_those_above_them() {
    let world = writable(|root| fs::write(root.join("file"), "").unwrap());
    let create = |path: &str| world.call("create_directory", json!({"path": path}))["created"].clone();
    assert_eq!(
        (create("/data/a/b/c"), create("/data/a/b/c"), create("/data")),
        (json!(true), json!(false), json!(false))
    );
    assert!(world.directory.path().join("a/b/c").is_dir());
    for path in ["/data/file", "/data/file/x"] {
        let error = world.fails("create_directory", json!({"path": path}));
        assert!(error.contains("not a directory"), "{path}: {error}");
    }
}

#[test]
fn files_and_directories_are_moved_copied_and_deleted() {
    let world = writable(|root| {
        fs::create_dir_all(root.join("dir/inner")).unwrap();
        fs::write(root.join("a.txt"), "a").unwrap();
        fs::write(root.join("dir/b.txt"), "b").unwrap();
    });
    let both = |source: &str, destination: &str| json!({"source": source, "destination": destination});
    world.call("copy_file", both("/data/a.txt", "/data/dir/copy.txt"));
    world.call("move_file", both("/data/a.txt", "/data/dir/inner/moved.txt"));
    world.call("move_file", both("/data/dir", "/data/renamed"));
    assert_eq!((text(&world, "renamed/copy.txt"), text(&world, "renamed/inner/moved.txt")), ("a".into(), "a".into()));
    assert!(!world.directory.path().join("a.txt").exists());

    for (tool, arguments, expected) in [
        ("move_file", both("/data/renamed/b.txt", "/data/renamed/copy.txt"), "exists already"),
        ("copy_file", both("/data/renamed/b.txt", "/data/renamed/copy.txt"), "exists already"),
        ("copy_file", both("/data/renamed", "/data/other"), "not a regular file"),
        ("move_file", both("/data/renamed", "/data/renamed/inner/x"), "cannot be moved into itself"),
        ("move_file", both("/data/none", "/data/x"), "does not exist"),
        ("move_file", both("/data/renamed", "/data"), "is a root itself"),
        ("delete_file", json!({"path": "/data/renamed"}), "not empty"),
        ("delete_file", json!({"path": "/data/none"}), "does not exist"),
        ("delete_file", json!({"path": "/data"}), "is a root itself"),
    ] {
        let error = world.fails(tool, arguments);
        assert!(error.contains(expected), "{tool}: {error}");
    }
    let gone = world.call("delete_file", json!({"path": "/data/renamed/inner/moved.txt"}));
    assert_eq!(gone["type"], "file");
    assert_eq!(world.call("delete_file", json!({"path": "/data/renamed/inner"}))["type"], "directory");
    assert!(!world.directory.path().join("renamed/inner").exists());
}
