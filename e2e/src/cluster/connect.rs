//! Clients for a local cluster, and waiting for its API server.
//!
//! In: a kubeconfig file. Out: a client that gives up in time. The client library retries by itself for long, so
//! every call here has a deadline of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

const ONE_CALL: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(50);

/// A client with the credentials in `kubeconfig`.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let what = || format!("use the kubeconfig {}", kubeconfig.display());
    let parsed = Kubeconfig::read_from(kubeconfig).with_context(what)?;
    let mut config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.with_context(what)?;
    // A proxy of the environment cannot reach a cluster of this machine.
    config.proxy_url = None;
    Client::try_from(config).with_context(what)
}

/// Asks the API server once whether it is ready.
pub async fn is_ready(client: &Client) -> Result<()> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    match tokio::time::timeout(ONE_CALL, client.request_text(request)).await {
        Ok(answer) => answer.map(drop).context("the API server is not ready"),
        Err(_) => bail!("the API server did not answer within {} s", ONE_CALL.as_secs()),
    }
}

/// Asks until it is. Never gives up: the caller has the deadline.
pub async fn until_ready(kubeconfig: &Path) -> Result<()> {
    let client = client(kubeconfig).await?;
    while is_ready(&client).await.is_err() {
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}
