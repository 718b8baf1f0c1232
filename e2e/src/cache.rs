//! The project's own corner of the user's cache directory, and the locks that keep two processes apart in it.
//!
//! In: `XDG_CACHE_HOME`, `HOME`. Out: paths and held locks. Creates directories, deletes nothing.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

/// With less disk than this a cluster fails somewhere.
const LEAST_MIB: u64 = 512;

/// `${XDG_CACHE_HOME:-$HOME/.cache}/mcp-eks`.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache directory; fails when neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
    pub fn from_env() -> Result<Self> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        match base {
            Some(base) => Ok(Self::at(base.join("mcp-eks"))),
            None => bail!("no place for the cache: set HOME or XDG_CACHE_HOME to an absolute path"),
        }
    }

    /// A cache rooted somewhere else, for tests.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where built tools live, one directory per content hash.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Where clusters live, one directory per name.
    #[must_use]
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// Says so when hardly any disk is left for it, which is then behind most errors, whatever they say.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        // The directory itself may not be there yet.
        let disk = self.root.ancestors().find_map(|path| nix::sys::statvfs::statvfs(path).ok())?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size()) >> 20;
        (free < LEAST_MIB).then(|| {
            format!(
                "the disk is full: expected at least {LEAST_MIB} MiB free for {}, found {free} MiB. Free some, or set \
                 XDG_CACHE_HOME to a directory on a larger disk",
                self.root.display()
            )
        })
    }

    /// Takes the lock `name`, waiting for whoever holds it and saying so. Released when dropped.
    pub fn lock(&self, name: &str, progress: Progress) -> Result<Lock> {
        let directory = self.root.join("locks");
        std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        let path = directory.join(name);
        let file = File::create(&path).with_context(|| format!("open the lock {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.say(format_args!("waiting for another process that holds {}", path.display()));
                file.lock().with_context(|| format!("take the lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("take the lock {}", path.display()));
            }
        }
        Ok(Lock { _file: file })
    }
}

/// A held lock. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}
