//! Wires everything, and decides the order of start and stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::FutureExt;
use kube::Config;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    admin::{self, Health},
    client,
    context::Context,
    controller::{self, agent::Agent, backoff::Backoff, pace::Pace, sweep, watches},
    debug::{self, Debug},
    desired::Defaults,
    events::Events,
    identity::{cached::Cached, eks::Eks, tend::Tending},
    keeper::Keeper,
    leader::{self, Leadership, elect::Elector, fence},
    listed::Listed,
    metrics::Metrics,
    observe::Recent,
    probe::Probes,
    progress::Progress,
    settings::Settings,
    telemetry::Logs,
};

/// Longest wait, after SIGTERM, for reconciles under way.
const FINISH: Duration = Duration::from_secs(10);
/// Longest wait for the Lease to be released.
const RELEASE: Duration = Duration::from_secs(3);

/// Runs the operator until SIGTERM or SIGINT.
///
/// Order of stop: no new reconcile, those under way finish, the Lease is released, the process ends.
pub async fn run(settings: Settings, logs: Logs) -> anyhow::Result<()> {
    let started = Instant::now();
    let config = Config::infer().await.context(
        "no cluster to talk to: inside a cluster a ServiceAccount is needed, outside a kubeconfig (set KUBECONFIG, or try `kubectl config current-context`)",
    )?;
    let identity = leader::identity();
    info!(version = env!("CARGO_PKG_VERSION"), cluster = %config.cluster_url, servers_image = settings.servers_image, identity, "starting");
    let lease_namespace = settings.leader_elect_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let closed_at_first = fence::Fence::closed(fence::since_boot);
    let fence = if settings.leader_elect { closed_at_first } else { fence::Fence::open(fence::since_boot) };
    let metrics = Arc::new(Metrics::default());
    let client = client::connect(config, &identity, &fence, &metrics)?;
    let namespaces = watches::Namespaces {
        watched: settings.watch_namespace.clone(),
        home: settings.namespace.clone(),
        rolled: settings.roll_on_secrets.clone(),
    };
    let (watches, stores, listed) = watches::open(&client, &namespaces, &metrics);
    let election = settings.leader_elect.then(|| {
        let name = &settings.leader_elect_name;
        campaign(Elector::new(client.clone(), &lease_namespace, name, identity, fence), listed.clone())
    });
    let (leadership, mut election) = election.unzip();
    let leadership = leadership.unwrap_or_else(Leadership::without_election);
    let progress = Progress::default();
    tokio::spawn(progress.clone().beat());
    let health = Health {
        listed: listed.clone(),
        leadership: leadership.clone(),
        progress: progress.clone(),
        queue: metrics.queue.clone(),
    };
    let identity = match &settings.eks.cluster_name {
        Some(cluster) => {
            let settle = Duration::from_secs(settings.eks.identity_settle_seconds);
            let eks = Cached::new(Eks::new(cluster, &settings.eks, None).await, settle);
            Some(Tending::new(cluster, Box::new(eks), settle))
        }
        None => None,
    };
    let context = Arc::new(Context {
        keeper: Keeper::new(client.clone(), &settings.namespace, watches.secret_store.clone()),
        events: Events::new(client.clone(), metrics.clone()),
        client,
        stores,
        leadership: leadership.clone(),
        defaults: Defaults {
            servers_image: settings.servers_image.clone(),
            cluster_domain: settings.cluster_domain.clone(),
            operator_namespace: settings.namespace.clone(),
            balancers: settings.balancers.balancers(),
        },
        progress,
        recent: Recent::default(),
        pace: Pace::default(),
        backoff: Backoff::default(),
        metrics: metrics.clone(),
        identity,
        agent: Agent::default(),
        probes: Probes::new(settings.probe, metrics.clone()),
    });
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
            _ = tokio::signal::ctrl_c() => info!("SIGINT: finishing what is under way"),
        }
    };
    let (admin_listen, concurrency, lease) =
        (settings.admin_listen, settings.concurrency, settings.leader_elect_name.clone());
    let servers = watches.server_store.clone();
    let sweep = {
        let (context, servers, listed) = (context.clone(), servers.clone(), listed.clone());
        let namespace = settings.watch_namespace.clone();
        async move { sweep::run(&context, &servers, namespace.as_deref(), listed).await }
    };
    let debug = debug::routes(Debug { context: context.clone(), listed, servers, settings, logs, started });
    let stop = stop.boxed().shared();
    let bound = stop.clone().then(|()| sleep(FINISH));
    tokio::select! {
        ended = admin::serve(admin_listen, health, metrics.clone(), debug) => return ended,
        () = count_terms(&metrics, &lease, &leadership) => anyhow::bail!("nobody tells who leads any more: this is a bug, please report it with the log"),
        () = ended(election.as_mut()) => anyhow::bail!("the election ended by itself: this is a bug, please report it with the log"),
        () = sweep => anyhow::bail!("the sweep of associations ended by itself: this is a bug, please report it with the log"),
        () = controller::run(watches, context, concurrency, stop) => {}
        () = bound => warn!(after_seconds = FINISH.as_secs(), "reconciles under way are cut off"),
    }
    if let Some(election) = election {
        let _ = election.stop.send(());
        let _ = timeout(RELEASE, election.task).await;
    }
    Ok(())
}

/// Keeps the metric that says who leads.
async fn count_terms(metrics: &Metrics, lease: &str, leadership: &Leadership) {
    let mut state = leadership.changes();
    loop {
        let leads = *state.borrow_and_update() == leader::State::Leading;
        metrics.leads(lease, leads);
        if state.changed().await.is_err() {
            // Without an election nothing ever changes.
            std::future::pending::<()>().await;
        }
    }
}

/// An election under way.
struct Election {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Campaigns on a task of its own, so that busy reconciles never delay a renewal. Begins when everything is listed: who
/// sees nothing should not lead.
fn campaign((elector, leadership): (Elector, Leadership), listed: Listed) -> (Leadership, Election) {
    let (stop, stopped) = oneshot::channel();
    let mut stopped = stopped.map(drop);
    let task = tokio::spawn(async move {
        tokio::select! {
            () = &mut stopped => {}
            () = listed.all() => elector.run(stopped).await,
        }
    });
    (leadership, Election { stop, task })
}

/// Resolves if an election ends though nobody stopped it.
async fn ended(election: Option<&mut Election>) {
    match election {
        Some(election) => drop((&mut election.task).await),
        None => std::future::pending().await,
    }
}
