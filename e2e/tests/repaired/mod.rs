//! A second installation over what people change with kubectl: it sees what no longer works on this machine, and mends it.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use mcp_e2e::install::{OPERATOR, OPERATOR_NAMESPACE, repository};

use crate::{Fixture, install_again, settled};

pub(crate) async fn sample(fixture: &Fixture) -> Result<()> {
    let file = repository().join("config/samples/aws.yaml");
    let file = file.to_str().context("a path that is no text")?;
    fixture.kubectl(&["delete", "-f", file]).await?;
    fixture.kubectl(&["apply", "-f", file]).await?;
    again(fixture).await?;
    let server = fixture.samples().servers().get("aws").await?;
    let endpoint = server.spec.env.iter().find(|variable| variable.name == "AWS_ENDPOINT_URL");
    ensure!(endpoint.is_some(), "{:?}", server.spec.env);
    settled(&fixture.samples(), "aws").await
}

pub(crate) async fn operator(fixture: &Fixture) -> Result<()> {
    let published =
        ["--namespace", OPERATOR_NAMESPACE, "set", "image", "deployment", OPERATOR, "*=localhost/published:1"];
    fixture.kubectl(&published).await?;
    again(fixture).await?;
    let deployments: Api<Deployment> = Api::namespaced(fixture.cluster.client(), OPERATOR_NAMESPACE);
    let template = deployments.get(OPERATOR).await?.spec.context("a Deployment without a spec")?.template;
    let images: Vec<_> = template.spec.iter().flat_map(|pod| &pod.containers).map(|it| it.image.clone()).collect();
    ensure!(images == [Some(fixture.installed.images.operator.reference.clone())], "{images:?}");
    Ok(())
}

pub(crate) async fn definition(fixture: &Fixture) -> Result<()> {
    fixture.kubectl(&["delete", "customresourcedefinition", "mcpservers.mcp-eks.dev", "--timeout=60s"]).await?;
    again(fixture).await
}

/// There is something to do once, and then no more.
async fn again(fixture: &Fixture) -> Result<()> {
    ensure!(install_again(fixture).await?.changed, "the installation believes that it is current");
    ensure!(!install_again(fixture).await?.changed, "what was mended is mended again");
    Ok(())
}
