//! Which steps a task has, in which order.
//!
//! In: the repository as it lies there (the suites are the files under e2e/tests). Out: steps, nothing is run here.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::lint;
use crate::place::Place;
use crate::step::Step;

/// The step that compiles; what runs the result is not tried without it.
const BUILD: &str = "build";

/// The member whose tests start clusters.
const HARNESS: &str = "e2e";

/// The fast checks of an edit.
pub(crate) fn check(place: &Place) -> Result<Vec<Step>> {
    Ok(vec![format(place), clippy(place), unit(place)?, doc(place)])
}

/// Formats in place.
pub(crate) fn fmt(place: &Place) -> Vec<Step> {
    vec![Step::new("fmt", [cargo(place, &["fmt", "--all"])])]
}

/// Everything that CI runs.
pub(crate) fn test(place: &Place) -> Result<Vec<Step>> {
    let mut steps =
        vec![format(place), clippy(place), build(place), unit(place)?.needs(BUILD), doc(place).needs(BUILD)];
    steps.push(Step::new("keep", [own(place, &["keep"])?]).needs(BUILD));
    for suite in suites(place)? {
        steps.push(suite_step(place, &suite).needs(BUILD));
    }
    steps.push(Step::new("conformance", [own(place, &["conformance"])?]).needs(BUILD));
    steps.push(Step::new("images", [own(place, &["images", "--verify", "--if-changed"])?]));
    steps.push(Step::new("terraform", [own(place, &["terraform", "--if-changed"])?]));
    steps.extend(lint::quick(place)?);
    Ok(steps)
}

/// The suites that run against a cluster: those named, or all.
pub(crate) fn e2e(place: &Place, named: &[String]) -> Result<Vec<Step>> {
    let known = suites(place)?;
    if let Some(unknown) = named.iter().find(|it| !known.contains(it)) {
        bail!("there is no suite `{unknown}`; the suites are: {}", known.join(", "));
    }
    let mut steps = vec![build(place)];
    for suite in known.iter().filter(|it| named.is_empty() || named.contains(it)) {
        steps.push(suite_step(place, suite).needs(BUILD));
    }
    Ok(steps)
}

fn format(place: &Place) -> Step {
    Step::new("fmt", [cargo(place, &["fmt", "--all", "--check"])])
}

fn clippy(place: &Place) -> Step {
    let words = ["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    Step::new("clippy", [cargo(place, &words)])
}

/// Everything at once, so that the steps after it compile nothing and run what this built.
fn build(place: &Place) -> Step {
    let words = ["build", "--locked", "--workspace", "--all-targets"];
    Step::new(BUILD, [cargo(place, &words)])
}

/// Unit, property and snapshot tests, generated files fresh among them. The suites of mcp-e2e are steps of their own.
fn unit(place: &Place) -> Result<Step> {
    let mut test = cargo(place, &["test", "--locked", "--workspace", "--lib", "--bins"]);
    for member in members(place)? {
        for name in files(&place.root.join(member).join("tests"))? {
            test.args(["--test", &name]);
        }
    }
    // A snapshot that differs is a failure, never a file that lies there for review.
    test.env("INSTA_UPDATE", "no");
    Ok(Step::new("unit", [test]))
}

/// Names of the integration tests of the members below a directory.
pub(crate) fn tests_of(place: &Place, directory: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for member in members(place)?.iter().filter(|it| it.starts_with(directory)) {
        names.extend(files(&place.root.join(member).join("tests"))?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The laws of the core, at length. With the dev profile: it is compiled already, and compiling all of it once more with
/// optimisation takes longer than it saves.
pub(crate) fn laws(place: &Place) -> Step {
    let words = ["test", "--locked", "--workspace", "--test", "laws"];
    let mut test = cargo(place, &words);
    test.env("PROPTEST_CASES", "10000");
    Step::new("laws", [test])
}

fn doc(place: &Place) -> Step {
    Step::new("doc", [cargo(place, &["test", "--locked", "--workspace", "--doc"])])
}

fn suite_step(place: &Place, suite: &str) -> Step {
    let words = ["test", "--locked", "--workspace", "--test", suite, "--", "--test-threads=1", "--nocapture"];
    Step::new(format!("e2e {suite}"), [cargo(place, &words)])
}

/// The suites against a cluster, in order.
fn suites(place: &Place) -> Result<Vec<String>> {
    files(&place.root.join(HARNESS).join("tests"))
}

/// The members of the workspace but the harness.
fn members(place: &Place) -> Result<Vec<String>> {
    let text = fs::read_to_string(place.root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let list = text.lines().find_map(|line| line.strip_prefix("members = "));
    let list = list.context("Cargo.toml has no line `members = […]`")?;
    let names = list.trim_matches(['[', ']']).split(", ").map(|it| it.trim_matches('"').to_owned());
    Ok(names.filter(|it| it != HARNESS).collect())
}

/// The names of the Rust files in a directory, in order; none when there is no directory.
fn files(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if !directory.is_dir() {
        return Ok(names);
    }
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|it| it == "rs") {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// This program again, as a step with a log of its own.
fn own(place: &Place, words: &[&str]) -> Result<Command> {
    let this = std::env::current_exe().context("where this program lies is not known")?;
    let mut command = place.command(&this.to_string_lossy());
    command.args(words);
    Ok(command)
}
