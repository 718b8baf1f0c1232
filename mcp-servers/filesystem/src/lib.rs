//! The Filesystem MCP server: the reference server's tools, over directories that were given to it.
//!
//! In: roots (`--root NAME=PATH`, `--writable-root NAME=PATH`). Out: tools that read below them under virtual paths
//! `/NAME/...`, and, where that is allowed, change what is there. No path of the host appears in any answer or error, and
//! nothing outside the roots is reachable.

mod digest;
mod sandbox;
mod settings;
mod text;
mod tools;

use clap::Arg;
use mcp_kit::{Identity, Registry, Server, settings::Sources};

/// The server as the kit runs it.
#[derive(Debug)]
pub struct Filesystem;

impl Server for Filesystem {
    const IDENTITY: Identity = Identity {
        name: "mcp-filesystem",
        title: "Filesystem",
        version: env!("CARGO_PKG_VERSION"),
        instructions: "Reads files below a few roots, and changes them where it may. Paths look like /root/dir/file; list_allowed_directories names the \
                       roots. When a result says truncated, ask again with next_offset as offset.",
        about: "MCP server for the files below the directories given to it, and nothing else",
        examples: settings::EXAMPLES,
    };

    fn flags() -> Vec<Arg> {
        settings::flags()
    }

    fn registry(sources: &mut Sources) -> Option<Registry> {
        let sandbox = settings::sandbox(sources)?;
        match Registry::new(tools::all(&sandbox)) {
            Ok(registry) => Some(registry),
            Err(error) => {
                sources.problems.add("tools", "tools that may be served", error.to_string(), "report this defect");
                None
            }
        }
    }
}
