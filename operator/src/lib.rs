//! The operator of mcp-eks: turns `McpServer` objects into running MCP servers and reports the truth in status.
//!
//! The way of one object: observe → validate → desired → diff → apply → status → write. The core rooms (`desired`,
//! `diff`, `status`) are pure: no client, no clock, no environment; the shell hands them facts. See ARCHITECTURE.md.

pub mod admin;
pub mod admission;
pub mod app;
pub mod apply;
mod call;
pub mod client;
pub mod context;
pub mod controller;
pub mod debug;
pub mod desired;
pub mod diff;
pub mod error;
pub mod events;
pub mod identity;
pub mod index;
pub mod keeper;
pub mod kubelet;
pub mod leader;
pub mod listed;
pub mod metrics;
pub mod observe;
pub mod probe;
pub mod progress;
pub mod rights;
pub mod secrets;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod vocabulary;
