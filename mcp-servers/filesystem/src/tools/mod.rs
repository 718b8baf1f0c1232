//! The tools: each file has the arguments, the result and the function of its tools, and nothing of the protocol.

mod find;
mod globs;
mod grep;
mod info;
mod list;
mod media;
mod read;
mod tree;
mod walk;

use std::sync::Arc;

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{sandbox::Sandbox, text::json_len};

/// All tools of the server.
pub(crate) fn all(sandbox: &Arc<Sandbox>) -> Vec<Tool> {
    let tools = [
        read::text_file(sandbox),
        read::multiple_files(sandbox),
        media::media_file(sandbox),
        list::directory(sandbox),
        list::directory_with_sizes(sandbox),
        list::allowed_directories(sandbox),
        tree::directory_tree(sandbox),
        find::search_files(sandbox),
        grep::search_content(sandbox),
        info::file_info(sandbox),
    ];
    tools.into()
}

/// A read-only tool whose work blocks on the disk.
fn reading<A, O>(
    sandbox: &Arc<Sandbox>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    work: fn(&Sandbox, &A, &Call) -> Result<Reply<O>, ToolError>,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
{
    let sandbox = Arc::clone(sandbox);
    let handler = move |arguments: A, call: Call| {
        let sandbox = Arc::clone(&sandbox);
        call.blocking(move |call| work(&sandbox, &arguments, call))
    };
    Tool::new(name, title, description, Hints::READ, handler)
}

/// Fills one answer with items up to its budget, from the `offset`-th on.
struct Page<T> {
    items: Vec<T>,
    offset: usize,
    limit: usize,
    seen: usize,
    left: usize,
    full: bool,
}

impl<T> Page<T> {
    /// Kept free for the fields around the items.
    const FRAME: usize = 1024;

    fn new(call: &Call, offset: Option<u32>, limit: usize) -> Self {
        let offset = offset.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX));
        let left = call.budget().saturating_sub(Self::FRAME);
        Self { items: Vec::new(), offset, limit, seen: 0, left, full: false }
    }

    /// Takes one more item of about `bytes` bytes as JSON; `false` when the page is full.
    fn push(&mut self, bytes: usize, item: impl FnOnce() -> T) -> bool {
        if self.full {
            return false;
        }
        if self.seen >= self.offset {
            if bytes > self.left || self.items.len() >= self.limit {
                self.full = true;
                return false;
            }
            self.left -= bytes;
            self.items.push(item());
        }
        self.seen += 1;
        true
    }

    /// Where the next page begins, if there is one.
    fn next_offset(&self) -> Option<u64> {
        self.full.then_some(self.seen as u64)
    }
}

/// About how many bytes an object with this text and a few short fields takes.
fn weight(text: &str, fields: usize) -> usize {
    json_len(text) + fields
}
