//! An entry of a directory, as tools show it.

use cap_std::fs::{Metadata, PermissionsExt};
use schemars::JsonSchema;
use serde::Serialize;

/// What an entry is. A link is what it leads to, unless that is outside its root or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

impl Kind {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        if kind.is_file() {
            Self::File
        } else if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            Self::Symlink
        } else {
            Self::Other
        }
    }
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// It is a link: shown as what it leads to, but not walked into.
    pub(crate) linked: bool,
}

impl Entry {
    pub(super) fn new(name: String, metadata: &Metadata, linked: bool) -> Self {
        let kind = Kind::of(metadata);
        let size = if kind == Kind::File { metadata.len() } else { 0 };
        Self { name, kind, size, linked }
    }
}

/// Permission bits as `ls` and `chmod` write them.
pub(crate) fn permissions(metadata: &Metadata) -> String {
    format!("{:04o}", metadata.permissions().mode() & 0o7777)
}
