//! The linters that are not cargo's: where they come from and what they look at.
//!
//! Those with a ready program come from `PyPI`, pinned by hash in xtask/lint/requirements.txt, into a virtual environment
//! under the cache. Those that must be compiled (minutes) come from crates.io; `make lint` has them, `make test` not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::step::Step;
use crate::venv::Environment;

const REQUIREMENTS: &str = "xtask/lint/requirements.txt";
const TOOLS: &str = "lint tools";

/// Licences, bans and sources of dependencies (deny.toml).
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");
/// Dependencies that nothing uses.
const CARGO_MACHETE: (&str, &str) = ("cargo-machete", "0.9.2");

/// What takes seconds: Dockerfiles, shell, workflows, YAML.
pub(crate) fn quick(place: &Place) -> Result<Vec<Step>> {
    let environment = Environment::of(place, "lint", REQUIREMENTS)?;
    let mut steps = vec![Step::new(TOOLS, environment.install(place))];
    let mut lint = |name: &str, arguments: &[&str], files: Vec<PathBuf>| {
        // No file, no step: a linter that looked at nothing must not count as passed.
        if !files.is_empty() {
            let mut command = environment.tool(place, name);
            command.args(arguments).args(files);
            steps.push(Step::new(name, [command]).needs(TOOLS));
        }
    };
    lint("hadolint", &[], named(place, ".", "Dockerfile")?);
    lint("shellcheck", &[], vec![PathBuf::from(".ci/run")]);
    lint("zizmor", &["--offline", "--no-progress", "--quiet"], named(place, ".github/workflows", "")?);
    let yaml = [".github", "config", "crds", "e2e/manifests"].map(PathBuf::from);
    let present = yaml.into_iter().filter(|it| place.root.join(it).is_dir()).collect();
    lint("yamllint", &["--strict", "--config-file=xtask/lint/yamllint.yaml"], present);
    Ok(steps)
}

/// [`quick`], and what has to be compiled first.
pub(crate) fn all(place: &Place) -> Result<Vec<Step>> {
    let mut steps = quick(place)?;
    // The advisories are not among the checks: their database is a git repository, out of reach of some machines that run
    // this. `cargo deny check advisories` is the command where it is in reach.
    let deny: &[&str] = &["deny", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    for ((name, version), arguments) in [(CARGO_DENY, deny), (CARGO_MACHETE, &["."])] {
        let home = place.cache.join(format!("tools/{name}-{version}"));
        let binary = home.join("bin").join(name);
        let mut commands = Vec::new();
        if !binary.exists() {
            commands.push(cargo_install(place, name, version, &home));
        }
        let mut run = place.command(&binary.to_string_lossy());
        run.args(arguments);
        commands.push(run);
        steps.push(Step::new(name, commands));
    }
    Ok(steps)
}

fn cargo_install(place: &Place, name: &str, version: &str, home: &Path) -> Command {
    let mut install = place.command("cargo");
    install.args(["install", name, "--locked", "--version", version, "--root"]).arg(home);
    // A directory that cargo deletes afterwards, not the workspace's.
    install.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_BUILD_DIR");
    install
}

/// The files of a directory whose names begin with `prefix`, relative to the root, in order.
fn named(place: &Place, directory: &str, prefix: &str) -> Result<Vec<PathBuf>> {
    let path = place.root.join(directory);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(prefix) {
            files.push(Path::new(directory).join(name));
        }
    }
    files.sort();
    Ok(files)
}
