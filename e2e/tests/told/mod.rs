//! What people are told when a spec or a name is wrong, in conditions and Events.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::events::v1::Event as K8sEvent;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use mcp_e2e::suite::{
    self, foreign,
    objects::{SOON, version},
};
use serde_json::json;

use crate::{Fixture, filesystem};

pub(crate) async fn name_conflict(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("name-conflict").await?;
    let service = json!({"metadata": {"name": "files"}, "spec": {"ports": [{"port": 80}]}});
    let foreign = space.services().create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    space.apply("files", filesystem()).await?;
    let message = space.condition("files", "Stalled=True/NameConflict", SOON).await?;
    ensure!(message.contains("has Service files already") && message.contains("rename the McpServer"), "{message}");
    let after = space.services().get("files").await?;
    ensure!(version(&after)? == version(&foreign)?, "the foreign Service was written");
    ensure!(!space.children("files").await?.contains(&"Deployment"), "half a server was made");
    // What the message says to do helps, though nothing tells the operator that it was done.
    space.services().delete("files", &DeleteParams::default()).await?;
    space.condition("files", "Accepted=True/Valid", Duration::from_secs(30)).await?;
    Ok(())
}

/// Each kind by itself: what is written before it is made, what comes after it is not.
pub(crate) async fn every_name(fixture: &Fixture) -> Result<()> {
    for resource in foreign::CHILDREN {
        let space = fixture.space(&format!("taken-{resource}")).await?;
        let theirs = foreign::create(&space, resource).await?;
        space.apply("files", filesystem()).await?;
        let message = space.condition("files", "Stalled=True/NameConflict", SOON).await?;
        let name = theirs.name_any();
        ensure!(message.contains(&format!(" {name} already")), "{resource}: {message}");
        let (api, _) = foreign::children(&space, resource)?;
        let now = api.get(&name).await?;
        ensure!(now == theirs, "{resource}: made {theirs:?}, and now it is {now:?}");
    }
    Ok(())
}

pub(crate) async fn invalid_edit(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("invalid-edit").await?;
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    let before = version(&space.deployments().get("files").await?)?;
    space.edit("files", json!({"server": {"filesystem": {"roots": [{"name": "data", "volume": "gone"}]}}})).await?;
    let message = space.condition("files", "Stalled=True/InvalidSpec", SOON).await?;
    ensure!(message.contains("roots[data].volume") && message.contains("\"gone\""), "{message}");
    ensure!(version(&space.deployments().get("files").await?)? == before, "the Deployment was written");
    space.edit("files", filesystem()).await?;
    space.condition("files", "Accepted=True/Valid", SOON).await?;
    Ok(())
}

pub(crate) async fn events(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("events").await?;
    let api: Api<K8sEvent> = Api::namespaced(space.client.clone(), &space.name);
    let missing = json!({"server": {"filesystem": {"roots": [{"name": "data", "volume": "gone"}]}}});
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    ensure!(api.list(&ListParams::default()).await?.items.is_empty(), "a server on its normal way is no news");
    for count in [1, 2] {
        space.edit("files", missing.clone()).await?;
        space.condition("files", "Stalled=True/InvalidSpec", SOON).await?;
        suite::eventually(&format!("InvalidSpec was said {count} times"), SOON, async || {
            let all = api.list(&ListParams::default()).await?.items;
            let said: Vec<_> = all.iter().filter(|event| event.reason.as_deref() == Some("InvalidSpec")).collect();
            for event in &said {
                ensure!(event.type_.as_deref() == Some("Warning"), "{event:?}");
                ensure!(event.note.as_ref().is_some_and(|note| note.contains("roots[data].volume")), "{event:?}");
            }
            Ok(if said.len() == count { Ok(()) } else { Err(format!("{all:?}")) })
        })
        .await?;
        space.edit("files", filesystem()).await?;
        space.condition("files", "Accepted=True/Valid", SOON).await?;
    }
    Ok(())
}
