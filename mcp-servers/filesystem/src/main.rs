//! The `mcp-filesystem` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_kit::main::<mcp_filesystem::Filesystem>()
}
