//! Tier api, with two operators: who works when one ends, is killed, or is stopped and goes on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use mcp_e2e::{
    audit::{Event, Mark},
    cluster::{Cluster, Tier},
    install::{OPERATOR, OPERATOR_NAMESPACE, OPERATOR_USER},
    suite::{self, Test, objects::Space, operator::OperatorProcess},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep},
};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// A leader that ends gives its Lease up: others look every two seconds.
const AT_ONCE: Duration = Duration::from_secs(3);
/// A leader that vanishes is followed when its Lease has expired.
const EXPIRED: Duration = Duration::from_secs(20);
/// How long a leader is stopped.
const STOPPED: Duration = Duration::from_mins(1);
/// Time in which an operator that wants to write does.
const QUIET: Duration = Duration::from_secs(10);

/// Both operators; the first of them leads whenever a test begins and ends.
type Pair = [OperatorProcess; 2];

struct Fixture {
    pair: Mutex<Pair>,
    cluster: Arc<Cluster>,
}

impl Fixture {
    /// Both, the leader first.
    async fn pair(&self) -> Result<MutexGuard<'_, Pair>> {
        let mut pair = self.pair.lock().await;
        if pair[1].leads(Duration::ZERO).await.is_ok() {
            pair.swap(0, 1);
        }
        pair[0].leads(EXPIRED).await?;
        Ok(pair)
    }

    /// The name under which the leader holds the Lease.
    async fn holder(&self) -> Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.cluster.client(), OPERATOR_NAMESPACE);
        let spec = leases.get(OPERATOR).await?.spec.context("the Lease has no spec")?;
        spec.holder_identity.context("nobody holds the Lease")
    }

    /// What one operator asked the API server to change since a mark in the audit log.
    fn writes_by(&self, identity: &str, mark: Mark) -> Result<Vec<Event>> {
        let events = self.cluster.audit_log().since(mark)?;
        let by = |event: &Event| event.user == OPERATOR_USER && event.user_agent.contains(identity);
        Ok(events.into_iter().filter(|event| by(event) && event.is_write() && !event.is_housekeeping()).collect())
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("of two operators one works, and the other is ready", |f| one_works(f).boxed_local()),
        ("a leader that ends is followed at once", |f| ended(f).boxed_local()),
        ("a leader that is killed is followed when its lease has expired", |f| killed(f).boxed_local()),
        ("a leader that was stopped writes nothing when it goes on", |f| stopped(f).boxed_local()),
    ];
    suite::run(
        "suite-leader",
        Tier::Api,
        BINARY,
        async |cluster| {
            let bin_dir = suite::bin_dir(BINARY);
            let first = OperatorProcess::start(&cluster, &bin_dir).await?;
            let second = OperatorProcess::start_with(&cluster, &bin_dir, OPERATOR_NAMESPACE, Vec::new()).await?;
            Ok(Fixture { pair: Mutex::new([first, second]), cluster })
        },
        tests,
    )
}

fn server(replicas: i32) -> Value {
    json!({"server": {"image": {"ref": "ghcr.io/acme/tools:1"}}, "replicas": replicas})
}

/// Waits until a server's Deployment has this many replicas.
async fn replicas(space: &Space, name: &str, expected: i32, limit: Duration) -> Result<()> {
    suite::eventually(&format!("{name} has {expected} replicas"), limit, async || {
        let found = space.deployments().get_opt(name).await?.and_then(|deployment| deployment.spec?.replicas);
        Ok(if found == Some(expected) { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}

async fn one_works(fixture: &Fixture) -> Result<()> {
    let pair = fixture.pair().await?;
    let leader = fixture.holder().await?;
    let (code, text) = pair[1].health("readyz").await?;
    ensure!(code == 200 && text.starts_with(&format!("ok: standby, {leader} leads")), "{code} {text}");
    let mark = fixture.cluster.audit_log().mark()?;
    let space = Space::create(&fixture.cluster.client(), "one-works").await?;
    space.apply("tools", server(1)).await?;
    space.condition("tools", "Accepted=True/Valid", Duration::from_secs(5)).await?;
    sleep(QUIET).await;
    let events = fixture.cluster.audit_log().since(mark)?;
    let ours = |event: &&Event| event.user == OPERATOR_USER && event.is_write() && !event.is_housekeeping();
    let writes: Vec<_> = events.iter().filter(ours).collect();
    ensure!(!writes.is_empty() && writes.iter().all(|event| event.user_agent.contains(&leader)), "{writes:?}");
    Ok(())
}

async fn ended(fixture: &Fixture) -> Result<()> {
    let mut pair = fixture.pair().await?;
    let start = Instant::now();
    let end = pair[0].stop().await?;
    ensure!(end <= Duration::from_secs(2), "an idle operator took {end:?} to end");
    pair[1].leads(AT_ONCE).await?;
    let taken = start.elapsed();
    ensure!(taken <= AT_ONCE, "{taken:?}");
    eprintln!("ended after {} ms, followed after {} ms", end.as_millis(), taken.as_millis());
    let space = Space::create(&fixture.cluster.client(), "ended").await?;
    space.apply("tools", server(1)).await?;
    replicas(&space, "tools", 1, Duration::from_secs(5)).await?;
    pair[0].start_again().await
}

async fn killed(fixture: &Fixture) -> Result<()> {
    let mut pair = fixture.pair().await?;
    let space = Space::create(&fixture.cluster.client(), "killed").await?;
    let start = Instant::now();
    pair[0].kill().await?;
    // Nobody works now: what is asked for meanwhile is done by the next leader.
    space.apply("tools", server(1)).await?;
    pair[1].leads(EXPIRED).await?;
    let taken = start.elapsed();
    ensure!(taken <= EXPIRED, "{taken:?}");
    eprintln!("followed after {} ms", taken.as_millis());
    replicas(&space, "tools", 1, Duration::from_secs(5)).await?;
    pair[0].start_again().await
}

async fn stopped(fixture: &Fixture) -> Result<()> {
    const SERVERS: usize = 30;
    let pair = fixture.pair().await?;
    let old = fixture.holder().await?;
    let space = Space::create(&fixture.cluster.client(), "stopped").await?;
    let names: Vec<_> = (0..SERVERS).map(|number| format!("tools-{number}")).collect();
    // Stopped in the middle of work: some of these have children by then, others not.
    for name in &names {
        space.apply(name, server(1)).await?;
    }
    suite::eventually("the leader is at work", Duration::from_secs(5), async || {
        let count = space.deployments().list_metadata(&kube::api::ListParams::default()).await?.items.len();
        Ok(if count > 0 { Ok(()) } else { Err("no Deployment".to_owned()) })
    })
    .await?;
    let start = Instant::now();
    pair[0].signal(Signal::SIGSTOP)?;
    pair[1].leads(EXPIRED).await?;
    let taken = start.elapsed();
    ensure!(taken <= EXPIRED, "{taken:?}");
    eprintln!("followed after {} ms", taken.as_millis());
    let new = fixture.holder().await?;
    ensure!(new != old, "{old} still holds the Lease");
    // What the old leader was about to write is wrong by now.
    for name in &names {
        space.edit(name, server(3)).await?;
    }
    for name in &names {
        replicas(&space, name, 3, Duration::from_secs(15)).await?;
    }
    sleep(STOPPED.saturating_sub(start.elapsed())).await;

    let mark = fixture.cluster.audit_log().mark()?;
    pair[0].signal(Signal::SIGCONT)?;
    sleep(QUIET).await;
    let writes = fixture.writes_by(&old, mark)?;
    ensure!(writes.is_empty(), "{writes:?}");
    for name in &names {
        replicas(&space, name, 3, Duration::ZERO).await?;
    }
    let (code, text) = pair[0].health("readyz").await?;
    ensure!(code == 200 && text.starts_with("ok: standby"), "{code} {text}");
    // The old leader's name in the audit log is the one that was looked for.
    ensure!(!fixture.writes_by(&old, Mark::START)?.is_empty(), "{old} never wrote anything");
    Ok(())
}
