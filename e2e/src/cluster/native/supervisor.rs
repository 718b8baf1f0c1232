//! Process 1 of a cluster's pid namespace: it starts the components, buries the dead, and its end is theirs.
//!
//! In: `plan.json` in the cluster's directory, and a lease on standard input. Out: running components, a log each,
//! and a record of every one that ends. It restarts nothing: a component that dies is news for whoever looks.
//! The lease: a byte means "stay without me"; an end of file before that means the one who started us is dead, and
//! so are we.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, create_dir_all};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use super::config::BRIDGE;
use super::exits::{self, Exit};
use super::plan::{Component, Node, Plan};
use crate::cluster::connect;

/// The argument that makes this program a supervisor, and by which its process is found again.
pub(crate) const COMMAND: &str = "supervise";

/// Directories that components write to at fixed paths. Inside the node they are empty and its own.
const PRIVATE: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Runs until it is told to end. The caller must be process 1 of a pid namespace of its own.
pub(crate) fn run(dir: &Path) -> Result<()> {
    if std::process::id() != 1 {
        bail!("`{COMMAND}` is for internal use: it must be process 1 of a pid namespace, which `cluster up` makes");
    }
    let path = dir.join("plan.json");
    let plan = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let plan: Plan = serde_json::from_slice(&plan).with_context(|| format!("understand {}", path.display()))?;
    if let Some(node) = &plan.node {
        become_node(dir, node)?;
    }
    // One thread: a child is in the table before its end can be noticed.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(supervise(dir, &plan))
}

async fn supervise(dir: &Path, plan: &Plan) -> Result<()> {
    let mut ended = signal(SignalKind::child())?;
    let mut stop = signal(SignalKind::terminate())?;
    let mut children = BTreeMap::new();
    for component in &plan.first {
        start(dir, component, &mut children)?;
    }
    let mut server = Box::pin(connect::until_ready(&plan.kubeconfig));
    let mut lease = Box::pin(read_lease());
    let (mut started, mut kept) = (false, false);
    loop {
        tokio::select! {
            _ = ended.recv() => reap(dir, &mut children)?,
            _ = stop.recv() => return Ok(()),
            ready = &mut server, if !started => {
                ready?;
                started = true;
                for component in &plan.then {
                    start(dir, component, &mut children)?;
                }
            }
            stay = &mut lease, if !kept => {
                if !stay {
                    // Not `return`: the thread that reads the lease must not be waited for.
                    std::process::exit(0);
                }
                kept = true;
            }
        }
    }
}

async fn read_lease() -> bool {
    matches!(tokio::io::stdin().read(&mut [0_u8; 1]).await, Ok(1))
}

fn start(dir: &Path, component: &Component, children: &mut BTreeMap<i32, String>) -> Result<()> {
    let logs = dir.join("logs");
    create_dir_all(&logs)?;
    let log = File::create(logs.join(format!("{}.log", component.name)))?;
    let (program, arguments) = component.command.split_first().context("a component without a program")?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        // A proxy or a debug switch of whoever calls must not change the cluster.
        .env_clear()
        .env("PATH", path())
        .env("HOME", dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {} ({program})", component.name))?;
    children.insert(i32::try_from(child.id())?, component.name.clone());
    Ok(())
}

/// The caller's, and where the system's own tools are, which a user's may leave out.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

fn reap(dir: &Path, children: &mut BTreeMap<i32, String>) -> Result<()> {
    loop {
        let (pid, status) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, format!("exit status {code}")),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, format!("killed by {signal}")),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(error) => return Err(error).context("wait for children"),
        };
        // The others are orphans of containers, which end as they like.
        if let Some(component) = children.remove(&pid.as_raw()) {
            exits::record(dir, &Exit { component, status })?;
        }
    }
}

fn become_node(dir: &Path, node: &Node) -> Result<()> {
    if dir.starts_with("/run") {
        bail!(
            "a node has a /run of its own, so its files cannot be in {}: set XDG_CACHE_HOME elsewhere",
            dir.display()
        );
    }
    sethostname(&node.hostname).context("set the node's host name")?;
    let unset = None::<&str>;
    mount(unset, "/", unset, MsFlags::MS_REC | MsFlags::MS_SHARED, unset).context("share mounts inside the node")?;
    for target in PRIVATE.into_iter().filter(|target| !dir.starts_with(target)) {
        mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"))
            .with_context(|| format!("mount the node's own {target}"))?;
    }
    for directory in ["/run/lock", "/run/netns", "/run/mcp-eks"] {
        create_dir_all(directory).with_context(|| format!("create {directory}"))?;
    }
    for (setting, value) in [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/all/route_localnet", "1"),
        ("net/bridge/bridge-nf-call-iptables", "1"),
    ] {
        let path = Path::new("/proc/sys").join(setting);
        // All three belong to the network namespace. A kernel without the bridge one cannot filter bridged packets
        // at all; kube-proxy says so in its log.
        if path.exists() {
            std::fs::write(&path, value).with_context(|| format!("set {}", path.display()))?;
        }
    }
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{}/24", node.slot.node()), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("start `ip` (package iproute2)")?;
    if !output.status.success() {
        bail!("`ip {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
