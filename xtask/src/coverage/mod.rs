//! Which lines of the kit and of the servers on it the tests run: unit tests, integration tests, and the suites that need no
//! cluster.
//!
//! In: this workspace, compiled once more with counters in it (dependencies stay as they are). Out: a table by crate on
//! stdout, and an exit code that says whether the tests passed. Nothing of it lands in `target`.

mod llvm;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::place::Place;
use crate::{plan, program};
use llvm::Llvm;

/// Where the crates are whose lines count.
const SERVERS: &str = "mcp-servers";
/// Suites that run servers, and need no cluster.
const SUITES: [&str; 5] = ["audit", "aws", "custom", "database", "door"];
/// Parts of paths that do not count: what is in no image.
const UNCOUNTED: [&str; 2] = ["/src/fixtures/", "/src/bin/"];

/// With this in the environment, this program is what cargo calls in place of the compiler.
pub(crate) const COMPILES: &str = "XTASK_COMPILES_WITH_COUNTERS";

/// Becomes the compiler, with counters. Cargo calls it as `this RUSTC ARGUMENTS…` for the crates of this workspace and for no
/// other. (A script of two lines would do, but for sh: it drops variables with a `-` in their names, which tests need.)
pub(crate) fn compile() -> Result<ExitCode> {
    let mut words = env::args_os().skip(1);
    let rustc = words.next().context("expected cargo to name the compiler")?;
    // Counters live in the profile's file itself: a server that a test kills has counted all the same.
    let counters = ["-Cinstrument-coverage", "-Cllvm-args=-runtime-counter-relocation"];
    program::become_program(Command::new(rustc).args(words).args(counters))
}

/// Builds, tests, tells.
pub(crate) fn run(place: &Place) -> Result<ExitCode> {
    let llvm = Llvm::ensure(place)?;
    let home = place.cache.join("coverage");
    let profiles = home.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles).with_context(|| format!("cannot empty {}", profiles.display()))?;
    }
    fs::create_dir_all(&profiles).with_context(|| format!("cannot make {}", profiles.display()))?;
    let this = env::current_exe().context("where this program lies is not known")?;
    let cargo = |words: &[&str]| {
        let mut command = cargo(place, words);
        command.env("RUSTC_WORKSPACE_WRAPPER", &this).env(COMPILES, "1");
        command.env("CARGO_TARGET_DIR", home.join("target"));
        // One file a program, kept as it runs (%c), which all its processes add to (%m).
        command.env("LLVM_PROFILE_FILE", profiles.join("%m%c.profraw"));
        command.env("INSTA_UPDATE", "no");
        command
    };

    let mut tests = plan::tests_of(place, SERVERS)?;
    tests.extend(SUITES.map(str::to_owned));
    let targets: Vec<&str> = tests.iter().flat_map(|name| ["--test", name]).collect();
    // The tests belong to both: without them cargo would choose other features, and compile every dependency anew.
    let json = "--message-format=json-render-diagnostics";
    let mut built = BTreeSet::new();
    for words in [&["build", "--bins"][..], &["test", "--no-run", "--lib", "--bins"]] {
        let mut command = cargo(words);
        command.args(["--locked", "--workspace", json]).args(&targets);
        built.extend(executables(&program::output(&mut command)?));
    }
    let words = ["test", "--locked", "--workspace", "--no-fail-fast", "--lib", "--bins"];
    let passed = cargo(&words).args(&targets).status().context("cannot start cargo")?.success();

    let lcov = exported(&llvm, &profiles, &home.join("all.profdata"), &built)?;
    let crates = table::by_crate(&lcov, |file| crate_of(&place.root, file))?;
    println!("\n{}", table::written(&crates));
    println!("Lines of {SERVERS}/*/src, unit tests in them too; without {}.", UNCOUNTED.join(" and "));
    if !passed {
        println!("Some tests failed: what they would have run may be missing.");
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What cargo says it built that can be run.
fn executables(messages: &str) -> impl Iterator<Item = PathBuf> {
    messages.lines().filter_map(|line| {
        let (_, rest) = line.split_once(r#""executable":""#)?;
        rest.split_once('"').map(|(path, _)| PathBuf::from(path))
    })
}

/// Everything that was counted, as lcov writes it: lines found and lines hit of each file.
fn exported(llvm: &Llvm, profiles: &Path, merged: &Path, programs: &BTreeSet<PathBuf>) -> Result<String> {
    let mut command = Command::new(&llvm.profdata);
    command.args(["merge", "-sparse", "-o"]).arg(merged);
    for entry in fs::read_dir(profiles).with_context(|| format!("cannot list {}", profiles.display()))? {
        command.arg(entry?.path());
    }
    program::run(&mut command)?;
    let mut command = Command::new(&llvm.cov);
    command.args(["export", "-format=lcov", "-summary-only"]).arg(format!("-instr-profile={}", merged.display()));
    for path in programs {
        command.arg("-object").arg(path);
    }
    program::output(&mut command)
}

/// The crate of a file under `mcp-servers`, by its directory.
fn crate_of(root: &Path, file: &str) -> Option<String> {
    let within = Path::new(file).strip_prefix(root.join(SERVERS)).ok()?.to_str()?;
    let (member, rest) = within.split_once('/')?;
    let counts = rest.starts_with("src/") && !UNCOUNTED.iter().any(|part| file.contains(part));
    counts.then(|| format!("mcp-{member}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_ships_counts_for_its_crate() {
        let of = |file: &str| crate_of(Path::new("/repo"), file);
        assert_eq!(of("/repo/mcp-servers/kit/src/audit/queue.rs").as_deref(), Some("mcp-kit"));
        for other in [
            "/repo/mcp-servers/kit/tests/audit_trail.rs",
            "/repo/mcp-servers/kit/src/bin/demo.rs",
            "/repo/mcp-servers/kit/src/fixtures/tools.rs",
            "/repo/operator/src/main.rs",
            "/elsewhere/mcp-servers/kit/src/lib.rs",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let said = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                    {\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/mcp-demo\",\"fresh\":true}\n";
        assert_eq!(executables(said).collect::<Vec<_>>(), [PathBuf::from("/t/debug/mcp-demo")]);
    }
}
