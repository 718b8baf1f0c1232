//! The whole run: rounds in which every server has its turn, so that a slow moment of the machine meets all of them.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    Options,
    goals::{self, Goal},
    load::{self, Load, Measured},
    machine::Machine,
    process::Running,
    servers::{self, Server},
    slow::{self, Slow},
};

/// The connections of the load for throughput.
const MANY: usize = 16;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) slow: Slow,
    pub(crate) goals: Vec<Goal>,
}

/// One server: the median of its rounds, and all of them.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) many: Measured,
    pub(crate) one: Measured,
    pub(crate) idle_kib: u64,
    pub(crate) loaded_kib: u64,
    pub(crate) ready_ms: f64,
    pub(crate) rounds: Vec<Round>,
}

/// One server in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) many: Measured,
    pub(crate) one: Measured,
    pub(crate) idle_kib: u64,
    pub(crate) loaded_kib: u64,
    pub(crate) ready_ms: f64,
}

#[derive(Clone, Copy)]
struct Lengths {
    rounds: usize,
    warm: Duration,
    many: Duration,
    one: Duration,
}

impl Lengths {
    fn of(options: &Options) -> Self {
        let milliseconds = Duration::from_millis;
        if options.quick {
            Self { rounds: 1, warm: milliseconds(200), many: milliseconds(500), one: milliseconds(300) }
        } else {
            Self { rounds: 3, warm: milliseconds(1000), many: milliseconds(3000), one: milliseconds(2000) }
        }
    }
}

/// Measures everybody.
pub(crate) async fn all(options: &Options) -> Result<Report> {
    let lengths = Lengths::of(options);
    let machine = Machine::read(options.quick);
    let servers = servers::all(options)?;
    let logs = tempfile::Builder::new().prefix("mcp-bench-").tempdir().context("make a directory for logs")?;
    let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for number in 1..=lengths.rounds {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            let round = one(server, lengths, logs.path()).await.with_context(|| server.title.to_owned())?;
            eprintln!(
                "round {number}: {:32} {:9.0} calls/s at {MANY}, {:9.0} at 1",
                server.title, round.many.calls_per_second, round.one.calls_per_second
            );
            rounds.push(round);
        }
    }
    let rows: Vec<Row> = servers.iter().zip(rounds).filter_map(|(server, rounds)| row(server, rounds)).collect();
    let slow = slow::all(options, logs.path()).await?;
    let goals = goals::all(&rows, &slow);
    Ok(Report { machine, rounds: lengths.rounds, rows, slow, goals })
}

async fn one(server: &Server, lengths: Lengths, logs: &std::path::Path) -> Result<Round> {
    let running = Running::start(|port| server.command(port), &server.question, logs, server.key).await?;
    sleep(Duration::from_millis(200)).await;
    let idle_kib = running.rss_kib()?;
    let load = |connections, time| Load { connections, time, calls: 2_000_000 };
    load::put(running.address, &server.question, load(MANY, lengths.warm)).await?;
    let many = load::put(running.address, &server.question, load(MANY, lengths.many)).await?;
    let one = load::put(running.address, &server.question, load(1, lengths.one)).await?;
    let loaded_kib = running.rss_kib()?;
    Ok(Round { many, one, idle_kib, loaded_kib, ready_ms: running.ready.as_secs_f64() * 1000.0 })
}

/// The medians: of throughput for the loads, of the rest each by itself.
fn row(server: &Server, rounds: Vec<Round>) -> Option<Row> {
    let by_speed = |part: fn(&Round) -> &Measured| {
        let mut all: Vec<Measured> = rounds.iter().map(|round| part(round).clone()).collect();
        all.sort_by(|one, other| one.calls_per_second.total_cmp(&other.calls_per_second));
        middle(&all).cloned()
    };
    let mut idle: Vec<u64> = rounds.iter().map(|round| round.idle_kib).collect();
    let mut loaded: Vec<u64> = rounds.iter().map(|round| round.loaded_kib).collect();
    let mut ready: Vec<f64> = rounds.iter().map(|round| round.ready_ms).collect();
    idle.sort_unstable();
    loaded.sort_unstable();
    ready.sort_by(f64::total_cmp);
    Some(Row {
        key: server.key,
        title: server.title,
        many: by_speed(|round| &round.many)?,
        one: by_speed(|round| &round.one)?,
        idle_kib: *middle(&idle)?,
        loaded_kib: *middle(&loaded)?,
        ready_ms: *middle(&ready)?,
        rounds,
    })
}

fn middle<T>(sorted: &[T]) -> Option<&T> {
    sorted.get(sorted.len() / 2)
}
