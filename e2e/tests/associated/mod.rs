//! Servers with an identity, on a real API server: what the operator does there and at EKS, in which order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use mcp_aws_policy::{Scope, session};
use mcp_e2e::{
    audit::Mark,
    install::OPERATOR_USER,
    suite::{
        self, keda,
        objects::{self, SOON, Space, conditions},
    },
};
use mcp_operator::{
    identity::{Association, Associations, Class, Key, New},
    vocabulary::{FINALIZER, IDENTITY_HASH},
};
use serde_json::{Value, json};

use crate::{Fixture, grant, role};

/// Time in which an association is made, shown and settled.
const SETTLED: Duration = Duration::from_secs(30);
/// Time in which an operator that is at rest shows that it is.
const REST: Duration = Duration::from_secs(5);

fn server(name_of_role: &str) -> Value {
    json!({
        "className": "aws",
        "server": {"image": {"ref": "ghcr.io/acme/tools:1"}},
        "identity": {"roleArn": role(name_of_role)},
    })
}

/// A class for servers of these namespaces.
pub(crate) fn class(namespaces: &[&str]) -> Value {
    json!({
        "allowedNamespaces": {"names": namespaces},
        "identity": {"allowedRoleArns": [role("*")], "allowedRolePath": "/mcp/", "sessionPolicy": "Optional"},
        "images": {"allowedPrefixes": ["ghcr.io/acme/"]},
    })
}

/// The association of a server's ServiceAccount, all of it.
async fn association(fixture: &Fixture, space: &Space, name: &str) -> Result<Option<Association>> {
    let key = Key { namespace: space.name.clone(), service_account: name.to_owned() };
    let listed = fixture.eks.known(&key).await?;
    ensure!(listed.len() < 2, "{listed:?}");
    let Some(found) = listed.first() else { return Ok(None) };
    match fixture.eks.describe(&found.id).await {
        // The operator was quicker than the second question.
        Err(failure) if failure.class == Class::NotFound => Ok(None),
        described => Ok(described.map(Some)?),
    }
}

/// The hash in the template of the pods, if there is a Deployment.
async fn template(space: &Space, name: &str) -> Result<Option<String>> {
    let deployment = space.deployments().get_opt(name).await?;
    let metadata = deployment.and_then(|deployment| deployment.spec?.template.metadata);
    Ok(metadata.map(|metadata| metadata.annotations.and_then(|mut all| all.remove(IDENTITY_HASH)).unwrap_or_default()))
}

async fn gone(space: &Space, name: &str, limit: Duration) -> Result<()> {
    suite::eventually(&format!("{name} is gone"), limit, async || {
        Ok(match space.servers().get_opt(name).await? {
            None => Ok(()),
            Some(server) => Err(format!("{:?}", conditions(&server))),
        })
    })
    .await
}

/// What the operator has written to the API server since a mark in the audit log.
fn writes(fixture: &Fixture, since: Mark) -> Result<usize> {
    let events = fixture.cluster.audit_log().since(since)?;
    Ok(events.iter().filter(|it| it.user == OPERATOR_USER && it.is_write() && !it.is_housekeeping()).count())
}

pub(crate) async fn life(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "team").await?;
    let applied = space.apply("tools", server("reader")).await?;
    space.condition("tools", "IdentityReady=False/WaitingForAssociation", SOON).await?;
    let made = suite::eventually("the association is there", SOON, async || {
        Ok(association(fixture, &space, "tools").await?.ok_or_else(|| "there is none".to_owned()))
    })
    .await?;
    ensure!(made.grant == grant("reader"), "{made:?}");
    ensure!(made.tags.get("mcp-eks.dev/uid") == applied.metadata.uid.as_ref(), "{made:?}");
    ensure!(template(&space, "tools").await?.is_none(), "pods did not wait");
    ensure!(space.servers().get("tools").await?.finalizers() == [FINALIZER]);
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    let first = suite::eventually("pods may start", SOON, async || {
        Ok(template(&space, "tools").await?.filter(|hash| !hash.is_empty()).ok_or_else(|| "no hash".to_owned()))
    })
    .await?;
    let status = space.servers().get("tools").await?.status.and_then(|status| status.identity).context("no status")?;
    ensure!(status.association_id.as_ref() == Some(&made.id) && status.role_arn == Some(role("reader")), "{status:?}");
    // Another role, in place; the pods stay as they are until it has settled.
    space.edit("tools", json!({"identity": {"roleArn": role("writer")}})).await?;
    suite::eventually("the role is changed", SOON, async || {
        let found = association(fixture, &space, "tools").await?.context("it is gone")?;
        Ok(if found.grant == grant("writer") && found.id == made.id { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    ensure!(template(&space, "tools").await?.as_ref() == Some(&first), "pods did not wait");
    suite::eventually("pods start anew", SETTLED, async || {
        let hash = template(&space, "tools").await?;
        Ok(if hash.as_ref() == Some(&first) { Err(format!("{hash:?}")) } else { Ok(()) })
    })
    .await?;
    space.condition("tools", "IdentityReady=True/Associated", SOON).await?;
    rests(fixture).await?;
    // It goes, and takes the association along.
    space.servers().delete("tools", &DeleteParams::default()).await?;
    gone(&space, "tools", SETTLED).await?;
    ensure!(association(fixture, &space, "tools").await?.is_none(), "an orphan");
    Ok(())
}

/// A restarted operator writes nothing.
async fn rests(fixture: &Fixture) -> Result<()> {
    let mut operator = fixture.operator.lock().await;
    tokio::time::sleep(REST).await;
    let mark = fixture.cluster.audit_log().mark()?;
    operator.restart().await?;
    tokio::time::sleep(REST).await;
    let written = writes(fixture, mark)?;
    ensure!(written == 0, "{written} writes");
    Ok(())
}

/// What the pods of an AWS server may do follows its tools, in place.
pub(crate) async fn from_tools(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "from-tools").await?;
    let spec = json!({
        "className": "aws",
        "server": {"aws": {"region": "us-west-2"}},
        "tools": {"allow": ["aws_whoami", "s3_list_objects"]},
        "identity": {"roleArn": role("reader"), "sessionPolicy": {"type": "FromTools"}},
    });
    space.apply("tools", spec).await?;
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    let policy = |tools: &[&str]| session(tools.iter().copied(), &Scope::default());
    let first = association(fixture, &space, "tools").await?.context("there is none")?;
    let wished = policy(&["aws_whoami", "s3_list_objects"])?;
    ensure!(first.grant.policy.as_ref() == Some(&wished) && first.grant.disable_session_tags, "{first:?}");
    let hash = async || -> Result<_> {
        let status =
            space.servers().get("tools").await?.status.and_then(|status| status.identity).context("no status")?;
        Ok((status.policy_hash, status.policy_size))
    };
    let (first_hash, size) = hash().await?;
    ensure!(first_hash.is_some() && size == Some(i32::try_from(wished.len())?), "{first_hash:?} {size:?}");
    // A tool more is an action more, of the same association.
    space.edit("tools", json!({"tools": {"allow": ["aws_whoami", "ec2_list_instances", "s3_list_objects"]}})).await?;
    let wished = policy(&["ec2_list_instances", "s3_list_objects"])?;
    suite::eventually("the policy follows", SETTLED, async || {
        let found = association(fixture, &space, "tools").await?.context("it is gone")?;
        let same = found.id == first.id && found.grant.policy.as_ref() == Some(&wished);
        Ok(if same && hash().await?.0 != first_hash { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    // More tools than EKS takes: told, and what is there stays.
    let all = json!({"region": "us-west-2", "writes": "Allow", "sensitive": "Allow", "bedrock": {"models": ["a.b"]}});
    space.edit("tools", json!({"tools": null, "server": {"aws": all}})).await?;
    let message = space.condition("tools", "Accepted=False/PolicyTooLarge", SOON).await?;
    ensure!(message.contains("EKS takes 2048") && message.contains("spec.tools.deny"), "{message}");
    ensure!(association(fixture, &space, "tools").await?.is_some_and(|found| found.grant.policy == Some(wished)));
    space.servers().delete("tools", &DeleteParams::default()).await?;
    gone(&space, "tools", SETTLED).await
}

/// A pod of the server as its ReplicaSet would make it now: with what EKS puts into it, or without.
async fn pod(space: &Space, name: &str, carries: bool) -> Result<()> {
    let deployment = space.deployments().get("tools").await?;
    let mut pod = serde_json::to_value(deployment.spec.context("no spec")?.template)?;
    pod["metadata"]["name"] = json!(name);
    if carries {
        let token = json!({"serviceAccountToken": {"audience": "pods.eks.amazonaws.com", "path": "token"}});
        let volume = json!({"name": "eks-pod-identity-token", "projected": {"sources": [token]}});
        let variable =
            json!({"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"});
        add(&mut pod["spec"]["volumes"], volume);
        add(&mut pod["spec"]["containers"][0]["env"], variable);
    }
    let pods: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    Ok(())
}

/// One more of a list that may not be there.
fn add(list: &mut Value, item: Value) {
    let items = list.as_array().cloned().unwrap_or_default();
    *list = items.into_iter().chain([item]).collect();
}

/// Pods without credentials are told and replaced once; with them all is well.
pub(crate) async fn proven(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "proven").await?;
    space.apply("tools", server("reader")).await?;
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    let first = suite::eventually("pods may start", SOON, async || {
        Ok(template(&space, "tools").await?.filter(|hash| !hash.is_empty()).ok_or_else(|| "no hash".to_owned()))
    })
    .await?;
    pod(&space, "tools-early", false).await?;
    let message = space.condition("tools", "IdentityReady=False/PodsPredateAssociation", SOON).await?;
    ensure!(message.contains("tools-early"), "{message}");
    let second = suite::eventually("pods start anew", SOON, async || {
        Ok(template(&space, "tools").await?.filter(|hash| *hash != first).ok_or_else(|| first.clone()))
    })
    .await?;
    // Those of the old template are on their way out; a new one that lacks them too is told, and not replaced again.
    space.condition("tools", "IdentityReady=True/Associated", SOON).await?;
    pod(&space, "tools-late", false).await?;
    let message = space.condition("tools", "IdentityReady=False/PodsPredateAssociation", SOON).await?;
    ensure!(message.contains("tools-late") && message.contains("replaced once"), "{message}");
    let pods: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    pods.delete("tools-late", &DeleteParams::default().grace_period(0)).await?;
    pod(&space, "tools-fine", true).await?;
    space.condition("tools", "IdentityReady=True/Associated", SOON).await?;
    ensure!(template(&space, "tools").await?.as_ref() == Some(&second), "pods were replaced again");
    rests(fixture).await?;
    space.servers().delete("tools", &DeleteParams::default()).await?;
    gone(&space, "tools", SETTLED).await
}

pub(crate) async fn taken_out(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "taken-out").await?;
    let plain = json!({"server": {"image": {"ref": "ghcr.io/acme/tools:1"}}});
    space.apply("plain", plain).await?;
    space.condition("plain", "Reconciling=True/Progressing", SOON).await?;
    let server_without = space.servers().get("plain").await?;
    ensure!(server_without.finalizers().is_empty() && template(&space, "plain").await? == Some(String::new()));
    space.apply("tools", server("reader")).await?;
    suite::eventually("the association is there", SOON, async || {
        Ok(association(fixture, &space, "tools").await?.ok_or_else(|| "there is none".to_owned()))
    })
    .await?;
    space.edit("tools", json!({"identity": null, "className": null})).await?;
    suite::eventually("association and finalizer are gone", SETTLED, async || {
        let (left, server) = (association(fixture, &space, "tools").await?, space.servers().get("tools").await?);
        Ok(if left.is_none() && server.finalizers().is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
    })
    .await?;
    let found = conditions(&space.servers().get("tools").await?);
    ensure!(!found.iter().any(|(condition, _)| condition.starts_with("IdentityReady")), "{found:?}");
    Ok(())
}

pub(crate) async fn not_allowed(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "not-allowed").await?;
    space.apply("tools", server("reader")).await?;
    let message = space.condition("tools", "Stalled=True/ClassDenied", SOON).await?;
    ensure!(message.contains("allowedNamespaces"), "{message}");
    space.condition("tools", "IdentityReady=False/ClassDenied", SOON).await?;
    ensure!(association(fixture, &space, "tools").await?.is_none() && space.children("tools").await?.is_empty());
    ensure!(space.servers().get("tools").await?.finalizers().is_empty());
    space.servers().delete("tools", &DeleteParams::default()).await?;
    gone(&space, "tools", SETTLED).await
}

/// Number of pods that the Deployment asks for.
async fn replicas(space: &Space) -> Result<Option<i32>> {
    Ok(space.deployments().get("tools").await?.spec.and_then(|spec| spec.replicas))
}

pub(crate) async fn revoked(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "revoked").await?;
    let of_class = |spec: Value| async move { objects::class(&fixture.cluster.client(), "taken-back", spec).await };
    of_class(class(&["revoked"])).await?;
    let mut spec = server("reader");
    spec["className"] = json!("taken-back");
    space.apply("tools", spec).await?;
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    suite::eventually("pods may start", SOON, async || {
        Ok(template(&space, "tools").await?.ok_or_else(|| "no Deployment".to_owned()))
    })
    .await?;
    // Nor does it help to be paused.
    space.edit("tools", json!({"paused": true})).await?;
    space.condition("tools", "Accepted=True/Paused", SOON).await?;
    of_class(class(&["others"])).await?;
    suite::eventually("the association is gone and its pods are stopped", SETTLED, async || {
        let found = (association(fixture, &space, "tools").await?, replicas(&space).await?);
        Ok(if found == (None, Some(0)) { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    let message = space.condition("tools", "IdentityReady=False/ClassDenied", SOON).await?;
    ensure!(message.contains("revoke the sessions"), "{message}");
    space.condition("tools", "Ready=False/ClassDenied", SOON).await?;
    suite::eventually("the finalizer is gone", SETTLED, async || {
        let server = space.servers().get("tools").await?;
        Ok(if server.finalizers().is_empty() { Ok(()) } else { Err(format!("{:?}", server.finalizers())) })
    })
    .await?;
    ensure!(space.children("tools").await?.len() == 5, "children were pruned");
    of_class(class(&["revoked"])).await?;
    space.edit("tools", json!({"paused": false})).await?;
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    suite::eventually("pods start again", SOON, async || {
        let found = replicas(&space).await?;
        Ok(if found == Some(2) { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}

/// Whether the server has a ScaledObject, and one that is to stay.
async fn scaled(space: &Space) -> Result<(bool, bool)> {
    let found = keda::scaled_objects(&space.client, &space.name).get_opt("tools").await?;
    Ok((found.is_some(), found.is_some_and(|found| found.metadata.deletion_timestamp.is_none())))
}

pub(crate) async fn revoked_scaled(fixture: &Fixture) -> Result<()> {
    let client = fixture.cluster.client();
    let space = Space::create(&client, "revoked-scaled").await?;
    keda::define_loosely(&client).await?;
    let of_class = |spec: Value| async move { objects::class(&fixture.cluster.client(), "scaled-back", spec).await };
    of_class(class(&["revoked-scaled"])).await?;
    let mut spec = server("reader");
    spec["className"] = json!("scaled-back");
    spec["autoscaling"] = json!({"minReplicas": 2, "maxReplicas": 5});
    spec["resources"] = json!({"requests": {"cpu": "100m"}});
    space.apply("tools", spec).await?;
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    suite::eventually("there are pods and what scales them", SOON * 3, async || {
        let found = (space.deployments().get_opt("tools").await?.is_some(), scaled(&space).await?.1);
        Ok(if found == (true, true) { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    of_class(class(&["others"])).await?;
    suite::eventually("pods are stopped, and nothing starts them again", SETTLED, async || {
        let found = (replicas(&space).await?, scaled(&space).await?.1);
        Ok(if found == (Some(0), false) { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await?;
    // This tier has no garbage collector, which ends a deletion in the foreground.
    let nobody_waits = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    keda::scaled_objects(&client, &space.name).patch("tools", &PatchParams::default(), &nobody_waits).await?;
    suite::eventually("it is gone", SOON, async || {
        Ok(if scaled(&space).await?.0 { Err("it is there".to_owned()) } else { Ok(()) })
    })
    .await?;
    of_class(class(&["revoked-scaled"])).await?;
    suite::eventually("what scales them is back", SETTLED, async || {
        Ok(if scaled(&space).await?.1 { Ok(()) } else { Err("it is not".to_owned()) })
    })
    .await
}

pub(crate) async fn foreign(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "taken").await?;
    let key = Key { namespace: space.name.clone(), service_account: "tools".to_owned() };
    let theirs = New { key, grant: grant("admin"), tags: [].into(), token: "a-token-of-others".to_owned() };
    let theirs = fixture.eks.create(&theirs).await?;
    space.apply("tools", server("reader")).await?;
    let message = space.condition("tools", "Stalled=True/ForeignAssociation", SOON).await?;
    ensure!(message.contains(&theirs.id), "{message}");
    ensure!(template(&space, "tools").await?.is_none(), "a pod with the role of others");
    space.servers().delete("tools", &DeleteParams::default()).await?;
    gone(&space, "tools", SETTLED).await?;
    ensure!(association(fixture, &space, "tools").await? == Some(theirs), "it was touched");
    Ok(())
}

pub(crate) async fn killed(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "killed").await?;
    space.apply("tools", server("reader")).await?;
    let made = suite::eventually("the association is there", SOON, async || {
        Ok(association(fixture, &space, "tools").await?.ok_or_else(|| "there is none".to_owned()))
    })
    .await?;
    let mut operator = fixture.operator.lock().await;
    operator.kill().await?;
    operator.start_again().await?;
    space.condition("tools", "IdentityReady=True/Associated", SETTLED).await?;
    ensure!(association(fixture, &space, "tools").await?.is_some_and(|found| found.id == made.id));
    space.servers().delete("tools", &DeleteParams::default()).await?;
    operator.kill().await?;
    operator.start_again().await?;
    gone(&space, "tools", SETTLED).await?;
    ensure!(association(fixture, &space, "tools").await?.is_none(), "an orphan");
    Ok(())
}
