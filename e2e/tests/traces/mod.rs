//! What a running cluster is to the host, written down while it runs, to be looked for when it is gone.
//!
//! Only this cluster's own traces count: other clusters and containers may come and go meanwhile.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mcp_e2e::cache::Cache;
use mcp_e2e::cluster::Cluster;
use mcp_e2e::cluster::process::Identity;
use mcp_e2e::packages;
use mcp_e2e::progress::Progress;

/// The traces of one cluster.
pub(crate) struct Traces {
    /// Everything in its pid namespace, and `unshare` before it.
    pub(crate) processes: Vec<Identity>,
    name: String,
    interface: String,
    dir: PathBuf,
}

impl Traces {
    /// Writes them down, and makes sure that the programs are there which will look for them.
    pub(crate) async fn of(cluster: &Cluster) -> Result<Self> {
        packages::ensure(&Cache::from_env()?, packages::NODE, Progress::start()).await?;
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

    /// Fails when any is there now.
    pub(crate) fn check_gone(&self) -> Result<()> {
        let left = self.left()?;
        ensure!(left.is_empty(), "left behind by cluster {}: {left:#?}", self.name);
        Ok(())
    }

    /// Those that are there now, in words.
    pub(crate) fn left(&self) -> Result<Vec<String>> {
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
        // Another cluster may have taken the slot meanwhile; its interface carries its own directory as alias.
        let links = said("ip", &["-details", "link"])?;
        if links.contains(&format!("alias {dir}")) {
            left.push(format!("interface {}", self.interface));
            left.extend(lines_with(&said("ip", &["route"])?, &self.interface));
        }
        let mounts = std::fs::read_to_string("/proc/mounts").context("read the mounts")?;
        left.extend(mounts.lines().filter(|line| line.contains(&*dir)).map(|line| format!("mount {line}")));
        left.extend(cgroups(&self.name).into_iter().map(|group| format!("cgroup {}", group.display())));
        let rules = said("iptables-save", &[])?;
        left.extend(
            rules.lines().filter(|line| line.contains("KUBE-")).map(|line| format!("packet filter rule {line}")),
        );
        Ok(left)
    }
}

/// What a program says. One that is missing or fails has not shown that nothing is left.
fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let path =
        packages::find(program).with_context(|| format!("no program `{program}`: what is left cannot be seen"))?;
    let output = Command::new(path).args(arguments).output().with_context(|| format!("start {program}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{program} {}` failed: {}", arguments.join(" "), error.trim());
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_program_that_is_missing_or_fails_is_not_silence() {
    assert!(said("no-such-program", &[]).unwrap_err().to_string().contains("cannot be seen"));
    assert!(said("sh", &["-c", "exit 1"]).is_err());
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
