//! A bundled server as a process of its own on a free port of loopback, ended with its guard.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts a server's command and waits until it says where it listens.
    pub fn start(binary: &Path, arguments: &[String], environment: &[(String, String)]) -> Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), binary, arguments, environment)
    }

    /// The same at an address that others were told before.
    pub fn start_at(
        address: SocketAddr,
        binary: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args([&format!("--listen={address}"), "--health-listen=127.0.0.1:0", "--log-format=json"]);
        command.args(arguments);
        command.envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
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
        let status = child.wait()?;
        bail!("{} did not become ready ({status}):\n{said}", binary.display());
    }

    /// Where it speaks MCP.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
