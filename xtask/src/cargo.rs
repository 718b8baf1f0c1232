//! Cargo's commands, as every task spells them: locked, so that a task never changes Cargo.lock.
//!
//! Cargo decides which features of a dependency are on by the packages one call names. Calls that name the same packages
//! share what they compiled, so there are two sets and no more: what a cluster is built from, and the whole workspace.

use std::process::Command;

use anyhow::Result;

use crate::place::Place;
use crate::{program, servers};

/// The packages a local cluster is built from, and the harness that starts it.
fn cluster_packages(place: &Place) -> Result<Vec<String>> {
    let fixed = ["mcp-operator", "mcp-e2e"].map(str::to_owned);
    let packages = fixed.into_iter().chain(servers::names(&place.root)?);
    Ok(packages.flat_map(|name| ["--package".to_owned(), name]).collect())
}

/// `cargo WORDS…`, in the repository's root.
pub(crate) fn cargo(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command("cargo");
    command.args(words);
    command
}

/// Builds `mcp-e2e` with the dev profile. Stdout stays untouched: it belongs to the command that follows.
pub(crate) fn build_harness(place: &Place) -> Result<()> {
    let words = ["build", "--locked", "--quiet", "--bin", "mcp-e2e"];
    program::run(cargo(place, &words).args(cluster_packages(place)?))
}

/// Writes what is generated from the API types: manifests, schemas for editors, the reference; a test of mcp-crds fails
/// while one of them is stale.
pub(crate) fn crdgen(place: &Place) -> Result<()> {
    program::run(&mut cargo(place, &["run", "--locked", "--quiet", "--package", "mcp-crds", "--bin", "crdgen"]))
}

/// Writes the operator's roles; a test of mcp-operator fails while they are stale.
pub(crate) fn rbacgen(place: &Place) -> Result<()> {
    let words = ["run", "--locked", "--quiet", "--package", "mcp-operator", "--bin", "rbacgen", "--"];
    program::run(cargo(place, &words).arg(&place.root))
}

/// Builds everything that runs in a local cluster, in one go.
pub(crate) fn build_cluster_binaries(place: &Place) -> Result<()> {
    program::run(cargo(place, &["build", "--locked", "--bins"]).args(cluster_packages(place)?))
}

/// Builds the operator and the harness with the release profile.
pub(crate) fn build_for_benchmark(place: &Place) -> Result<()> {
    let words = ["build", "--locked", "--release", "--bins", "--package", "mcp-operator", "--package", "mcp-e2e"];
    program::run(&mut cargo(place, &words))
}
