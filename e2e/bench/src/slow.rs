//! What a server must bear beside the echo: lists under load, and a hundred callers who all wait for something slow, be it
//! the tool itself or AWS behind it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::{
    Options,
    double::Double,
    load::{self, Load, Measured},
    process::Running,
    question::Question,
    servers::{aws_command, kit_command},
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
    /// The same callers of the AWS server, when AWS takes [`WAIT_MS`] for every answer.
    pub(crate) aws_answered_after_ms: f64,
    /// The most requests that AWS had under way at once: who queues in front of it would see fewer.
    pub(crate) aws_at_once: usize,
}

/// Measures it on the kit and on the AWS server.
pub(crate) async fn all(options: &Options, logs: &Path) -> Result<Slow> {
    let fixtures = options.bin_dir.join("mcp-fixtures");
    let question = Question::list()?;
    let running = Running::start(|port| kit_command(&fixtures, port, &[]), &question, logs, "list").await?;
    let time = Duration::from_secs(if options.quick { 1 } else { 3 });
    let list = load::put(running.address, &question, Load { connections: 16, time, calls: 1_000_000 }).await?;
    drop(running);

    let demo = options.bin_dir.join("mcp-demo");
    let running = Running::start(|port| kit_command(&demo, port, &[]), &Question::wait(0)?, logs, "slow").await?;
    let all_answered_after_ms = called(&running, &Question::wait(WAIT_MS)?, "a slow tool").await?;
    drop(running);

    let double = Double::start(Duration::from_millis(WAIT_MS)).await?;
    let (aws, question) = (options.bin_dir.join("mcp-aws"), Question::whoami()?);
    let running = Running::start(|port| aws_command(&aws, port, double.address), &question, logs, "aws").await?;
    let aws_answered_after_ms = called(&running, &question, "AWS tools").await?;
    Ok(Slow {
        list,
        callers: CALLERS,
        wait_ms: WAIT_MS,
        all_answered_after_ms,
        aws_answered_after_ms,
        aws_at_once: double.most_at_once(),
    })
}

/// Has [`CALLERS`] callers ask twice each, all at once; how long until the last one was answered, in milliseconds.
async fn called(running: &Running, question: &Question, what: &str) -> Result<f64> {
    let start = Instant::now();
    let load = Load { connections: CALLERS, time: Duration::from_mins(1), calls: 2 };
    let measured = load::put(running.address, question, load).await;
    let measured = measured.with_context(|| format!("a hundred callers of {what}"))?;
    ensure!(measured.calls == CALLERS * 2, "{} of {} calls of {what} came to be", measured.calls, CALLERS * 2);
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}
