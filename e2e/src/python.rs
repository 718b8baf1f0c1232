//! Python programs nobody here wrote, pinned by hash: a virtual environment for each file of requirements, made once.
//!
//! In: a name and a file of requirements in this repository. Out: the directory of the environment, below the cache and
//! under the name that xtask gives it too, so that both share it. Removes nothing of other requirements.

use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{
    cache::Cache,
    install::{output, repository},
    progress::Progress,
};

/// The environment `venv-NAME-HASH` that holds what the requirements say and nothing else.
pub async fn environment(cache: &Cache, name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = repository().join(requirements);
    let text = std::fs::read(&requirements).with_context(|| format!("read {}", requirements.display()))?;
    let key = Sha256::digest(text).iter().take(6).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let target = cache.root().join(format!("venv-{name}-{key}"));
    let (lock, lock_name) = (cache.clone(), format!("venv-{name}"));
    let progress = Progress::start();
    let _lock = tokio::task::spawn_blocking(move || lock.lock(&lock_name, progress)).await??;
    if target.join(".complete").exists() {
        return Ok(target);
    }
    progress.say(format_args!("installing {name} (pip, by hash)"));
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&target)).await?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
    let python = target.join("bin/python");
    output(Command::new(python).args(pip).args(["--require-hashes", "-r"]).arg(&requirements)).await?;
    std::fs::write(target.join(".complete"), "")?;
    Ok(target)
}
