//! What the conformance suite expects of a server under test, on the runtime that ships. In no image.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_kit::fixtures::main()
}
