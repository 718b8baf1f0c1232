//! Takes a native cluster away, whatever state it is in: running, half started, or long dead.
//!
//! In: a cluster's name and directory. Out: no process, interface, route, cgroup or file of it. Safe to call twice,
//! and safe when there never was one. Kills only processes whose identity was recorded or that carry the cluster's
//! directory in their arguments. Synchronous, so that it can run while unwinding.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{cgroup, link, supervisor};
use crate::cluster::process::{self, Identity};
use crate::cluster::state::State;

/// Removes everything.
pub(crate) fn sweep(name: &str, dir: &Path) -> Result<()> {
    // A record that cannot be read must not keep a cluster alive; what the record knows is found in other ways too,
    // except the interface, which goes by itself with the node's processes.
    let state = State::load(dir).unwrap_or_default();
    let mut processes = process::with_arguments(supervisor::COMMAND, "--dir", dir);
    processes.extend(state.iter().filter_map(|state| state.supervisor.clone()).filter(Identity::is_alive));
    let children: Vec<Identity> = processes.iter().flat_map(Identity::children).collect();
    processes.extend(children);
    let alive = process::end(&processes, Duration::from_secs(20));
    if let Some(process) = alive.first() {
        bail!("process {} of cluster {name} does not die: look at /proc/{}/stack", process.pid, process.pid);
    }
    if let Some(slot) = state.and_then(|state| state.slot) {
        link::disconnect(slot, dir)?;
    }
    cgroup::remove(name)?;
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
