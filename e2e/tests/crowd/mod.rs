//! Many servers: what the operator writes when there is nothing to do, at rest and when it starts.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::ListParams;
use mcp_e2e::{
    audit::{Event, Mark},
    install::OPERATOR_USER,
    suite::{self, objects::conditions, operator::OperatorProcess},
};
use serde_json::json;

use crate::Fixture;

const SERVERS: u32 = 200;
/// Time for all of them to become Ready on a busy machine.
const READY: Duration = Duration::from_mins(5);
/// Longer than the operator holds back a step while a crowd starts.
const HELD: Duration = Duration::from_secs(35);
/// The window in which nothing may be written.
const REST: Duration = Duration::from_secs(15);

pub(crate) async fn rests(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("crowd").await?;
    // Every kind of child, and every other one with a pod that makes no budget.
    let spec = |number: u32| {
        json!({
            "server": {"filesystem": {"roots": [{"name": "data", "volume": "data"}]}},
            "volumes": [{"name": "data", "emptyDir": {}}],
            "replicas": 1 + number % 2,
        })
    };
    let make = async |number: u32| space.apply(&format!("server-{number}"), spec(number)).await.map(drop);
    stream::iter(0..SERVERS).map(&make).buffer_unordered(16).try_collect::<()>().await?;
    suite::eventually(&format!("all {SERVERS} servers are Ready and at rest"), READY, async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut busy = BTreeMap::new();
        for server in space.servers().list(&ListParams::default()).await? {
            let found = conditions(&server);
            let ready = found.iter().any(|(condition, _)| condition == "Ready=True/Serving");
            if !ready || found.iter().any(|(condition, _)| condition.starts_with("Reconciling")) {
                busy.insert(server.metadata.name.unwrap_or_default(), found);
            }
        }
        let some = busy.iter().next().map(|(name, found)| format!("{} are not, such as {name}: {found:?}", busy.len()));
        Ok(some.map_or(Ok(()), Err))
    })
    .await?;
    tokio::time::sleep(HELD).await;

    let mark = fixture.cluster.audit_log().mark()?;
    tokio::time::sleep(REST).await;
    let at_rest = writes(fixture, mark)?;
    ensure!(at_rest.is_empty(), "at rest: {at_rest:?}");

    let mut operator = fixture.operator.lock().await;
    let mark = fixture.cluster.audit_log().mark()?;
    operator.restart().await?;
    suite::eventually("the new operator has looked at every server", READY, async || {
        let looked = reconciles(&operator).await?;
        Ok(if looked >= SERVERS { Ok(()) } else { Err(format!("{looked} reconciles")) })
    })
    .await?;
    tokio::time::sleep(REST).await;
    let restarted = writes(fixture, mark)?;
    ensure!(restarted.is_empty(), "after a restart: {restarted:?}");
    Ok(())
}

/// What the operator wrote since a mark in the audit log, in words.
fn writes(fixture: &Fixture, mark: Mark) -> Result<Vec<String>> {
    let events = fixture.cluster.audit_log().since(mark)?;
    let ours = |event: &&Event| event.user == OPERATOR_USER && event.is_write() && !event.is_housekeeping();
    let words = |event: &Event| format!("{} {}/{} {}", event.verb, event.resource, event.subresource, event.name);
    Ok(events.iter().filter(ours).map(words).collect())
}

/// Reconciles of this process that ended well.
async fn reconciles(operator: &OperatorProcess) -> Result<u32> {
    let (_, text) = operator.health("metrics").await?;
    let ended_well = |line: &&str| {
        line.starts_with("controller_runtime_reconcile_total{")
            && ["result=\"success\"", "result=\"requeue_after\""].iter().any(|result| line.contains(result))
    };
    let mut count = 0;
    for line in text.lines().filter(ended_well) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        count += value.parse::<u32>().with_context(|| format!("no number: {line}"))?;
    }
    Ok(count)
}
