//! The real server on a database of its own. Structured results are validated against the schemas of their tools.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its own part of this")]
#![allow(clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "clippy takes this for no test")]

#[path = "../../../kit/tests/support/mod.rs"]
pub mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
pub use support::Server;
use support::{error_of, get};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_mcp-database");

pub struct World {
    pub directory: TempDir,
    pub server: Server,
    pub tools: Value,
}

/// The sample database in a file, and a server with these arguments more.
pub fn world(arguments: &[&str]) -> World {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory, arguments);
    let tools = server.tools();
    World { directory, server, tools }
}

/// The sample database in memory.
pub fn memory(arguments: &[&str]) -> World {
    let directory = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> = ["--sqlite=:memory:"].into_iter().chain(arguments.iter().copied()).collect();
    let server = Server::start(BINARY, &arguments);
    let tools = server.tools();
    World { directory, server, tools }
}

fn start(directory: &TempDir, arguments: &[&str]) -> Server {
    let file = format!("--sqlite={}", directory.path().join("sample.db").display());
    let arguments: Vec<&str> = [file.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    Server::start(BINARY, &arguments)
}

impl World {
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("sample.db")
    }

    /// Starts the server again on the same file.
    pub fn restart(&mut self, arguments: &[&str]) {
        self.server.signal(nix::sys::signal::Signal::SIGKILL);
        self.server.end();
        self.server = start(&self.directory, arguments);
        self.tools = self.server.tools();
    }

    /// Calls a tool that succeeds; answers with its structured result.
    pub fn call(&self, tool: &str, arguments: Value) -> Value {
        self.server.succeeds(&self.tools, tool, arguments)
    }

    /// The rows of a statement.
    pub fn rows(&self, sql: &str) -> Value {
        self.call("query", json!({"sql": sql}))["rows"].take()
    }

    pub fn fails(&self, tool: &str, arguments: Value) -> String {
        error_of(&self.server.call(tool, arguments)).to_owned()
    }

    pub fn metrics(&self) -> String {
        get(self.server.health, "/metrics").body
    }
}
