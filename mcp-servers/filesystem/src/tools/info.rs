//! `get_file_info`.

use std::{io::Read, sync::Arc};

use cap_std::{fs::Metadata, time::SystemTime};
use jiff::Timestamp;
use mcp_kit::{Call, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::reading;
use crate::{
    digest::hex,
    sandbox::{Kind, Sandbox, VirtualPath, permissions},
};

/// The largest file that is hashed (64 MiB).
const HASHED: u64 = 64 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InfoOf {
    path: String,
}

#[derive(Serialize, JsonSchema)]
struct Info {
    path: String,
    r#type: Kind,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accessed: Option<String>,
    permissions: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

pub(super) fn file_info(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Tell type, size, times (RFC 3339), permissions and, for files up to 64 MiB, SHA-256 of a path.";
    reading(sandbox, "get_file_info", "Get file info", description, info)
}

fn info(sandbox: &Sandbox, arguments: &InfoOf, call: &Call) -> Result<Reply<Info>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let metadata = sandbox.metadata(&path)?;
    let kind = Kind::of(&metadata);
    let hashed = kind == Kind::File && metadata.len() <= HASHED;
    // What is known without reading is told even of a file that may not be read.
    let sha256 = if hashed { hash(sandbox, &path, call).ok() } else { None };
    call.check()?;
    Ok(Reply::new(described(&path, kind, &metadata, sha256)))
}

fn described(path: &VirtualPath, kind: Kind, metadata: &Metadata, sha256: Option<String>) -> Info {
    let time = |time: std::io::Result<SystemTime>| {
        time.ok().and_then(|time| Timestamp::try_from(time.into_std()).ok()).map(|time| time.to_string())
    };
    Info {
        path: path.to_string(),
        r#type: kind,
        size: metadata.len(),
        created: time(metadata.created()),
        modified: time(metadata.modified()),
        accessed: time(metadata.accessed()),
        permissions: permissions(metadata),
        sha256,
    }
}

fn hash(sandbox: &Sandbox, path: &VirtualPath, call: &Call) -> Result<String, ToolError> {
    // The file may grow while it is read.
    let mut file = sandbox.file(path)?.file.take(HASHED);
    let mut buffer = vec![0; 64 * 1024];
    let mut hasher = Sha256::new();
    loop {
        call.check()?;
        let read = file.read(&mut buffer);
        let count = read.map_err(|error| ToolError::new(format!("{path} could not be read: {}", error.kind())))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
    }
    Ok(hex(hasher.finalize().as_ref()))
}
