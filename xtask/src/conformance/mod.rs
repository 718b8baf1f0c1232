//! The official MCP conformance suite against our servers: every required scenario against the fixtures on the kit, and
//! the scenarios that need no fixtures against the servers that ship.
//!
//! In: xtask/conformance (which suite, by lock file with hashes; known exceptions with a reason each). Out: a line for each
//! scenario that fails, counts for each server and revision, and the counts of all as the last line.

mod judge;
mod server;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::node::Packages;
use crate::place::Place;
use crate::program;
use judge::{Exceptions, Scenario};
use server::Server;

const FILES: &str = "xtask/conformance";
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// What asks for no tool, prompt or resource by name.
const GENERIC: [(&str, &[&str]); 2] = [
    (
        "2025-11-25",
        &["server-initialize", "ping", "tools-list", "server-sse-multiple-streams", "dns-rebinding-protection"],
    ),
    (
        "2026-07-28",
        &[
            "tools-list",
            "server-sse-multiple-streams",
            "dns-rebinding-protection",
            "http-header-validation",
            "input-required-result-unsupported-methods",
        ],
    ),
];

/// The servers that ship, each with the settings it needs to start.
const SHIPPED: &[(&str, &[&str])] = &[
    ("mcp-aws", &["--region=us-west-2"]),
    ("mcp-filesystem", &[ROOT]),
    ("mcp-database", &["--sqlite=:memory:"]),
    ("mcp-custom", &["--weather=off"]),
];
/// Stands for a root with something in it.
const ROOT: &str = "--root";
/// The fixtures are judged with the direct way to tools and without it.
const WAYS: [&[&str]; 2] = [&[], &["--no-direct-path"]];

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<ExitCode> {
    let suite = Suite::install(place)?;
    program::run(&mut cargo(
        place,
        &["build", "--locked", "--package", "mcp-kit", "--features", "fixtures", "--bin", "mcp-fixtures"],
    ))?;
    // As `make test` builds them: a package alone has other features, and the AWS SDK would be compiled a second time.
    program::run(&mut cargo(place, &["build", "--locked", "--workspace", "--all-targets"]))?;
    let binaries = place.bin_dir()?;
    let file = place.root.join(FILES).join("exceptions.txt");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let exceptions = Exceptions::read(&text)?;

    let mut seen = Vec::new();
    for way in WAYS {
        let fixtures = Server::start(&binaries.join("mcp-fixtures"), way)?;
        for revision in REVISIONS {
            let text = suite.output(fixtures.url(), &["--requirements", revision])?;
            seen.extend(Scenario::of_requirements("mcp-fixtures", revision, &text)?);
        }
    }
    let root = format!("--root=suite={}", place.root.join(FILES).display());
    for (name, arguments) in SHIPPED {
        let arguments: Vec<&str> =
            arguments.iter().map(|&word| if word == ROOT { root.as_str() } else { word }).collect();
        let server = Server::start(&binaries.join(name), &arguments)?;
        for (revision, names) in GENERIC {
            for scenario in names {
                let text = suite.output(server.url(), &["--scenario", scenario, "--spec-version", revision])?;
                seen.push(Scenario::alone(name, revision, scenario, &text)?);
            }
        }
    }
    let verdict = judge::judge(&seen, &exceptions);
    println!("\n{verdict}");
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The suite as it was installed.
struct Suite(Packages);

impl Suite {
    fn install(place: &Place) -> Result<Self> {
        Packages::install(place, "conformance", FILES).map(Self)
    }

    /// What the suite says when it is run against a server. It ends with an error when a scenario fails, which is for the
    /// judge to see.
    fn output(&self, url: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.0.run("@modelcontextprotocol/conformance/dist/index.js");
        command.args(["server", "--url", url]).args(arguments);
        eprintln!("$ conformance server --url {url} {}", arguments.join(" "));
        let output = command.output().with_context(|| format!("cannot start `{}`", program::line(&command)))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }
}
