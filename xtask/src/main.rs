//! One door for every task of the project: `cargo xtask --help`, and the Makefile's targets, lead here.
//!
//! In: the command line. Out: the tasks' own output on stdout, headings and progress on stderr, an exit code.
//! It may not touch the product: no crate of the workspace is a dependency, so that it compiles in seconds.

mod aws;
mod bench_servers;
mod cargo;
mod cluster;
mod conformance;
mod coverage;
mod dependencies;
mod disk;
mod images;
mod lint;
mod node;
mod output;
mod place;
mod plan;
mod program;
mod servers;
mod step;
mod terraform;
mod venv;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::place::Place;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Every task of mcp-eks", disable_help_subcommand = true)]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// From nothing to a local cluster with the operator and a Ready sample; the second time it does nothing
    #[command(disable_help_flag = true)]
    Up(Forwarded),
    /// End what `up` started
    #[command(disable_help_flag = true)]
    Down(Forwarded),
    /// The local cluster alone: up, down, status, load, kubeconfig, audit-log (see `cluster --help`)
    #[command(disable_help_flag = true)]
    Cluster(Forwarded),
    /// The fast checks: format, clippy, unit and doc tests
    Check,
    /// Format every Rust file
    Fmt,
    /// Write anew what is made from the types in crds/src: manifests, schemas for editors, the reference
    Crdgen,
    /// Write the operator's roles anew from the table in operator/src/rights.rs
    Rbacgen,
    /// Everything that CI runs
    Test,
    /// What this clone compiled of dependencies, for the other clones of this machine; a step of `test`
    #[command(hide = true)]
    Keep,
    /// The suites that run against a cluster; all of them, or those named
    E2e {
        /// Names of files under e2e/tests, without `.rs`
        suites: Vec<String>,
    },
    /// Measure, and print a report; not part of `test`
    #[command(subcommand)]
    Bench(Bench),
    /// The laws of the core, ten thousand cases each; `test` runs a sample of them
    Laws,
    /// Build both Dockerfiles with Docker or Podman
    Images(images::Options),
    /// The official MCP conformance suite against the bundled servers
    Conformance,
    /// Which lines of the kit and of the servers the tests run, by crate; compiles the workspace once more
    Coverage,
    /// The bundled servers' speed beside axum and the official SDKs; writes its part of docs/benchmarks.md
    BenchServers(bench_servers::Options),
    /// Dockerfiles, workflows, YAML, shell scripts, licences and sources of dependencies
    Lint,
    /// The AWS base: format, tests, READMEs, checkov; `--apply` runs it against an emulator
    Terraform(terraform::Options),
    /// An environment of terraform/ in an AWS account: what would change, make it, destroy it
    #[command(subcommand)]
    Aws(aws::Task),
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// A thousand McpServers against a bare writer of the same objects
    #[command(disable_help_flag = true)]
    Operator(Forwarded),
}

/// Arguments that belong to `mcp-e2e`, the program behind the command.
#[derive(Debug, clap::Args)]
struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let done = match std::env::var_os(coverage::COMPILES) {
        Some(_) => coverage::compile(),
        None => run(Xtask::parse().task),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let place = Place::find()?;
    match task {
        Task::Up(forwarded) => cluster::up(&place, &forwarded.arguments),
        Task::Down(forwarded) => cluster::down(&place, &forwarded.arguments),
        Task::Cluster(forwarded) => cluster::cluster(&place, &forwarded.arguments),
        Task::Check => {
            dependencies::take(&place)?;
            step::run_all(&place, plan::check(&place)?)
        }
        Task::Keep => dependencies::keep(&place).map(|()| ExitCode::SUCCESS),
        Task::Bench(Bench::Operator(forwarded)) => cluster::bench(&place, &forwarded.arguments),
        Task::Laws => step::run_all(&place, vec![plan::laws(&place)]),
        Task::Crdgen => cargo::crdgen(&place).map(|()| ExitCode::SUCCESS),
        Task::Rbacgen => cargo::rbacgen(&place).map(|()| ExitCode::SUCCESS),
        Task::Fmt => step::run_all(&place, plan::fmt(&place)),
        Task::Test => {
            place.check_disk()?;
            dependencies::take(&place)?;
            step::run_all(&place, plan::test(&place)?)
        }
        Task::E2e { suites } => {
            place.check_disk()?;
            dependencies::take(&place)?;
            step::run_all(&place, plan::e2e(&place, &suites)?)
        }
        Task::Images(options) => {
            place.warn_when_disk_is_short();
            images::run(&place, &options).map(|()| ExitCode::SUCCESS)
        }
        Task::Conformance => conformance::run(&place),
        Task::Coverage => {
            place.warn_when_disk_is_short();
            coverage::run(&place)
        }
        Task::BenchServers(options) => {
            place.warn_when_disk_is_short();
            bench_servers::run(&place, &options)
        }
        Task::Lint => step::run_all(&place, lint::all(&place)?),
        Task::Terraform(options) => terraform::run(&place, &options),
        Task::Aws(task) => aws::run(&place, task),
    }
}
