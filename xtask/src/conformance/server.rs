//! A server under test: on ports of its own, ended with its guard.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// A running server.
pub(super) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts a binary and waits until it says where it listens.
    pub(super) fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0", "--log-format=json"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("the server has no stderr")?).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("\"address\":\"") {
                let address = rest.split('"').next().unwrap_or_default();
                let url = format!("http://{address}/mcp");
                // Goes on reading, so that the server never waits for somebody to read its log.
                thread::spawn(move || lines.for_each(drop));
                return Ok(Self { child, url });
            }
            said.push_str(&line);
            said.push('\n');
        }
        let _ = child.wait();
        bail!("{} did not become ready:\n{said}", binary.display());
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
