//! The way to change something: an open parent directory, and one name in it that is never followed.
//!
//! In: a virtual path below a root that may be written. Out: a [`Target`], whose every operation is a call of the kernel on
//! the open parent. Whatever links are put into the way meanwhile lead nowhere: the parent is open already, and of the
//! last name it is asked what it is, not where it leads.

use std::{
    io::{self, ErrorKind, Read, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, Permissions, PermissionsExt};
use mcp_kit::{Call, ToolError};
use rustix::fs::{Mode, OFlags, RenameFlags, fsync, openat, renameat_with};

use super::{
    Directory, Sandbox, VirtualPath,
    trouble::{shared, unchanged},
};

/// The deepest place, in names below a root.
const DEPTH: usize = 64;
/// Beginning of the names of files that are not finished: no client sees or reaches names that begin with two dots.
const UNFINISHED: &str = "..mcp-unfinished-";
/// How often a name for an unfinished file is tried that turns out to be taken.
const NAMES: usize = 100;

/// Whether something may be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// What is there is replaced.
    Replace,
    /// What is there stays, and it is an error.
    Nothing,
}

/// A place to change.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    parent: Directory<'a>,
    name: String,
    path: VirtualPath,
}

/// A file that is being written under a name nobody sees. It is removed unless it becomes the target.
struct Unfinished<'a> {
    dir: &'a Dir,
    name: String,
    file: File,
}

impl Sandbox {
    /// The place of a path. Its parent must be there.
    pub(crate) fn target(&self, path: &VirtualPath) -> Result<Target<'_>, ToolError> {
        self.check_writable(path)?;
        let Some((parent, name)) = path.split_last() else {
            return Err(ToolError::new(format!(
                "{path} is a root itself, which stays as it is; name something below it"
            )));
        };
        Ok(Target { parent: self.directory(&parent)?, name, path: path.clone() })
    }

    /// Makes a directory and those above it; tells whether it is new.
    pub(crate) fn create_directory(&self, path: &VirtualPath) -> Result<bool, ToolError> {
        self.check_writable(path)?;
        let (mut there, mut missing) = (path.clone(), Vec::new());
        let mut directory = loop {
            match self.directory(&there) {
                Ok(directory) => break directory,
                Err(error) => {
                    // What is there but is no directory, or leads out, is an error; what is not there is made.
                    let absent = there.split_last().filter(|_| self.is_absent(&there));
                    let Some((parent, name)) = absent else { return Err(error) };
                    there = parent;
                    missing.push(name);
                }
            }
        };
        let created = !missing.is_empty();
        for name in missing.into_iter().rev() {
            match directory.dir.create_dir(&name) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unchanged(path, &error)),
                Ok(()) | Err(_) => sync(&directory.dir),
            }
            directory = directory.child(&name).map_err(|error| unchanged(path, &error))?;
        }
        Ok(created)
    }

    /// Whether nothing has this name, not even a link that leads nowhere.
    fn is_absent(&self, path: &VirtualPath) -> bool {
        let Some((parent, name)) = path.split_last() else { return false };
        match self.directory(&parent) {
            Ok(parent) => parent.dir.symlink_metadata(name).is_err_and(|error| error.kind() == ErrorKind::NotFound),
            // Its parent is not there either, or is refused, which the next round tells.
            Err(_) => true,
        }
    }

    fn check_writable(&self, path: &VirtualPath) -> Result<(), ToolError> {
        if path.names().len() > DEPTH {
            return Err(ToolError::new(format!(
                "{path} is deeper than {DEPTH} names; choose a place nearer to the root"
            )));
        }
        if self.roots.iter().any(|root| root.name == path.root() && root.writable) {
            return Ok(());
        }
        let message = format!(
            "{path} is below a root that may only be read; list_allowed_directories tells which may be written"
        );
        Err(ToolError::new(message))
    }
}

impl Target<'_> {
    /// What has this name; a link is a link here.
    pub(crate) fn found(&self) -> Result<Option<Metadata>, ToolError> {
        match self.parent.dir.symlink_metadata(&self.name) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unchanged(&self.path, &error)),
        }
    }

    /// The regular file of this name, if there is anything. All else is refused: links, directories, pipes, devices, and
    /// files with further names.
    pub(crate) fn file(&self) -> Result<Option<Metadata>, ToolError> {
        let Some(metadata) = self.found()? else { return Ok(None) };
        self.regular(&metadata)?;
        Ok(Some(metadata))
    }

    fn regular(&self, metadata: &Metadata) -> Result<(), ToolError> {
        let path = &self.path;
        if metadata.is_symlink() {
            return Err(ToolError::new(format!("{path} is a link; name what it leads to")));
        }
        if !metadata.is_file() {
            return Err(ToolError::new(format!("{path} is not a regular file; only those are written")));
        }
        if metadata.nlink() > 1 { Err(shared(path)) } else { Ok(()) }
    }

    /// What is in the file, if there is one; an error if it is more than `most` bytes.
    pub(crate) fn content(&self, most: u64, call: &Call) -> Result<Option<Vec<u8>>, ToolError> {
        if self.file()?.is_none() {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let file = self.parent.dir.open_with(&self.name, &options).map_err(|error| unchanged(&self.path, &error))?;
        // What was opened may be another file than the one that was looked at.
        let metadata = file.metadata().map_err(|error| unchanged(&self.path, &error))?;
        self.regular(&metadata)?;
        let mut bytes = Vec::new();
        let read = file.into_std().take(most + 1).read_to_end(&mut bytes);
        read.map_err(|error| unchanged(&self.path, &error))?;
        call.check()?;
        if bytes.len() as u64 > most {
            let message = format!("{} has more than {most} bytes, the most that is read to change it", self.path);
            return Err(ToolError::new(message));
        }
        Ok(Some(bytes))
    }

    /// Puts a whole file in place, in one step: whoever reads sees the old one or the new one, also after a crash.
    /// Tells how many bytes it has.
    pub(crate) fn put(
        &self,
        source: &mut dyn Read,
        permissions: Option<Permissions>,
        over: Over,
        call: &Call,
    ) -> Result<u64, ToolError> {
        let told = |error: io::Error| unchanged(&self.path, &error);
        let mut unfinished = Unfinished::new(&self.parent.dir).map_err(told)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut size = 0;
        loop {
            call.check()?;
            let count = source.read(&mut buffer).map_err(told)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            unfinished.file.write_all(bytes).map_err(told)?;
            size += count as u64;
        }
        if let Some(permissions) = permissions {
            // Never more than what a user may do with a file: no set-user-id on new content.
            let mode = Permissions::from_mode(permissions.mode() & 0o777);
            unfinished.file.set_permissions(mode).map_err(told)?;
        }
        unfinished.finish(&self.name, over).map_err(told)?;
        Ok(size)
    }

    /// Gives this the name of another place, which must be free.
    pub(crate) fn rename_to(&self, destination: &Target<'_>) -> Result<(), ToolError> {
        let moved = place(&self.parent.dir, &self.name, &destination.parent.dir, &destination.name, Over::Nothing);
        moved.map_err(|error| unchanged(&destination.path, &error))?;
        sync(&self.parent.dir);
        sync(&destination.parent.dir);
        Ok(())
    }

    /// Takes a file or an empty directory away; tells what it was.
    pub(crate) fn remove(&self) -> Result<Metadata, ToolError> {
        let Some(metadata) = self.found()? else {
            return Err(ToolError::new(format!("{} does not exist; list_directory shows what does", self.path)));
        };
        let removed = if metadata.is_dir() {
            self.parent.dir.remove_dir(&self.name)
        } else {
            self.regular(&metadata)?;
            self.parent.dir.remove_file(&self.name)
        };
        removed.map_err(|error| unchanged(&self.path, &error))?;
        sync(&self.parent.dir);
        Ok(metadata)
    }
}

impl<'a> Unfinished<'a> {
    fn new(dir: &'a Dir) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).follow(FollowSymlinks::No);
        let mut tries = 0;
        loop {
            tries += 1;
            // Several servers may write on one volume, each process 1 of its pod.
            let clock = jiff::Timestamp::now().as_nanosecond();
            let name = format!("{UNFINISHED}{clock:x}-{:x}", NUMBER.fetch_add(1, Ordering::Relaxed));
            match dir.open_with(&name, &options) {
                Ok(file) => return Ok(Self { dir, name, file }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < NAMES => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn finish(self, name: &str, over: Over) -> io::Result<()> {
        self.file.sync_all()?;
        place(self.dir, &self.name, self.dir, name, over)?;
        sync(self.dir);
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // After it got its name there is nothing left to remove.
        let _ = self.dir.remove_file(&self.name);
    }
}

/// Renames within open directories.
fn place(from: &Dir, old: &str, to: &Dir, new: &str, over: Over) -> io::Result<()> {
    if over == Over::Replace {
        return from.rename(old, to, new);
    }
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        // Some network file systems cannot do it in one step; then a second server could come in between.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata(new).is_err() => {
            from.rename(old, to, new)
        }
        done => Ok(done?),
    }
}

/// Makes a change of names last through a crash, where the file system can. The change is done already, so that it could
/// not is no error of it.
fn sync(dir: &Dir) {
    // The handle that names are looked up by cannot be synced itself.
    let open = openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    if let Err(error) = open.and_then(fsync) {
        tracing::debug!(%error, "a directory could not be synced");
    }
}
