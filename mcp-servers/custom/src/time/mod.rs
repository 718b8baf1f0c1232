//! The tools about time. Pure but for the clock: no files are read, the zones of the IANA database are in the binary.

mod calendar;
mod clock;
mod moment;
mod written;
mod zone;

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// All tools of this family.
pub(crate) fn tools() -> Vec<Tool> {
    vec![
        clock::get_current_time(),
        clock::convert_time(),
        clock::parse_timestamp(),
        calendar::time_difference(),
        calendar::add_duration(),
    ]
}

/// A tool that computes.
fn tool<A, O>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    work: fn(&A) -> Result<O, ToolError>,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + Sync + 'static,
    O: Serialize + JsonSchema + Send + 'static,
{
    let handler = move |arguments: A, _: Call| async move { work(&arguments).map(Reply::new) };
    Tool::new(name, title, description, Hints::READ, handler)
}
