//! The record of components that ended: nothing restarts them, so one entry means the cluster is broken.
//!
//! In: the supervisor's reaping. Out: `exits.jsonl` and, for people, the tail of the component's log.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// One component's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) component: String,
    pub(super) status: String,
}

const FILE: &str = "exits.jsonl";

/// Adds a line to the record.
pub(super) fn record(dir: &Path, exit: &Exit) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join(FILE))?;
    writeln!(file, "{}", serde_json::to_string(exit)?)?;
    Ok(())
}

/// What went wrong first, in one line, if anything did.
pub(super) fn first(dir: &Path) -> Option<String> {
    let exit = read(dir)?;
    Some(format!("{} ended ({}): see {}", exit.component, exit.status, log(dir, &exit).display()))
}

/// The same with the end of the component's log, for when the log will be gone.
pub(super) fn first_with_log(dir: &Path) -> Option<String> {
    let exit = read(dir)?;
    Some(format!("{} ended ({}); the end of its log:\n{}", exit.component, exit.status, tail(&log(dir, &exit))))
}

fn read(dir: &Path) -> Option<Exit> {
    let text = std::fs::read_to_string(dir.join(FILE)).ok()?;
    serde_json::from_str(text.lines().next()?).ok()
}

fn log(dir: &Path, exit: &Exit) -> PathBuf {
    dir.join("logs").join(format!("{}.log", exit.component))
}

/// The last lines of a log, cut to a readable width.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<String> = text.lines().map(|line| line.chars().take(400).collect()).collect();
    lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_exit_is_told_with_its_log() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(first(home.path()), None);
        std::fs::create_dir(home.path().join("logs")).unwrap();
        std::fs::write(home.path().join("logs/etcd.log"), "one\naddress in use\n").unwrap();
        for component in ["etcd", "kube-apiserver"] {
            record(home.path(), &Exit { component: component.into(), status: "exit status 1".into() }).unwrap();
        }
        assert_eq!(first(home.path()).unwrap().lines().count(), 1);
        let told = first_with_log(home.path()).unwrap();
        assert!(told.starts_with("etcd ended (exit status 1)") && told.ends_with("address in use"), "{told}");
    }
}
