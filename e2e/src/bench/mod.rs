//! The benchmark of the operator: many servers, against a bare writer of the same objects, in one run.
//!
//! In: how many servers, how many rounds. Out: a report in Markdown on standard output. Every phase has a fresh cluster
//! of tier controllers, so that none finds what another left. Times come from the audit log, CPU and memory from /proc.

mod bare;
mod measure;
mod operated;
mod report;
mod template;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, api::ListParams};
use mcp_crds::McpServer;
use tokio::time::{Instant, sleep};

use self::template::Template;
use crate::{
    cluster::{Cluster, Options, Provider, Tier},
    doubles,
    progress::Progress,
    suite::objects::Space,
};

/// Where the servers are made.
const NAMESPACE: &str = "bench";
/// How often it is looked whether all pods are there; the times come from the audit log.
const LOOK: Duration = Duration::from_secs(3);
/// Longest phase.
const LIMIT: Duration = Duration::from_mins(30);

/// How the benchmark runs.
#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// How many McpServers
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=9999))]
    servers: u16,
    /// How often, each time with the bare writer first
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// Requests at the same time, of the bare writer and of whoever makes the McpServers
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=64))]
    at_once: u8,
    /// Seconds at rest, and after a restart of the operator, in which its writes are counted
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// Where `mcp-operator` is
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
}

/// Runs it, and prints the report.
pub async fn run(bench: Bench, progress: Progress) -> Result<()> {
    doubles::start().await?;
    let machine = measure::Machine::look()?;
    progress.say("a template: one server, as the operator makes it");
    let template = Arc::new(template::take(&bench, progress).await?);
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds {
        progress.say(format_args!("round {round} of {}: the bare writer", bench.rounds));
        let bare = bare::run(&bench, &template, progress).await.context("the bare writer")?;
        progress.say(format_args!("round {round} of {}: the operator", bench.rounds));
        let operated = operated::run(&bench, &template, progress).await.context("the operator")?;
        rounds.push((bare, operated));
    }
    print!("{}", report::markdown(&bench, &machine, &measure::Machine::look()?, &rounds));
    Ok(())
}

/// A cluster of its own for a phase.
async fn cluster(name: &str, progress: Progress) -> Result<Cluster> {
    let name = format!("bench-{name}-{}", std::process::id());
    let mut options = Options { provider: Some(Provider::Native), ..Options::new(name, Tier::Controllers) };
    options.pod_address = Some(doubles::address());
    let cache = crate::cache::Cache::from_env()?;
    Cluster::up_in(&cache, options, progress).await
}

/// Does something for every server, so many at once.
async fn for_all(bench: &Bench, work: impl AsyncFn(String) -> Result<()>) -> Result<()> {
    let names = (0..bench.servers).map(template::name);
    let work = &work;
    stream::iter(names).map(|name| work(name)).buffer_unordered(bench.at_once.into()).try_collect().await
}

/// Waits until every server's Deployment has its pods ready.
async fn available(bench: &Bench, space: &Space) -> Result<()> {
    let ready = |deployment: &Deployment| {
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
        wanted.is_some() && deployment.status.as_ref().and_then(|status| status.ready_replicas) == wanted
    };
    until(bench, "have their pods ready", &space.deployments(), ready).await
}

/// Waits until every server is Ready.
async fn serving(bench: &Bench, space: &Space) -> Result<()> {
    let ready = |server: &McpServer| {
        let conditions = server.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
            && !conditions.iter().any(|condition| condition.type_ == "Reconciling")
    };
    until(bench, "are Ready", &space.servers(), ready).await
}

/// Looks now and then, at the API server's cache, whether something holds of all.
async fn until<K>(bench: &Bench, what: &str, api: &Api<K>, holds: impl Fn(&K) -> bool) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let deadline = Instant::now() + LIMIT;
    loop {
        let all = api.list(&ListParams::default().match_any().at("0")).await?.items;
        let count = all.iter().filter(|object| holds(object)).count();
        if count == usize::from(bench.servers) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "after {} s only {count} of {} {what}", LIMIT.as_secs(), bench.servers);
        sleep(LOOK).await;
    }
}
