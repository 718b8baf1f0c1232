//! Waiting until something is ready, with a bound, and the reason when it is not.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Api, Client};
use mcp_crds::McpServer;
use tokio::time::{Instant, sleep};

use super::{OPERATOR, OPERATOR_NAMESPACE};
use crate::progress::Progress;

/// Longest wait for pods that start on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);
const PERIOD: Duration = Duration::from_millis(250);

/// Waits for the operator's Deployment: every pod new, and ready.
pub async fn operator(client: &Client, progress: Progress) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let what = format!("Deployment {OPERATOR}");
    wait(&what, progress, async || {
        let Some(deployment) = api.get_opt(OPERATOR).await? else {
            return Ok(Err("it is not there".to_owned()));
        };
        let status = deployment.status.unwrap_or_default();
        let wanted = deployment.spec.and_then(|spec| spec.replicas);
        let current = status.observed_generation == deployment.metadata.generation;
        let done = current && status.updated_replicas == wanted && status.available_replicas == wanted;
        Ok(if done && status.replicas == wanted { Ok(()) } else { Err("its pods are starting".to_owned()) })
    })
    .await
    .with_context(|| format!("the operator did not start: `kubectl -n {OPERATOR_NAMESPACE} describe pods` says why"))
}

/// Waits until an `McpServer` is Ready for its current spec. Returns it.
pub async fn server(client: &Client, namespace: &str, name: &str, progress: Progress) -> Result<McpServer> {
    let api: Api<McpServer> = Api::namespaced(client.clone(), namespace);
    wait(&format!("McpServer {name}"), progress, async || {
        let Some(server) = api.get_opt(name).await? else {
            return Ok(Err("it is not there".to_owned()));
        };
        let status = server.status.clone().unwrap_or_default();
        if status.observed_generation != server.metadata.generation {
            return Ok(Err("the operator has not seen it yet".to_owned()));
        }
        let find = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
        let say = |condition: &Condition| format!("{}: {}", condition.reason, condition.message);
        Ok(match (find("Stalled").or_else(|| find("Reconciling")), find("Ready")) {
            (Some(busy), _) => Err(say(busy)),
            (None, Some(ready)) if ready.status == "True" => Ok(server),
            (None, ready) => Err(ready.map_or_else(|| "no condition yet".to_owned(), say)),
        })
    })
    .await
}

/// Looks again until it is done, and says what it waits for whenever that changes.
async fn wait<T>(what: &str, progress: Progress, look: impl AsyncFn() -> Result<Result<T, String>>) -> Result<T> {
    let deadline = Instant::now() + LIMIT;
    let mut said = String::new();
    loop {
        let why = match look().await.with_context(|| format!("look at {what}"))? {
            Ok(done) => return Ok(done),
            Err(why) => why,
        };
        if Instant::now() >= deadline {
            bail!("{what} is not ready after {} s: {why}", LIMIT.as_secs());
        }
        if why != said {
            progress.say(format_args!("waiting for {what}: {why}"));
            said = why;
        }
        sleep(PERIOD).await;
    }
}
