//! `read_text_file` and `read_multiple_files`.

use std::sync::Arc;

use mcp_kit::{Call, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reading;
use crate::{
    sandbox::Sandbox,
    text::{self, Piece, json_len},
};

/// The most files one call reads.
const FILES: usize = 50;
/// Kept free for the fields around a text.
const FRAME: usize = 512;
/// The same around one of several texts.
const OBJECT: usize = 64;
/// The longest path that is repeated whole in an answer about several files, as JSON.
const LONGEST_PATH: usize = 400;
/// With less room than this no further file is read.
const LEAST: usize = 256;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadText {
    path: String,
    /// First lines only
    head: Option<u64>,
    /// Last lines only
    tail: Option<u64>,
    /// Line to begin with, from 1
    offset: Option<u64>,
    /// Number of lines
    limit: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct TextFile {
    path: String,
    content: String,
    /// Of the whole file, in bytes.
    size: u64,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadMany {
    #[schemars(length(min = 1, max = FILES))]
    paths: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct ManyFiles {
    files: Vec<OneOfMany>,
}

#[derive(Serialize, JsonSchema)]
struct OneOfMany {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    truncated: bool,
}

pub(super) fn text_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Read a UTF-8 text file: all, head or tail lines, or limit lines from line offset. Long files come \
                       truncated with next_offset.";
    reading(sandbox, "read_text_file", "Read text file", description, read_text)
}

pub(super) fn multiple_files(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Read several UTF-8 text files at once. A file that cannot be read has an error in its place.";
    reading(sandbox, "read_multiple_files", "Read multiple files", description, read_many)
}

fn read_text(sandbox: &Sandbox, arguments: &ReadText, call: &Call) -> Result<Reply<TextFile>, ToolError> {
    let &ReadText { ref path, head, tail, offset, limit } = arguments;
    let ways = [head.is_some(), tail.is_some(), offset.is_some() || limit.is_some()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(ToolError::new("expected one of head, tail, or offset with limit; found several: choose one"));
    }
    if offset == Some(0) {
        return Err(ToolError::new("offset counts lines from 1; found 0"));
    }
    let path = sandbox.path(path)?;
    let opened = sandbox.file(&path)?;
    let size = opened.metadata.len();
    let shown = path.to_string();
    let budget = call.budget().saturating_sub(FRAME + json_len(&shown));
    let Piece { text, truncated, next_line } = match tail {
        Some(count) => text::tail(&path, opened.file, size, count, budget)?,
        None => text::lines(&path, opened.file, offset.unwrap_or(1), head.or(limit), budget, call)?,
    };
    let note = note(truncated, next_line, size);
    let reply = TextFile { path: shown, content: text.clone(), size, truncated, next_offset: next_line };
    let reply = Reply::new(reply).text(text);
    Ok(if let Some(note) = note { reply.text(note) } else { reply })
}

fn note(truncated: bool, next: Option<u64>, size: u64) -> Option<String> {
    if !truncated {
        return None;
    }
    Some(match next {
        Some(line) => format!("[truncated; the file has {size} bytes; go on with offset {line}]"),
        None => format!("[truncated at the beginning; the file has {size} bytes; ask for fewer lines]"),
    })
}

fn read_many(sandbox: &Sandbox, arguments: &ReadMany, call: &Call) -> Result<Reply<ManyFiles>, ToolError> {
    let count = arguments.paths.len();
    if count == 0 || count > FILES {
        return Err(ToolError::new(format!("expected 1 to {FILES} paths, found {count}")));
    }
    // Every path is repeated in the answer and may come with an error; what is left after that is for contents.
    let shown: Vec<String> = arguments.paths.iter().map(|path| shorten(path, LONGEST_PATH)).collect();
    let reserved: usize = shown.iter().map(|path| json_len(path) + error_room(path) + OBJECT).sum();
    let mut left = call.budget().saturating_sub(FRAME + reserved);
    let mut files = Vec::with_capacity(count);
    for (text, path) in arguments.paths.iter().zip(shown) {
        call.check()?;
        let read = if left < LEAST {
            Err(ToolError::new("the answer is full; read this file in another call"))
        } else {
            one(sandbox, text, left, call)
        };
        let (content, error, truncated) = match read {
            Ok(piece) => (Some(piece.text), None, piece.truncated),
            Err(error) => (None, Some(shorten(&error.to_string(), error_room(&path))), false),
        };
        left = left.saturating_sub(content.as_deref().map_or(0, json_len));
        files.push(OneOfMany { path, content, error, truncated });
    }
    Ok(Reply::new(ManyFiles { files }))
}

fn one(sandbox: &Sandbox, text: &str, budget: usize, call: &Call) -> Result<Piece, ToolError> {
    let path = sandbox.path(text)?;
    let opened = sandbox.file(&path)?;
    text::lines(&path, opened.file, 1, None, budget, call)
}

/// What an error about this path may take: errors repeat the path.
fn error_room(path: &str) -> usize {
    json_len(path) + 160
}

/// Keeps what a client sent from filling the answer to it: at most this many bytes as JSON.
fn shorten(text: &str, longest: usize) -> String {
    if json_len(text) <= longest {
        return text.to_owned();
    }
    let mut left = longest.saturating_sub("…".len());
    let fits = text.chars().take_while(|letter| {
        let cost = json_len(letter.encode_utf8(&mut [0; 4]));
        let fits = cost <= left;
        left = left.saturating_sub(cost);
        fits
    });
    let mut beginning: String = fits.collect();
    beginning.push('…');
    beginning
}
