//! Provider `native`: a real Kubernetes from Linux namespaces, without Docker and without a registry.
//!
//! In: a name, a tier, a directory. Out: one supervisor process whose end is the end of everything. What it may
//! touch of the host: one interface with two routes, one cgroup per hierarchy, the cluster's directory.

mod cgroup;
mod config;
mod exits;
mod images;
mod kubeconfig;
mod link;
mod pki;
mod plan;
mod start;
pub(crate) mod supervisor;
mod sweep;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

pub(super) use self::images::{import, snapshotter};
pub(super) use self::start::{Started, Wanted, provide, start};
pub(crate) use self::sweep::sweep;
use super::state::{State, Tier};
use super::{addons, connect};

/// Fails, with what is wrong, unless everything of a recorded cluster runs and answers.
pub(super) async fn check(state: &State, dir: &Path) -> Result<()> {
    if !state.ready {
        bail!("it never became ready");
    }
    if let Some(why) = broken(state, dir) {
        bail!(why);
    }
    let client = connect::client(&dir.join("kubeconfig")).await?;
    connect::is_ready(&client).await?;
    if state.tier != Tier::Api {
        addons::check_node(&client, &state.name).await?;
    }
    Ok(())
}

/// What of a cluster that was ready has ended, so that it can never answer again.
pub(super) fn broken(state: &State, dir: &Path) -> Option<String> {
    if !state.supervisor.as_ref().is_some_and(super::process::Identity::is_alive) {
        return Some("its supervisor is gone".to_owned());
    }
    exits::first(dir)
}

/// Root is needed for namespaces, interfaces and cgroups.
pub(super) fn check_rights() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "a native cluster needs root (namespaces, and for tier node also interfaces, mounts and cgroups), and this \
             is user {}: run it as root (`sudo -E`), or use --provider kind where Docker is",
            nix::unistd::geteuid()
        );
    }
    Ok(())
}

/// Writes a file that nobody else could ever have opened.
fn write_private(path: &Path, text: &str, mode: u32) -> Result<()> {
    let what = || format!("write {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(what)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(path).with_context(what)?;
    file.write_all(text.as_bytes()).with_context(what)
}
