//! Speaks MCP to every pod that gets traffic and to the Service, after each rollout and again at intervals.
//!
//! In: the targets of a server, from the reconcile. Out: a [`Report`] at once, of what is known; what is not known or
//! too old is asked beside the reconcile, which is woken when the answer is news. Nothing is written here, and nothing
//! is kept but the last answer of each target: after a restart everybody is asked once.

pub mod client;
pub mod heard;
pub mod judge;
pub mod outcome;
pub mod schedule;
pub mod target;
pub mod token;
mod wire;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, Stream, future::BoxFuture, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use mcp_crds::McpServer;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tracing::debug;

use crate::{metrics::Metrics, vocabulary::ConditionType};

use self::{
    heard::{End, Endpoint, Heard, Trouble},
    judge::judge,
    outcome::Outcome,
    schedule::{Known, Targeted},
    target::{Target, Targets, targets},
    token::{Key, Token},
};
pub use self::{outcome::Spoken, schedule::Report};

/// Probes at the same time: what they hold in memory is bounded by it.
const AT_ONCE: usize = 32;
/// Answers that nobody has taken notice of yet.
const NEWS: usize = 1024;
/// Intervals after which a server that nobody asks about is forgotten.
const FORGET: u32 = 3;

/// How probes go.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// Time between two MCP probes of a server that answers, such as 90s or 5m.
    #[arg(id = "probe-interval", long, env = "MCP_EKS_PROBE_INTERVAL", default_value = "5m", value_parser = interval)]
    pub interval: Duration,
    /// Address at which every Service is reached, instead of by its DNS name: for an operator outside the cluster.
    #[arg(long, env = "MCP_EKS_SERVICE_ADDRESS")]
    pub service_address: Option<IpAddr>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time from 1s to 24h, such as 90s or 5m, found {text:?}");
    let interval: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
    let interval = interval.unsigned_abs();
    let allowed = Duration::from_secs(1)..=Duration::from_hours(24);
    if allowed.contains(&interval) && !text.starts_with('-') { Ok(interval) } else { Err(expected()) }
}

/// Who does the asking; another one in tests.
pub type Ask = fn(Endpoint, Option<Token>) -> BoxFuture<'static, Heard>;

/// What is known of every server, and who is being asked.
#[derive(Debug)]
pub struct Probes {
    settings: Settings,
    ask: Ask,
    servers: Mutex<Servers>,
    metrics: Arc<Metrics>,
    permits: Semaphore,
    news: mpsc::Sender<ObjectRef<McpServer>>,
    heard: tokio::sync::Mutex<mpsc::Receiver<ObjectRef<McpServer>>>,
}

#[derive(Debug, Default)]
struct Servers {
    by_uid: HashMap<String, Server>,
    /// When the last deleted server was looked for.
    swept: Option<Instant>,
}

impl Servers {
    /// Forgets whose reconcile asks no more: it is deleted.
    fn forget(&mut self, now: Instant, interval: Duration) {
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) > interval) {
            self.by_uid.retain(|_, server| now.saturating_duration_since(server.asked) < interval * FORGET);
            self.swept = Some(now);
        }
    }
}

#[derive(Debug)]
struct Server {
    targets: Targeted,
    /// When its reconcile asked last.
    asked: Instant,
}

impl Probes {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Arc<Self> {
        let ask: Ask = |endpoint, token| async move { client::ask(&endpoint, token).await }.boxed();
        Self::with(settings, metrics, ask)
    }

    /// The same, with somebody else to do the asking.
    #[must_use]
    pub fn with(settings: Settings, metrics: Arc<Metrics>, ask: Ask) -> Arc<Self> {
        let (news, heard) = mpsc::channel(NEWS);
        Arc::new(Self {
            settings,
            ask,
            servers: Mutex::default(),
            metrics,
            permits: Semaphore::new(AT_ONCE),
            news,
            heard: tokio::sync::Mutex::new(heard),
        })
    }

    /// Servers of which there is news.
    pub fn news(self: &Arc<Self>) -> impl Stream<Item = ObjectRef<McpServer>> + Send + 'static {
        stream::unfold(self.clone(), |probes| async move {
            let server = probes.heard.lock().await.recv().await?;
            Some((server, probes))
        })
    }

    /// What is known of a server at this URL with these pods, and when to ask again. Sends for what is missing, with a
    /// token of this key for each who is asked.
    pub fn report(
        self: &Arc<Self>,
        server: &McpServer,
        url: Option<&str>,
        pods: &[Arc<Pod>],
        key: Option<&Arc<Key>>,
    ) -> (Report, Option<Duration>) {
        let uid = server.uid().unwrap_or_default();
        let now = Instant::now();
        let interval = jittered(self.settings.interval, &uid);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.forget(now, self.settings.interval);
        let Some(targets) = url.and_then(|url| targets(url, pods, self.settings.service_address)) else {
            servers.by_uid.remove(&uid);
            return (Report::Nobody, None);
        };
        let first_seen = || {
            let targets = targets.pods.iter().chain([&targets.service]);
            let known = Known::from_status(is_verified(server));
            Server { targets: targets.map(|target| (target.clone(), known.clone())).collect(), asked: now }
        };
        let known = servers.by_uid.entry(uid.clone()).or_insert_with(first_seen);
        known.asked = now;
        let (due, again) = begin(&targets, &mut known.targets, now, interval);
        let report = schedule::report(&targets, &known.targets);
        drop(servers);
        for target in due {
            tokio::spawn(self.clone().probe(ObjectRef::from_obj(server), uid.clone(), target, key.cloned()));
        }
        (report, again)
    }

    /// Asks one target, and tells who is concerned.
    async fn probe(self: Arc<Self>, server: ObjectRef<McpServer>, uid: String, target: Target, key: Option<Arc<Key>>) {
        let (started, heard) = {
            let Ok(_permit) = self.permits.acquire().await else { return };
            let started = Instant::now();
            // Signed now: who waited for a permit has one that is fresh.
            let token = key.and_then(|key| key.token(&target.endpoint.host));
            (started, AssertUnwindSafe((self.ask)(target.endpoint.clone(), token)).catch_unwind().await)
        };
        let outcome = judge(&target.endpoint, heard.unwrap_or_else(|_| panicked()));
        debug!(%server, target = target.name, outcome = outcome.as_str(), "probed");
        self.metrics.probed(target.kind, outcome.as_str(), started.elapsed());
        if self.heard(&uid, &target, outcome) {
            // The receiver lives as long as this.
            let _ = self.news.send(server).await;
        }
    }

    /// Keeps an answer, if the target is still one. Returns whether it concerns anybody.
    fn heard(&self, uid: &str, target: &Target, mut outcome: Outcome) -> bool {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = servers.by_uid.get_mut(uid) else { return false };
        // Pods of one server mostly say the same: it is kept once.
        if let Some(same) = server.targets.values().filter_map(Known::news).find(|news| **news == outcome) {
            outcome = same.clone();
        }
        server.targets.get_mut(target).is_some_and(|known| known.heard(outcome, Instant::now()))
    }
}

/// Whether everybody spoke, as far as the status tells.
fn is_verified(server: &McpServer) -> bool {
    let conditions = server.status.iter().flat_map(|status| &status.conditions);
    let verified = ConditionType::Verified.as_str();
    conditions.filter(|condition| condition.type_ == verified).any(|condition| condition.status == "True")
}

/// Marks who is due as being asked, forgets who is no target. Returns them, and when to look again.
fn begin(targets: &Targets, known: &mut Targeted, now: Instant, interval: Duration) -> (Vec<Target>, Option<Duration>) {
    known.retain(|target, _| *target == targets.service || targets.pods.contains(target));
    let service = schedule::pods_spoke(targets, known).then_some(&targets.service);
    let mut due = Vec::new();
    let mut again: Option<Duration> = None;
    for target in targets.pods.iter().chain(service) {
        let entry = known.entry(target.clone()).or_default();
        let wait = match entry.due(now, interval) {
            Some(Duration::ZERO) => {
                entry.begin(now);
                due.push(target.clone());
                // An answer that is no news wakes nobody.
                interval
            }
            Some(wait) => wait,
            None => interval,
        };
        again = Some(again.map_or(wait, |again| again.min(wait)));
    }
    (due, again)
}

/// Between 90 and 110 per cent, by uid, so that servers are not asked in step.
fn jittered(interval: Duration, uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    interval.mul_f64(0.9 + f64::from(u8::try_from(hasher.finish() % 21).unwrap_or(0)) / 100.0)
}

fn panicked() -> Heard {
    let trouble = Trouble::Broken("the operator's client panics, which is a bug of the operator".to_owned());
    Heard { end: End::Trouble(trouble), asked: "", last: None, host_matters: false, shown: false }
}
