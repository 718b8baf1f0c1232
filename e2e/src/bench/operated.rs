//! The operator at work: somebody makes the McpServers, it does the rest; then rest, and a restart.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::{
    Bench, NAMESPACE, Template, available, cluster, for_all,
    measure::{Operated, Phase, Usage, requests},
    serving,
};
use crate::{
    install::{OPERATOR_NAMESPACE, OPERATOR_USER},
    progress::Progress,
    suite::{objects::Space, operator::OperatorProcess},
};

/// Longer than the operator holds back a step while a crowd starts.
const SETTLE: Duration = Duration::from_secs(40);

/// Makes every McpServer on a cluster of its own.
pub(super) async fn run(bench: &Bench, template: &Template, progress: Progress) -> Result<Operated> {
    let cluster = cluster("operated", progress).await?;
    OperatorProcess::manifests(&cluster).await?;
    let settings = vec![("MCP_EKS_LOG", "warn,rmcp=off".to_owned())];
    let mut operator = OperatorProcess::start_with(&cluster, &bench.bin_dir, OPERATOR_NAMESPACE, settings).await?;
    operator.leads(Duration::from_secs(30)).await?;
    let space = Space::create(&cluster.client(), NAMESPACE).await?;
    let log = cluster.audit_log();
    let mark = log.mark()?;
    let before = Usage::of(&cluster, Some(operator.pid()?))?;
    for_all(bench, async |name| {
        space.apply(&name, template.spec.clone()).await.map(drop).with_context(|| name.clone())
    })
    .await?;
    progress.say("all McpServers are made: waiting for the pods, then for Ready");
    available(bench, &space).await?;
    serving(bench, &space).await?;
    let used = Usage::of(&cluster, Some(operator.pid()?))?.since(&before);
    let phase = Phase::read(&cluster, mark, used)?;
    let asked = log.since(mark)?;
    let peak_kib = measure_peak(&operator)?;

    // A step that was held, a look that a write asked for.
    sleep(SETTLE).await;
    progress.say(format_args!("at rest for {} s", bench.rest));
    let mark = log.mark()?;
    let before = Usage::of(&cluster, Some(operator.pid()?))?;
    sleep(Duration::from_secs(bench.rest)).await;
    let idle = Usage::of(&cluster, Some(operator.pid()?))?.since(&before);
    let at_rest = log.since(mark)?;

    progress.say(format_args!("a restart, then {} s", bench.rest));
    let mark = log.mark()?;
    let stopped = operator.stop().await?;
    let begun = Instant::now();
    operator.start_again().await?;
    operator.leads(Duration::from_mins(1)).await?;
    let leads_after = begun.elapsed();
    sleep(Duration::from_secs(bench.rest)).await;
    let restarted = log.since(mark)?;
    let restart_peak_kib = measure_peak(&operator)?;
    operator.stop().await?;
    drop(operator);
    cluster.down().await?;
    let of = |events| requests(events, OPERATOR_USER);
    Ok(Operated {
        phase,
        requests: of(&asked),
        peak_kib,
        at_rest: of(&at_rest),
        idle,
        restarted: of(&restarted),
        restart_peak_kib,
        stopped,
        leads_after,
    })
}

fn measure_peak(operator: &OperatorProcess) -> Result<u64> {
    super::measure::peak_kib(operator.pid()?)
}
