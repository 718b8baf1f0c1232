//! Waiting until something is ready, with a bound, and the reason when it is not.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use mcp_crds::McpServer;
use tokio::time::{Instant, sleep};

use super::{OPERATOR, OPERATOR_NAMESPACE, unless_absent};
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
        if done && status.replicas == wanted {
            return Ok(Ok(()));
        }
        let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let mut troubles =
            pods.list(&ListParams::default()).await?.items.iter().filter_map(trouble).collect::<Vec<_>>();
        troubles.dedup();
        Ok(Err(if troubles.is_empty() { "its pods are starting".to_owned() } else { troubles.join("; ") }))
    })
    .await
    .context("the operator did not start")
}

/// Why a pod does not run, in the kubelet's words or the scheduler's.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unplaced = conditions.filter(|it| it.type_ == "PodScheduled" && it.status == "False");
    let container = status.container_statuses.iter().flatten().filter_map(|it| {
        let state = it.state.as_ref()?;
        let waiting = state.waiting.as_ref().map(|it| (it.reason.clone(), it.message.clone()));
        waiting.or_else(|| state.terminated.as_ref().map(|it| (it.reason.clone(), it.message.clone())))
    });
    // An evicted pod says so itself; the disk is full, for one.
    let own = (status.phase.as_deref() == Some("Failed")).then(|| (status.reason.clone(), status.message.clone()));
    let mut words = own.into_iter().chain(container).chain(unplaced.map(|it| (it.reason.clone(), it.message.clone())));
    let (reason, message) = words.find(|(reason, _)| reason.as_deref() != Some("ContainerCreating"))?;
    let said: Vec<_> = reason.into_iter().chain(message).collect();
    Some(format!("pod {}: {}", pod.name_any(), said.join(": ")))
}

/// Waits until an `McpServer` is Ready for its current spec. Returns it.
pub async fn server(client: &Client, namespace: &str, name: &str, progress: Progress) -> Result<McpServer> {
    let api: Api<McpServer> = Api::namespaced(client.clone(), namespace);
    wait(&format!("McpServer {name}"), progress, async || {
        let Some(server) = unless_absent(api.get(name).await)? else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_does_not_run_says_why() {
        let said = |status| {
            let pod = serde_json::json!({"metadata": {"name": "operator-1"}, "status": status});
            trouble(&serde_json::from_value(pod).unwrap())
        };
        let waits = |reason: &str| {
            let state = serde_json::json!({"waiting": {"reason": reason, "message": "why"}});
            let container = serde_json::json!({"name": "a", "image": "b", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            serde_json::json!({"phase": "Pending", "containerStatuses": [container]})
        };
        let full =
            serde_json::json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource"});
        let nowhere = serde_json::json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"},
        ]});
        assert_eq!(said(serde_json::json!({"phase": "Running"})), None);
        assert_eq!(said(waits("ContainerCreating")), None);
        assert_eq!(said(waits("CrashLoopBackOff")).unwrap(), "pod operator-1: CrashLoopBackOff: why");
        assert_eq!(said(full).unwrap(), "pod operator-1: Evicted: The node was low on resource");
        assert_eq!(said(nowhere).unwrap(), "pod operator-1: Unschedulable: 0/1 nodes");
    }
}
