//! AWS for the samples of a local cluster: MiniStack, beside the node's own processes.
//!
//! In: a native cluster of tier node. Out: MiniStack at the node's address, where pods and the host reach it. It runs in
//! the node's namespaces of processes and network, so it ends with the cluster, however that ends. A kind cluster has no
//! such place: there the AWS sample lists its tools, and calls need real credentials.

use std::{fs::File, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{process::Command, time::Instant};

use crate::{
    cache::Cache,
    cluster::Cluster,
    ministack::{self, Kind},
    progress::Progress,
};

/// Its port, the one that emulators of AWS are expected at.
const PORT: u16 = 4566;
/// Longest wait for a cold start on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// Starts MiniStack unless it answers already. Returns where; none where there is no place for it.
pub async fn ensure(cluster: &Cluster, cache: &Cache, progress: Progress) -> Result<Option<SocketAddr>> {
    let (Some(slot), Some(node)) = (cluster.state().slot, cluster.node()) else { return Ok(None) };
    let address = SocketAddr::from((slot.node(), PORT));
    if is_healthy(address).await {
        return Ok(Some(address));
    }
    progress.say(format_args!("starting MiniStack, which stands for AWS, at {address}"));
    let kind = Kind::MiniStack { enforce: false };
    let plain = ministack::command(cache, kind, address).await?;
    let home = cluster.directory().join("ministack");
    std::fs::create_dir_all(&home).with_context(|| format!("make {}", home.display()))?;
    let log = home.join("log");
    let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = Command::new("nsenter");
    command.args(["--target", &node.to_string(), "--net", "--pid", "--", "setsid"]);
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // It leaves files in the directory for temporary ones; here they go with the cluster.
    command
        .env("TMPDIR", &home)
        .current_dir(&home)
        .stdin(std::process::Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    // A group of its own: what interrupts this command must not end what it leaves running.
    let mut child = command.process_group(0).spawn().context("start nsenter")?;
    let deadline = Instant::now() + LIMIT;
    while !is_healthy(address).await {
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        if let Some(status) = child.try_wait()? {
            bail!("MiniStack ended ({status}):\n{}", said());
        }
        if Instant::now() >= deadline {
            bail!("MiniStack did not answer at {address} within {} s:\n{}", LIMIT.as_secs(), said());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(Some(address))
}

async fn is_healthy(address: SocketAddr) -> bool {
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build() else { return false };
    let answer = http.get(format!("http://{address}/_ministack/health")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
