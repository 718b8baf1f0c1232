//! The `mcp-custom` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_kit::main::<mcp_custom::Custom>()
}
