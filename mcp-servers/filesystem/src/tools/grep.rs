//! `search_content`: a regular expression over the lines of text files, in bounded time and memory.

use std::{
    fmt::Write,
    io::{BufRead, BufReader, Read},
    sync::Arc,
};

use globset::GlobMatcher;
use mcp_kit::{Call, Reply, Tool, ToolError};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Page,
    globs::{self, excludes, glob},
    reading,
    walk::{Flow, Walk},
    weight,
};
use crate::{
    sandbox::{Kind, Sandbox, VirtualPath},
    text::json_len,
};

/// The most matches one answer has.
const PAGE: usize = 500;
/// Larger files are not searched (16 MiB).
const LARGEST: u64 = 16 * 1024 * 1024;
/// The most bytes one call reads (256 MiB).
const TOTAL: u64 = 256 * 1024 * 1024;
/// The longest piece of a line that is searched and shown.
const LINE: u64 = 64 * 1024;
const SHOWN: usize = 400;
/// The largest compiled pattern.
const PATTERN: usize = 1 << 20;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    path: String,
    /// Regular expression
    pattern: String,
    /// Only files that match, e.g. **/*.rs
    #[schemars(length(max = globs::LONGEST))]
    glob: Option<String>,
    /// Globs to leave out
    #[serde(rename = "excludePatterns")]
    #[schemars(length(max = globs::MOST), inner(length(max = globs::LONGEST)))]
    exclude_patterns: Option<Vec<String>>,
    #[serde(rename = "ignoreCase", default)]
    ignore_case: bool,
    /// Matches to skip
    offset: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Match {
    path: String,
    line: u64,
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    matches: Vec<Match>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
}

pub(super) fn search_content(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Find lines of text files below path (or in one file) that match a regular expression.";
    reading(sandbox, "search_content", "Search content", description, search)
}

struct Grep<'a> {
    sandbox: &'a Sandbox,
    call: &'a Call,
    pattern: Regex,
    page: Page<Match>,
    left: u64,
    /// Files were left out because they or all together were too large.
    incomplete: bool,
}

fn search(sandbox: &Sandbox, arguments: &Search, call: &Call) -> Result<Reply<Found>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let pattern = compile(&arguments.pattern, arguments.ignore_case)?;
    let only = arguments.glob.as_deref().map(glob).transpose()?.map(|glob| glob.compile_matcher());
    let page = Page::new(call, arguments.offset, PAGE);
    let mut grep = Grep { sandbox, call, pattern, page, left: TOTAL, incomplete: false };
    if Kind::of(&sandbox.metadata(&path)?) == Kind::Directory {
        let exclude = excludes(arguments.exclude_patterns.as_ref())?;
        grep.tree(&path, Walk::new(sandbox, call, exclude), only.as_ref())?;
    } else {
        grep.file(&path)?;
    }
    let next_offset = grep.page.next_offset();
    let truncated = next_offset.is_some() || grep.incomplete;
    let lines = grep.page.items.iter().map(|found| format!("{}:{}: {}", found.path, found.line, found.text));
    let mut text = lines.collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        text.push_str("[no matches]");
    }
    if let Some(next) = next_offset {
        let _ = write!(text, "\n[truncated; go on with offset {next}]");
    } else if truncated {
        text.push_str("\n[some files were too large or too many to be searched; begin further down]");
    }
    Ok(Reply::new(Found { matches: grep.page.items, truncated, next_offset }).text(text))
}

fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, ToolError> {
    let built = RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(PATTERN).build();
    built.map_err(|error| ToolError::new(format!("pattern is not a usable regular expression: {error}")))
}

impl Grep<'_> {
    fn tree(&mut self, path: &VirtualPath, mut walk: Walk<'_>, only: Option<&GlobMatcher>) -> Result<(), ToolError> {
        walk.run(path, &mut |step| {
            let wanted = step.entry.kind == Kind::File && only.is_none_or(|only| only.is_match(step.relative));
            if !wanted {
                return Ok(Flow::Continue);
            }
            if step.entry.size > LARGEST || step.entry.size > self.left {
                self.incomplete = true;
                return Ok(Flow::Continue);
            }
            self.left -= step.entry.size;
            // A file that may not be read, or is gone by now, does not spoil the rest.
            if self.file(step.path).is_err() {
                self.call.check()?;
            }
            Ok(if self.page.full { Flow::Stop } else { Flow::Continue })
        })?;
        self.incomplete |= walk.incomplete;
        Ok(())
    }

    fn file(&mut self, path: &VirtualPath) -> Result<(), ToolError> {
        let opened = self.sandbox.file(path)?;
        let mut reader = BufReader::with_capacity(64 * 1024, opened.file.take(LARGEST));
        let shown = path.to_string();
        let failed = |error: std::io::Error| ToolError::new(format!("{path} could not be read: {}", error.kind()));
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            if number % 1024 == 1 {
                self.call.check()?;
            }
            bytes.clear();
            if (&mut reader).take(LINE).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                break;
            }
            if bytes.contains(&0) {
                // A NUL byte: a binary file has no lines to show.
                break;
            }
            if !bytes.ends_with(b"\n") {
                reader.skip_until(b'\n').map_err(failed)?;
            }
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end_matches(['\n', '\r']);
            if let Some(found) = self.pattern.find(line)
                && !self.take(&shown, number, line, found.start())
            {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &str, line: u64, text: &str, at: usize) -> bool {
        let text = excerpt(text, at);
        let cost = weight(path, 64) + json_len(&text);
        self.page.push(cost, || Match { path: path.to_owned(), line, text })
    }
}

/// The line, or the part of a long line around the match.
fn excerpt(line: &str, at: usize) -> String {
    if line.len() <= SHOWN {
        return line.to_owned();
    }
    let start = line.floor_char_boundary(at.saturating_sub(SHOWN / 4));
    let end = line.floor_char_boundary((start + SHOWN).min(line.len()));
    let before = if start > 0 { "…" } else { "" };
    let after = if end < line.len() { "…" } else { "" };
    format!("{before}{}{after}", line.get(start..end).unwrap_or_default())
}
