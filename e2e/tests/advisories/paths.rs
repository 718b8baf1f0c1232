//! Files: paths that lead out of what is served, tried on every tool that takes one.

use anyhow::Result;
use serde_json::{Value, json};

use crate::world::{SECRET, World, call, refused, start};

/// Every use of a path; those that would change something are told apart by nobody.
fn attempts(path: &str) -> Vec<(&'static str, Value)> {
    let just = json!({"path": path});
    vec![
        ("read_text_file", just.clone()),
        ("read_media_file", just.clone()),
        ("get_file_info", just.clone()),
        ("list_directory", just.clone()),
        ("list_directory_with_sizes", just.clone()),
        ("directory_tree", just.clone()),
        ("search_files", json!({"path": path, "pattern": "*"})),
        ("search_content", json!({"path": path, "pattern": "SECRET"})),
        ("create_directory", just.clone()),
        ("delete_file", just),
        ("write_file", json!({"path": path, "content": "owned"})),
        ("edit_file", json!({"path": path, "edits": [{"oldText": "TOP", "newText": "owned"}]})),
        ("copy_file", json!({"source": path, "destination": "/data/staged.txt"})),
        ("copy_file", json!({"source": "/data/plain.txt", "destination": path})),
        ("move_file", json!({"source": path, "destination": "/data/staged.txt"})),
        ("move_file", json!({"source": "/data/plain.txt", "destination": path})),
    ]
}

/// No tool does anything at that path, nor tells what is there.
fn out_of_reach(world: &World, path: &str) {
    let before = world.picture();
    for (tool, arguments) in attempts(path) {
        refused(&world.files, tool, arguments);
        assert_eq!(world.picture(), before, "{tool} {path}");
    }
    // This one tells of each file by itself.
    let answer = world.files.post(&[], &call("read_multiple_files", &json!({"paths": ["/data/plain.txt", path]})));
    assert!(answer.body.contains("plain") && !answer.body.contains(SECRET), "{path}: {answer:?}");
}

pub(crate) async fn neighbour(w: &World) -> Result<()> {
    let absolute = w.place("root-sibling/secret.txt");
    for path in [
        "/data-sibling/secret.txt",
        "/data/../root-sibling/secret.txt",
        "/data/../data-sibling/secret.txt",
        "../root-sibling/secret.txt",
        "/root-sibling/secret.txt",
        absolute.as_str(),
    ] {
        out_of_reach(w, path);
    }
    Ok(())
}

pub(crate) async fn link(w: &World) -> Result<()> {
    for path in
        ["/data/link/secret.txt", "/data/link/not-yet.txt", "/data/link/new/deep.txt", "/data/link/../plain.txt"]
    {
        out_of_reach(w, path);
    }
    // Of a link itself something may be told or done, but never of what it leads to.
    let before = w.picture();
    for path in ["/data/file-link", "/data/dangling", "/data/link"] {
        for (tool, arguments) in attempts(path) {
            if !matches!(tool, "get_file_info" | "delete_file" | "move_file") {
                refused(&w.files, tool, arguments);
                assert_eq!(w.picture(), before, "{tool} {path}");
            }
        }
    }
    let info = w.files.call("get_file_info", json!({"path": "/data/file-link"})).to_string();
    assert!(!info.contains(&w.place("outside")), "{info}");
    Ok(())
}

pub(crate) async fn anywhere(w: &World) -> Result<()> {
    let before = w.picture();
    let (outside, neighbour) = (w.place("outside/.git"), w.place("made"));
    // Also inside: a repository's own files decide what git runs.
    for path in
        ["/data/../outside/.git", "/tmp/made-by-an-advisory", &outside, &neighbour, "/data/.git", "/data/a/.git"]
    {
        refused(&w.files, "create_directory", json!({"path": path}));
        for name in ["config", "hooks/post-checkout"] {
            refused(&w.files, "write_file", json!({"path": format!("{path}/{name}"), "content": "[core]"}));
        }
    }
    assert_eq!(w.picture(), before);
    assert!(!std::path::Path::new("/tmp/made-by-an-advisory").exists());
    Ok(())
}

pub(crate) async fn option(w: &World) -> Result<()> {
    let before = w.picture();
    let target = w.place("outside/secret.txt");
    for option in [format!("--output={target}"), format!("-o{target}"), "--no-index".to_owned(), "-".to_owned()] {
        for (tool, arguments) in attempts(&option) {
            refused(&w.files, tool, arguments);
        }
        // A pattern is looked for, whatever it begins with.
        for arguments in [
            json!({"path": "/data", "pattern": option}),
            json!({"path": "/data", "pattern": "plain", "glob": option}),
            json!({"path": "/data", "pattern": "plain", "excludePatterns": [option]}),
        ] {
            let found = w.files.post(&[], &call("search_content", &arguments));
            assert!(!found.body.contains(SECRET), "{arguments}: {found:?}");
            w.files.post(&[], &call("search_files", &json!({"path": "/data", "pattern": option})));
        }
        assert_eq!(w.picture(), before, "{option}");
    }
    Ok(())
}

pub(crate) async fn boundary(w: &World) -> Result<()> {
    let narrow = start("mcp-filesystem", &[&format!("--root=docs={}", w.place("root"))]);
    let absolute = (w.place("outside/secret.txt"), w.place("outside"), w.place("root/plain.txt"));
    for path in ["/data/plain.txt", "/", "/outside/secret.txt", &absolute.0, &absolute.1, &absolute.2, ".", ".."] {
        for tool in ["read_text_file", "list_directory", "directory_tree", "get_file_info"] {
            let body = call(tool, &json!({"path": path}));
            let answer = narrow.post(&[], &body);
            // The list of all roots is what `/` is; it has one.
            if path != "/" || tool == "read_text_file" {
                assert_eq!(answer.json()["result"]["isError"], true, "{tool} {path}: {answer:?}");
            }
            assert!(!answer.body.contains(SECRET), "{tool} {path}: {answer:?}");
        }
    }
    assert_eq!(narrow.call("read_text_file", json!({"path": "/docs/plain.txt"}))["isError"], false);
    // And what is served to be read is not written, whatever the settings say of writing.
    let writing = start("mcp-filesystem", &[&format!("--root=docs={}", w.place("root")), "--writes=allow"]);
    let before = w.picture();
    refused(&writing, "write_file", json!({"path": "/docs/plain.txt", "content": "owned"}));
    assert_eq!(w.picture(), before);
    Ok(())
}

pub(crate) async fn staged(w: &World) -> Result<()> {
    for path in [
        "../outside/secret.txt",
        "../../../../../../etc/passwd",
        "/data/../outside/secret.txt",
        "/data/x/../../outside/secret.txt",
        "/data/./../outside/secret.txt",
        "/data//../outside/secret.txt",
        "/data/..%2foutside/secret.txt",
        "/data/..\\outside\\secret.txt",
    ] {
        out_of_reach(w, path);
    }
    Ok(())
}

pub(crate) async fn download(w: &World) -> Result<()> {
    let before = w.picture();
    let absolute = w.place("outside/authorized_keys");
    for path in [
        "/data/../outside/authorized_keys",
        "/data/../../../../../../root/.ssh/authorized_keys-of-an-advisory",
        "/root/.ssh/authorized_keys-of-an-advisory",
        "~/.ssh/authorized_keys",
        "/etc/cron.d/of-an-advisory",
        "../.bashrc",
        "/data/link/authorized_keys",
        "/data/dangling",
        "file:///etc/cron.d/of-an-advisory",
        &absolute,
    ] {
        refused(&w.files, "write_file", json!({"path": path, "content": "ssh-ed25519 AAAA"}));
        refused(&w.files, "copy_file", json!({"source": "/data/plain.txt", "destination": path}));
        refused(&w.files, "move_file", json!({"source": "/data/plain.txt", "destination": path}));
    }
    assert_eq!(w.picture(), before);
    for path in ["/etc/cron.d/of-an-advisory", "/root/.ssh/authorized_keys-of-an-advisory"] {
        assert!(!std::path::Path::new(path).exists(), "{path}");
    }
    Ok(())
}
