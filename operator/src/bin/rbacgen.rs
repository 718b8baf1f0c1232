//! Writes what `config/` says of rights anew, from `rights` and `admission`, in the repository given; `cargo xtask rbacgen`
//! does so.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;
use mcp_operator::{admission, rights};

fn main() -> anyhow::Result<()> {
    let root = env::args_os().nth(1).map(PathBuf::from).context("usage: rbacgen REPOSITORY")?;
    let policy = (admission::PATH, admission::manifest());
    for (path, text) in rights::manifests().into_iter().chain([policy]) {
        let path = root.join(path);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
