//! `search_files`.

use std::{fmt::Write, sync::Arc};

use mcp_kit::{Call, Page, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    globs::{self, excludes, glob},
    reading,
    walk::{Flow, Walk},
    weight,
};
use crate::sandbox::Sandbox;

/// The most matches one answer has.
const PAGE: usize = 1000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    path: String,
    /// Glob such as *.md (here) or **/*.md (at any depth)
    #[schemars(length(max = globs::LONGEST))]
    pattern: String,
    /// Globs to leave out
    #[serde(rename = "excludePatterns")]
    #[schemars(length(max = globs::MOST), inner(length(max = globs::LONGEST)))]
    exclude_patterns: Option<Vec<String>>,
    /// Matches to skip
    offset: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    matches: Vec<String>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
}

pub(super) fn search_files(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Find files and directories below path whose relative path matches a glob.";
    reading(sandbox, "search_files", "Search files", description, search)
}

fn search(sandbox: &Sandbox, arguments: &Search, call: &Call) -> Result<Reply<Found>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let pattern = glob(&arguments.pattern)?.compile_matcher();
    let mut walk = Walk::new(sandbox, call, excludes(arguments.exclude_patterns.as_ref())?);
    let mut page = Page::new(call, arguments.offset, PAGE);
    walk.run(&path, &mut |step| {
        if pattern.is_match(step.relative) {
            let found = step.path.to_string();
            if !page.push(weight(&found, 3), || found) {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    })?;
    let next_offset = page.next_offset();
    let truncated = next_offset.is_some() || walk.incomplete;
    let mut text = if page.items.is_empty() { "[no matches]".to_owned() } else { page.items.join("\n") };
    if let Some(next) = next_offset {
        let _ = write!(text, "\n[truncated; go on with offset {next}]");
    } else if truncated {
        text.push_str("\n[not everything was searched; begin further down]");
    }
    Ok(Reply::new(Found { matches: page.items, truncated, next_offset }).text(text))
}
