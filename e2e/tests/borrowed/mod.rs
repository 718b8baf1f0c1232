//! Rights that nobody borrows: not a second server, not one of the same name, not whoever kept a token.

use anyhow::{Context, Result, ensure};
use kube::{ResourceExt, api::DeleteParams};
use mcp_e2e::suite::{self, objects::Space};
use serde_json::json;

use crate::{AUDIENCE, CLUSTER, Fixture, ROLLOUT, is_ready, pod, token};

const WHOAMI: &[&str] = &["aws_whoami"];

/// The association that EKS Auth finds for a token, and the role that it gives.
async fn redeemed(fixture: &Fixture, token: &str) -> Result<Result<(String, String), String>> {
    Ok(fixture.redeem(token).await?.map(|got| {
        let text = |place: &str| got.pointer(place).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
        let role = text("/assumedRoleUser/arn").split('/').nth(1).unwrap_or_default().to_owned();
        (text("/podIdentityAssociation/associationId"), role)
    }))
}

pub(crate) async fn apart(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "apart").await?;
    space.apply("one", fixture.server(WHOAMI, "reader", &json!({}))).await?;
    space.apply("two", fixture.server(WHOAMI, "writer", &json!({}))).await?;
    let mut plain = fixture.server(WHOAMI, "reader", &json!({}));
    plain.as_object_mut().unwrap().remove("identity");
    space.apply("none", plain).await?;
    for name in ["one", "two", "none"] {
        is_ready(&space, name).await?;
    }
    let (one, two) = (fixture.whoami(&space, "one").await?, fixture.whoami(&space, "two").await?);
    ensure!(one.starts_with("reader/eks-prod-one-") && two.starts_with("writer/eks-prod-two-"), "{one} {two}");
    let nobody = fixture.whoami(&space, "none").await;
    ensure!(nobody.is_err(), "a server without identity is {nobody:?}");
    let (of_one, of_two) = (pod(&space, "one").await?, pod(&space, "two").await?);
    let first = token(&space, "one", &of_one, AUDIENCE).await?;
    let second = token(&space, "two", &of_two, AUDIENCE).await?;
    let (first, second) = (redeemed(fixture, &first).await?, redeemed(fixture, &second).await?);
    ensure!(first.as_ref().is_ok_and(|(_, role)| role == "reader"), "{first:?}");
    ensure!(second.as_ref().is_ok_and(|(_, role)| role == "writer"), "{second:?}");
    ensure!(first != second);
    // A token of the pod for somebody else, one that is changed, and one of a ServiceAccount without a pod.
    let elsewhere = token(&space, "one", &of_one, "sts.amazonaws.com").await?;
    ensure!(redeemed(fixture, &elsewhere).await? == Err("InvalidTokenException".to_owned()));
    let other = token(&space, "two", &of_two, AUDIENCE).await?;
    let parts: Vec<_> = elsewhere.split('.').zip(other.split('.')).collect();
    let mixed = format!("{}.{}.{}", parts[0].0, parts[1].1, parts[2].0);
    ensure!(
        redeemed(fixture, &mixed).await? == Err("InvalidTokenException".to_owned()),
        "a signature that is not its own"
    );
    let unbound = token_of(&space, "none").await?;
    ensure!(redeemed(fixture, &unbound).await? == Err("ResourceNotFoundException".to_owned()));
    for name in ["one", "two", "none"] {
        space.delete(name, ROLLOUT).await?;
    }
    Ok(())
}

/// A token of the one pod of a server.
async fn token_of(space: &Space, name: &str) -> Result<String> {
    token(space, name, &pod(space, name).await?, AUDIENCE).await
}

/// Waits until a server and its association are gone.
async fn gone(space: &Space, name: &str) -> Result<()> {
    suite::eventually(&format!("{name} is gone"), ROLLOUT, async || {
        let found = space.servers().get_opt(name).await?;
        Ok(found.map_or(Ok(()), |server| Err(format!("{:?}", server.finalizers()))))
    })
    .await
}

pub(crate) async fn anew(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "anew").await?;
    space.apply("aws", fixture.server(WHOAMI, "writer", &json!({}))).await?;
    is_ready(&space, "aws").await?;
    let kept = token_of(&space, "aws").await?;
    let (first, role) = redeemed(fixture, &kept).await?.map_err(anyhow::Error::msg)?;
    ensure!(role == "writer", "{role}");
    // Once the server is gone its association is, while the pod may still be ending.
    space.servers().delete("aws", &DeleteParams::default()).await?;
    gone(&space, "aws").await?;
    ensure!(redeemed(fixture, &kept).await? == Err("ResourceNotFoundException".to_owned()));
    // One of the same name without rights gives the old token none, nor has it any itself.
    let mut plain = fixture.server(WHOAMI, "writer", &json!({}));
    plain.as_object_mut().unwrap().remove("identity");
    space.apply("aws", plain).await?;
    is_ready(&space, "aws").await?;
    ensure!(fixture.whoami(&space, "aws").await.is_err(), "it inherited a role");
    ensure!(redeemed(fixture, &kept).await? == Err("ResourceNotFoundException".to_owned()));
    space.delete("aws", ROLLOUT).await?;
    // One with less: an association of its own, and never again what the first had.
    space.apply("aws", fixture.server(WHOAMI, "reader", &json!({}))).await?;
    is_ready(&space, "aws").await?;
    let who = fixture.whoami(&space, "aws").await?;
    ensure!(who.starts_with("reader/"), "{who}");
    let status = space.servers().get("aws").await?.status.and_then(|status| status.identity).context("no status")?;
    ensure!(status.association_id.as_ref().is_some_and(|id| *id != first), "{status:?}");
    let old = redeemed(fixture, &kept).await?;
    ensure!(old.as_ref().map_or(true, |(id, role)| *id != first && role == "reader"), "{CLUSTER}: {old:?}");
    space.delete("aws", ROLLOUT).await
}

pub(crate) async fn lost(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "lost").await?;
    space.apply("aws", fixture.server(WHOAMI, "writer", &json!({}))).await?;
    is_ready(&space, "aws").await?;
    let kept = token_of(&space, "aws").await?;
    ensure!(redeemed(fixture, &kept).await?.is_ok());
    // The SDK asks three times: it hears none of the answers.
    fixture.front.lose(3);
    space.servers().delete("aws", &DeleteParams::default()).await?;
    suite::eventually("AWS has done it", ROLLOUT, async || {
        let answer = redeemed(fixture, &kept).await?;
        Ok(if answer == Err("ResourceNotFoundException".to_owned()) { Ok(()) } else { Err(format!("{answer:?}")) })
    })
    .await?;
    gone(&space, "aws").await?;
    ensure!(fixture.front.left() == 0, "{} answers were not lost", fixture.front.left());
    space.apply("aws", fixture.server(WHOAMI, "reader", &json!({}))).await?;
    is_ready(&space, "aws").await?;
    ensure!(fixture.whoami(&space, "aws").await?.starts_with("reader/"));
    let old = redeemed(fixture, &kept).await?;
    ensure!(old.as_ref().map_or(true, |(_, role)| role == "reader"), "{old:?}");
    space.delete("aws", ROLLOUT).await
}
