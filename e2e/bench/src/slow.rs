//! What a server must bear beside the echo: lists under load, and a hundred callers who all wait for something slow.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    Options,
    load::{self, Load, Measured},
    process::Running,
    question::Question,
    servers::kit_command,
};

/// Callers at once, and how long what they wait for takes.
const CALLERS: usize = 100;
const WAIT_MS: u64 = 500;

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Slow {
    /// `tools/list` at 16 connections.
    pub(crate) list: Measured,
    /// Callers at once whose calls all take [`WAIT_MS`]; every one was answered, or the run would have failed.
    pub(crate) callers: usize,
    pub(crate) wait_ms: u64,
    pub(crate) all_answered_after_ms: f64,
}

/// Measures it on the kit.
pub(crate) async fn all(options: &Options, logs: &Path) -> Result<Slow> {
    let fixtures = options.bin_dir.join("mcp-fixtures");
    let question = Question::list()?;
    let running = Running::start(|port| kit_command(&fixtures, port, &[]), &question, logs, "list").await?;
    let time = Duration::from_secs(if options.quick { 1 } else { 3 });
    let list = load::put(running.address, &question, Load { connections: 16, time, calls: 1_000_000 }).await?;
    drop(running);

    let demo = options.bin_dir.join("mcp-demo");
    let running = Running::start(|port| kit_command(&demo, port, &[]), &Question::wait(0)?, logs, "slow").await?;
    let question = Question::wait(WAIT_MS)?;
    let start = Instant::now();
    let load = Load { connections: CALLERS, time: Duration::from_mins(1), calls: 2 };
    load::put(running.address, &question, load).await.context("a hundred callers of a slow tool")?;
    let all_answered_after_ms = start.elapsed().as_secs_f64() * 1000.0;
    Ok(Slow { list, callers: CALLERS, wait_ms: WAIT_MS, all_answered_after_ms })
}
