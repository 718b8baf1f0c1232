//! One cgroup per cluster in every hierarchy of the host, named after the cluster, and gone with it.
//!
//! In: a cluster's name. Out: directories. The host's mounts and all other groups are left as they are.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The path of a cluster's group below every hierarchy, as the kubelet wants it.
pub(super) fn root(name: &str) -> String {
    format!("/mcp-eks-{name}")
}

/// Makes the group everywhere.
pub(super) fn create(name: &str) -> Result<()> {
    let places = places(name)?;
    if places.is_empty() {
        bail!("no cgroup hierarchy is mounted: the kubelet needs /sys/fs/cgroup");
    }
    for place in places {
        let what = || format!("create the cgroup {}", place.display());
        std::fs::create_dir_all(&place).with_context(what)?;
        // A cpuset group of cgroup v1 starts empty, and then nothing may run in it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (own, parent) = (place.join(file), place.parent().unwrap_or(&place).join(file));
            let is_version_1 = place.join("cpuset.cpu_exclusive").exists();
            if is_version_1 && let Ok(value) = std::fs::read(&parent) {
                std::fs::write(&own, value).with_context(what)?;
            }
        }
    }
    Ok(())
}

/// Removes it everywhere, waiting for the kernel to let go of processes that were just killed.
pub(super) fn remove(name: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    for place in places(name)? {
        while place.exists() {
            remove_tree(&place);
            if place.exists() {
                if Instant::now() > deadline {
                    bail!("the cgroup {} cannot be removed: something still runs in it", place.display());
                }
                sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}

fn remove_tree(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}

fn places(name: &str) -> Result<Vec<PathBuf>> {
    let mounts = std::fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
    Ok(hierarchies(&mounts).into_iter().map(|mount| mount.join(root(name).trim_start_matches('/'))).collect())
}

fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (target, kind) = (fields.nth(1)?, fields.next()?);
            matches!(kind, "cgroup" | "cgroup2").then(|| PathBuf::from(target))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_among_other_mounts() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n/dev/vda / ext4 rw 0 0\n";
        let expected = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        assert_eq!(hierarchies(mounts), expected);
    }
}
