//! A task as a row of steps: runs them all, keeps each one's output in a log, and says at the end what ran.
//!
//! In: steps. Out: their output, and on stdout a table with the line `N passed, N failed` after it. On a terminal a
//! running step shows its elapsed time and its last line; elsewhere (CI, a pipe) every line.

use std::env;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::place::Place;
use crate::{output, program};

/// How many lines of a failed step's log are shown where its output was not.
const TAIL: usize = 60;

/// One thing to run, and to report on.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    needs: Option<&'static str>,
    commands: Vec<Command>,
}

impl Step {
    /// A step of one or more commands; the first that fails ends it.
    pub(crate) fn new(name: impl Into<String>, commands: impl IntoIterator<Item = Command>) -> Self {
        Self { name: name.into(), needs: None, commands: commands.into_iter().collect() }
    }

    /// Not tried, and counted as failed, when the step of that name failed.
    pub(crate) fn needs(mut self, step: &'static str) -> Self {
        self.needs = Some(step);
        self
    }
}

struct Outcome {
    name: String,
    result: &'static str,
    took: Duration,
}

/// Runs every step, whatever the others did; fails if any of them failed.
pub(crate) fn run_all(place: &Place, steps: Vec<Step>) -> Result<ExitCode> {
    Ok(report(&try_all(&place.cache.join("logs"), steps)?))
}

fn try_all(logs: &Path, steps: Vec<Step>) -> Result<Vec<Outcome>> {
    fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let live = io::stderr().is_terminal() && io::stdout().is_terminal() && env::var_os("CI").is_none();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for mut step in steps {
        let failed = |name: &str| outcomes.iter().any(|it| it.name == name && it.result != "passed");
        let start = Instant::now();
        let result = if step.needs.is_some_and(failed) {
            eprintln!("==> {}: not tried, because {} failed", step.name, step.needs.unwrap_or_default());
            "not tried"
        } else {
            let log = logs.join(format!("{}.log", step.name.replace([' ', '/'], "-")));
            eprintln!("==> {}", step.name);
            let passed = run_step(&mut step, &log, live)?;
            let result = if passed { "passed" } else { "FAILED" };
            eprintln!(
                "==> {}: {result} after {:.1} s (log: {})",
                step.name,
                start.elapsed().as_secs_f64(),
                log.display()
            );
            result
        };
        outcomes.push(Outcome { name: step.name, result, took: start.elapsed() });
    }
    Ok(outcomes)
}

fn report(outcomes: &[Outcome]) -> ExitCode {
    let width = outcomes.iter().map(|it| it.name.len()).max().unwrap_or_default();
    println!("\n{:width$}  {:9}  seconds", "step", "result");
    for Outcome { name, result, took } in outcomes {
        println!("{name:width$}  {result:9}  {:7.1}", took.as_secs_f64());
    }
    let passed = outcomes.iter().filter(|it| it.result == "passed").count();
    let failed = outcomes.len() - passed;
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_step(step: &mut Step, log: &Path, live: bool) -> Result<bool> {
    let mut log_file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    for command in &mut step.commands {
        let said = format!("$ {}\n", program::line(command));
        log_file.write_all(said.as_bytes())?;
        if !live {
            eprint!("{said}");
        }
        if !output::copy(&step.name, command, &mut log_file, live)? {
            if live {
                show_tail(log)?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

fn show_tail(log: &Path) -> Result<()> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL);
    for line in lines.iter().skip(start) {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn results(test: &str, steps: Vec<Step>) -> (Vec<(String, &'static str)>, std::path::PathBuf) {
        let logs = env::temp_dir().join(format!("xtask-step-{}-{test}", std::process::id()));
        let outcomes = try_all(&logs, steps).unwrap();
        (outcomes.into_iter().map(|it| (it.name, it.result)).collect(), logs)
    }

    #[test]
    fn a_failure_stops_what_needs_it_and_nothing_else() {
        let steps = vec![
            Step::new("build", [shell("exit 3")]),
            Step::new("suite", [shell("true")]).needs("build"),
            Step::new("lint", [shell("true")]),
            Step::new("absent", [Command::new("/no/such/program")]),
        ];
        let (results, logs) = results("failure", steps);
        let expected = [("build", "FAILED"), ("suite", "not tried"), ("lint", "passed"), ("absent", "FAILED")];
        assert_eq!(results, expected.map(|(name, result)| (name.to_owned(), result)));
        assert!(!logs.join("suite.log").exists());
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn a_log_has_both_outputs_in_order_and_ends_where_a_command_fails() {
        let commands = [shell("echo one; echo two >&2; printf three"), shell("exit 1"), shell("echo never")];
        let (results, logs) = results("log", vec![Step::new("e2e api", commands)]);
        assert_eq!(results, [("e2e api".to_owned(), "FAILED")]);
        let log = fs::read_to_string(logs.join("e2e-api.log")).unwrap();
        assert!(log.contains("\none\ntwo\nthree"), "{log}");
        assert!(!log.contains("\nnever"), "{log}");
        fs::remove_dir_all(logs).unwrap();
    }
}
