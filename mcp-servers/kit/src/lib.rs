//! The runtime under every bundled MCP server: a server adds its tools and nothing else.
//!
//! In: a [`Server`] (its name, its settings, its [`Tool`]s, [`Prompt`]s and [`Resource`]s). Out: a process that speaks MCP
//! over HTTP in every protocol revision from 2025-03-26 to 2026-07-28, or over stdio, with health, metrics, limits and an
//! orderly shutdown. Knows nothing of files and databases, of AWS only what an audit record says, and its public interface
//! names no type of the protocol library.

mod access;
mod audit;
mod breaker;
mod call;
mod capacity;
mod consent;
#[cfg(feature = "fixtures")]
pub mod fixtures;
mod health;
mod http;
mod lifecycle;
mod metrics;
mod origin;
mod page;
mod prompt;
mod protocol;
mod redact;
mod registry;
mod resource;
mod run;
pub mod settings;
mod stdio;
mod telemetry;
mod tool;
mod trail;

pub use call::{Call, RESPONSE_BUDGET};
pub use capacity::Class;
pub use page::{Page, cursor, place};
pub use prompt::{Argument, Arguments, Message, Prompt, Speaker};
pub use registry::{Registry, RegistryError};
pub use resource::{Address, Contents, Resource};
pub use run::{Identity, Server, main};
pub use tool::{Content, Hints, Reply, Tool, ToolError};
pub use trail::AwsCall;
