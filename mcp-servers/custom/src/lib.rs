//! The Custom MCP server: weather, a key-value store, time. It is also the template for a server of one's own: a room
//! for each family of tools, one file for the settings, and this file, which puts them together.
//!
//! In: settings. Out: the tools of the families that are on. It reaches the two weather services through `mcp-egress`
//! and the store of the settings, and nothing else.

mod kv;
mod settings;
mod time;
mod weather;

use clap::Arg;
use mcp_kit::{Identity, Registry, Server, settings::Sources};

use settings::Settings;

/// The server as the kit runs it.
#[derive(Debug)]
pub struct Custom;

impl Server for Custom {
    const IDENTITY: Identity = Identity {
        name: "mcp-custom",
        title: "Custom",
        version: env!("CARGO_PKG_VERSION"),
        instructions: "Weather of places, a small key-value store that keeps things between conversations (each caller has \
                       its own), and arithmetic with times and time zones.",
        about: "MCP server with weather, a key-value store and time",
        examples: settings::EXAMPLES,
    };

    fn flags() -> Vec<Arg> {
        settings::flags()
    }

    fn registry(sources: &mut Sources) -> Option<Registry> {
        let Settings { weather, kv } = settings::read(sources)?;
        let mut tools = time::tools();
        tools.extend(weather.map(weather::tools).unwrap_or_default());
        tools.extend(kv.as_ref().map(kv::tools).unwrap_or_default());
        match Registry::new(tools) {
            Ok(registry) => Some(registry),
            Err(error) => {
                sources.problems.add("tools", "tools that may be served", error.to_string(), "report this defect");
                None
            }
        }
    }
}
