//! The `mcp-e2e` command: a thin door to the library, where everything is tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_e2e::cli::run()
}
