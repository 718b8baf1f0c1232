//! Where the agent runs: in each node's own network, at an address of a link that it has for itself.
//!
//! In: a cluster and the image that holds this program. Out: the DaemonSet that EKS's add-on makes, and the link that the
//! add-on makes in a node. The link is in the node's network namespace, which goes with the cluster, however that ends; the
//! host has none of it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::AGENT;
use crate::{
    cluster::Cluster,
    install::{output, unless_absent},
    suite::eventually,
};

/// Name of the DaemonSet, as EKS's add-on has it.
const NAME: &str = "eks-pod-identity-agent";
const NAMESPACE: &str = "kube-system";
/// The link, as the add-on calls it.
const LINK: &str = "pod-id-link0";
/// Longest wait for its pod on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);

/// The agent in a node.
pub(super) struct Agent {
    client: Client,
    node: i32,
}

impl Agent {
    pub(super) async fn install(cluster: &Cluster, image: &str, auth: &str, name: &str) -> Result<Self> {
        let agent = Self { client: cluster.client(), node: cluster.node().context("the cluster has no node")? };
        // A bridge without members: not every kernel has dummy links.
        agent.ip(&["link", "add", LINK, "type", "bridge"]).await?;
        agent.ip(&["addr", "add", &format!("{AGENT}/32"), "dev", LINK]).await?;
        agent.ip(&["link", "set", LINK, "up"]).await?;
        let params = PatchParams::apply("mcp-e2e").force();
        agent.api().patch(NAME, &params, &Patch::Apply(daemon_set(image, auth, name))).await?;
        eventually("the agent is ready", LIMIT, async || {
            let status = agent.api().get(NAME).await?.status.unwrap_or_default();
            let ready = status.number_ready > 0 && status.number_ready == status.desired_number_scheduled;
            Ok(if ready { Ok(()) } else { Err(format!("{status:?}")) })
        })
        .await?;
        Ok(agent)
    }

    fn api(&self) -> Api<DaemonSet> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(super) async fn remove(&self) -> Result<()> {
        unless_absent(self.api().delete(NAME, &DeleteParams::default()).await).context("delete the agent")?;
        if self.ip(&["-brief", "link", "show", "dev", LINK]).await.is_ok() {
            self.ip(&["link", "del", LINK]).await?;
        }
        if let Ok(left) = self.ip(&["-brief", "addr", "show", "to", &AGENT.to_string()]).await
            && !left.trim().is_empty()
        {
            bail!("the node still has the agent's address: {left}");
        }
        Ok(())
    }

    async fn ip(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("nsenter");
        output(command.args(["--target", &self.node.to_string(), "--net", "ip"]).args(arguments)).await
    }
}

fn daemon_set(image: &str, auth: &str, cluster: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": NAME});
    let listen = format!("{AGENT}:80");
    let command = ["mcp-e2e", "pod-identity-agent", "--listen", &listen, "--endpoint", auth, "--cluster-name", cluster];
    let probe = json!({"httpGet": {"host": AGENT, "port": 80, "path": "/healthz"}, "periodSeconds": 1});
    let container = json!({
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "readinessProbe": probe,
        "securityContext": {
            "runAsUser": 0,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": true,
                    "priorityClassName": "system-node-critical",
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 1,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [container],
                },
            },
        },
    })
}
