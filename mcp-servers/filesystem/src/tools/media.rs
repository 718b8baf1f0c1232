//! `read_media_file`: images, sounds and any other file, as base64.

use std::{io::Read, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use mcp_kit::{Call, Content, Reply, Tool, ToolError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reading;
use crate::sandbox::Sandbox;

/// The largest file (4 MiB).
const LARGEST: u64 = 4 * 1024 * 1024;
/// The same as base64, with room for the fields around it.
const BUDGET: usize = 6 * 1024 * 1024;
/// What a path in a URI keeps as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadMedia {
    path: String,
}

#[derive(Serialize, JsonSchema)]
struct Media {
    path: String,
    mime_type: String,
    size: u64,
}

pub(super) fn media_file(sandbox: &Arc<Sandbox>) -> Tool {
    let description = "Read an image, sound or other binary file of up to 4 MiB as base64 with its MIME type.";
    reading(sandbox, "read_media_file", "Read media file", description, read).with_budget(BUDGET)
}

fn read(sandbox: &Sandbox, arguments: &ReadMedia, call: &Call) -> Result<Reply<Media>, ToolError> {
    let path = sandbox.path(&arguments.path)?;
    let opened = sandbox.file(&path)?;
    let too_large = |size: u64| {
        let message =
            format!("{path} has {size} bytes; expected at most {LARGEST}. get_file_info tells its size and hash");
        ToolError::new(message)
    };
    if opened.metadata.len() > LARGEST {
        return Err(too_large(opened.metadata.len()));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    let read = opened.file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| ToolError::new(format!("{path} could not be read: {}", error.kind())))?;
    call.check()?;
    let size = bytes.len() as u64;
    if size > LARGEST {
        return Err(too_large(size));
    }
    let shown = path.to_string();
    let mime_type = mime_guess::from_path(&shown).first_or_octet_stream().essence_str().to_owned();
    let data = STANDARD.encode(bytes);
    let content = if mime_type.starts_with("image/") {
        Content::Image { data, mime_type: mime_type.clone() }
    } else if mime_type.starts_with("audio/") {
        Content::Audio { data, mime_type: mime_type.clone() }
    } else {
        let uri = format!("file://{}", utf8_percent_encode(&shown, PATH));
        Content::Blob { uri, data, mime_type: mime_type.clone() }
    };
    Ok(Reply::new(Media { path: shown, mime_type, size }).content(content))
}
