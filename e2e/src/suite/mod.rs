//! A suite: one cluster or none, many tests that read as sentences, the closing line of the built-in test runner.
//!
//! In: a tier, what to prepare once, and the tests. Out: the exit code. The cluster is ended whatever happens; tests
//! run one after another, each in a namespace of its own. Suites of servers and databases need no cluster.

pub mod clients;
pub mod counts;
pub mod foreign;
pub mod issuer;
pub mod keda;
pub mod loopback;
pub mod objects;
pub mod operator;
pub mod own;
pub mod server;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};

use crate::{
    cluster::{Cluster, Options, Provider, Tier},
    doubles,
};

/// A test: a sentence, and what shows it.
pub type Test<T> = (&'static str, for<'a> fn(&'a T) -> LocalBoxFuture<'a, Result<()>>);

/// Runs a suite that needs no cluster.
pub fn run_alone<T, P>(name: &str, prepare: P, tests: &[Test<T>]) -> ExitCode
where
    T: Send + Sync + 'static,
    P: AsyncFnOnce() -> Result<T>,
{
    conclude(name, tests, |arguments| {
        let runtime = Arc::new(Runtime::new().context("start the async runtime")?);
        let fixture = Arc::new(runtime.block_on(prepare())?);
        let code = run_trials(&runtime, &fixture, tests, arguments);
        // What the fixture started ends on the runtime.
        drop(fixture);
        Ok(code)
    })
}

/// Runs a suite on a cluster of its own, called `name` and this process's id.
pub fn run<T, P>(name: &str, tier: Tier, own_binary: &str, prepare: P, tests: &[Test<T>]) -> ExitCode
where
    T: Send + Sync + 'static,
    P: AsyncFnOnce(Arc<Cluster>) -> Result<T>,
{
    conclude(name, tests, |arguments| on_cluster(name, tier, own_binary, prepare, tests, arguments))
}

fn conclude<T>(name: &str, tests: &[Test<T>], run: impl FnOnce(&Arguments) -> Result<ExitCode>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tests share what was prepared, and some watch all that happens in it.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, tests.iter().map(|(name, _)| Trial::test(*name, || Ok(()))).collect())
            .exit_code();
    }
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("suite {name} could not run: {error:#}");
            println!("test result: FAILED. 0 passed; {} failed; 0 ignored; 0 measured; 0 filtered out", tests.len());
            ExitCode::FAILURE
        }
    }
}

fn on_cluster<T, P>(
    name: &str,
    tier: Tier,
    own_binary: &str,
    prepare: P,
    tests: &[Test<T>],
    arguments: &Arguments,
) -> Result<ExitCode>
where
    T: Send + Sync + 'static,
    P: AsyncFnOnce(Arc<Cluster>) -> Result<T>,
{
    let runtime = Arc::new(Runtime::new().context("start the async runtime")?);
    let own_binary = Some(PathBuf::from(own_binary));
    // Suites reach ClusterIPs directly, which a kind cluster's are not.
    let mut options = Options { own_binary, provider: Some(Provider::Native), ..Options::new(name, tier) };
    if tier == Tier::Controllers {
        // Pods do not run there: these listen in their place, so that servers speak MCP and become Ready.
        runtime.block_on(doubles::start())?;
        options.pod_address = Some(doubles::address());
    }
    let cluster = Arc::new(runtime.block_on(own::up(options))?);
    let fixture = Arc::new(runtime.block_on(prepare(cluster.clone()))?);
    let code = run_trials(&runtime, &fixture, tests, arguments);
    drop(fixture);
    // What the fixture started ends on the runtime; the cluster goes with its last owner.
    drop(cluster);
    Ok(code)
}

fn run_trials<T>(runtime: &Arc<Runtime>, fixture: &Arc<T>, tests: &[Test<T>], arguments: &Arguments) -> ExitCode
where
    T: Send + Sync + 'static,
{
    let trial = |(name, test): &Test<T>| {
        let (test, runtime, fixture) = (*test, runtime.clone(), fixture.clone());
        Trial::test(*name, move || runtime.block_on(test(&fixture)).map_err(|error| Failed::from(format!("{error:#}"))))
    };
    libtest_mimic::run(arguments, tests.iter().map(trial).collect()).exit_code()
}

/// Waits until something that happens by itself has happened; fails with what was seen last.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    look: impl AsyncFn() -> Result<Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let seen = match look().await.with_context(|| format!("look whether {what}"))? {
            Ok(done) => return Ok(done),
            Err(seen) => seen,
        };
        if Instant::now() >= deadline {
            bail!("within {} s it did not come to be that {what}; seen last: {seen}", limit.as_secs_f32());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Where cargo put the binaries: beside `mcp-e2e`.
#[must_use]
pub fn bin_dir(own_binary: &str) -> PathBuf {
    PathBuf::from(own_binary).parent().map(PathBuf::from).unwrap_or_default()
}
