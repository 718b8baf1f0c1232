//! Where things are: the repository, the project's cache, cargo's target directory.
//!
//! In: the environment, once, at the start. Out: absolute paths. Everything a task keeps between two runs lies under
//! the cache and is safe to delete.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::{disk, program};

/// The directories every task works with.
#[derive(Debug)]
pub(crate) struct Place {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// `${XDG_CACHE_HOME:-$HOME/.cache}/mcp-eks`.
    pub(crate) cache: PathBuf,
    /// `CARGO_TARGET_DIR`, by default `target` in the repository: a clone runs its own binaries, not another's.
    pub(crate) target: PathBuf,
    /// `CARGO_BUILD_BUILD_DIR`, by default under the cache and one for each clone: cargo tells a crate of one clone from
    /// the same crate of another by file times alone, so clones that shared it could run each other's code.
    pub(crate) build: PathBuf,
}

impl Place {
    /// Reads the environment and makes the cache directory.
    pub(crate) fn find() -> Result<Self> {
        // A clone may have been moved since this was compiled: what `cargo run` says now outranks it.
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().context("the xtask crate has no parent directory")?;
        let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
            Some(dir) => PathBuf::from(dir),
            None => {
                PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache")
            }
        }
        .join("mcp-eks");
        fs::create_dir_all(&cache).with_context(|| format!("cannot make the cache directory {}", cache.display()))?;
        let given = |variable| env::var_os(variable).filter(|dir| !dir.is_empty()).map(|dir| root.join(dir));
        let target = given("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
        let build = given("CARGO_BUILD_BUILD_DIR").unwrap_or_else(|| cache.join("build/{workspace-path-hash}"));
        Ok(Self { root: root.to_path_buf(), cache, target, build })
    }

    /// A program that runs in the repository's root and compiles into the clone's build directory.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command.env("CARGO_BUILD_BUILD_DIR", &self.build);
        command
    }

    /// Where cargo puts the binaries of the dev profile.
    pub(crate) fn bin_dir(&self) -> Result<PathBuf> {
        let host = program::output(self.command("rustc").args(["--print", "host-tuple"]))?;
        if host.is_empty() {
            bail!("`rustc --print host-tuple` printed nothing: Rust 1.84 or newer is needed, see rust-toolchain.toml");
        }
        Ok(self.target.join(host).join("debug"))
    }

    /// Says so on stderr when a long job may run out of disk.
    pub(crate) fn warn_when_disk_is_short(&self) {
        if let Some(free) = disk::free(&self.cache).filter(|free| *free < disk::ENOUGH) {
            eprintln!("xtask: warning: {}", disk::told(&self.cache, free, disk::ENOUGH));
        }
    }

    /// The same, and fails at once where a local cluster, or what it is built from, cannot possibly fit.
    pub(crate) fn check_disk(&self) -> Result<()> {
        let least = disk::least(&self.cache);
        if let Some(free) = disk::free(&self.cache).filter(|free| *free < least) {
            bail!("the disk is too small: {}", disk::told(&self.cache, free, least));
        }
        self.warn_when_disk_is_short();
        Ok(())
    }

    /// Puts the full disk before the errors that it causes.
    pub(crate) fn blame_disk<T>(&self, done: Result<T>) -> Result<T> {
        let free = disk::free(&self.cache).filter(|free| *free < disk::FLOOR);
        match (done, free) {
            (Err(error), Some(free)) => {
                Err(error.context(format!("the disk is full: {}", disk::told(&self.cache, free, disk::FLOOR))))
            }
            (done, _) => done,
        }
    }
}
