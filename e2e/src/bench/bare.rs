//! The bare writer: makes every server, its children and one status by the requests that it takes at least, and nothing
//! else. It looks at nothing, waits for nothing, and corrects nothing.

use anyhow::{Context, Result};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;

use super::{
    Bench, NAMESPACE, Template, available, cluster, for_all,
    measure::{Phase, Usage},
};
use crate::{
    progress::Progress,
    suite::{objects::Space, operator::OperatorProcess},
};

/// Writes all of it on a cluster of its own.
pub(super) async fn run(bench: &Bench, template: &Template, progress: Progress) -> Result<Phase> {
    let cluster = cluster("bare", progress).await?;
    OperatorProcess::manifests(&cluster).await?;
    let space = Space::create(&cluster.client(), NAMESPACE).await?;
    let mark = cluster.audit_log().mark()?;
    let before = Usage::of(&cluster, None)?;
    for_all(bench, async |name| write(&space, template, &name).await.with_context(|| name.clone())).await?;
    progress.say("all is written: waiting for the pods");
    available(bench, &space).await?;
    let used = Usage::of(&cluster, None)?.since(&before);
    let phase = Phase::read(&cluster, mark, used)?;
    cluster.down().await?;
    Ok(phase)
}

async fn write(space: &Space, template: &Template, name: &str) -> Result<()> {
    let server = space.apply(name, template.spec.clone()).await?;
    let uid = server.uid().context("the API server gave no uid")?;
    let params = PatchParams::apply("bare").force();
    for (resource, object) in template.children(name, &uid)? {
        let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), NAMESPACE, resource);
        api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await?;
    }
    let status = json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": name, "uid": uid},
        "status": template.status(name)?,
    });
    space.servers().patch_status(name, &params, &Patch::Apply(&status)).await?;
    Ok(())
}
