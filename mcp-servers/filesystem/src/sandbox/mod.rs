//! The only way to the disk: directory handles, virtual paths, deny list.
//!
//! In: virtual paths from a client (`/root/dir/file`). Out: open handles below a root, or an error without host paths.
//!
//! Guarantees: a path is resolved by the kernel below the root's handle (cap-std), symbolic links included, and the
//! resolved path is then opened again name by name without following links. So what is opened has exactly the names
//! that were checked against the deny list, also while somebody exchanges links underneath; and no other names.

mod change;
mod deny;
mod entry;
mod trouble;
mod vpath;

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions};
use mcp_kit::{Call, ToolError};

pub(crate) use change::{Over, Target};
pub(crate) use deny::Deny;
pub(crate) use entry::{Entry, Kind, permissions};
use trouble::{denied, shared, tell};
pub(crate) use vpath::VirtualPath;

/// The most names that are read of one directory.
pub(crate) const ENTRIES: usize = 50_000;
/// How often a path is resolved anew when it vanishes between resolving and opening (a ConfigMap is being updated).
const TRIES: usize = 3;

/// A directory that is served.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) name: String,
    pub(crate) dir: Dir,
    /// Whether something may be changed below it.
    pub(crate) writable: bool,
}

/// All that may be read, and what of it may be changed.
#[derive(Debug)]
pub(crate) struct Sandbox {
    roots: Vec<Root>,
    deny: Deny,
    changes: Mutex<()>,
}

/// An open directory, with its real place below its root.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    root: &'a Root,
    real: PathBuf,
    dir: Dir,
}

/// An open regular file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: std::fs::File,
    pub(crate) metadata: Metadata,
}

impl Sandbox {
    pub(crate) const fn new(roots: Vec<Root>, deny: Deny) -> Self {
        Self { roots, deny, changes: Mutex::new(()) }
    }

    /// The names of the roots below which something may be changed.
    pub(crate) fn writable(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().filter(|root| root.writable).map(|root| root.name.as_str())
    }

    /// One change after the other: between the look at a file and its replacement no other call of this server comes in.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the roots in the order they were given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.roots.iter().map(|root| root.name.as_str())
    }

    /// Reads a path a client sent.
    pub(crate) fn path(&self, text: &str) -> Result<VirtualPath, ToolError> {
        let path = VirtualPath::parse(text, &self.names())?;
        let hidden = path.names().iter().any(|name| name.starts_with("..") || self.deny.matches(name));
        if hidden { Err(denied(&path)) } else { Ok(path) }
    }

    /// Opens a directory.
    pub(crate) fn directory(&self, path: &VirtualPath) -> Result<Directory<'_>, ToolError> {
        self.resolved(path, |root, real| {
            let dir = open_dir(&root.dir, real)?;
            Ok(Directory { root, real: real.to_owned(), dir })
        })
    }

    /// Opens a regular file for reading. Pipes, sockets and devices are refused without being opened, and so are files
    /// with several names (hard links): only one of them was checked.
    pub(crate) fn file(&self, path: &VirtualPath) -> Result<OpenFile, ToolError> {
        let opened = self.resolved(path, |root, real| {
            let (parent, name) = parent(&root.dir, real)?;
            if !parent.symlink_metadata(&name)?.is_file() {
                return Ok(None);
            }
            let mut options = OpenOptions::new();
            // Never waits, should a pipe have taken the file's place since.
            options.read(true).follow(FollowSymlinks::No).nonblock(true);
            let file: File = parent.open_with(&name, &options)?;
            let metadata = file.metadata()?;
            Ok(metadata.is_file().then(|| OpenFile { file: file.into_std(), metadata }))
        })?;
        let opened = opened.ok_or_else(|| {
            let message = format!("{path} is not a regular file; directories can be listed, anything else is not read");
            ToolError::new(message)
        })?;
        if opened.metadata.nlink() > 1 { Err(shared(path)) } else { Ok(opened) }
    }

    /// What a path is, following links, without opening it.
    pub(crate) fn metadata(&self, path: &VirtualPath) -> Result<Metadata, ToolError> {
        self.resolved(path, |root, real| {
            if real == Path::new(".") {
                return root.dir.dir_metadata();
            }
            let (parent, name) = parent(&root.dir, real)?;
            parent.symlink_metadata(name)
        })
    }

    /// The entries of a directory by name, without what is denied or hidden; and whether those were all.
    pub(crate) fn entries(
        &self,
        path: &VirtualPath,
        directory: &Directory<'_>,
        call: &Call,
    ) -> Result<(Vec<Entry>, bool), ToolError> {
        let mut entries = Vec::new();
        let mut complete = true;
        for (count, item) in directory.dir.entries().map_err(|error| tell(path, &error))?.enumerate() {
            if count >= ENTRIES {
                complete = false;
                break;
            }
            if count % 256 == 0 {
                call.check()?;
            }
            let Ok(item) = item else { continue };
            let name = item.file_name().to_string_lossy().into_owned();
            if name.starts_with("..") || self.deny.matches(&name) {
                continue;
            }
            entries.extend(self.entry(directory, &item, name));
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok((entries, complete))
    }

    /// One entry; `None` when it has gone meanwhile or leads to something denied.
    fn entry(&self, directory: &Directory<'_>, item: &cap_std::fs::DirEntry, name: String) -> Option<Entry> {
        let metadata = item.metadata().ok()?;
        if !metadata.is_symlink() {
            return Some(Entry::new(name, &metadata, false));
        }
        // A link is shown as what it leads to (the keys of a ConfigMap are links), if that is inside.
        let target = directory.root.dir.canonicalize(directory.real.join(item.file_name()));
        let Ok(target) = target else {
            return Some(Entry::new(name, &metadata, true));
        };
        if self.check_real(&target).is_err() {
            return None;
        }
        let (parent, last) = parent(&directory.root.dir, &target).ok()?;
        let metadata = parent.symlink_metadata(last).ok()?;
        Some(Entry::new(name, &metadata, true))
    }

    /// Resolves a path below its root and works on the result; resolves again if it vanished in between.
    fn resolved<'a, T>(
        &'a self,
        path: &VirtualPath,
        work: impl Fn(&'a Root, &Path) -> io::Result<T>,
    ) -> Result<T, ToolError> {
        let Some(root) = self.roots.iter().find(|root| root.name == path.root()) else {
            return Err(ToolError::new(format!("{path} is not below a root")));
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let real = root.dir.canonicalize(path.below()).map_err(|error| tell(path, &error))?;
            self.check_real(&real).map_err(|()| denied(path))?;
            match work(root, &real) {
                Ok(value) => return Ok(value),
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {}
                Err(error) => return Err(tell(path, &error)),
            }
        }
    }

    fn check_real(&self, real: &Path) -> Result<(), ()> {
        let denied = real.iter().any(|name| self.deny.matches(&name.to_string_lossy()));
        if denied { Err(()) } else { Ok(()) }
    }
}

impl Directory<'_> {
    /// Opens a directory in this one, unless it is a link by now.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        Ok(Self { root: self.root, real: self.real.join(name), dir: self.dir.open_dir_nofollow(name)? })
    }
}

/// Opens a resolved directory name by name, following no links.
fn open_dir(root: &Dir, real: &Path) -> io::Result<Dir> {
    let mut dir = root.try_clone()?;
    for component in real.components() {
        if let Component::Normal(name) = component {
            dir = dir.open_dir_nofollow(name)?;
        }
    }
    Ok(dir)
}

/// The open parent of a resolved path, and its last name.
fn parent(root: &Dir, real: &Path) -> io::Result<(Dir, PathBuf)> {
    let above = real.parent().unwrap_or_else(|| Path::new(""));
    let name = real.file_name().map_or_else(|| PathBuf::from("."), PathBuf::from);
    Ok((open_dir(root, above)?, name))
}
