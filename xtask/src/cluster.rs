//! `up`, `down`, `cluster …` and `bench operator`: builds the harness, then becomes it, so that stdin, stdout, signals and the exit code
//! are the harness's own.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::place::Place;
use crate::{cargo, program};

/// `mcp-e2e up ARGUMENTS`, with everything that will run in the cluster built before.
pub(crate) fn up(place: &Place, arguments: &[OsString]) -> Result<ExitCode> {
    if asks_for_help(arguments) {
        cargo::build_harness(place)?;
    } else {
        place.check_disk()?;
        place.blame_disk(cargo::build_cluster_binaries(place))?;
    }
    program::become_program(harness(place)?.arg("up").args(arguments))
}

/// `mcp-e2e down ARGUMENTS`.
pub(crate) fn down(place: &Place, arguments: &[OsString]) -> Result<ExitCode> {
    cargo::build_harness(place)?;
    program::become_program(harness(place)?.arg("down").args(arguments))
}

/// `mcp-e2e cluster ARGUMENTS`.
pub(crate) fn cluster(place: &Place, arguments: &[OsString]) -> Result<ExitCode> {
    cargo::build_harness(place)?;
    program::become_program(harness(place)?.arg("cluster").args(arguments))
}

/// `mcp-e2e bench ARGUMENTS --bin-dir DIR`, with operator and harness as they are shipped.
pub(crate) fn bench(place: &Place, arguments: &[OsString]) -> Result<ExitCode> {
    cargo::build_for_benchmark(place)?;
    let bin_dir = place.bin_dir()?.with_file_name("release");
    let mut harness = Command::new(bin_dir.join("mcp-e2e"));
    program::become_program(harness.arg("bench").args(arguments).arg("--bin-dir").arg(bin_dir))
}

fn harness(place: &Place) -> Result<Command> {
    // The working directory stays the caller's: `cluster load ./image.tar` names a file of theirs.
    Ok(Command::new(place.bin_dir()?.join("mcp-e2e")))
}

fn asks_for_help(arguments: &[OsString]) -> bool {
    arguments.iter().any(|it| it == "--help" || it == "-h")
}
