//! What a running cluster is to the host, written down while it runs, to be looked for when it is gone.
//!
//! Only this cluster's own traces count: other clusters and containers may come and go meanwhile.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use mcp_e2e::cluster::Cluster;
use mcp_e2e::cluster::process::Identity;

/// The traces of one cluster.
pub(crate) struct Traces {
    /// Everything in its pid namespace, and `unshare` before it.
    pub(crate) processes: Vec<Identity>,
    name: String,
    interface: String,
    dir: PathBuf,
}

impl Traces {
    /// Writes them down.
    pub(crate) fn of(cluster: &Cluster) -> Result<Self> {
        let state = cluster.state();
        let unshare = state.supervisor.clone().context("no supervisor on record")?;
        let first = unshare.children().first().context("no process 1")?.pid;
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(first).context("process 1 is gone")?;
        let pids =
            std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let mut processes: Vec<Identity> =
            pids.filter(|pid| namespace(*pid).as_ref() == Some(&own)).filter_map(Identity::of).collect();
        processes.push(unshare);
        Ok(Self {
            processes,
            name: state.name.clone(),
            interface: state.slot.context("no slot on record")?.host_interface(),
            dir: cluster.kubeconfig().parent().context("no directory")?.to_owned(),
        })
    }

    /// Those that are there now, in words.
    pub(crate) fn left(&self) -> Vec<String> {
        let alive = self.processes.iter().filter(|process| process.is_alive());
        let mut left: Vec<String> = alive.map(|process| format!("process {}", process.pid)).collect();
        let dir = self.dir.to_string_lossy();
        if self.dir.exists() {
            left.push(format!("directory {dir}"));
        }
        let lines_with = |text: &str, word: &str| {
            text.lines()
                .filter(|line| line.split([' ', ':', '@']).any(|field| field == word))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        // Another cluster may have taken the slot meanwhile; its interface carries its own directory as alias.
        let links = said("ip", &["-details", "link"]);
        if links.contains(&format!("alias {dir}")) {
            left.push(format!("interface {}", self.interface));
            left.extend(lines_with(&said("ip", &["route"]), &self.interface));
        }
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        left.extend(mounts.lines().filter(|line| line.contains(&*dir)).map(|line| format!("mount {line}")));
        left.extend(cgroups(&self.name).into_iter().map(|group| format!("cgroup {}", group.display())));
        let rules = said("iptables-save", &[]);
        left.extend(
            rules.lines().filter(|line| line.contains("KUBE-")).map(|line| format!("packet filter rule {line}")),
        );
        left
    }
}

/// The cgroups of a cluster that are there now.
pub(crate) fn cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let hierarchies = mounts.lines().filter(|line| line.contains(" cgroup"));
    let groups = hierarchies.map(|line| {
        let target = line.split(' ').nth(1).unwrap_or_default();
        PathBuf::from(target).join(format!("mcp-eks-{name}"))
    });
    groups.filter(|group| group.exists()).collect()
}
