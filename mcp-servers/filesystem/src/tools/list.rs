//! `list_directory`, `list_directory_with_sizes` and `list_allowed_directories`.

use std::{cmp::Reverse, fmt::Write, sync::Arc};

use mcp_kit::{Call, Page, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{reading, weight};
use crate::sandbox::{ENTRIES, Entry, Kind, Sandbox};

/// The most entries one answer has.
const PAGE: usize = 1000;
/// JSON of an entry besides its name.
const FIELDS: usize = 64;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    path: String,
    /// Entries to skip
    offset: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListSizes {
    path: String,
    #[serde(rename = "sortBy", default)]
    sort_by: SortBy,
    /// Entries to skip
    offset: Option<u32>,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SortBy {
    #[default]
    Name,
    Size,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    name: String,
    r#type: Kind,
}

#[derive(Serialize, JsonSchema)]
struct Listing {
    entries: Vec<Listed>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Sized {
    name: String,
    r#type: Kind,
    size: u64,
}

#[derive(Serialize, JsonSchema)]
struct SizedListing {
    entries: Vec<Sized>,
    total_files: u64,
    total_directories: u64,
    total_size: u64,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize, JsonSchema)]
struct Allowed {
    directories: Vec<String>,
    /// Those of them below which something may be changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writable: Vec<String>,
}

pub(super) fn directory(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "List files and directories in a directory, by name.";
    reading(sandbox, "list_directory", "List directory", description, list)
}

pub(super) fn directory_with_sizes(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "List a directory with the size of each file in bytes, by name or largest first, with totals.";
    reading(sandbox, "list_directory_with_sizes", "List directory with sizes", description, list_sizes)
}

pub(super) fn allowed_directories(sandbox: &Arc<Sandbox>) -> Tool {
    let description =
        "List the root directories of this server, and which are writable. Every path begins with one of them.";
    reading(sandbox, "list_allowed_directories", "List allowed directories", description, allowed)
}

fn list(sandbox: &Sandbox, arguments: &List, call: &Call) -> Result<Reply<Listing>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let directory = sandbox.directory(&path)?;
    let (entries, complete) = sandbox.entries(&path, &directory, call)?;
    let mut page = Page::new(call, arguments.offset, PAGE);
    for entry in entries {
        let cost = weight(&entry.name, FIELDS);
        if !page.push(cost, || Listed { name: entry.name, r#type: entry.kind }) {
            break;
        }
    }
    let next_offset = page.next_offset();
    let mut text = page.items.iter().fold(String::new(), |mut text, entry| {
        let _ = writeln!(text, "{} {}", tag(entry.r#type), entry.name);
        text
    });
    finish(&mut text, next_offset, complete);
    let listing = Listing { entries: page.items, truncated: next_offset.is_some() || !complete, next_offset };
    Ok(Reply::new(listing).text(text))
}

fn list_sizes(sandbox: &Sandbox, arguments: &ListSizes, call: &Call) -> Result<Reply<SizedListing>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let directory = sandbox.directory(&path)?;
    let (mut entries, complete) = sandbox.entries(&path, &directory, call)?;
    if arguments.sort_by == SortBy::Size {
        // Stable: files of one size stay sorted by name.
        entries.sort_by_key(|entry| Reverse(entry.size));
    }
    let count = |kind: Kind| entries.iter().filter(|entry| entry.kind == kind).count() as u64;
    let (total_files, total_directories) = (count(Kind::File), count(Kind::Directory));
    let total_size = entries.iter().map(|entry| entry.size).sum();
    let mut page = Page::new(call, arguments.offset, PAGE);
    for Entry { name, kind, size, .. } in entries {
        if !page.push(weight(&name, FIELDS + 32), || Sized { name, r#type: kind, size }) {
            break;
        }
    }
    let next_offset = page.next_offset();
    let mut text = page.items.iter().fold(String::new(), |mut text, entry| {
        let _ = match entry.r#type {
            Kind::File => writeln!(text, "[FILE] {} {} B", entry.name, entry.size),
            other => writeln!(text, "{} {}", tag(other), entry.name),
        };
        text
    });
    let _ = writeln!(text, "{total_files} files, {total_directories} directories, {total_size} B");
    finish(&mut text, next_offset, complete);
    let truncated = next_offset.is_some() || !complete;
    let listing =
        SizedListing { entries: page.items, total_files, total_directories, total_size, truncated, next_offset };
    Ok(Reply::new(listing).text(text))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every tool function")]
fn allowed(sandbox: &Sandbox, _: &Nothing, _: &Call) -> Result<Reply<Allowed>, ToolError> {
    let directories: Vec<String> = sandbox.names().map(|name| format!("/{name}")).collect();
    let writable: Vec<String> = sandbox.writable().map(|name| format!("/{name}")).collect();
    let told = directories
        .iter()
        .map(|path| if writable.contains(path) { format!("{path} (writable)") } else { path.clone() });
    let text = told.collect::<Vec<_>>().join("\n");
    Ok(Reply::new(Allowed { directories, writable }).text(text))
}

const fn tag(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "[FILE]",
        Kind::Directory => "[DIR]",
        Kind::Symlink => "[LINK]",
        Kind::Other => "[OTHER]",
    }
}

fn finish(text: &mut String, next_offset: Option<u64>, complete: bool) {
    if let Some(next) = next_offset {
        let _ = writeln!(text, "[truncated; go on with offset {next}]");
    } else if text.is_empty() {
        text.push_str("[empty]\n");
    }
    if !complete {
        let _ = writeln!(text, "[truncated; the directory has more than {ENTRIES} entries, of which no more are read]");
    }
}
