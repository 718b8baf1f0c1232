//! What must not be reachable, and what must stay reachable (ConfigMap volumes), through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

#[path = "../../kit/tests/support/mod.rs"]
mod support;

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    time::{Duration, Instant},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use support::{Server, error_of};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-filesystem");
const SECRET: &str = "TOP-SECRET";

/// A root with a sibling that must stay out of reach, and the server on it.
struct World {
    base: TempDir,
    server: Server,
}

fn world(fill: impl FnOnce(&Path)) -> World {
    let base = tempfile::tempdir().unwrap();
    for name in ["root", "root-sibling", "outside"] {
        fs::create_dir(base.path().join(name)).unwrap();
        fs::write(base.path().join(name).join("secret.txt"), SECRET).unwrap();
    }
    let root = base.path().join("root");
    fs::remove_file(root.join("secret.txt")).unwrap();
    fs::write(root.join("plain.txt"), "plain\n").unwrap();
    fill(&root);
    let server = Server::start(BINARY, &[&format!("--root=data={}", root.display())]);
    World { base, server }
}

/// Asks every tool for a path: nothing secret and no host path may come back from any of them.
fn assert_refused_everywhere(world: &World, path: &str) {
    let host = world.base.path().display().to_string();
    for (tool, arguments) in [
        ("read_text_file", json!({"path": path})),
        ("read_media_file", json!({"path": path})),
        ("read_multiple_files", json!({"paths": [path]})),
        ("list_directory", json!({"path": path})),
        ("list_directory_with_sizes", json!({"path": path})),
        ("directory_tree", json!({"path": path})),
        ("search_files", json!({"path": path, "pattern": "**"})),
        ("search_content", json!({"path": path, "pattern": "SECRET"})),
        ("get_file_info", json!({"path": path})),
    ] {
        let result = world.server.call(tool, arguments);
        let text = result.to_string();
        // Errors repeat what the client sent, also when it guessed a path of the host.
        let text = if path.contains(&host) { text.replace(path, "") } else { text };
        assert!(!text.contains(SECRET) && !text.contains(&host), "{tool} {path:?}: {text}");
        let failed = result["isError"] == true || result["structuredContent"]["files"][0]["error"].is_string();
        assert!(failed, "{tool} {path:?} was answered: {text}");
    }
}

fn names(result: &Value) -> Vec<&str> {
    let entries = result["structuredContent"]["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn paths_do_not_lead_out_of_the_root() {
    let world = world(|root| {
        let outside = root.parent().unwrap().join("outside");
        symlink(&outside, root.join("absolute-link")).unwrap();
        symlink("../outside", root.join("relative-link")).unwrap();
        symlink("../outside/secret.txt", root.join("file-link")).unwrap();
        symlink("/", root.join("slash")).unwrap();
        symlink("/proc/self/root", root.join("proc")).unwrap();
        symlink("chain-b", root.join("chain-a")).unwrap();
        symlink("../outside", root.join("chain-b")).unwrap();
        symlink("loop-b", root.join("loop-a")).unwrap();
        symlink("loop-a", root.join("loop-b")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        fs::create_dir(root.join("dir")).unwrap();
        symlink("../../outside", root.join("dir/up")).unwrap();
    });
    let base = world.base.path().display().to_string();
    let outside = format!("{base}/outside/secret.txt");
    let below = format!("/data{outside}");
    let slash = format!("/data/slash{outside}");
    let proc = format!("/data/proc{outside}");
    let long = format!("/data/{}", "a/".repeat(3000));
    let long_name = format!("/data/{}", "a".repeat(256));
    for path in [
        "/data/../outside/secret.txt",
        "/data/dir/../../outside/secret.txt",
        "/data/./../root-sibling/secret.txt",
        "/../../../../etc/passwd",
        "/data/..",
        "..",
        "../outside/secret.txt",
        "secret.txt",
        "",
        "/",
        "/etc/passwd",
        "/data-sibling/secret.txt",
        "/root-sibling/secret.txt",
        "~/secret.txt",
        "file:///etc/passwd",
        "C:\\Windows\\win.ini",
        "\\\\server\\share",
        "/data\\..\\outside\\secret.txt",
        "/data/..%2foutside%2fsecret.txt",
        "/data/%2e%2e/outside/secret.txt",
        "/data/..\u{2215}outside",
        "/data/\u{0}",
        "/data/plain.txt\u{0}.md",
        "/data/plain.txt/../../outside/secret.txt",
        "/data/absolute-link",
        "/data/absolute-link/secret.txt",
        "/data/relative-link/secret.txt",
        "/data/file-link",
        "/data/slash/etc/passwd",
        "/data/proc/etc/passwd",
        "/data/chain-a/secret.txt",
        "/data/loop-a",
        "/data/dangling",
        "/data/dir/up/secret.txt",
        &outside,
        &below,
        &slash,
        &proc,
        &long,
        &long_name,
    ] {
        assert_refused_everywhere(&world, path);
    }
}

#[test]
fn links_that_lead_out_are_shown_but_not_followed() {
    let world = world(|root| {
        symlink("../outside", root.join("out")).unwrap();
        fs::create_dir(root.join("inner")).unwrap();
        fs::write(root.join("inner/note.txt"), "inner note\n").unwrap();
        symlink("inner", root.join("in")).unwrap();
    });
    let listed = world.server.call("list_directory", json!({"path": "/data"}));
    let entries = json!([
        {"name": "in", "type": "directory"},
        {"name": "inner", "type": "directory"},
        {"name": "out", "type": "symlink"},
        {"name": "plain.txt", "type": "file"},
    ]);
    assert_eq!(listed["structuredContent"]["entries"], entries);
    let through = world.server.call("read_text_file", json!({"path": "/data/in/note.txt"}));
    assert_eq!(through["structuredContent"]["content"], "inner note\n");
    for tool in ["directory_tree", "search_content", "search_files"] {
        let arguments = match tool {
            "directory_tree" => json!({"path": "/data"}),
            "search_files" => json!({"path": "/data", "pattern": "**"}),
            _ => json!({"path": "/data", "pattern": "."}),
        };
        let text = world.server.call(tool, arguments).to_string();
        assert!(!text.contains("secret") && !text.contains(SECRET), "{tool}: {text}");
    }
}

#[test]
fn a_config_map_volume_lists_its_keys_as_files_and_survives_updates() {
    let world = world(|root| {
        fs::remove_file(root.join("plain.txt")).unwrap();
        config_map(root, "..2026_11_21_09_00_00.1", "first");
        symlink("..data/settings.yaml", root.join("settings.yaml")).unwrap();
        symlink("..data/nested", root.join("nested")).unwrap();
    });
    let root = world.base.path().join("root");
    let listed = world.server.call("list_directory", json!({"path": "/data"}));
    assert_eq!(names(&listed), ["nested", "settings.yaml"]);
    assert_eq!(listed["structuredContent"]["entries"][1]["type"], "file");
    let sized = world.server.call("list_directory_with_sizes", json!({"path": "/data"}));
    assert_eq!(sized["structuredContent"]["total_size"], 5);
    let read =
        |path: &str| world.server.call("read_text_file", json!({"path": path}))["structuredContent"]["content"].clone();
    assert_eq!(read("/data/settings.yaml"), "first");
    assert_eq!(read("/data/nested/deep.txt"), "first");
    let found = world.server.call("search_files", json!({"path": "/data", "pattern": "**/*.yaml"}));
    assert_eq!(found["structuredContent"]["matches"], json!(["/data/settings.yaml"]));
    let grepped = world.server.call("search_content", json!({"path": "/data", "pattern": "first"}));
    assert_eq!(grepped["structuredContent"]["matches"][0]["path"], "/data/settings.yaml");
    assert_refused_everywhere(&world, "/data/..data/settings.yaml");

    // As the kubelet does it: a new directory, then the link exchanged by a rename, then the old one removed.
    config_map(&root, "..2026_11_21_09_05_00.2", "second");
    fs::remove_dir_all(root.join("..2026_11_21_09_00_00.1")).unwrap();
    assert_eq!(read("/data/settings.yaml"), "second");
}

fn config_map(root: &Path, version: &str, content: &str) {
    let directory = root.join(version);
    fs::create_dir_all(directory.join("nested")).unwrap();
    fs::write(directory.join("settings.yaml"), content).unwrap();
    fs::write(directory.join("nested/deep.txt"), content).unwrap();
    symlink(version, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
}

#[test]
fn secrets_are_neither_listed_nor_found_nor_read() {
    let hidden = [".env", ".env.local", ".ENV", "tls.pem", "tls.KEY", "id_rsa", "id_rsa.pub", ".netrc"];
    let world = world(|root| {
        for name in hidden {
            fs::write(root.join(name), SECRET).unwrap();
        }
        fs::create_dir_all(root.join(".git/objects")).unwrap();
        fs::write(root.join(".git/config"), SECRET).unwrap();
        // A harmless name does not open what the real name closes.
        symlink(".env", root.join("harmless.txt")).unwrap();
        symlink(".git", root.join("history")).unwrap();
    });
    for path in hidden.iter().map(|name| format!("/data/{name}")).chain([
        "/data/.git".into(),
        "/data/.git/config".into(),
        "/data/harmless.txt".into(),
        "/data/history".into(),
        "/data/history/config".into(),
        "/data/.env/../plain.txt".into(),
    ]) {
        assert_refused_everywhere(&world, &path);
    }
    for (tool, arguments) in
        [("list_directory", json!({"path": "/data"})), ("list_directory_with_sizes", json!({"path": "/data"}))]
    {
        assert_eq!(names(&world.server.call(tool, arguments)), ["plain.txt"], "{tool}");
    }
    let tree = world.server.call("directory_tree", json!({"path": "/data"}));
    assert_eq!(tree["structuredContent"]["tree"], json!([{"name": "plain.txt", "type": "file"}]));
    let found = world.server.call("search_files", json!({"path": "/data", "pattern": "**"}));
    assert_eq!(found["structuredContent"]["matches"], json!(["/data/plain.txt"]));
    let grepped = world.server.call("search_content", json!({"path": "/data", "pattern": SECRET}));
    assert_eq!(grepped["structuredContent"]["matches"], json!([]));
    // Whether a denied file exists is not told either.
    let there = world.server.call("read_text_file", json!({"path": "/data/.env"}));
    let not_there = world.server.call("read_text_file", json!({"path": "/data/.env.production"}));
    assert_eq!(error_of(&there).replace("/.env ", "/X "), error_of(&not_there).replace("/.env.production ", "/X "));
}

#[test]
fn files_with_several_names_are_listed_but_not_read() {
    let world = world(|root| {
        fs::write(root.join(".env"), SECRET).unwrap();
        fs::hard_link(root.join(".env"), root.join("notes.txt")).unwrap();
        symlink("notes.txt", root.join("link.txt")).unwrap();
    });
    let outside = world.base.path().join("outside/secret.txt");
    fs::hard_link(outside, world.base.path().join("root/brought-in.txt")).unwrap();
    for name in ["notes.txt", "link.txt", "brought-in.txt"] {
        let path = format!("/data/{name}");
        for (tool, arguments) in [
            ("read_text_file", json!({"path": path})),
            ("read_text_file", json!({"path": path, "tail": 1})),
            ("read_media_file", json!({"path": path})),
            ("search_content", json!({"path": path, "pattern": "SECRET"})),
        ] {
            let result = world.server.call(tool, arguments);
            assert!(error_of(&result).contains("several names (hard links)"), "{tool}: {result}");
        }
        let several = world.server.call("read_multiple_files", json!({"paths": [path]}));
        assert!(several["structuredContent"]["files"][0]["error"].as_str().unwrap().contains("several names"));
        let info = world.server.call("get_file_info", json!({"path": path}));
        assert_eq!(
            (&info["structuredContent"]["size"], &info["structuredContent"]["sha256"]),
            (&json!(10), &Value::Null)
        );
    }
    let grepped = world.server.call("search_content", json!({"path": "/data", "pattern": "SECRET|plain"}));
    let matches = json!([{"path": "/data/plain.txt", "line": 1, "text": "plain"}]);
    assert_eq!(grepped["structuredContent"]["matches"], matches);
    let listed = world.server.call("list_directory", json!({"path": "/data"}));
    assert_eq!(names(&listed), ["brought-in.txt", "link.txt", "notes.txt", "plain.txt"]);
    // The last name that is left is an ordinary file's.
    fs::remove_file(world.base.path().join("root/.env")).unwrap();
    let read = world.server.call("read_text_file", json!({"path": "/data/notes.txt"}));
    assert_eq!(read["structuredContent"]["content"], SECRET);
}

#[test]
fn pipes_sockets_and_devices_are_refused_without_waiting() {
    let world = world(|root| {
        mkfifo(&root.join("pipe"), Mode::S_IRWXU).unwrap();
        drop(UnixListener::bind(root.join("socket")).unwrap());
        symlink("pipe", root.join("pipe-link")).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
    });
    let start = Instant::now();
    for name in ["pipe", "socket", "pipe-link", "zero"] {
        let path = format!("/data/{name}");
        for tool in ["read_text_file", "read_media_file"] {
            let failed = world.server.call(tool, json!({"path": path}));
            let expected = if name == "zero" { "leads out of its root" } else { "is not a regular file" };
            assert!(error_of(&failed).contains(expected), "{failed}");
        }
    }
    let info = world.server.call("get_file_info", json!({"path": "/data/pipe"}));
    assert_eq!(info["structuredContent"]["type"], "other", "{info}");
    let listed = world.server.call("list_directory", json!({"path": "/data"}));
    let kinds = json!([
        {"name": "pipe", "type": "other"},
        {"name": "pipe-link", "type": "other"},
        {"name": "plain.txt", "type": "file"},
        {"name": "socket", "type": "other"},
        {"name": "zero", "type": "symlink"},
    ]);
    assert_eq!(listed["structuredContent"]["entries"], kinds);
    let grepped = world.server.call("search_content", json!({"path": "/data", "pattern": "plain"}));
    assert_eq!(grepped["structuredContent"]["matches"].as_array().unwrap().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(20), "something waited: {:?}", start.elapsed());
}

#[test]
fn a_root_that_is_replaced_by_a_link_is_still_the_directory_that_was_given() {
    let world = world(|_| ());
    let base = world.base.path();
    fs::rename(base.join("root"), base.join("moved")).unwrap();
    symlink("outside", base.join("root")).unwrap();
    assert_refused_everywhere(&world, "/data/secret.txt");
    let read = world.server.call("read_text_file", json!({"path": "/data/plain.txt"}));
    assert_eq!(read["structuredContent"]["content"], "plain\n");
}

#[test]
fn a_link_that_changes_all_the_time_never_opens_the_outside() {
    let world = world(|root| symlink("plain.txt", root.join("flip")).unwrap());
    let root = world.base.path().join("root");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for target in ["../outside/secret.txt", "plain.txt"].into_iter().cycle() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                symlink(target, root.join("flip-next")).unwrap();
                fs::rename(root.join("flip-next"), root.join("flip")).unwrap();
            }
        });
        let (mut read, mut refused) = (0, 0);
        for _ in 0..400 {
            let result = world.server.call("read_text_file", json!({"path": "/data/flip"}));
            assert!(!result.to_string().contains(SECRET), "{result}");
            if result["isError"] == true {
                refused += 1;
            } else {
                read += 1;
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(read > 0 && refused > 0, "the link did not change: {read} read, {refused} refused");
    });
}

#[test]
fn globs_that_would_overflow_the_stack_or_fill_the_memory_are_refused() {
    let world = world(|_| ());
    let nested = format!("{}a{}", "{".repeat(60_000), "}".repeat(60_000));
    let deep = format!("{}a{}", "{".repeat(200), "}".repeat(200));
    let many = vec!["a"; 40_000];
    for (expected, found, pattern) in [("at most 512 bytes", "120001", &nested), ("at most 4 nested", "200", &deep)] {
        for (tool, arguments) in [
            ("search_files", json!({"path": "/data", "pattern": pattern})),
            ("search_files", json!({"path": "/data", "pattern": "*", "excludePatterns": [pattern]})),
            ("search_content", json!({"path": "/data", "pattern": "a", "glob": pattern})),
            ("search_content", json!({"path": "/data", "pattern": "a", "excludePatterns": ["*", pattern]})),
            ("directory_tree", json!({"path": "/data", "excludePatterns": [pattern]})),
        ] {
            let result = world.server.call(tool, arguments);
            assert!(error_of(&result).contains(expected) && error_of(&result).contains(found), "{tool}: {result}");
        }
    }
    for (tool, arguments) in [
        ("search_files", json!({"path": "/data", "pattern": "*", "excludePatterns": many})),
        ("search_content", json!({"path": "/data", "pattern": "a", "excludePatterns": many})),
        ("directory_tree", json!({"path": "/data", "excludePatterns": many})),
    ] {
        let result = world.server.call(tool, arguments);
        assert!(error_of(&result).contains("at most 64 excludePatterns, found 40000"), "{tool}: {result}");
    }
    let alive = world.server.call("search_files", json!({"path": "/data", "pattern": "{plain,{other,{a,{b,c}}}}.txt"}));
    assert_eq!(alive["structuredContent"]["matches"], json!(["/data/plain.txt"]));
}

#[test]
fn patterns_that_would_keep_a_core_busy_are_refused() {
    let world = world(|root| fs::write(root.join("a.txt"), "a".repeat(13_000_000)).unwrap());
    for (pattern, expected) in [
        ("(?:a{0,90}.{0,90}){8}[^a]b".to_owned(), "size limit"),
        ("a?".repeat(600), "at most 1024 bytes"),
        (format!("{}a{}", "(".repeat(300), ")".repeat(300)), "nest"),
    ] {
        let result = world.server.call("search_content", json!({"path": "/data", "pattern": pattern}));
        assert!(error_of(&result).contains(expected), "{result}");
    }
    // What is left of such a line is not searched, and that is told.
    let result = world.server.call("search_content", json!({"path": "/data", "pattern": "(?:a{0,30}.{0,30}){3}[^a]b"}));
    assert_eq!(result["structuredContent"], json!({"matches": [], "truncated": true}));
}
