//! The machine a run was made on: figures mean nothing without it.

use std::fs;

use serde::Serialize;

/// What is told of it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// What else it did when the run began: the load average of the last minute.
    pub(crate) load_before: String,
    pub(crate) command: &'static str,
}

impl Machine {
    pub(crate) fn read(quick: bool) -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.trim_end_matches("kB").trim().parse().unwrap_or(0);
        Self {
            processor: field(&file("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib + 512 * 1024) / (1024 * 1024),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            command: if quick { "cargo xtask bench-servers --quick" } else { "cargo xtask bench-servers" },
        }
    }
}
