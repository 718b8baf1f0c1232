//! Whether the disk holds what a task makes: a disk that fills up half-way ends in errors about anything but the disk.
//!
//! In: the cache directory. Out: free and needed space in bytes, and the words for it. Writes and removes nothing.

use std::fs;
use std::path::Path;

const GIB: u64 = 1 << 30;

/// Below this, a cold run is likely to end with "No space left on device".
pub(crate) const ENOUGH: u64 = 15 * GIB;
/// Below this nothing works, however much is there already.
pub(crate) const FLOOR: u64 = GIB;

/// What is made once in a directory below the cache, and at least so large while it is made. Compiled code of the
/// workspace; tools, with Go's build cache beside them; images, and a cluster that holds them.
const ONCE: [(&str, u64); 3] = [("build", 3 * GIB), ("tools", 4 * GIB), ("images", 2 * GIB)];

/// Bytes that are free where a path lies; none where the system does not say.
pub(crate) fn free(path: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(path).ok()?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// Bytes without which a local cluster cannot come to be, given what the cache holds already.
pub(crate) fn least(cache: &Path) -> u64 {
    let is_empty = |name: &str| fs::read_dir(cache.join(name)).map_or(true, |mut entries| entries.next().is_none());
    FLOOR + ONCE.iter().filter(|(name, _)| is_empty(name)).map(|(_, size)| size).sum::<u64>()
}

/// What is expected, what is found, and what to do.
pub(crate) fn told(cache: &Path, free: u64, expected: u64) -> String {
    format!(
        "expected {} GiB free for {}, found {} MiB. Free some, or set XDG_CACHE_HOME to a directory on a larger disk; a \
         cold run takes up to {} GiB. The whole directory is a cache and may be deleted",
        expected / GIB,
        cache.display(),
        free >> 20,
        ENOUGH / GIB
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_already_needs_no_more_room() {
        let cache = std::env::temp_dir().join(format!("xtask-disk-{}", std::process::id()));
        assert_eq!(least(&cache), 10 * GIB);
        for (made, left) in [("build", 7), ("tools", 3), ("images", 1)] {
            fs::create_dir_all(cache.join(made)).unwrap();
            assert!(least(&cache) > left * GIB, "an empty directory is nothing");
            fs::write(cache.join(made).join("something"), "").unwrap();
            assert_eq!(least(&cache), left * GIB);
        }
        fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn a_short_disk_is_told_by_what_was_expected_and_found() {
        let told = told(Path::new("/small/mcp-eks"), 200 << 20, FLOOR);
        assert!(told.starts_with("expected 1 GiB free for /small/mcp-eks, found 200 MiB."), "{told}");
    }
}
