//! Does a TLS client in an image find its CA bundle, and does the bundle decide?
//!
//! With the bundle as it is, a server of an unknown CA is refused for its certificate; with that CA added to the bundle,
//! the same server answers. Client and server are the package mcp-tls-probe.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

use super::BUNDLE;
use crate::images::Image;
use crate::images::engine::Engine;
use crate::place::Place;
use crate::{cargo, program};

const PROBE: &str = "mcp-tls-probe";

/// A directory with the probe and the test CA in it, and a server on this machine; the server ends with this value.
pub(super) struct Bench {
    directory: PathBuf,
    server: Child,
    url: String,
}

impl Bench {
    /// Builds the probe and starts its server.
    pub(super) fn set_up(place: &Place) -> Result<Self> {
        program::run(&mut cargo::cargo(place, &["build", "--locked", "--quiet", "--package", PROBE]))?;
        let directory = place.cache.join("images/verify");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        fs::copy(place.bin_dir()?.join(PROBE), directory.join(PROBE))
            .with_context(|| format!("cannot copy {PROBE}"))?;
        let mut serve = Command::new(directory.join(PROBE));
        serve.arg("serve").arg(&directory).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = serve.spawn().with_context(|| format!("cannot start {PROBE}"))?;
        let stdout = server.stdout.take();
        let mut bench = Self { directory, server, url: String::new() };
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut bench.url)?;
        }
        bench.url.truncate(bench.url.trim_end().len());
        ensure!(!bench.url.is_empty(), "`{PROBE} serve` ended before it listened");
        Ok(bench)
    }

    /// Refused without the CA, answered with it.
    pub(super) fn try_bundle(&self, engine: &Engine, image: &Image) -> Result<()> {
        let tag = format!("{}-with-probe", image.name);
        let plain = format!("FROM {}\nCOPY {PROBE} /usr/local/bin/{PROBE}\n", image.name);
        let refused = self.ask(engine, &tag, &plain)?;
        let why = refused.stderr.trim_end();
        ensure!(
            !refused.status.success() && why.contains("invalid peer certificate"),
            "{}: a server of an unknown CA should be refused for its certificate; the client {refused}",
            image.name
        );
        println!("ok {} refuses a server of an unknown CA: {why}", image.name);

        let count = self.add_ca(engine, image)?;
        let extended = format!("{plain}COPY ca-certificates.crt /{BUNDLE}\n");
        let answered = self.ask(engine, &tag, &extended)?;
        ensure!(
            answered.status.success() && answered.stdout.trim_end() == "200",
            "{}: with its CA in the bundle the server should answer 200; the client {answered}",
            image.name
        );
        println!("ok {} loads {count} roots, and a server of a CA added to them answers 200", image.name);
        program::output(&mut engine.command(&["rmi", &tag])).map(drop)
    }

    /// Writes the image's bundle with the test CA at its end; returns how many roots it had.
    fn add_ca(&self, engine: &Engine, image: &Image) -> Result<usize> {
        let container = program::output(&mut engine.command(&["create", "--network=none", &image.name]))?;
        let path = self.directory.join("ca-certificates.crt");
        let copied = program::run(engine.command(&["cp", &format!("{container}:/{BUNDLE}")]).arg(&path));
        program::output(&mut engine.command(&["rm", &container]))?;
        copied?;
        let mut roots = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let count = roots.matches("BEGIN CERTIFICATE").count();
        ensure!(count > 50, "{}: the CA bundle should have Debian's roots, and has {count} certificates", image.name);
        roots.push_str(&fs::read_to_string(self.directory.join("ca.pem"))?);
        fs::write(&path, roots).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(count)
    }

    /// Builds an image with the probe in it and asks from inside.
    fn ask(&self, engine: &Engine, tag: &str, dockerfile: &str) -> Result<Answer> {
        let file = self.directory.join("Dockerfile");
        fs::write(&file, dockerfile).with_context(|| format!("cannot write {}", file.display()))?;
        let mut build = engine.build();
        build.args(["--quiet", "--tag", tag, "--file"]).arg(&file).arg(&self.directory);
        program::run(build.stdout(Stdio::null()))?;
        let entrypoint = format!("--entrypoint={PROBE}");
        let words = ["run", "--rm", "--network=host", &entrypoint, tag, "get", &self.url];
        let output = engine.command(&words).output()?;
        Ok(Answer {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

struct Answer {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with {} and said: {}{}", self.status, self.stdout, self.stderr)
    }
}
