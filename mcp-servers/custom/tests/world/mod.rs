//! The real server; structured results are validated against the schemas of their tools.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its own part of this")]
#![allow(clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "clippy takes this for no test")]

#[path = "../../../kit/tests/support/mod.rs"]
pub mod support;

use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Server, error_of, get};

pub const BINARY: &str = env!("CARGO_BIN_EXE_mcp-custom");

pub struct World {
    pub server: Server,
    pub tools: Value,
}

pub fn world(arguments: &[&str]) -> World {
    let server = Server::start(BINARY, arguments);
    let tools = server.tools();
    World { server, tools }
}

/// What a server that cannot start says of its settings.
pub fn wrong_settings(arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

impl World {
    pub fn names(&self) -> Vec<&str> {
        self.tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
    }

    /// Calls a tool that succeeds; answers with its structured result.
    pub fn call(&self, tool: &str, arguments: Value) -> Value {
        self.server.succeeds(&self.tools, tool, arguments)
    }

    pub fn fails(&self, tool: &str, arguments: Value) -> String {
        error_of(&self.server.call(tool, arguments)).to_owned()
    }

    pub fn metrics(&self) -> String {
        get(self.server.health, "/metrics").body
    }
}
