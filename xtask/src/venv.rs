//! Python programs, pinned by hash: a virtual environment for each file of requirements, made once.
//!
//! In: a file of requirements. Out: the commands that fill the environment, and its programs. It lies under the cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::program;

/// A virtual environment that holds what the requirements say, and nothing else: other requirements, other directory.
#[derive(Debug)]
pub(crate) struct Environment {
    directory: PathBuf,
    requirements: &'static str,
}

impl Environment {
    pub(crate) fn of(place: &Place, name: &str, requirements: &'static str) -> Result<Self> {
        let text = fs::read(place.root.join(requirements)).with_context(|| format!("cannot read {requirements}"))?;
        let digest = format!("{:x}", Sha256::digest(text));
        let directory = place.cache.join(format!("venv-{name}-{}", digest.get(..12).unwrap_or(&digest)));
        Ok(Self { directory, requirements })
    }

    pub(crate) fn tool(&self, place: &Place, name: &str) -> Command {
        place.command(&self.directory.join("bin").join(name).to_string_lossy())
    }

    /// The commands that fill it; when it is full, one that shows so.
    pub(crate) fn install(&self, place: &Place) -> Vec<Command> {
        let complete = self.directory.join(".complete");
        if complete.exists() {
            let mut list = self.tool(place, "pip");
            list.args(["list", "--format=freeze", "--disable-pip-version-check"]);
            return vec![list];
        }
        let python = if program::on_path("python3").is_some() { "python3" } else { "python" };
        let mut make = place.command(python);
        make.args(["-m", "venv", "--clear"]).arg(&self.directory);
        let mut install = self.tool(place, "pip");
        install.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]);
        install.args(["--requirement", self.requirements]);
        let mut mark = place.command("touch");
        mark.arg(&complete);
        vec![make, install, mark]
    }
}
