//! Puts image archives into a node's containerd.
//!
//! In: an archive of the host. Out: the image, known to the kubelet. The archive goes through a pipe, because the
//! node sees other directories than the host.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use tokio::process::Command;

use super::config::CONTAINERD_SOCKET;

/// Imports `archive` into the node whose first process is `node`.
pub(crate) async fn import(node: i32, archive: &Path, snapshotter: &str) -> Result<()> {
    let what = || format!("load {} into the node", archive.display());
    let output = Command::new("nsenter")
        .args([
            "--target",
            &node.to_string(),
            "--mount",
            "ctr",
            "--address",
            CONTAINERD_SOCKET,
            "--namespace",
            "k8s.io",
        ])
        .args(["images", "import", "--snapshotter", snapshotter, "-"])
        .stdin(File::open(archive).with_context(what)?)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .stderr(Stdio::piped())
        .output()
        .await
        .with_context(what)?;
    if !output.status.success() {
        bail!("cannot {}: {}", what(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Waits until containerd in that node listens. Never gives up: the caller has the deadline.
pub(super) async fn until_listening(node: i32) {
    // Seen through the process's own root, since the node's /run is not the host's.
    let socket = Path::new("/proc").join(node.to_string()).join("root").join(CONTAINERD_SOCKET.trim_start_matches('/'));
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Overlay mounts do not stack on an overlay, as in a container: there, layers are copied.
pub(crate) fn snapshotter(dir: &Path) -> &'static str {
    match statfs(dir) {
        Ok(filesystem) if filesystem.filesystem_type() == OVERLAYFS_SUPER_MAGIC => "native",
        _ => "overlayfs",
    }
}
