//! Writes the roles in `config/` anew from the table in `rights`, in the repository given; `cargo xtask rbacgen` does so.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let root = env::args_os().nth(1).map(PathBuf::from).context("usage: rbacgen REPOSITORY")?;
    for (path, text) in mcp_operator::rights::manifests() {
        let path = root.join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
