//! The bundled servers by name. `Dockerfile.servers` is the one list: what builds, packs and verifies them reads it there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const DOCKERFILE: &str = "Dockerfile.servers";
const LINE: &str = "ARG SERVERS=";

/// Packages and binaries, which are called the same.
pub(crate) fn names(root: &Path) -> Result<Vec<String>> {
    let path = root.join(DOCKERFILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(LINE));
    let line = line.with_context(|| format!("{DOCKERFILE} has no line `{LINE}\"mcp-… mcp-…\"`"))?;
    Ok(line.trim_matches('"').split_whitespace().map(str::to_owned).collect())
}
