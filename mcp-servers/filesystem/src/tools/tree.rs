//! `directory_tree`.

use std::{path::PathBuf, sync::Arc};

use mcp_kit::{Call, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    globs::{self, excludes},
    reading,
    walk::Walk,
    weight,
};
use crate::sandbox::{Directory, Kind, Sandbox, VirtualPath};

const DEPTH: u32 = 8;
const DEEPEST: u32 = 32;
/// JSON of a node besides its name.
const FIELDS: usize = 48;
/// Kept free for the fields around the tree.
const FRAME: usize = 256;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TreeOf {
    path: String,
    /// Globs to leave out
    #[serde(rename = "excludePatterns")]
    #[schemars(length(max = globs::MOST), inner(length(max = globs::LONGEST)))]
    exclude_patterns: Option<Vec<String>>,
    /// Levels, 1 to 32; default 8
    depth: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Tree {
    tree: Vec<Node>,
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
struct Node {
    name: String,
    r#type: Kind,
    /// The schema of a tree would refer to itself, which clients cannot be expected to read: nodes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<Map<String, Value>>>,
}

pub(super) fn directory_tree(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Show a directory as a tree of {name, type, children}, without what excludePatterns match.";
    reading(sandbox, "directory_tree", "Directory tree", description, tree)
}

struct Growth<'a> {
    walk: Walk<'a>,
    left: usize,
    depth: u32,
    truncated: bool,
}

fn tree(sandbox: &Sandbox, arguments: &TreeOf, call: &Call) -> Result<Reply<Tree>, ToolError> {
    let depth = arguments.depth.unwrap_or(DEPTH);
    if !(1..=DEEPEST).contains(&depth) {
        return Err(ToolError::new(format!("expected a depth of 1 to {DEEPEST}, found {depth}")));
    }
    let path = sandbox.path(&arguments.path)?;
    let directory = sandbox.directory(&path)?;
    let walk = Walk::new(sandbox, call, excludes(arguments.exclude_patterns.as_ref())?);
    let mut growth = Growth { walk, left: call.budget().saturating_sub(FRAME), depth, truncated: false };
    let tree = growth.nodes(&path, &directory, &mut PathBuf::new(), 1)?;
    let truncated = growth.truncated || growth.walk.incomplete;
    Ok(Reply::new(Tree { tree, truncated }))
}

impl Growth<'_> {
    fn nodes(
        &mut self,
        path: &VirtualPath,
        directory: &Directory<'_>,
        relative: &mut PathBuf,
        level: u32,
    ) -> Result<Vec<Node>, ToolError> {
        let mut nodes = Vec::new();
        for entry in self.walk.entries(path, directory)? {
            self.walk.call.check()?;
            let cost = weight(&entry.name, FIELDS);
            if cost > self.left {
                self.truncated = true;
                break;
            }
            relative.push(&entry.name);
            if !self.walk.exclude.is_match(&*relative) {
                self.left -= cost;
                let mut children = None;
                if entry.kind == Kind::Directory && !entry.linked {
                    children = self.children(path, directory, &entry.name, relative, level)?;
                }
                nodes.push(Node { name: entry.name, r#type: entry.kind, children });
            }
            relative.pop();
        }
        Ok(nodes)
    }

    /// The nodes in a directory; `None` where they are not shown.
    fn children(
        &mut self,
        path: &VirtualPath,
        directory: &Directory<'_>,
        name: &str,
        relative: &mut PathBuf,
        level: u32,
    ) -> Result<Option<Vec<Map<String, Value>>>, ToolError> {
        if level >= self.depth {
            self.truncated = true;
            return Ok(None);
        }
        // A directory that may not be read, or is gone by now, stays without children.
        let Ok(child) = directory.child(name) else {
            return Ok(None);
        };
        let nodes = self.nodes(&path.join(name), &child, relative, level + 1)?;
        let values = nodes.into_iter().filter_map(|node| match serde_json::to_value(node) {
            Ok(Value::Object(node)) => Some(node),
            _ => None,
        });
        Ok(Some(values.collect()))
    }
}
