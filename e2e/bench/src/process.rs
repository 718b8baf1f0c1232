//! A server under load as a process: started, waited for, weighed, ended.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use crate::{load::Line, question::Question};

/// Node and Python take a second or two to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server; ends when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first right answer.
    pub(crate) ready: Duration,
}

impl Running {
    /// Starts what `command` makes for a free port, and asks until it answers. What it prints goes to files in `logs`.
    pub(crate) async fn start(
        command: impl FnOnce(u16) -> Command,
        question: &Question,
        logs: &Path,
        name: &str,
    ) -> Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        let address = free.local_addr()?;
        drop(free);
        let mut command = command(address.port());
        let log = |stream: &str| File::create(logs.join(format!("{name}.{stream}")));
        command.stdin(Stdio::null()).stdout(log("stdout")?).stderr(log("stderr")?);
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
        loop {
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(logs.join(format!("{name}.stderr"))).unwrap_or_default();
                bail!("{name} ended before it was ready ({status}):\n{said}");
            }
            if let Ok(mut line) = Line::open(address).await {
                let answered = line.ask(question).await;
                let ready = start.elapsed();
                let running = Self { child, address, ready };
                answered.with_context(|| format!("{name} answers wrongly"))?;
                return Ok(running);
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                bail!("{name} did not answer within {PATIENCE:?}");
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Its resident memory now, in KiB.
    pub(crate) fn rss_kib(&self) -> Result<u64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
