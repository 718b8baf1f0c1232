//! The tools: each file has the arguments, the result and the function of its tools, and nothing of the protocol.

mod edit;
mod find;
mod globs;
mod grep;
mod info;
mod list;
mod media;
mod read;
mod relocate;
mod tree;
mod walk;
mod write;

use std::sync::Arc;

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{sandbox::Sandbox, text::json_len};

/// All tools of the server.
pub(crate) fn all(sandbox: &Arc<Sandbox>) -> Vec<Tool> {
    let tools = [
        read::text_file(sandbox),
        read::multiple_files(sandbox),
        media::media_file(sandbox),
        list::directory(sandbox),
        list::directory_with_sizes(sandbox),
        list::allowed_directories(sandbox),
        tree::directory_tree(sandbox),
        find::search_files(sandbox),
        grep::search_content(sandbox),
        info::file_info(sandbox),
    ];
    let mut tools = Vec::from(tools);
    if sandbox.writable().next().is_some() {
        tools.extend([
            write::write_file(sandbox),
            write::create_directory(sandbox),
            edit::edit_file(sandbox),
            relocate::move_file(sandbox),
            relocate::copy_file(sandbox),
            relocate::delete_file(sandbox),
        ]);
    }
    tools
}

/// What tools that change something have in common.
const CHANGES: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };

/// A tool that changes something, one call after the other.
fn changing<A, O>(
    sandbox: &Arc<Sandbox>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    hints: Hints,
    work: fn(&Sandbox, &A, &Call) -> Result<Reply<O>, ToolError>,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
{
    let sandbox = Arc::clone(sandbox);
    let handler = move |arguments: A, call: Call| {
        let sandbox = Arc::clone(&sandbox);
        call.blocking(move |call| {
            let _changing = sandbox.changing();
            call.check()?;
            work(&sandbox, &arguments, call)
        })
    };
    Tool::new(name, title, description, hints, handler)
}

/// A read-only tool whose work blocks on the disk.
fn reading<A, O>(
    sandbox: &Arc<Sandbox>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    work: fn(&Sandbox, &A, &Call) -> Result<Reply<O>, ToolError>,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
{
    let sandbox = Arc::clone(sandbox);
    let handler = move |arguments: A, call: Call| {
        let sandbox = Arc::clone(&sandbox);
        call.blocking(move |call| work(&sandbox, &arguments, call))
    };
    Tool::new(name, title, description, Hints::READ, handler)
}

/// About how many bytes an object with this text and a few short fields takes.
fn weight(text: &str, fields: usize) -> usize {
    json_len(text) + fields
}
