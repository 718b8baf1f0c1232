//! The Database MCP server: questions to one SQLite or PostgreSQL database, and writes where they are switched on.
//!
//! In: a database (`--sqlite PATH` or `--postgres FILE`). Out: tools that read it page by page, describe it and explain
//! statements. That reading does not write is the database engine's promise, kept by read-only transactions, roles and
//! authorizers; texts of statements are looked at only to refuse early and with clearer words.

mod answer;
mod cursor;
mod postgres;
mod prompts;
mod resources;
mod settings;
mod sqlite;
mod store;
mod tools;

use clap::Arg;
use mcp_kit::{Identity, Registry, Server, settings::Sources};

/// The server as the kit runs it.
#[derive(Debug)]
pub struct Database;

impl Server for Database {
    const IDENTITY: Identity = Identity {
        name: "mcp-database",
        title: "Database",
        version: env!("CARGO_PKG_VERSION"),
        instructions: "Reads one SQL database. list_tables, describe_table and search_schema show what there is; query \
                       runs one SELECT with $1, $2, ... (SQLite: ?1) for params. When a result says truncated, ask again \
                       with next_cursor as cursor. Integers beyond 2^53 and decimals are strings.",
        about: "MCP server that reads a SQLite or PostgreSQL database, and writes to it only where that is switched on",
        examples: settings::EXAMPLES,
    };

    fn flags() -> Vec<Arg> {
        settings::flags()
    }

    fn registry(sources: &mut Sources) -> Option<Registry> {
        let store = settings::store(sources)?;
        let registry = Registry::new(tools::all(&store))
            .and_then(|registry| registry.with_prompts(prompts::all()))
            .and_then(|registry| registry.with_resources(resources::all(&store)));
        match registry {
            Ok(registry) => Some(registry),
            Err(error) => {
                sources.problems.add("tools", "tools that may be served", error.to_string(), "report this defect");
                None
            }
        }
    }
}
