//! What was promised, and whether it was kept in this run: pure.

use serde::Serialize;

use crate::{
    run::Row,
    servers::{BARE, KIT, PYTHON_V1, PYTHON_V2, TYPESCRIPT_V2},
    slow::Slow,
};

/// One promise.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) goal: &'static str,
    pub(crate) measured: String,
    pub(crate) reached: bool,
}

/// All of them. A row that is missing misses its goal.
pub(crate) fn all(rows: &[Row], slow: &Slow) -> Vec<Goal> {
    let row = |key: &str| rows.iter().find(|row| row.key == key);
    let times = |other: &str| {
        let (kit, other) = (row(KIT)?, row(other)?);
        Some(kit.many.calls_per_second / other.many.calls_per_second)
    };
    let ratio = |goal, other, least: f64| {
        let times = times(other).unwrap_or(0.0);
        Goal { goal, measured: format!("{times:.1}×"), reached: times >= least }
    };
    let kit = |goal, value: fn(&Row) -> f64, most: f64, unit: &str| {
        let value = row(KIT).map_or(f64::INFINITY, value);
        Goal { goal, measured: format!("{value:.1} {unit}"), reached: value <= most }
    };
    let share = times(BARE).unwrap_or(0.0);
    vec![
        Goal {
            goal: "at least 90 % of the bare axum handler (16 connections)",
            measured: format!("{:.0} %", share * 100.0),
            reached: share >= 0.9,
        },
        ratio("at least 25 times the Python SDK 2", PYTHON_V2, 25.0),
        ratio("at least 150 times the Python SDK 1", PYTHON_V1, 150.0),
        ratio("at least 50 times the TypeScript SDK 2", TYPESCRIPT_V2, 50.0),
        kit("at most 60 µs for half of the calls (1 connection)", |row| micros(row.one.p50_us), 60.0, "µs"),
        kit("at most 15 MiB of memory, idle", |row| micros(row.idle_kib) / 1024.0, 15.0, "MiB"),
        kit("first answer at most 50 ms after the start", |row| row.ready_ms, 50.0, "ms"),
        Goal {
            goal: "`tools/list` within 10 ms for 99 % (16 connections)",
            measured: format!("{:.2} ms", micros(slow.list.p99_us) / 1000.0),
            reached: slow.list.p99_us < 10_000,
        },
        Goal {
            goal: "100 callers of something slow, none refused",
            measured: format!("{} answered", slow.callers),
            reached: slow.callers >= 100,
        },
        Goal {
            goal: "100 AWS calls at once while AWS is slow, none refused and none made to wait for another",
            measured: format!("{} answered, {} at once", slow.callers, slow.aws_at_once),
            reached: slow.callers >= 100 && slow.aws_at_once >= 100,
        },
    ]
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn micros(value: u64) -> f64 {
    value as f64
}
