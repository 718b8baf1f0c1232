//! Which steps a task has, in which order.
//!
//! In: the repository as it lies there (the suites are the files under e2e/tests). Out: steps, nothing is run here.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::lint;
use crate::place::Place;
use crate::step::Step;

/// The step that compiles; what runs the result is not tried without it.
const BUILD: &str = "build";

/// The one file under e2e/tests that needs no cluster but the images: the step `images` runs it.
const IMAGE_SUITE: &str = "images";

/// The fast checks of an edit.
pub(crate) fn check(place: &Place) -> Vec<Step> {
    vec![format(place), clippy(place), unit(place), doc(place)]
}

/// Formats in place.
pub(crate) fn fmt(place: &Place) -> Vec<Step> {
    vec![Step::new("fmt", [cargo(place, &["fmt", "--all"])])]
}

/// Everything that CI runs.
pub(crate) fn test(place: &Place) -> Result<Vec<Step>> {
    let mut steps = vec![format(place), clippy(place), build(place), unit(place).needs(BUILD), doc(place).needs(BUILD)];
    for suite in suites(place)? {
        steps.push(suite_step(place, &suite)?.needs(BUILD));
    }
    steps.push(Step::new("images", [own(place, &["images", "--verify", "--if-changed"])?]));
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
        steps.push(suite_step(place, suite)?.needs(BUILD));
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

fn build(place: &Place) -> Step {
    Step::new(BUILD, [cargo(place, &["test", "--locked", "--workspace", "--no-run"])])
}

/// Unit, property and snapshot tests, generated files fresh among them. The suites of mcp-e2e are steps of their own.
fn unit(place: &Place) -> Step {
    let mut all =
        cargo(place, &["test", "--locked", "--workspace", "--exclude", "mcp-e2e", "--lib", "--bins", "--tests"]);
    // A snapshot that differs is a failure, never a file that lies there for review.
    all.env("INSTA_UPDATE", "no");
    Step::new("unit", [all, cargo(place, &["test", "--locked", "--package", "mcp-e2e", "--lib", "--bins"])])
}

fn doc(place: &Place) -> Step {
    Step::new("doc", [cargo(place, &["test", "--locked", "--workspace", "--doc"])])
}

fn suite_step(place: &Place, suite: &str) -> Result<Step> {
    let words = ["test", "--locked", "--package", "mcp-e2e", "--test", suite, "--", "--test-threads=1", "--nocapture"];
    let mut command = cargo(place, &words);
    command.env("MCP_E2E_BIN_DIR", place.bin_dir()?);
    Ok(Step::new(format!("e2e {suite}"), [command]))
}

/// The names of the files under e2e/tests, in order.
fn suites(place: &Place) -> Result<Vec<String>> {
    let directory = place.root.join("e2e/tests");
    let mut names = Vec::new();
    if !directory.is_dir() {
        return Ok(names);
    }
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|it| it == "rs") && stem != IMAGE_SUITE {
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
