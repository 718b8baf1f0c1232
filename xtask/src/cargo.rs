//! Cargo's commands, as every task spells them: locked, so that a task never changes Cargo.lock.

use std::process::Command;

use anyhow::Result;

use crate::place::Place;
use crate::program;

/// The packages a local cluster is built from.
const CLUSTER_PACKAGES: [&str; 3] = ["mcp-operator", "mcp-filesystem", "mcp-e2e"];

/// `cargo WORDS…`, in the repository's root.
pub(crate) fn cargo(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command("cargo");
    command.args(words);
    command
}

/// Builds `mcp-e2e` with the dev profile. Stdout stays untouched: it belongs to the command that follows.
pub(crate) fn build_harness(place: &Place) -> Result<()> {
    program::run(&mut cargo(place, &["build", "--locked", "--quiet", "--package", "mcp-e2e", "--bin", "mcp-e2e"]))
}

/// Builds everything that runs in a local cluster, in one go.
pub(crate) fn build_cluster_binaries(place: &Place) -> Result<()> {
    let mut build = cargo(place, &["build", "--locked", "--bins"]);
    for package in CLUSTER_PACKAGES {
        build.args(["--package", package]);
    }
    program::run(&mut build)
}
