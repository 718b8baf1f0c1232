//! Wires everything, and decides the order of start and stop.

use std::sync::Arc;

use anyhow::Context as _;
use kube::{Config, client::ClientBuilder};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::{
    admin,
    context::Context,
    controller::{self, backoff::Backoff, watches},
    desired::Defaults,
    metrics::Metrics,
    observe::Recent,
    settings::Settings,
};

/// Runs the operator until SIGTERM or SIGINT.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let config = Config::infer().await.context(
        "no cluster to talk to: inside a cluster a ServiceAccount is needed, outside a kubeconfig (set KUBECONFIG, or try `kubectl config current-context`)",
    )?;
    info!(version = env!("CARGO_PKG_VERSION"), cluster = %config.cluster_url, servers_image = settings.servers_image, "starting");
    let metrics = Arc::new(Metrics::default());
    let requests = metrics.requests.layer(config.cluster_url.authority().map_or("", |host| host.as_str()));
    let client = ClientBuilder::try_from(config).context("cannot make a client from the cluster's configuration")?;
    let client = client.with_layer(&requests).build();
    let (watches, stores, listed) = watches::open(&client, &metrics);
    let context = Arc::new(Context {
        client,
        stores,
        listed: listed.clone(),
        defaults: Defaults { servers_image: settings.servers_image, cluster_domain: settings.cluster_domain },
        recent: Recent::default(),
        backoff: Backoff::default(),
        metrics: metrics.clone(),
    });
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
            _ = tokio::signal::ctrl_c() => info!("SIGINT: finishing what is under way"),
        }
    };
    tokio::select! {
        ended = admin::serve(settings.admin_listen, listed, metrics) => ended,
        () = controller::run(watches, context, settings.concurrency, stop) => Ok(()),
    }
}
