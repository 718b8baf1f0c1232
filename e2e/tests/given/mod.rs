//! What pods are given: the credentials of their association, as far as its policy goes, and that nothing stays behind.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration, apps::v1::DaemonSet, core::v1::Pod, events::v1::Event,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};
use mcp_e2e::{
    install::OPERATOR_NAMESPACE,
    suite::{
        self,
        objects::{SOON, Space, conditions},
        server::Server,
    },
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{AUDIENCE, BINARY, Fixture, REGION, ROLLOUT, carries, is_ready, pod, pods, token};

pub(crate) async fn operator(fixture: &Fixture) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(fixture.cluster.client(), OPERATOR_NAMESPACE);
    let mut pods = api.list(&ListParams::default()).await?.items;
    // Those of the rollout that told it its cluster may still end.
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    ensure!(!pods.is_empty() && pods.iter().all(carries), "an operator without credentials");
    for pod in pods {
        let spec = pod.spec.as_ref().context("no spec")?;
        let names: Vec<_> = spec.containers[0].env.iter().flatten().map(|it| it.name.as_str()).collect();
        ensure!(!names.contains(&"AWS_ACCESS_KEY_ID"), "{names:?}");
        let log = api.logs(&pod.name_any(), &LogParams::default()).await?;
        ensure!(!log.contains("no credentials"), "{log}");
    }
    Ok(())
}

pub(crate) async fn exactly(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "exactly").await?;
    let policy = json!({"sessionPolicy": {"type": "FromTools"}});
    space.apply("aws", fixture.server(&["aws_whoami", "s3_list_objects"], "reader", &policy)).await?;
    is_ready(&space, "aws").await?;
    let who = fixture.whoami(&space, "aws").await?;
    ensure!(who.starts_with("reader/eks-prod-aws-"), "{who}");
    let listed = fixture.call(&space, "aws", "s3_list_objects", json!({"bucket": "shop-data"})).await?;
    ensure!(listed.to_string().contains("notes/hello.txt"), "{listed}");
    // The server has no such tool ...
    let stop = json!({"instance_id": fixture.made["instance"]});
    let refused = fixture.client(&space, "aws").await?.call("ec2_stop_instance", stop.clone()).await;
    ensure!(refused.is_err(), "the call went through: {refused:?}");
    // ... and whoever has its credentials may not do it either, though the role may. It looks before it stops.
    let borrowed = borrowed(fixture, &space).await?;
    borrowed.call("s3_list_objects", json!({"bucket": "shop-data"})).await?;
    for (tool, arguments, action) in [
        ("ec2_stop_instance", stop.clone(), "ec2:DescribeInstances"),
        ("ec2_list_instances", json!({}), "ec2:DescribeInstances"),
        ("s3_list_buckets", json!({}), "s3:ListAllMyBuckets"),
    ] {
        denied(&borrowed, tool, arguments, action).await?;
    }
    // With a tool more it may look, and still not stop.
    let more = json!({"tools": {"allow": ["aws_whoami", "ec2_list_instances", "s3_list_objects"]}});
    space.edit("aws", more).await?;
    let instance = fixture.made["instance"].as_str().unwrap();
    // Pods of before go on until AWS shows the policy.
    suite::eventually("the new tool lists the instance", ROLLOUT, async || {
        let listed = fixture.call(&space, "aws", "ec2_list_instances", json!({})).await;
        Ok(listed
            .map_err(|error| format!("{error:#}"))
            .and_then(|listed| if listed.to_string().contains(instance) { Ok(()) } else { Err(listed.to_string()) }))
    })
    .await?;
    suite::eventually("one pod is left", ROLLOUT, async || {
        let found = pods(&space, "aws").await?.len();
        Ok(if found == 1 { Ok(()) } else { Err(format!("{found} pods")) })
    })
    .await?;
    let borrowed = self::borrowed(fixture, &space).await?;
    borrowed.call("ec2_list_instances", json!({})).await?;
    denied(&borrowed, "ec2_stop_instance", stop, "ec2:StopInstances").await?;
    space.delete("aws", ROLLOUT).await
}

async fn denied(server: &Server, tool: &str, arguments: Value, action: &str) -> Result<()> {
    let said = server.fails(tool, arguments).await?;
    ensure!(said.contains("access denied") && said.contains(action), "{tool}: {said}");
    Ok(())
}

/// An AWS server with every tool, under the credentials of the pod of `aws`.
async fn borrowed(fixture: &Fixture, space: &Space) -> Result<Server> {
    let token = token(space, "aws", &pod(space, "aws").await?, AUDIENCE).await?;
    let got = fixture.redeem(&token).await?.map_err(anyhow::Error::msg)?;
    ensure!(got["subject"] == json!({"namespace": space.name, "serviceAccount": "aws"}), "{got}");
    let text = |name: &str| got["credentials"][name].as_str().unwrap_or_default();
    let (key, secret, session) = (text("accessKeyId"), text("secretAccessKey"), text("sessionToken"));
    let environment = [
        ("AWS_ENDPOINT_URL", fixture.ministack.url()),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_SESSION_TOKEN", session),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    Server::start(&suite::bin_dir(BINARY).join("mcp-aws"), &["--writes=allow"], &environment).await
}

pub(crate) async fn healed(fixture: &Fixture) -> Result<()> {
    let space = Space::create(&fixture.cluster.client(), "early").await?;
    // As EKS may for some seconds: its webhook does not see the association yet.
    fixture.doubles.webhook().overlook("early", "aws", 1);
    space.apply("aws", fixture.server(&["aws_whoami"], "reader", &json!({}))).await?;
    let early = suite::eventually("a pod was admitted without credentials", ROLLOUT, async || {
        let found = pods(&space, "aws").await?;
        Ok(found.into_iter().find(|pod| !carries(pod)).map(|pod| pod.name_any()).ok_or_else(|| "none".to_owned()))
    })
    .await?;
    let events: Api<Event> = Api::namespaced(space.client.clone(), &space.name);
    let told = suite::eventually("the operator says so", ROLLOUT, async || {
        let found = events.list(&ListParams::default().fields("reason=PodsPredateAssociation")).await?.items;
        Ok(found.first().and_then(|event| event.note.clone()).ok_or_else(|| "no Event".to_owned()))
    })
    .await?;
    ensure!(told.contains(&early) && told.contains("replaced once"), "{told}");
    is_ready(&space, "aws").await?;
    let found = pod(&space, "aws").await?;
    ensure!(carries(&found) && found.name_any() != early, "{}", found.name_any());
    let message = space.condition("aws", "IdentityReady=True/Associated", SOON).await?;
    ensure!(!message.contains("carries no credentials"), "{message}");
    ensure!(fixture.whoami(&space, "aws").await?.starts_with("reader/"));
    // Not a second time.
    let sets = space.deployments().get("aws").await?;
    let template = sets.spec.and_then(|spec| spec.template.metadata).and_then(|it| it.annotations).unwrap_or_default();
    let hash = template.get("mcp-eks.dev/identity-hash").context("no hash")?;
    ensure!(hash.ends_with(".1"), "{hash}: {:?}", conditions(&space.servers().get("aws").await?));
    space.delete("aws", ROLLOUT).await
}

pub(crate) async fn gone(fixture: &Fixture) -> Result<()> {
    let client = fixture.cluster.client();
    let webhooks: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let agents: Api<DaemonSet> = Api::namespaced(client, "kube-system");
    ensure!(webhooks.get_opt("pod-identity-webhook").await?.is_some(), "there was no webhook to remove");
    fixture.doubles.remove().await?;
    ensure!(webhooks.get_opt("pod-identity-webhook").await?.is_none());
    ensure!(agents.get_opt("eks-pod-identity-agent").await?.is_none_or(|it| it.metadata.deletion_timestamp.is_some()));
    // The host never had the agent's address: it was the node's.
    let shown = Command::new("ip").args(["-brief", "addr", "show", "to", "169.254.170.23"]).output().await?;
    ensure!(shown.status.success() && shown.stdout.is_empty(), "{shown:?}");
    fixture.doubles.remove().await
}
