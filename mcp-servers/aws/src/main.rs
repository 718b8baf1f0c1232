//! The `mcp-aws` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_aws::main()
}
