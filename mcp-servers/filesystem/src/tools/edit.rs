//! `edit_file`: texts replaced by others, and the difference that makes.

use std::{sync::Arc, time::Duration};

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use super::{CHANGES, changing, write::matches};
use crate::{
    digest::sha256,
    sandbox::{Over, Sandbox},
    text::json_len,
};

/// The largest file that is edited (4 MiB).
const LARGEST: u64 = 4 * 1024 * 1024;
/// The most edits of one call.
const EDITS: usize = 100;
/// How long the smallest difference is looked for; after that a larger one will do.
const PATIENCE: Duration = Duration::from_millis(500);
/// Kept free in an answer for the fields around the difference.
const FRAME: usize = 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    path: String,
    #[schemars(length(min = 1, max = EDITS))]
    edits: Vec<Replacement>,
    /// Only show the difference
    #[serde(rename = "dryRun")]
    dry_run: Option<bool>,
    /// SHA-256 of the file as you know it
    if_match: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Replacement {
    /// Comes exactly once
    old_text: String,
    new_text: String,
}

#[derive(Serialize, JsonSchema)]
struct Edited {
    path: String,
    diff: String,
    truncated: bool,
    applied: bool,
    /// Of the file with the edits.
    sha256: String,
}

pub(super) fn edit_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description =
        "Replace texts in a file, each of which comes exactly once, and show the difference; dryRun only shows it.";
    let hints = Hints { idempotent: false, ..CHANGES };
    changing(sandbox, "edit_file", "Edit file", description, hints, edit)
}

fn edit(sandbox: &Sandbox, arguments: &Edit, call: &Call) -> Result<Reply<Edited>, ToolError> {
    if arguments.edits.is_empty() || arguments.edits.len() > EDITS {
        return Err(ToolError::new(format!("expected 1 to {EDITS} edits, found {}", arguments.edits.len())));
    }
    let path = sandbox.path(&arguments.path)?;
    let target = sandbox.target(&path)?;
    let missing = || ToolError::new(format!("{path} does not exist; write_file makes a new file"));
    let permissions = target.file()?.ok_or_else(missing)?.permissions();
    matches(&target, arguments.if_match.as_deref(), call)?;
    let bytes = target.content(LARGEST, call)?.ok_or_else(missing)?;
    let no_text = |_| ToolError::new(format!("{path} is not UTF-8 text, which is all that can be edited"));
    let before = String::from_utf8(bytes).map_err(no_text)?;
    let mut after = before.clone();
    for (index, replacement) in arguments.edits.iter().enumerate() {
        call.check()?;
        after = replaced(&after, replacement, index + 1)?;
        if after.len() as u64 > LARGEST {
            return Err(ToolError::new(format!("{path} would have more than {LARGEST} bytes; nothing was changed")));
        }
    }
    let shown = path.to_string();
    let (diff, truncated) = difference(&before, &after, &shown, call.budget().saturating_sub(FRAME + json_len(&shown)));
    let applied = !arguments.dry_run.unwrap_or_default();
    if applied && after != before {
        target.put(&mut after.as_bytes(), Some(permissions), Over::Replace, call)?;
    }
    let edited = Edited { path: shown, diff: diff.clone(), truncated, applied, sha256: sha256(after.as_bytes()) };
    Ok(Reply::new(edited).text(diff))
}

/// A text with one part of it replaced. Models write `\n`; in a file with `\r\n` that is meant.
fn replaced(text: &str, replacement: &Replacement, number: usize) -> Result<String, ToolError> {
    let Replacement { old_text: old, new_text: new } = replacement;
    if old.is_empty() {
        return Err(ToolError::new(format!("edit {number}: expected an oldText, found an empty one")));
    }
    let windows = text.contains("\r\n") && !text.contains(old.as_str()) && !old.contains('\r');
    let line_ends = |part: &str| if windows { part.replace('\n', "\r\n") } else { part.to_owned() };
    let (old, new) = (line_ends(old), line_ends(new));
    match text.matches(old.as_str()).count() {
        1 => Ok(text.replacen(old.as_str(), &new, 1)),
        0 => Err(ToolError::new(format!(
            "edit {number}: oldText is not in the file; nothing was changed, read the file and copy the text exactly"
        ))),
        count => Err(ToolError::new(format!(
            "edit {number}: oldText comes {count} times; nothing was changed, write more of what is around it"
        ))),
    }
}

/// A unified diff of at most so many bytes as JSON, and whether that was all.
fn difference(before: &str, after: &str, name: &str, budget: usize) -> (String, bool) {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let whole = diff.unified_diff().context_radius(3).header(name, name).to_string();
    let mut left = budget;
    let fits = whole.split_inclusive('\n').take_while(|line| {
        let cost = json_len(line);
        let fits = cost <= left;
        left = left.saturating_sub(cost);
        fits
    });
    let shown: String = fits.collect();
    let truncated = shown.len() < whole.len();
    (shown, truncated)
}
