//! The servers under attack, and what the attacks are after: a directory with neighbours, a shop in PostgreSQL, a store.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::Result;
use mcp_e2e::suite;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    shop::Shop,
    support::{Answer, Server, exchange, get},
};

/// What no answer may tell.
pub(crate) const SECRET: &str = "TOP-SECRET";

pub(crate) struct World {
    /// Below it `root`, which is served as `/data`, and its neighbours.
    pub(crate) base: TempDir,
    pub(crate) files: Server,
    /// With its entries in memory, and every tool that writes.
    pub(crate) custom: Server,
    pub(crate) shop: Shop,
    /// As a role that may write, on a server that does not.
    pub(crate) database: Server,
}

impl World {
    pub(crate) async fn open() -> Result<Self> {
        let base = tempfile::tempdir()?;
        for name in ["root", "root-sibling", "outside"] {
            fs::create_dir(base.path().join(name))?;
            fs::write(base.path().join(name).join("secret.txt"), SECRET)?;
        }
        let root = base.path().join("root");
        fs::remove_file(root.join("secret.txt"))?;
        fs::write(root.join("plain.txt"), "plain")?;
        symlink("../outside", root.join("link"))?;
        symlink(base.path().join("outside/secret.txt"), root.join("file-link"))?;
        symlink("../outside/not-yet.txt", root.join("dangling"))?;
        let files = start("mcp-filesystem", &[&format!("--writable-root=data={}", root.display()), "--writes=allow"]);
        let custom = start("mcp-custom", &["--weather=off", "--writes=allow"]);
        let shop = Shop::open().await?;
        let database = start("mcp-database", &[&format!("--postgres={}", shop.uri("writer")?.display())]);
        Ok(Self { base, files, custom, shop, database })
    }

    /// The path of something below the base, on this machine.
    pub(crate) fn place(&self, name: &str) -> String {
        self.base.path().join(name).display().to_string()
    }

    /// Everything below the base: names, kinds and contents.
    pub(crate) fn picture(&self) -> BTreeMap<PathBuf, String> {
        picture(self.base.path())
    }

    /// No entry of the store begins so.
    pub(crate) fn has_no_entry(&self, prefix: &str) {
        let listed = self.custom.call("kv_list", json!({"prefix": prefix}));
        assert_eq!(listed["structuredContent"]["keys"], json!([]), "{listed}");
    }
}

/// A server that ships.
pub(crate) fn start(name: &str, arguments: &[&str]) -> Server {
    Server::start(&binary(name), arguments)
}

pub(crate) fn binary(name: &str) -> String {
    suite::bin_dir(env!("CARGO_BIN_EXE_mcp-e2e")).join(name).display().to_string()
}

fn picture(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(picture(&path));
        }
        let what = if kind.is_file() { fs::read_to_string(&path).unwrap() } else { format!("{kind:?}") };
        found.insert(path, what);
    }
    found
}

/// `tools/call` as a message.
pub(crate) fn call(tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// The call that every attack on the door would like to make: it leaves an entry.
pub(crate) fn entry(key: &str) -> Value {
    call("kv_set", &json!({"key": key, "value": "owned"}))
}

/// Headers as they are sent.
pub(crate) fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat()
}

/// A request of any method to any target, with these headers and a Host unless they name one.
pub(crate) fn request(server: &Server, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let host = if headers.iter().any(|(name, _)| *name == "host") { "" } else { "host: localhost\r\n" };
    let lines = lines(headers);
    let length = body.len();
    let text = format!(
        "{method} {target} HTTP/1.1\r\n{host}{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    exchange(server.address, text.as_bytes())
}

/// Calls a tool that must refuse; what it says. Nothing of what is secret is in it.
pub(crate) fn refused(server: &Server, tool: &str, arguments: Value) -> String {
    let shown = arguments.to_string();
    let answer = server.post(&[], &call(tool, &arguments));
    assert!(!answer.body.contains(SECRET), "{tool} {shown}: {answer:?}");
    let read = answer.json();
    let is_refused = read["result"]["isError"] == true || !read["error"].is_null();
    assert!(is_refused, "{tool} {shown} was done: {answer:?}");
    answer.body
}

/// A line of the server's metrics.
pub(crate) fn measures(server: &Server, line: &str) {
    let metrics = get(server.health, "/metrics").body;
    assert!(metrics.lines().any(|one| one == line), "no {line:?} in {metrics}");
}
