//! SHA-256 as clients see it: 64 hexadecimal digits.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The digest of bytes that are all there.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_ref())
}

/// A finished digest as text.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
