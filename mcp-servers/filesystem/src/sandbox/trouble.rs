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
