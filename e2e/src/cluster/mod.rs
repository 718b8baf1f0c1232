//! A local Kubernetes cluster: started, used, ended.
//!
//! In: [`Options`]. Out: a [`Cluster`], which is ended when dropped unless it is told to [`Cluster::keep`]. Two
//! providers stand behind it; nothing outside this module knows which one is at work.

pub mod addons;
pub mod connect;
mod health;
pub mod kind;
pub(crate) mod native;
pub mod process;
pub mod slot;
pub mod state;
mod watch;

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result, bail};
use kube::Client;

use self::health::Health;
pub use self::state::{Provider, State, Tier};
pub use self::watch::Lost;
use crate::audit;
use crate::cache::Cache;
use crate::image;
use crate::progress::Progress;

/// The cluster that commands mean when they name none; `make up` uses it.
pub const DEFAULT_NAME: &str = "mcp-eks";

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name: a DNS label of at most 30 characters.
    pub name: String,
    /// How much of it.
    pub tier: Tier,
    /// By whom; none means kind where it works, else native.
    pub provider: Option<Provider>,
    /// Where the `mcp-e2e` binary is; none means that this process is it. In tests:
    /// `Some(env!("CARGO_BIN_EXE_mcp-e2e").into())`.
    pub own_binary: Option<PathBuf>,
    /// Tier controllers: the one address all fake pods report, such as that of a real listener. None gives each
    /// pod an address of its own, where nobody listens.
    pub pod_address: Option<Ipv4Addr>,
}

impl Options {
    /// A cluster of this name and tier, everything else by default.
    #[must_use]
    pub fn new(name: impl Into<String>, tier: Tier) -> Self {
        Self { name: name.into(), tier, provider: None, own_binary: None, pod_address: None }
    }
}

/// A running cluster.
pub struct Cluster {
    state: State,
    dir: PathBuf,
    client: Client,
    /// The supervisor's parent, whose standard input is the lease: when we die, the cluster ends too.
    lease: Option<Child>,
    owned: bool,
    found: bool,
}

impl Cluster {
    /// Starts a cluster, or finds the healthy one of that name and tier. What is left of a dead one is removed first;
    /// one that runs and does not answer is left alone, and is an error.
    pub async fn up(options: Options) -> Result<Self> {
        Self::up_in(&Cache::from_env()?, options, Progress::start()).await
    }

    /// As [`Cluster::up`], with a cache and a stopwatch given.
    pub async fn up_in(cache: &Cache, options: Options, progress: Progress) -> Result<Self> {
        check_name(&options.name)?;
        let name = options.name.as_str();
        let provider = match options.provider {
            Some(provider) => provider,
            None => default_provider(options.tier).await,
        };
        if provider == Provider::Native {
            native::check_rights()?;
        }
        let _lock = lock(cache, name, progress).await?;
        let dir = directory(cache, name);
        if let Some(state) = State::load(&dir)? {
            match health::examine(&state, &dir, health::PATIENCE, progress).await? {
                Health::Well => return Self::found(state, dir, &options).await,
                Health::Gone(reason) => {
                    progress.say(format_args!("an earlier cluster {name} is no longer usable ({reason}): removing it"));
                    sweep(&state, name, &dir)?;
                }
            }
        } else {
            native::sweep(name, &dir)?;
        }
        progress.say(format_args!("starting cluster {name} (provider {provider}, tier {})", options.tier));
        let sweeper = Sweeper { name, dir: &dir, provider, armed: true };
        let cluster = match provider {
            Provider::Native => Self::up_native(cache, &options, &dir, progress).await,
            Provider::Kind => Self::up_kind(cache, &options, &dir, progress).await,
        };
        match cluster {
            Ok(cluster) => {
                sweeper.disarm();
                Ok(cluster)
            }
            Err(error) => {
                let kept = keep_logs(cache, name, &dir);
                Err(error.context(format!("cluster {name} could not be started; it was removed again{kept}")))
            }
        }
    }

    async fn up_native(cache: &Cache, options: &Options, dir: &Path, progress: Progress) -> Result<Self> {
        let own_binary = own_binary(options.own_binary.as_deref())?;
        let wanted = native::Wanted {
            name: &options.name,
            tier: options.tier,
            dir,
            cache,
            own_binary: &own_binary,
            pod_address: options.pod_address,
            progress,
        };
        let started = native::start(&wanted).await?;
        let native::Started { state, client, child } = started;
        Ok(Self { state, dir: dir.to_owned(), client, lease: Some(child), owned: true, found: false })
    }

    async fn up_kind(cache: &Cache, options: &Options, dir: &Path, progress: Progress) -> Result<Self> {
        let state = kind::start(cache, &options.name, options.tier, dir, progress).await?;
        let client = connect::client(&dir.join("kubeconfig")).await?;
        Ok(Self { state, dir: dir.to_owned(), client, lease: None, owned: true, found: false })
    }

    async fn found(state: State, dir: PathBuf, options: &Options) -> Result<Self> {
        let name = &state.name;
        if state.tier != options.tier || options.provider.is_some_and(|provider| provider != state.provider) {
            bail!(
                "cluster {name} already runs with provider {} and tier {}, not as asked: end it first (`cluster down \
                 --name {name}`), or use another --name",
                state.provider,
                state.tier
            );
        }
        let client = connect::client(&dir.join("kubeconfig")).await?;
        Ok(Self { state, dir, client, lease: None, owned: false, found: true })
    }

    /// The running cluster of that name; fails when there is none, and says how to start it.
    pub async fn open(cache: &Cache, name: &str) -> Result<Self> {
        let (state, dir) = recorded(cache, name)?;
        check_runs(&state)?;
        check(&state, &dir).await.with_context(|| format!("cluster {name} is recorded, but not usable"))?;
        let client = connect::client(&dir.join("kubeconfig")).await?;
        Ok(Self { state, dir, client, lease: None, owned: false, found: true })
    }

    /// True when [`Cluster::up`] found it running already.
    #[must_use]
    pub fn was_found(&self) -> bool {
        self.found
    }

    /// The record.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A kubeconfig with all rights, everything embedded.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The API server's audit log.
    #[must_use]
    pub fn audit_log(&self) -> audit::Log {
        audit::Log::new(audit_log_path(&self.dir))
    }

    /// The first process of a native cluster's node, whose namespaces are the node's.
    #[must_use]
    pub fn node(&self) -> Option<i32> {
        self.state.supervisor.as_ref()?.children().first().map(|child| child.pid)
    }

    /// Where everything of it lies; goes with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// Makes the image in an archive available to pods (`imagePullPolicy: Never` or `IfNotPresent`).
    pub async fn load(&self, archive: &Path) -> Result<()> {
        image::check_archive(archive)?;
        let State { name, tier, .. } = &self.state;
        if *tier != Tier::Node {
            bail!("cluster {name} has tier {tier}, where no container runs: images can be loaded into tier node only");
        }
        match self.state.provider {
            Provider::Kind => kind::load(name, archive).await,
            Provider::Native => {
                let first = self.node();
                let first = first.with_context(|| format!("the node of cluster {name} is gone: `cluster up` again"))?;
                native::import(first, archive, native::snapshotter(&self.dir)).await
            }
        }
    }

    /// Ends it and removes all of it.
    pub async fn down(mut self) -> Result<()> {
        self.owned = false;
        let cache = Cache::at(self.dir.ancestors().nth(2).unwrap_or(&self.dir).to_owned());
        let done = down(&cache, &self.state.name, Progress::start()).await.map(drop);
        self.bury();
        done
    }

    /// Lets it run on after this process. Fails when it is gone already.
    pub async fn keep(mut self) -> Result<()> {
        self.owned = false;
        let Some(mut pipe) = self.lease.as_mut().and_then(|child| child.stdin.take()) else { return Ok(()) };
        let told = pipe.write_all(b"k").context("tell the supervisor to stay");
        if told.is_err() && self.lost().is_some() {
            let how = self.how().await;
            self.bury();
            bail!("cluster {}: {how}", self.state.name);
        }
        told
    }

    /// Gives up one that was lost. What is left of a removed one goes now; that of a broken one stays to be looked at.
    pub fn leave(mut self, how: Lost) {
        if how == Lost::Ended {
            self.owned = false;
            self.bury();
        }
    }

    /// Collects the exit of a supervisor that was ended, so that no zombie stays while we live.
    fn bury(&mut self) {
        if let Some(mut child) = self.lease.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        // Somebody has removed it and put another one in its place, which is not ours to end.
        if State::load(&self.dir)
            .is_ok_and(|found| found.is_some_and(|found| found.supervisor != self.state.supervisor))
        {
            return;
        }
        if let Err(error) = sweep(&self.state, &self.state.name, &self.dir) {
            eprintln!("cluster {} could not be removed: {error:#}", self.state.name);
        }
        self.bury();
    }
}

/// Installs and builds what a native cluster of a tier needs, without starting one: minutes the first time, then nothing.
pub async fn provide(cache: &Cache, tier: Tier) -> Result<()> {
    native::provide(cache, tier, Progress::start()).await.map(drop)
}

/// Ends the cluster `name` and removes all of it. False when there was none.
pub async fn down(cache: &Cache, name: &str, progress: Progress) -> Result<bool> {
    check_name(name)?;
    let _lock = lock(cache, name, progress).await?;
    let dir = directory(cache, name);
    let existed = dir.exists();
    match State::load(&dir).unwrap_or_default() {
        Some(state) => sweep(&state, name, &dir)?,
        None => native::sweep(name, &dir)?,
    }
    Ok(existed)
}

/// The record and the directory of a cluster, whether it is healthy or not.
pub fn recorded(cache: &Cache, name: &str) -> Result<(State, PathBuf)> {
    check_name(name)?;
    let dir = directory(cache, name);
    let state = State::load(&dir)?;
    let state = state.with_context(|| {
        let others = names(cache);
        let others = if others.is_empty() {
            "no cluster is running".to_owned()
        } else {
            format!("there is {}", others.join(", "))
        };
        format!("there is no cluster {name} ({others}): start it with `{}`", start_command(name, Tier::Node))
    })?;
    Ok((state, dir))
}

/// Fails when nothing of a recorded cluster runs any more, and says what brings it back.
pub fn check_runs(state: &State) -> Result<()> {
    let State { name, tier, supervisor, .. } = state;
    if state.provider == Provider::Native && !supervisor.as_ref().is_some_and(process::Identity::is_alive) {
        let start = start_command(name, *tier);
        bail!("cluster {name} is not running, its supervisor is not there: `{start}` starts a new one in its place");
    }
    Ok(())
}

/// What a person types to start a cluster.
fn start_command(name: &str, tier: Tier) -> String {
    match tier {
        Tier::Node if name == DEFAULT_NAME => "make up".to_owned(),
        Tier::Node => format!("cargo xtask cluster up --name {name}"),
        Tier::Api | Tier::Controllers => format!("cargo xtask cluster up --name {name} --tier {tier}"),
    }
}

/// The names of all recorded clusters.
#[must_use]
pub fn names(cache: &Cache) -> Vec<String> {
    let entries = std::fs::read_dir(cache.clusters()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Fails, with what is wrong, unless the recorded cluster works.
pub async fn check(state: &State, dir: &Path) -> Result<()> {
    match state.provider {
        Provider::Native => native::check(state, dir).await,
        Provider::Kind => kind::check(state, dir).await,
    }
}

/// Where the API server's audit log of a cluster in `dir` is.
#[must_use]
pub fn audit_log_path(dir: &Path) -> PathBuf {
    dir.join("audit/audit.log")
}

fn directory(cache: &Cache, name: &str) -> PathBuf {
    cache.clusters().join(name)
}

async fn lock(cache: &Cache, name: &str, progress: Progress) -> Result<crate::cache::Lock> {
    let (cache, name) = (cache.clone(), format!("cluster-{name}"));
    tokio::task::spawn_blocking(move || cache.lock(&name, progress)).await?
}

fn sweep(state: &State, name: &str, dir: &Path) -> Result<()> {
    if state.provider == Provider::Kind {
        kind::delete(name)?;
    }
    native::sweep(name, dir)
}

async fn default_provider(tier: Tier) -> Provider {
    if tier == Tier::Node && kind::is_usable().await { Provider::Kind } else { Provider::Native }
}

fn own_binary(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let own = std::env::current_exe().context("find the path of this program")?;
    if own.file_stem().is_some_and(|stem| stem == "mcp-e2e") {
        return Ok(own);
    }
    bail!(
        "{} is not the mcp-e2e program, which a cluster's supervisor runs from: set Options::own_binary to its path",
        own.display()
    )
}

fn check_name(name: &str) -> Result<()> {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if name.is_empty() || name.len() > 30 || !letters || name.starts_with('-') || name.ends_with('-') {
        bail!("cluster name {name:?}: expected 1 to 30 lower-case letters, digits and dashes, with no dash at an end");
    }
    Ok(())
}

/// Saves what the components said, since the directory goes.
fn keep_logs(cache: &Cache, name: &str, dir: &Path) -> String {
    let kept = cache.root().join("failed").join(name);
    let _ = std::fs::remove_dir_all(&kept);
    let moved =
        std::fs::create_dir_all(cache.root().join("failed")).and_then(|()| std::fs::rename(dir.join("logs"), &kept));
    if moved.is_ok() { format!(" (its logs are in {})", kept.display()) } else { String::new() }
}

/// Removes a cluster that does not come to be: after an error, and when the work is dropped half-way (Ctrl-C).
struct Sweeper<'a> {
    name: &'a str,
    dir: &'a Path,
    provider: Provider,
    armed: bool,
}

impl Sweeper<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Sweeper<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if self.provider == Provider::Kind {
            let _ = kind::delete(self.name);
        }
        if let Err(error) = native::sweep(self.name, self.dir) {
            eprintln!("cluster {} could not be removed: {error:#}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_dns_labels() {
        for good in ["a", "mcp-eks", "dev-1"] {
            check_name(good).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a b", &"x".repeat(31)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_cluster_that_never_was_is_down_already() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().to_owned());
        assert!(!down(&cache, "dev-never", Progress::start()).await.unwrap());
        let error = recorded(&cache, "dev-never").unwrap_err().to_string();
        assert!(error.contains("cluster up --name dev-never"), "{error}");
    }
}
