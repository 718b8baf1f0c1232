//! What is written down about a cluster, so that another process can use it, judge it and end it.
//!
//! In and out: `state.json` in the cluster's directory, replaced atomically. Read before anything is killed.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::process::Identity;
use super::slot::Slot;

/// How much of a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// etcd and the API server: schemas, admission, server-side apply. Nothing acts on objects.
    Api,
    /// And the controller manager with a fake kubelet: rollouts, garbage collection. Nothing really runs.
    Controllers,
    /// A full node: containers run, names resolve, metrics flow.
    Node,
}

/// Who makes the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// This program itself, from Linux namespaces; needs root, no Docker.
    Native,
    /// kind, where a Docker daemon is; tier node only.
    Kind,
}

impl std::fmt::Display for Tier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Api => "api",
            Self::Controllers => "controllers",
            Self::Node => "node",
        })
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Native => "native",
            Self::Kind => "kind",
        })
    }
}

/// The record of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub provider: Provider,
    /// How much of it runs.
    pub tier: Tier,
    /// Its place among native clusters.
    pub slot: Option<Slot>,
    /// The process whose end is the end of a native cluster.
    pub supervisor: Option<Identity>,
    /// The API server's URL.
    pub server: String,
    /// True once `up` has seen everything ready.
    pub ready: bool,
}

const FILE: &str = "state.json";

impl State {
    /// Reads the record in a cluster's directory; none when there is no such file. A file that cannot be
    /// understood is an error, not a missing cluster: something of it may still run.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let state = serde_json::from_slice(&bytes).with_context(|| {
                    format!("{} is not a cluster's record; `cluster down` removes it", path.display())
                })?;
                Ok(Some(state))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Replaces the record in a cluster's directory.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let what = || format!("write {}", path.display());
        std::fs::create_dir_all(directory).with_context(what)?;
        let mut file = tempfile::NamedTempFile::new_in(directory).with_context(what)?;
        file.write_all(&serde_json::to_vec_pretty(self)?).with_context(what)?;
        file.persist(&path).with_context(what)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_a_round_trip_and_rubbish_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(State::load(home.path()).unwrap(), None);
        let state = State {
            name: "a".into(),
            provider: Provider::Native,
            tier: Tier::Api,
            slot: Some(Slot(3)),
            supervisor: Identity::of(1),
            server: "https://127.0.0.1:18030".into(),
            ready: false,
        };
        state.save(home.path()).unwrap();
        assert_eq!(State::load(home.path()).unwrap(), Some(state));
        std::fs::write(home.path().join(FILE), "{").unwrap();
        assert!(State::load(home.path()).unwrap_err().to_string().contains("cluster down"));
    }
}
