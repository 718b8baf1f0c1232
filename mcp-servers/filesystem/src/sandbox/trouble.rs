//! Errors of the disk in words a client may read: virtual paths only, and what to do.

use std::io::{Error, ErrorKind};

use mcp_kit::ToolError;

use super::VirtualPath;

const TOO_MANY_LINKS: i32 = 40;

/// The path is on the deny list. Said before the disk is asked, so that it does not tell whether the file exists.
pub(super) fn denied(path: &VirtualPath) -> ToolError {
    ToolError::new(format!("{path} is refused: names that usually hold secrets are not served"))
}

/// The file has further names, and the deny list may close one of them.
pub(super) fn shared(path: &VirtualPath) -> ToolError {
    ToolError::new(format!(
        "{path} is refused: it has several names (hard links), and one of them may be one that is not served; a copy can be \
         read"
    ))
}

/// An error of the disk.
pub(super) fn tell(path: &VirtualPath, error: &Error) -> ToolError {
    let message = match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) => format!("{path} does not exist; list_directory shows what does"),
        // cap-std's refusal to leave the root; the kernel's own would carry an error number.
        (ErrorKind::PermissionDenied, None) => format!("{path} is refused: it leads out of its root"),
        (ErrorKind::PermissionDenied, _) => format!("{path} may not be read by the server's user"),
        (ErrorKind::NotADirectory, _) => format!("{path} is not a directory, or a part of it is not"),
        (ErrorKind::InvalidFilename, _) => format!("{path} has a name the file system does not allow"),
        (_, Some(TOO_MANY_LINKS)) => format!("{path} goes through too many links, or changed just now; try again"),
        (kind, _) => format!("{path} could not be read: {kind}"),
    };
    ToolError::new(message)
}

/// An error of the disk while something was to be changed.
pub(super) fn unchanged(path: &VirtualPath, error: &Error) -> ToolError {
    let message = match error.kind() {
        ErrorKind::AlreadyExists => format!("{path} exists already; choose another name, or delete it first"),
        ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
            format!("{path} may not be changed by the server's user")
        }
        ErrorKind::ReadOnlyFilesystem => format!("{path} is on a volume that is mounted read-only"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("{path} was not written: the volume is full"),
        ErrorKind::DirectoryNotEmpty => format!("{path} is a directory that is not empty; delete what is in it first"),
        ErrorKind::IsADirectory => format!("{path} is a directory"),
        ErrorKind::CrossesDevices => {
            format!("{path} is on another volume, where nothing can be moved to; use copy_file and then delete_file")
        }
        ErrorKind::InvalidInput => format!("{path} was not changed: a directory cannot be moved into itself"),
        _ => return tell(path, error),
    };
    ToolError::new(message)
}
