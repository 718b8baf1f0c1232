//! A root with files and the real server on it. Structured results are validated against the schemas of their tools.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its own part of this")]
#![allow(clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "clippy takes this for no test")]

#[path = "../../../kit/tests/support/mod.rs"]
mod support;

use std::path::Path;

use serde_json::Value;
pub use support::{Answer, Server, exchange};
use support::{error_of, get};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_mcp-filesystem");
/// What makes a server write at all.
pub const WRITES: &str = "--writes=allow";

pub struct World {
    pub directory: TempDir,
    pub server: Server,
    pub tools: Value,
}

pub fn world(fill: impl FnOnce(&Path)) -> World {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    start(directory, &[])
}

/// The same with a root that may be written.
pub fn writable(fill: impl FnOnce(&Path)) -> World {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let root = format!("--writable-root=data={}", directory.path().display());
    let server = Server::start(BINARY, &[&root, WRITES]);
    let tools = server.tools();
    World { directory, server, tools }
}

/// An empty root, and a server with these arguments more.
pub fn world_with(arguments: &[&str]) -> World {
    start(tempfile::tempdir().unwrap(), arguments)
}

fn start(directory: TempDir, arguments: &[&str]) -> World {
    let root = format!("--root=data={}", directory.path().display());
    let arguments: Vec<&str> = [root.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    let server = Server::start(BINARY, &arguments);
    let tools = server.tools();
    World { directory, server, tools }
}

impl World {
    /// Calls a tool that succeeds; answers with its structured result.
    pub fn call(&self, tool: &str, arguments: Value) -> Value {
        self.server.succeeds(&self.tools, tool, arguments)
    }

    /// The value of a whole number among the metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let text = get(self.server.health, "/metrics").body;
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
        value.trim().parse().unwrap()
    }

    pub fn fails(&self, tool: &str, arguments: Value) -> String {
        error_of(&self.server.call(tool, arguments)).to_owned()
    }
}
