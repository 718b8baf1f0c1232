//! What the images are made of, as one number.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The Dockerfiles and what decides about them and their dependencies. The workspace's own sources are left out: they are
/// compiled and tested in every run, and a change of theirs alone brings nothing new into an image.
const INGREDIENTS: [&str; 8] = [
    "Dockerfile.operator",
    "Dockerfile.servers",
    ".dockerignore",
    ".cargo/config.toml",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "e2e/tls-probe/src/main.rs",
];

/// A digest of the ingredients' names and contents.
pub(crate) fn of(root: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    for name in INGREDIENTS {
        let content = fs::read(root.join(name)).with_context(|| format!("cannot read {name}"))?;
        digest.update(format!("{name} {}\n", content.len()));
        digest.update(content);
    }
    Ok(format!("{:x}", digest.finalize()))
}
