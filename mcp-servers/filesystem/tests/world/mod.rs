//! A root with files and the real server on it. Structured results are validated against the schemas of their tools.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

#[path = "../../../kit/tests/support/mod.rs"]
mod support;

use std::path::Path;

use serde_json::Value;
use support::{Server, error_of};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-filesystem");

pub struct World {
    pub directory: TempDir,
    pub server: Server,
    pub tools: Value,
}

pub fn world(fill: impl FnOnce(&Path)) -> World {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let server = Server::start(BINARY, &[&format!("--root=data={}", directory.path().display())]);
    let tools = server.tools();
    World { directory, server, tools }
}

impl World {
    /// Calls a tool that succeeds; answers with its structured result.
    pub fn call(&self, tool: &str, arguments: Value) -> Value {
        let mut result = self.server.call(tool, arguments);
        assert_eq!(result["isError"], false, "{tool}: {result}");
        let declared = self.tools.as_array().unwrap().iter().find(|one| one["name"] == tool).unwrap();
        let validator = jsonschema::validator_for(&declared["outputSchema"]).unwrap();
        let structured = result["structuredContent"].take();
        let problems: Vec<String> = validator.iter_errors(&structured).map(|error| error.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new(), "{tool}: {structured}");
        let declared = declared["outputSchema"]["properties"].as_object().unwrap();
        for name in structured.as_object().unwrap().keys() {
            assert!(declared.contains_key(name), "{tool} does not declare {name}");
        }
        assert!(structured.to_string().len() <= 64 * 1024, "{tool} is over its budget");
        structured
    }

    pub fn fails(&self, tool: &str, arguments: Value) -> String {
        error_of(&self.server.call(tool, arguments)).to_owned()
    }
}
