//! Our servers beside a bare axum handler and the official SDKs: one machine, one run, one load generator, one call.
//!
//! In: where the peers are (`cargo xtask bench-servers` installs and builds them). Out: JSON with every figure, a table in
//! docs/benchmarks.md, and an exit code that says whether the goals are reached. Listens and calls on loopback alone;
//! every run is bounded in time and in calls.

mod bare;
mod double;
mod goals;
mod load;
mod machine;
mod process;
mod question;
mod report;
mod run;
mod servers;
mod slow;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "mcp-bench", about = "Our servers beside a bare axum handler and the official SDKs")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The handler everything is compared with
    Bare {
        /// Port of 127.0.0.1
        port: u16,
    },
    /// The comparison
    Run(Box<Options>),
}

/// Where the peers are, and how long to measure.
#[derive(clap::Args, Debug)]
struct Options {
    /// Directory of mcp-fixtures, mcp-demo and mcp-aws, release build
    #[arg(long)]
    bin_dir: PathBuf,
    /// The repository, with the peers' sources under e2e/bench
    #[arg(long)]
    root: PathBuf,
    /// Python with the SDK 1.x
    #[arg(long)]
    python_v1: PathBuf,
    /// Python with the SDK 2.x
    #[arg(long)]
    python_v2: PathBuf,
    /// Node
    #[arg(long)]
    node: PathBuf,
    /// The packages of the TypeScript SDK
    #[arg(long)]
    modules: PathBuf,
    /// Where the JSON goes
    #[arg(long)]
    json: PathBuf,
    /// The page whose part about servers is written anew
    #[arg(long)]
    page: Option<PathBuf>,
    /// A short look that proves nothing: one round of half a second
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    match start(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mcp-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(task: Task) -> Result<ExitCode> {
    match task {
        // The same runtime as the kit's, so that it is the handler that is compared.
        Task::Bare { port } => tokio::runtime::Runtime::new()?.block_on(bare::serve(port)).map(|()| ExitCode::SUCCESS),
        Task::Run(options) => {
            // One thread: the servers have the rest of the machine.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = runtime.block_on(run::all(&options))?;
            let json = serde_json::to_string_pretty(&report)?;
            std::fs::write(&options.json, json).with_context(|| format!("write {}", options.json.display()))?;
            let text = report::markdown(&report);
            println!("{text}\nAll figures: {}", options.json.display());
            if let Some(page) = &options.page {
                report::put(page, &text)?;
            }
            Ok(if report.goals.iter().all(|goal| goal.reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
