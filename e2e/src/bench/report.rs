//! The report of the benchmark, in Markdown. Pure.

use std::fmt::Write;

use super::{
    Bench,
    measure::{Machine, Operated, Phase, Requests},
};

/// What is published: the machine, ratios, and what they are made of.
pub(super) fn markdown(bench: &Bench, before: &Machine, after: &Machine, rounds: &[(Phase, Operated)]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, bench, before, after, rounds);
    text
}

fn write(
    text: &mut String,
    bench: &Bench,
    before: &Machine,
    after: &Machine,
    rounds: &[(Phase, Operated)],
) -> std::fmt::Result {
    let took = after.at.duration_since(before.at).unwrap_or_default().as_secs();
    writeln!(
        text,
        "{} McpServers, {} requests at once, {} round(s), {took} s in all.",
        bench.servers,
        bench.at_once,
        rounds.len()
    )?;
    writeln!(
        text,
        "{} × {}, {} GiB, Linux {}; load average before {}, after {}.\n",
        before.processors, before.processor, before.memory_gib, before.kernel, before.load, after.load
    )?;
    writeln!(text, "| round | until | bare writer, s | operator, s | ratio |\n| --- | --- | --- | --- | --- |")?;
    for (number, (bare, operated)) in rounds.iter().enumerate() {
        let mut row = |what: &str, bare: f64, operated: f64| {
            writeln!(text, "| {} | {what} | {bare:.1} | {operated:.1} | {:.2} |", number + 1, operated / bare)
        };
        let phase = &operated.phase;
        row("every object is written", bare.written.as_secs_f64(), phase.written.as_secs_f64())?;
        row("every pod is ready", bare.available.as_secs_f64(), phase.available.as_secs_f64())?;
        row("CPU of etcd and API server", bare.used.storing(), phase.used.storing())?;
        let all = |phase: &Phase| phase.used.0.values().map(std::time::Duration::as_secs_f64).sum();
        row("CPU of all but the bare writer", all(bare), all(phase))?;
    }
    for (number, (_, operated)) in rounds.iter().enumerate() {
        writeln!(text, "\nRound {}, the operator:\n", number + 1)?;
        let seconds = |program: &str| operated.phase.used.seconds(program);
        writeln!(text, "- the last server is Ready after {:.1} s", operated.phase.told.as_secs_f64())?;
        writeln!(text, "- peak RSS {:.1} MiB, CPU {:.1} s", mib(operated.peak_kib), seconds("operator"))?;
        writeln!(text, "- {}", requests(&operated.requests, usize::from(bench.servers)))?;
        let milli_cpu =
            operated.idle.seconds("operator") * 1000.0 / f64::from(u32::try_from(bench.rest).unwrap_or(u32::MAX));
        writeln!(
            text,
            "- at rest for {} s: {} writes, {} requests, {milli_cpu:.1} mCPU",
            bench.rest, operated.at_rest.writes, operated.at_rest.all
        )?;
        writeln!(
            text,
            "- restarted: ended in {:.1} s, leads again after {:.1} s; {} writes and {} requests in {} s more; peak RSS {:.1} MiB",
            operated.stopped.as_secs_f64(),
            operated.leads_after.as_secs_f64(),
            operated.restarted.writes,
            operated.restarted.all,
            bench.rest,
            mib(operated.restart_peak_kib)
        )?;
    }
    Ok(())
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

/// Requests in words: how many a server, and for what.
fn requests(requests: &Requests, servers: usize) -> String {
    let each = |count: usize| {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        count / f64::from(u32::try_from(servers.max(1)).unwrap_or(u32::MAX))
    };
    let mut kinds: Vec<_> = requests.by_kind.iter().filter(|(_, count)| each(**count) >= 0.1).collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{kind} {:.2}", each(*count))).collect();
    format!(
        "{} requests, {} of them writes; for each server {:.2} and {:.2}: {}",
        requests.all,
        requests.writes,
        each(requests.all),
        each(requests.writes),
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_for_each_server_what_is_most_first() {
        let by_kind = [("get services".to_owned(), 20), ("patch services".to_owned(), 25), ("list pods".to_owned(), 1)];
        let told = requests(&Requests { all: 46, writes: 25, by_kind: by_kind.into() }, 20);
        assert_eq!(
            told,
            "46 requests, 25 of them writes; for each server 2.30 and 1.25: patch services 1.25, get services 1.00"
        );
    }
}
