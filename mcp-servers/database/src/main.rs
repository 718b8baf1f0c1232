//! The `mcp-database` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_kit::main::<mcp_database::Database>()
}
