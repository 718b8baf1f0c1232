//! What the tools that change files must not reach: every way out of the root, tried on every one of them; and links that
//! are exchanged while they work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use tempfile::TempDir;
use world::{BINARY, Server, WRITES};

/// A writable root and a read-only one, with siblings that must stay as they are.
struct World {
    base: TempDir,
    server: Server,
}

fn world(fill: impl FnOnce(&Path)) -> World {
    let base = tempfile::tempdir().unwrap();
    for name in ["root", "root-sibling", "outside", "readonly"] {
        fs::create_dir(base.path().join(name)).unwrap();
        fs::write(base.path().join(name).join("secret.txt"), "TOP-SECRET").unwrap();
    }
    let root = base.path().join("root");
    fs::remove_file(root.join("secret.txt")).unwrap();
    fill(&root);
    let writable = format!("--writable-root=data={}", root.display());
    let readonly = format!("--root=docs={}", base.path().join("readonly").display());
    let server = Server::start(BINARY, &[&writable, &readonly, WRITES]);
    World { base, server }
}

/// Everything below a directory: names, kinds and contents. Links are told by where they lead.
fn picture(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut picture = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let what = if kind.is_symlink() {
            format!("link {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_file() {
            format!("file {}", fs::read_to_string(&path).unwrap())
        } else {
            format!("{kind:?}")
        };
        if kind.is_dir() {
            picture.extend(self::picture(&path));
        }
        picture.insert(path, what);
    }
    picture
}

/// Every way to change something at a path.
fn attempts(path: &str) -> Vec<(&'static str, Value)> {
    let edits = json!([{"oldText": "TOP", "newText": "x"}]);
    vec![
        ("write_file", json!({"path": path, "content": "owned"})),
        ("write_file", json!({"path": path, "content": "owned", "if_match": ""})),
        ("edit_file", json!({"path": path, "edits": edits})),
        ("create_directory", json!({"path": path})),
        ("move_file", json!({"source": path, "destination": "/data/taken"})),
        ("move_file", json!({"source": "/data/plain.txt", "destination": path})),
        ("copy_file", json!({"source": "/data/plain.txt", "destination": path})),
        ("delete_file", json!({"path": path})),
    ]
}

fn assert_refused_everywhere(world: &World, path: &str) {
    let before = picture(world.base.path());
    let host = world.base.path().display().to_string();
    for (tool, arguments) in attempts(path) {
        let result = world.server.call(tool, arguments.clone());
        let text = result.to_string();
        assert!(!text.contains("TOP-SECRET"), "{tool} {arguments}: {text}");
        // Errors repeat what the client sent, also when it guessed a path of the host.
        assert!(path.contains(&host) || !text.contains(&host), "{tool} {arguments}: {text}");
        assert_eq!(result["isError"], true, "{tool} {arguments} was done: {text}");
    }
    assert_eq!(picture(world.base.path()), before, "{path}");
}

fn full() -> World {
    world(|root| {
        let outside = root.parent().unwrap().join("outside");
        fs::write(root.join("plain.txt"), "plain").unwrap();
        fs::create_dir(root.join("dir")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        fs::write(root.join(".git/config"), "git").unwrap();
        fs::write(root.join(".env"), "KEY=1").unwrap();
        for (target, name) in [
            (outside.to_str().unwrap(), "absolute-link"),
            ("../outside", "relative-link"),
            ("../outside/secret.txt", "file-link"),
            ("../outside/made-by-attacker", "dangling-out"),
            ("nowhere", "dangling-in"),
            ("/", "slash"),
            ("/proc/self/cwd", "proc"),
            ("chain-b", "chain-a"),
            ("../outside", "chain-b"),
            ("loop-b", "loop-a"),
            ("loop-a", "loop-b"),
            ("../../outside", "dir/up"),
            (".git", "git-link"),
            (".env", "env-link"),
            ("plain.txt", "inner-link"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        mkfifo(&root.join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        drop(UnixListener::bind(root.join("socket")).unwrap());
        fs::hard_link(outside.join("secret.txt"), root.join("hard-link.txt")).unwrap();
    })
}

#[test]
fn no_tool_changes_anything_outside_or_denied() {
    let world = full();
    let base = world.base.path().display().to_string();
    let absolute = format!("{base}/outside/secret.txt");
    let (slash, deep) = (format!("/data/slash{base}/outside/new.txt"), format!("/data/{}", "a/".repeat(65)));
    let (long, long_name) = (format!("/data/{}", "a/".repeat(3000)), format!("/data/{}", "a".repeat(256)));
    for path in [
        // Out of the root by its text.
        "/data/../outside/secret.txt",
        "/data/dir/../../outside/new.txt",
        "/data/..",
        "..",
        "../outside/new.txt",
        "new.txt",
        "",
        "/",
        "/etc/mcp-owned",
        "/data-sibling/new.txt",
        "/root-sibling/secret.txt",
        "~/new.txt",
        "file:///tmp/mcp-owned",
        "C:\\mcp-owned",
        "/data/dir/../..\\outside",
        "/data/\u{0}",
        "/data/plain.txt\u{0}.md",
        &absolute,
        // Through links.
        "/data/absolute-link/new.txt",
        "/data/absolute-link/secret.txt",
        "/data/relative-link/new.txt",
        "/data/relative-link",
        "/data/file-link",
        "/data/dangling-out",
        "/data/dangling-out/new.txt",
        "/data/dangling-in/new.txt",
        "/data/proc/new.txt",
        "/data/chain-a/new.txt",
        "/data/chain-a",
        "/data/loop-a",
        "/data/loop-a/new.txt",
        "/data/dir/up/new.txt",
        &slash,
        // Names that are not served, by themselves and through links.
        "/data/.env",
        "/data/.ENV",
        "/data/dir/.env.local",
        "/data/dir/id_rsa",
        "/data/dir/server.pem",
        "/data/.git",
        "/data/.git/config",
        "/data/.git/hooks/post-commit",
        "/data/git-link/config",
        "/data/git-link/new.txt",
        "/data/env-link",
        "/data/..mcp-unfinished-1",
        // What is no file of its own.
        "/data/pipe",
        "/data/socket",
        "/data/hard-link.txt",
        "/data/inner-link",
        "/data/plain.txt/new.txt",
        // Too much, or not to be written.
        &deep,
        &long,
        &long_name,
        "/docs/new.txt",
        "/docs/secret.txt",
        "/docs",
    ] {
        assert_refused_everywhere(&world, path);
    }
}

#[test]
fn nothing_is_copied_from_where_nothing_is_read() {
    let world = full();
    let before = picture(world.base.path());
    for source in [
        "/data/file-link",
        "/data/.env",
        "/data/env-link",
        "/data/hard-link.txt",
        "/data/pipe",
        "/data/slash/etc/passwd",
    ] {
        let result = world.server.call("copy_file", json!({"source": source, "destination": "/data/copy"}));
        assert_eq!(result["isError"], true, "{source}: {result}");
    }
    assert_eq!(picture(world.base.path()), before);
    // From a root that may only be read, a copy is a read.
    let copied = world.server.call("copy_file", json!({"source": "/docs/secret.txt", "destination": "/data/copy"}));
    assert_eq!(copied["isError"], false, "{copied}");
}

/// Exchanges a name below the root between two things until told to stop.
fn exchanging(root: &Path, name: &str, first: &str, second: &str, stop: &AtomicBool) {
    let (name, first, second) = (root.join(name), root.join(first), root.join(second));
    while !stop.load(Ordering::SeqCst) {
        for thing in [&first, &second] {
            let _ = fs::rename(thing, &name);
            thread::yield_now();
            let _ = fs::rename(&name, thing);
        }
    }
}

#[test]
fn a_directory_that_becomes_a_link_in_the_middle_leads_nowhere() {
    let world = world(|root| {
        fs::create_dir(root.join("inside")).unwrap();
        symlink("../outside", root.join("leading-out")).unwrap();
        fs::write(root.join("plain.txt"), "plain").unwrap();
    });
    let (root, stop) = (world.base.path().join("root"), AtomicBool::new(false));
    let outside = picture(&world.base.path().join("outside"));
    let mut done = 0;
    thread::scope(|scope| {
        scope.spawn(|| exchanging(&root, "swap", "inside", "leading-out", &stop));
        for round in 0..150 {
            let path = format!("/data/swap/{round}");
            for (tool, arguments) in [
                ("write_file", json!({"path": path, "content": "x"})),
                ("write_file", json!({"path": "/data/swap/secret.txt", "content": "owned"})),
                ("create_directory", json!({"path": format!("/data/swap/d{round}")})),
                ("copy_file", json!({"source": "/data/plain.txt", "destination": format!("/data/swap/c{round}")})),
                ("move_file", json!({"source": path, "destination": format!("/data/swap/m{round}")})),
                ("delete_file", json!({"path": "/data/swap/secret.txt"})),
            ] {
                done += usize::from(world.server.call(tool, arguments)["isError"] == false);
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(picture(&world.base.path().join("outside")), outside);
    assert!(done > 0, "some of it went to the real directory");
}

#[test]
fn a_file_that_becomes_a_link_in_the_middle_is_not_followed() {
    let world = world(|root| {
        fs::write(root.join("own.txt"), "TOP of its own").unwrap();
        symlink("../outside/secret.txt", root.join("leading-out")).unwrap();
    });
    let (root, stop) = (world.base.path().join("root"), AtomicBool::new(false));
    let outside = picture(&world.base.path().join("outside"));
    thread::scope(|scope| {
        scope.spawn(|| exchanging(&root, "swap.txt", "own.txt", "leading-out", &stop));
        for _ in 0..150 {
            for (tool, arguments) in attempts("/data/swap.txt") {
                let text = world.server.call(tool, arguments).to_string();
                assert!(!text.contains("TOP-SECRET"), "{tool}: {text}");
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(picture(&world.base.path().join("outside")), outside);
    let inside = picture(&root);
    assert!(!inside.values().any(|what| what.contains("TOP-SECRET")), "nothing of outside came in: {inside:?}");
}
