//! `search_content`: a regular expression over the lines of text files, in bounded time and memory.

use std::{
    fmt::Write,
    io::{BufRead, BufReader, Read},
    sync::Arc,
};

use globset::GlobMatcher;
use mcp_kit::{Call, Page, Reply, Tool, ToolError};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    globs::{self, excludes, glob},
    reading,
    walk::{Flow, Walk},
    weight,
};
use crate::{
    sandbox::{Kind, Sandbox, VirtualPath},
    text::{json_len, skip_line, unreadable},
};

/// The most matches one answer has.
const PAGE: usize = 500;
/// Larger files are not searched (16 MiB).
const LARGEST: u64 = 16 * 1024 * 1024;
/// The most bytes one call reads (256 MiB).
const TOTAL: u64 = 256 * 1024 * 1024;
/// The longest piece of a line that is searched (16 KiB). One search in it cannot be interrupted: this and `COMPILED`
/// bound how long it goes on when nobody waits any more.
const LINE: u64 = 16 * 1024;
const SHOWN: usize = 400;
/// The longest pattern, in bytes.
const PATTERN: usize = 1024;
/// The largest compiled pattern (512 KiB: eight or nine `\w`, which is large for its letters of all languages).
const COMPILED: usize = 512 * 1024;
/// Working memory of one search (1 MiB).
const CACHE: usize = 1024 * 1024;
/// How deep groups may be nested.
const GROUPS: u32 = 32;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    path: String,
    /// Regular expression
    #[schemars(length(max = PATTERN))]
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
    /// Something was left out: files that are too large alone or together, the rest of long lines.
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
        text.push_str("\n[some files or lines were too long or too many to be searched whole; begin further down]");
    }
    Ok(Reply::new(Found { matches: grep.page.items, truncated, next_offset }).text(text))
}

fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, ToolError> {
    if pattern.len() > PATTERN {
        let message = format!("expected a pattern of at most {PATTERN} bytes, found one of {}", pattern.len());
        return Err(ToolError::new(message));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.case_insensitive(ignore_case).size_limit(COMPILED).dfa_size_limit(CACHE).nest_limit(GROUPS);
    let built = builder.build();
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
            Ok(if self.page.is_full() { Flow::Stop } else { Flow::Continue })
        })?;
        self.incomplete |= walk.incomplete;
        Ok(())
    }

    fn file(&mut self, path: &VirtualPath) -> Result<(), ToolError> {
        let opened = self.sandbox.file(path)?;
        self.incomplete |= opened.metadata.len() > LARGEST;
        self.lines(path, BufReader::with_capacity(64 * 1024, opened.file.take(LARGEST)))
    }

    fn lines(&mut self, path: &VirtualPath, mut reader: impl BufRead) -> Result<(), ToolError> {
        let shown = path.to_string();
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            bytes.clear();
            let read = (&mut reader).take(LINE).read_until(b'\n', &mut bytes);
            if read.map_err(|error| unreadable(path, &error))? == 0 {
                break;
            }
            if bytes.contains(&0) {
                // A NUL byte: a binary file has no lines to show.
                break;
            }
            if !bytes.ends_with(b"\n") {
                self.incomplete |= skip_line(path, &mut reader, self.call)?;
            }
            self.call.check()?;
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

#[cfg(test)]
mod tests {
    use std::{io, thread::sleep, time::Duration};

    use super::*;
    use crate::sandbox::Deny;

    /// Short lines, of which the first come after the time of the call is up.
    struct Late(Duration);

    impl Read for Late {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            sleep(self.0);
            io::repeat(b'\n').read(buffer)
        }
    }

    #[test]
    fn no_line_is_searched_once_the_time_is_up() {
        let sandbox = Sandbox::new(Vec::new(), Deny::with(std::iter::empty()).unwrap());
        let path = VirtualPath::parse("/data/a", &["data"].into_iter()).unwrap();
        let call = Call::detached(Duration::from_millis(10));
        let (pattern, page) = (compile("$", false).unwrap(), Page::new(&call, None, PAGE));
        let mut grep = Grep { sandbox: &sandbox, call: &call, pattern, page, left: TOTAL, incomplete: false };
        let lines = BufReader::with_capacity(1000, Late(Duration::from_millis(20)).take(1000));
        let error = grep.lines(&path, lines).unwrap_err();
        assert!(error.to_string().contains("ran out of time"), "{error}");
        assert_eq!(grep.page.items.len(), 0, "lines were searched all the same");
    }

    #[test]
    fn patterns_have_bounds_that_common_ones_do_not_meet() {
        let kind = r"fn \w+\(\w+: \w+\) -> \w+ \{";
        for pattern in [r"[\w.+-]+@[\w-]+\.[\w.-]+", r"\b\d{1,3}(\.\d{1,3}){3}\b", kind, &"a".repeat(PATTERN)] {
            assert!(compile(pattern, true).is_ok(), "{pattern}");
        }
        for (pattern, expected) in [
            ("(?:a{0,90}.{0,90}){8}[^a]b".to_owned(), "size limit of 524288 bytes"),
            ("a".repeat(PATTERN + 1), "at most 1024 bytes, found one of 1025"),
            (format!("{}a{}", "(".repeat(40), ")".repeat(40)), "nest"),
        ] {
            let error = compile(&pattern, false).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
