//! `move_file`, `copy_file`, `delete_file`.

use std::sync::Arc;

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CHANGES, changing, write::matches};
use crate::sandbox::{Kind, Over, Sandbox};

/// The largest file that is copied (64 MiB).
const COPIED: u64 = 64 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Both {
    source: String,
    destination: String,
}

#[derive(Serialize, JsonSchema)]
struct Done {
    source: String,
    destination: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    path: String,
    /// SHA-256 of the file as you know it
    if_match: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Deleted {
    path: String,
    r#type: Kind,
}

pub(super) fn move_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Move or rename a file or directory. The destination must not exist.";
    let hints = Hints { idempotent: false, ..CHANGES };
    changing(sandbox, "move_file", "Move file", description, hints, relocate)
}

fn relocate(sandbox: &Sandbox, arguments: &Both, _: &Call) -> Result<Reply<Done>, ToolError> {
    let (from, to) = (sandbox.path(&arguments.source)?, sandbox.path(&arguments.destination)?);
    let (source, destination) = (sandbox.target(&from)?, sandbox.target(&to)?);
    let found = source
        .found()?
        .ok_or_else(|| ToolError::new(format!("{from} does not exist; list_directory shows what does")))?;
    if !found.is_dir() {
        source.file()?;
    }
    source.rename_to(&destination)?;
    Ok(Reply::new(Done { source: from.to_string(), destination: to.to_string() }))
}

pub(super) fn copy_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Copy a file of up to 64 MiB. The destination must not exist.";
    let hints = Hints { destructive: false, idempotent: false, ..CHANGES };
    changing(sandbox, "copy_file", "Copy file", description, hints, copy)
}

fn copy(sandbox: &Sandbox, arguments: &Both, call: &Call) -> Result<Reply<Done>, ToolError> {
    let (from, to) = (sandbox.path(&arguments.source)?, sandbox.path(&arguments.destination)?);
    let destination = sandbox.target(&to)?;
    let opened = sandbox.file(&from)?;
    let too_large = || ToolError::new(format!("{from} has more than {COPIED} bytes, the most that is copied"));
    if opened.metadata.len() > COPIED {
        return Err(too_large());
    }
    // The file may grow while it is read: one byte more than allowed tells.
    let mut limited = std::io::Read::take(opened.file, COPIED + 1);
    let size = destination.put(&mut limited, Some(opened.metadata.permissions()), Over::Nothing, call)?;
    if size > COPIED {
        destination.remove()?;
        return Err(too_large());
    }
    Ok(Reply::new(Done { source: from.to_string(), destination: to.to_string() }))
}

pub(super) fn delete_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Delete a file or an empty directory.";
    changing(sandbox, "delete_file", "Delete file", description, CHANGES, delete)
}

fn delete(sandbox: &Sandbox, arguments: &Delete, call: &Call) -> Result<Reply<Deleted>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let target = sandbox.target(&path)?;
    matches(&target, arguments.if_match.as_deref(), call)?;
    let removed = target.remove()?;
    Ok(Reply::new(Deleted { path: path.to_string(), r#type: Kind::of(&removed) }))
}
