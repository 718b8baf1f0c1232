//! Our servers beside a bare axum handler and the official SDKs: installs the peers, builds what is measured, measures.
//!
//! In: e2e/bench (the peers' sources, the load generator) and e2e/clients (the SDKs' versions, by hash). Out: a part of
//! docs/benchmarks.md, all figures as JSON under the cache, and an exit code that says whether the goals are reached.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::cargo;
use crate::node::Packages;
use crate::place::Place;
use crate::program;
use crate::venv::Environment;

/// How to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A short look that proves nothing and writes no page
    #[arg(long)]
    quick: bool,
}

/// Does it all.
pub(crate) fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let python = |name: &str, requirements| -> Result<_> {
        let environment = Environment::of(place, name, requirements)?;
        for mut command in environment.install(place) {
            command.stdout(std::process::Stdio::null());
            program::run(&mut command)?;
        }
        Ok(environment.tool(place, "python").get_program().to_owned())
    };
    let python_v1 = python("clients-v1", "e2e/clients/python-v1/requirements.txt")?;
    let python_v2 = python("clients", "e2e/clients/python-v2/requirements.txt")?;
    let packages = Packages::install(place, "bench", "e2e/bench/typescript")?;

    // Of AWS only what every build has: nobody asks the other services here, and they take long to compile.
    let members = ["mcp-bench", "mcp-kit", "mcp-aws"].map(|name| ["--package", name]);
    let binaries = ["mcp-bench", "mcp-fixtures", "mcp-demo", "mcp-aws"].map(|name| ["--bin", name]);
    let words = ["build", "--locked", "--release", "--no-default-features", "--features", "mcp-kit/fixtures"];
    program::run(cargo(place, &words).args(members.as_flattened()).args(binaries.as_flattened()))?;
    let binaries = place.bin_dir()?.with_file_name("release");
    let mut command = place.command(&binaries.join("mcp-bench").to_string_lossy());
    command.arg("run").arg("--bin-dir").arg(&binaries).arg("--root").arg(&place.root);
    command.arg("--python-v1").arg(python_v1).arg("--python-v2").arg(python_v2);
    command.arg("--node").arg(packages.node()).arg("--modules").arg(packages.modules());
    command.arg("--json").arg(place.cache.join("bench-servers.json"));
    if options.quick {
        command.arg("--quick");
    } else {
        command.arg("--page").arg(place.root.join("docs/benchmarks.md"));
    }
    program::become_program(&mut command)
}
