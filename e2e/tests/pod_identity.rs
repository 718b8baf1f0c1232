//! Tier node: rights in AWS, from the spec to the call, without an account. The operator's pods and those of the servers get
//! credentials by the seams of EKS Pod Identity; MiniStack enforces what roles and session policies allow.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod borrowed;
mod given;
mod lossy;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::Pod,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use mcp_e2e::{
    cache::Cache,
    cluster::{Cluster, Tier},
    doubles::pod_identity::{AUDIENCE, PodIdentity},
    image::Image,
    install::{self, OPERATOR, OPERATOR_NAMESPACE, call::McpClient, ready, repository},
    ministack::{ACCOUNT, Emulator, Kind, REGION},
    progress::Progress,
    suite::{
        self, Test,
        objects::{self, Space},
    },
};
use serde_json::{Value, json};
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");
/// The cluster, as AWS calls it.
const CLUSTER: &str = "prod";
/// Holds the double of the agent.
const DOUBLE: &str = "localhost/mcp-eks-double:pod-identity";
/// Path of the roles that servers may have.
const ROLES: &str = "/mcp/";
/// What MiniStack 1.5.33 asks for where EKS asks for the association: the path of a request names the cluster alone.
const ELSEWHERE: [&str; 3] =
    ["eks:DeletePodIdentityAssociation", "eks:DescribePodIdentityAssociation", "eks:UpdatePodIdentityAssociation"];
/// Time for pods to start or end on a busy machine: the grace period is 28 s.
const ROLLOUT: Duration = Duration::from_mins(2);

struct Fixture {
    cluster: Arc<Cluster>,
    ministack: Emulator,
    doubles: PodIdentity,
    front: lossy::Front,
    /// What was made in AWS.
    made: Value,
}

impl Fixture {
    async fn new(cluster: Arc<Cluster>) -> Result<Self> {
        let cache = Cache::from_env()?;
        let host = cluster.state().slot.context("the cluster has no slot")?.link_host();
        let ministack = Emulator::start_at(&cache, Kind::MiniStack { enforce: true }, host).await?;
        let made = make(&ministack).await?;
        let home = tempfile::tempdir()?;
        let archive = home.path().join("double.tar");
        Image::new(DOUBLE).base().file(BINARY, "/usr/local/bin/mcp-e2e", 0o755).pack(&archive)?;
        cluster.load(&archive).await?;
        let doubles = PodIdentity::start(&cluster, ministack.url(), CLUSTER, DOUBLE).await?;
        let front = lossy::Front::of(host, ministack.url()).await?;
        let bin_dir = suite::bin_dir(BINARY);
        install::operator(&cluster, &bin_dir, cache.root(), Progress::start()).await?;
        // As its documentation says: which cluster this is. Its credentials come from its own association.
        let settings = [
            ("MCP_EKS_CLUSTER_NAME", CLUSTER.to_owned()),
            ("MCP_EKS_IDENTITY_SETTLE_SECONDS", "2".to_owned()),
            ("AWS_ENDPOINT_URL_EKS", front.url.clone()),
        ];
        let env: Vec<_> = settings.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "operator", "env": env}]}}}});
        let deployments: Api<Deployment> = Api::namespaced(cluster.client(), OPERATOR_NAMESPACE);
        deployments.patch(OPERATOR, &PatchParams::default(), &Patch::Strategic(patch)).await?;
        ready::operator(&cluster.client(), Progress::start()).await?;
        let class = json!({
            "allowedNamespaces": {"selector": {}},
            "identity": {
                "allowedRoleArns": [format!("arn:aws:iam::{ACCOUNT}:role{ROLES}*")],
                "allowedRolePath": ROLES, "sessionPolicy": "Optional",
            },
            "egress": {"allowedCidrs": [format!("{host}/32")]},
        });
        objects::class(&cluster.client(), "aws", class).await?;
        Ok(Self { cluster, ministack, doubles, front, made })
    }

    fn role(&self, name: &str) -> &str {
        self.made[name].as_str().unwrap()
    }

    /// An AWS server with these tools and this role, whose SDK finds MiniStack.
    fn server(&self, tools: &[&str], role: &str, more: &Value) -> Value {
        let (host, port) = self.ministack.url().trim_start_matches("http://").split_once(':').unwrap();
        let mut identity = json!({"roleArn": self.role(role)});
        identity.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "className": "aws",
            "replicas": 1,
            "server": {"aws": {"region": REGION}},
            "tools": {"allow": tools},
            "session": {"drainSeconds": 0},
            "env": [{"name": "AWS_ENDPOINT_URL", "value": self.ministack.url()}],
            "network": {"egress": {"cidrs": [format!("{host}/32")], "ports": [port.parse::<u16>().unwrap()]}},
            "identity": identity,
        })
    }

    async fn client(&self, space: &Space, name: &str) -> Result<McpClient> {
        McpClient::connect(&self.cluster, &space.servers().get(name).await?).await
    }

    /// What a tool answers through the Service: its structured result, or what it says went wrong.
    async fn call(&self, space: &Space, name: &str, tool: &'static str, arguments: Value) -> Result<Value> {
        let answer = self.client(space, name).await?.call(tool, arguments).await?;
        ensure!(answer.is_error != Some(true), "{tool}: {}", serde_json::to_string(&answer.content)?);
        answer.structured_content.context("the answer has no structure")
    }

    /// The role under which a server calls AWS: what comes after `assumed-role/` in its ARN.
    async fn whoami(&self, space: &Space, name: &str) -> Result<String> {
        let who = self.call(space, name, "aws_whoami", json!({})).await?;
        let arn = who["arn"].as_str().context("no ARN")?;
        let prefix = format!("arn:aws:sts::{ACCOUNT}:assumed-role/");
        Ok(arn.strip_prefix(&prefix).with_context(|| format!("{arn} is no session of a role"))?.to_owned())
    }

    /// EKS Auth's answer to a token: credentials and all, or the code of its error.
    async fn redeem(&self, token: &str) -> Result<Result<Value, String>> {
        let url = format!("{}/clusters/{CLUSTER}/assume-role-for-pod-identity", self.doubles.auth());
        let answer = reqwest::Client::new().post(url).json(&json!({"token": token})).send().await?;
        let code = answer.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok()).map(str::to_owned);
        Ok(match code {
            Some(code) => Err(code),
            None => Ok(answer.error_for_status()?.json().await?),
        })
    }
}

/// Makes the cluster and its roles in AWS.
async fn make(ministack: &Emulator) -> Result<Value> {
    let text = std::fs::read_to_string(repository().join("config/iam/operator-policy.json"))?;
    let values = [
        ("${partition}", "aws"),
        ("${region}", REGION),
        ("${account}", ACCOUNT),
        ("${cluster}", CLUSTER),
        ("${role_path}", ROLES),
    ];
    let text = values.iter().fold(text, |text, (name, value)| text.replace(name, value));
    let mut policy: Value = serde_json::from_str(&text)?;
    let cluster = format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}");
    let more = json!({"Effect": "Allow", "Action": ELSEWHERE, "Resource": cluster});
    policy["Statement"].as_array_mut().context("the operator's policy has no statements")?.push(more);
    let mut command = Command::new(ministack.python());
    command.arg(repository().join("e2e/emulators/pod_identity.py")).args([ministack.url(), CLUSTER]);
    let made = command.arg(policy.to_string()).kill_on_drop(true).output().await?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "pod_identity.py: {said}\nMiniStack says:\n{}", ministack.log());
    Ok(serde_json::from_slice(&made.stdout)?)
}

/// The pods of a server that stay.
async fn pods(space: &Space, name: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    let mut pods = api.list(&ListParams::default().labels(&format!("mcp-eks.dev/server={name}"))).await?.items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(pods)
}

/// The one pod of a server that stays.
async fn pod(space: &Space, name: &str) -> Result<Pod> {
    let found = pods(space, name).await?;
    ensure!(found.len() == 1, "{} pods", found.len());
    found.into_iter().next().context("no pod")
}

/// A token as the kubelet gives it to this pod, for an audience.
async fn token(space: &Space, account: &str, pod: &Pod, audience: &str) -> Result<String> {
    let spec = TokenRequestSpec {
        audiences: vec![audience.to_owned()],
        expiration_seconds: Some(3600),
        bound_object_ref: Some(BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name_any()),
            uid: pod.uid(),
        }),
    };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = space.service_accounts().create_token_request(account, &PostParams::default(), &request).await?;
    Ok(answer.status.context("the API server gave no token")?.token)
}

/// Whether a pod has what the webhook puts in.
fn carries(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref().unwrap();
    let variables = spec.containers[0].env.iter().flatten();
    let has_variable = variables.into_iter().any(|it| it.name == "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    has_variable && spec.volumes.iter().flatten().any(|volume| volume.name == "eks-pod-identity-token")
}

async fn is_ready(space: &Space, name: &str) -> Result<()> {
    ready::server(&space.client, &space.name, name, Progress::start()).await.map(drop)
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("the operator itself works under the role of its own association", |f| given::operator(f).boxed_local()),
        ("a server calls AWS under its role, and may do what its tools need and nothing else", |f| {
            given::exactly(f).boxed_local()
        }),
        ("pods admitted before their association are found, told and replaced once", |f| {
            given::healed(f).boxed_local()
        }),
        ("two servers never share credentials, and no other token is taken", |f| borrowed::apart(f).boxed_local()),
        ("a server made anew under the same name has nothing of the old one, nor has the old pod's token", |f| {
            borrowed::anew(f).boxed_local()
        }),
        ("an association whose deletion is never answered gives nobody rights", |f| borrowed::lost(f).boxed_local()),
        ("the doubles go without a trace", |f| given::gone(f).boxed_local()),
    ];
    suite::run("suite-pod-identity", Tier::Node, BINARY, Fixture::new, tests)
}
