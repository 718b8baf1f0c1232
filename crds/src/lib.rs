//! The API of mcp-eks, `mcp-eks.dev/v1alpha1`: types alone.
//!
//! In: nothing. Out: [`McpServer`] and [`McpServerClass`] with their schemas, CEL rules and printer columns, and
//! [`generated`], the files made from them. May not touch: clients, runtimes, clocks, the environment.

#![allow(unreachable_pub, reason = "KubeSchema copies each struct into a private scope of its own")]

mod choice;
mod rule;

pub mod auth;
pub mod class;
pub mod expose;
pub mod identity;
pub mod kinds;
pub mod network;
pub mod pod;
pub mod quantity;
pub mod scaling;
pub mod scheduling;
pub mod server;
pub mod session;
pub mod status;
pub mod tools;
pub mod watch;

mod generated;

pub use class::{McpServerClass, McpServerClassSpec};
pub use generated::{Generated, crds, generated};
pub use kinds::{FilesystemServer, ImageServer, Root, ServerKind};
pub use server::{McpServer, McpServerSpec};
pub use status::{Address, McpServerStatus};

/// The API group.
pub const GROUP: &str = "mcp-eks.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
