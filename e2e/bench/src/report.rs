//! The run as a page reads: a table of the servers and one of the goals, put between two marks of the page.

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};

use crate::{run::Report, servers::BARE};

const BEGIN: &str = "<!-- servers: written by `cargo xtask bench-servers` -->";
const END: &str = "<!-- servers: end -->";

/// Both tables.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "`{}` on {} ({} processors, {} GiB, Linux {}; load average before the run {}). One call of an `echo` tool, over and \
         over, by one load generator on one thread of the same machine; every answer is checked. Medians of {} rounds, in \
         which all servers have their turn.\n",
        machine.command,
        machine.processor,
        machine.processors,
        machine.memory_gib,
        machine.kernel,
        machine.load_before,
        report.rounds
    );
    text.push_str(
        "| server | calls/s, 16 connections | of axum | p50 / p99 | calls/s, 1 connection | p50 / p99 | memory idle / loaded | \
         first answer |\n| --- | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    let bare = report.rows.iter().find(|row| row.key == BARE).map_or(f64::NAN, |row| row.many.calls_per_second);
    for row in &report.rows {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.1} % | {} / {} µs | {:.0} | {} / {} µs | {} / {} MiB | {:.0} ms |",
            row.title,
            row.many.calls_per_second,
            row.many.calls_per_second / bare * 100.0,
            row.many.p50_us,
            row.many.p99_us,
            row.one.calls_per_second,
            row.one.p50_us,
            row.one.p99_us,
            row.idle_kib / 1024,
            row.loaded_kib / 1024,
            row.ready_ms
        );
    }
    text.push_str("\n| goal | measured | reached |\n| --- | --: | --- |\n");
    for goal in &report.goals {
        let reached = if goal.reached { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {} | {} | {reached} |", goal.goal, goal.measured);
    }
    text
}

/// Writes the part between the marks of a page anew, or appends it.
pub(crate) fn put(page: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
    std::fs::write(page, within(&old, text)).with_context(|| format!("write {}", page.display()))
}

fn within(old: &str, text: &str) -> String {
    let part = format!("{BEGIN}\n{text}{END}");
    match (old.split_once(BEGIN), old.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{part}{after}"),
        _ => format!("{}\n\n## The tool servers\n{part}\n", old.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_marks_is_written_anew() {
        let first = within("# Benchmarks\n\nOther figures.\n", "old\n");
        assert!(first.starts_with("# Benchmarks\n\nOther figures.\n\n## The tool servers\n"), "{first}");
        let second = within(&format!("{first}\n## More\n"), "new\n");
        assert_eq!(second, format!("{}\n## More\n", first.replace("old", "new")));
    }
}
