//! `write_file` and `create_directory`.

use std::sync::Arc;

use mcp_kit::{Call, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CHANGES, changing};
use crate::{
    digest::sha256,
    sandbox::{Over, Sandbox, Target},
};

/// The largest file that is read to compare it with `if_match` (64 MiB).
pub(super) const COMPARED: u64 = 64 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    path: String,
    content: String,
    /// SHA-256 of what is replaced; "" for a new file
    if_match: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Written {
    path: String,
    size: u64,
    sha256: String,
    created: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    path: String,
}

#[derive(Serialize, JsonSchema)]
struct Created {
    path: String,
    created: bool,
}

pub(super) fn write_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description =
        "Write a text file, new or over the old one, in one step. if_match refuses to overwrite a change.";
    changing(sandbox, "write_file", "Write file", description, CHANGES, write)
}

fn write(sandbox: &Sandbox, arguments: &Write, call: &Call) -> Result<Reply<Written>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let target = sandbox.target(&path)?;
    let before = target.file()?;
    matches(&target, arguments.if_match.as_deref(), call)?;
    let (created, permissions) = (before.is_none(), before.map(|before| before.permissions()));
    let over = if arguments.if_match.as_deref() == Some("") { Over::Nothing } else { Over::Replace };
    let size = target.put(&mut arguments.content.as_bytes(), permissions, over, call)?;
    let sha256 = sha256(arguments.content.as_bytes());
    Ok(Reply::new(Written { path: path.to_string(), size, sha256, created }))
}

/// Whether what is there is what the caller thinks. Nothing is asked for without `if_match`.
pub(super) fn matches(target: &Target<'_>, wanted: Option<&str>, call: &Call) -> Result<(), ToolError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let digit = |byte: u8| byte.is_ascii_hexdigit();
    if !(wanted.is_empty() || (wanted.len() == 64 && wanted.bytes().all(digit))) {
        let message =
            "expected if_match to be 64 hexadecimal digits, as get_file_info tells them, or \"\" for a new file";
        return Err(ToolError::new(message));
    }
    let found = target.content(COMPARED, call)?.map(|bytes| sha256(&bytes)).unwrap_or_default();
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let found = if found.is_empty() { "there is no such file".to_owned() } else { format!("its SHA-256 is {found}") };
    Err(ToolError::new(format!("conflict: {found}; nothing was changed, read it and decide again")))
}

pub(super) fn create_directory(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Create a directory and those above it. One that is there already is no error.";
    let hints = mcp_kit::Hints { destructive: false, ..CHANGES };
    changing(sandbox, "create_directory", "Create directory", description, hints, create)
}

fn create(sandbox: &Sandbox, arguments: &Create, _: &Call) -> Result<Reply<Created>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let created = sandbox.create_directory(&path)?;
    Ok(Reply::new(Created { path: path.to_string(), created }))
}
