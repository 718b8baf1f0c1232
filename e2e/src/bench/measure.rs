//! What is measured, and from where: times and requests from the audit log, CPU and memory from /proc.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::{
    audit::{Event, Mark},
    cluster::{Cluster, process::Identity},
};

/// Where the benchmark ran, and what else did.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) memory_gib: u64,
    pub(super) kernel: String,
    /// Processes that ran or waited to, over one, five and fifteen minutes.
    pub(super) load: String,
    pub(super) at: SystemTime,
}

impl Machine {
    pub(super) fn look() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
        let value = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'));
            line.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo")?, "MemTotal");
        let memory_kib: u64 = memory.split(' ').next().unwrap_or_default().parse().unwrap_or_default();
        Ok(Self {
            processor: value(&read("/proc/cpuinfo")?, "model name"),
            processors: std::thread::available_parallelism()?.get(),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load: read("/proc/loadavg")?.split(' ').take(3).collect::<Vec<_>>().join(" "),
            at: SystemTime::now(),
        })
    }
}

/// CPU time by program.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage(pub(super) BTreeMap<String, Duration>);

impl Usage {
    /// What the cluster's programs, and the operator beside it, have used until now.
    pub(super) fn of(cluster: &Cluster, operator: Option<i32>) -> Result<Self> {
        let supervisor = cluster.state().supervisor.as_ref().context("the cluster has no supervisor")?;
        let mut used = BTreeMap::new();
        let mut waiting = vec![supervisor.clone()];
        while let Some(process) = waiting.pop() {
            waiting.extend(process.children());
            if let Some((program, cpu)) = program(&process).zip(cpu(process.pid)) {
                *used.entry(program).or_default() += cpu;
            }
        }
        if let Some(pid) = operator {
            used.insert("operator".to_owned(), cpu(pid).context("the operator has ended")?);
        }
        Ok(Self(used))
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let used = |(program, now): (&String, &Duration)| {
            let before = before.0.get(program).copied().unwrap_or_default();
            (program.clone(), now.saturating_sub(before))
        };
        Self(self.0.iter().map(used).collect())
    }

    pub(super) fn seconds(&self, program: &str) -> f64 {
        self.0.get(program).map_or(0.0, Duration::as_secs_f64)
    }

    /// Of etcd and the API server: what writing costs a cluster.
    pub(super) fn storing(&self) -> f64 {
        self.seconds("etcd") + self.seconds("kube-apiserver")
    }
}

/// Which of a cluster's programs a process is; several may share a binary.
fn program(process: &Identity) -> Option<String> {
    let line = fs::read(format!("/proc/{}/cmdline", process.pid)).ok()?;
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let known = ["kube-apiserver", "kube-controller-manager", "fake-kubelet", "etcd"];
    let known = known.iter().find(|name| words.iter().take(2).any(|word| word.ends_with(*name)))?;
    Some((*known).to_owned())
}

/// CPU time of a process, in user mode and in the kernel.
fn cpu(pid: i32) -> Option<Duration> {
    /// The kernel's unit in /proc, the same on every Linux.
    const TICKS_A_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets; what counts comes after it.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

/// Most memory that a process ever had.
pub(super) fn peak_kib(pid: i32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// One phase.
#[derive(Debug)]
pub(super) struct Phase {
    /// Until the last object was written, from the first McpServer on.
    pub(super) written: Duration,
    /// Until the last Deployment had its pods ready.
    pub(super) available: Duration,
    /// Until the last status was written.
    pub(super) told: Duration,
    pub(super) used: Usage,
}

impl Phase {
    /// Both writers apply; controllers and kubelet do not apply these kinds.
    pub(super) fn read(cluster: &Cluster, mark: Mark, used: Usage) -> Result<Self> {
        const KINDS: [&str; 7] = [
            "serviceaccounts/",
            "configmaps/",
            "networkpolicies/",
            "services/",
            "deployments/",
            "poddisruptionbudgets/",
            "mcpservers/status",
        ];
        let events = cluster.audit_log().since(mark)?;
        let events: Vec<_> = events.iter().filter(|event| event.namespace == super::NAMESPACE).collect();
        let made = |event: &&&Event| event.resource == "mcpservers" && event.verb == "create" && event.code == 201;
        let begun = events.iter().filter(made).map(|event| event.at).min().context("no McpServer was made")?;
        let span = |what: &str, at: Option<Timestamp>| -> Result<Duration> {
            let at = at.with_context(|| format!("the audit log does not say when {what}"))?;
            Ok(Duration::try_from(at.duration_since(begun))?)
        };
        // First write of each object: what is corrected later was there before.
        let mut first: BTreeMap<_, Timestamp> = BTreeMap::new();
        for event in events.iter().filter(|event| event.verb == "patch" && event.code < 300) {
            let kind = format!("{}/{}", event.resource, event.subresource);
            if KINDS.contains(&kind.as_str()) {
                first.entry((kind, event.name.as_str())).or_insert(event.at);
            }
        }
        let servers = events.iter().filter(made).count();
        anyhow::ensure!(
            first.len() == servers * KINDS.len(),
            "{} objects were written for {servers} servers, not {} for each",
            first.len(),
            KINDS.len()
        );
        let controller = |event: &&&Event| {
            event.resource == "deployments"
                && event.subresource == "status"
                && event.user.contains("deployment-controller")
        };
        let told = |event: &&&Event| event.resource == "mcpservers" && event.subresource == "status";
        Ok(Self {
            written: span("the last object was written", first.values().max().copied())?,
            available: span("pods were ready", events.iter().filter(controller).map(|event| event.at).max())?,
            told: span("a status was written", events.iter().filter(told).map(|event| event.at).max())?,
            used,
        })
    }
}

/// Requests by what was asked for, and how many of them asked for a change.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) all: usize,
    pub(super) writes: usize,
    pub(super) by_kind: BTreeMap<String, usize>,
}

/// Requests of one user, without leases and reviews.
pub(super) fn requests(events: &[Event], user: &str) -> Requests {
    let mut found = Requests::default();
    for event in events.iter().filter(|event| event.user == user && !event.is_housekeeping()) {
        found.all += 1;
        found.writes += usize::from(event.is_write());
        let path = [event.resource.as_str(), event.subresource.as_str()].join("/");
        *found.by_kind.entry(format!("{} {}", event.verb, path.trim_end_matches('/'))).or_default() += 1;
    }
    found
}

/// The operator's phase, its rest and its restart.
#[derive(Debug)]
pub(super) struct Operated {
    pub(super) phase: Phase,
    pub(super) requests: Requests,
    pub(super) peak_kib: u64,
    pub(super) at_rest: Requests,
    pub(super) idle: Usage,
    pub(super) restarted: Requests,
    pub(super) restart_peak_kib: u64,
    pub(super) stopped: Duration,
    pub(super) leads_after: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_some_cpu() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(peak_kib(pid).unwrap() > 1024);
        assert!(cpu(pid).is_some() && cpu(i32::MAX).is_none());
    }

    #[test]
    fn the_machine_is_described() {
        let machine = Machine::look().unwrap();
        assert!(machine.memory_gib > 0 && machine.processors > 0, "{machine:?}");
        assert_eq!(machine.load.split(' ').count(), 3, "{machine:?}");
    }
}
