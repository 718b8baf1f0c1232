//! The API of mcp-eks, `mcp-eks.dev/v1alpha1`: types alone.
//!
//! In: nothing. Out: [`McpServer`] with its schema, CEL rules and printer columns, and [`crd_yaml`], the manifest.
//! May not touch: clients, runtimes, clocks, the environment.

#![allow(unreachable_pub, reason = "KubeSchema copies each struct into a private scope of its own")]

pub mod pod;
pub mod quantity;
pub mod server;
pub mod status;

mod manifest;

pub use manifest::{CRD_FILE, crd_yaml};
pub use server::{FilesystemServer, ImageServer, McpServer, McpServerSpec, Root, ServerKind};
pub use status::{Address, McpServerStatus};

/// The API group.
pub const GROUP: &str = "mcp-eks.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
