//! A kubelet without containers, for tier `controllers`: pods become Running and Ready, deletions get finished.
//!
//! In: a client and one node name. Out: a Ready node with a lease, bindings (there is no scheduler), pod statuses.
//! It does what a Deployment, a Service and a garbage collector need to see, and runs nothing. What a pod's status
//! says is decided in [`status`], which is pure.

pub mod status;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use self::status::Step;
use crate::cluster::connect;

/// How long a fake container takes to become ready.
const START: Duration = Duration::from_millis(300);
/// As often as a real kubelet.
const HEARTBEAT: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 64;
const MANAGER: &str = "fake-kubelet";

/// What the fake kubelet is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom to talk to, as whom.
    pub kubeconfig: PathBuf,
    /// The node to play.
    pub node: String,
    /// The range that pod addresses come from, such as `10.244.0.0/24`; it wraps around when it is used up.
    pub pods: String,
    /// The address of a server for all pods instead; images that stand for bad servers get those that follow.
    pub pod_address: Option<Ipv4Addr>,
}

/// Plays the node until the process ends.
pub async fn run(settings: Settings) -> Result<()> {
    let client = connect::client(&settings.kubeconfig).await?;
    let kubelet = Kubelet { base: first_address(&settings.pods)?, client, settings, next: AtomicU32::new(2) };
    kubelet.register().await.context("register the node")?;
    tokio::try_join!(kubelet.keep_lease(), kubelet.watch_pods())?;
    Ok(())
}

struct Kubelet {
    client: Client,
    settings: Settings,
    base: Ipv4Addr,
    next: AtomicU32,
}

impl Kubelet {
    async fn register(&self) -> Result<()> {
        let nodes = Api::<Node>::all(self.client.clone());
        let name = &self.settings.node;
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
            "spec": {"podCIDR": self.settings.pods, "podCIDRs": [self.settings.pods]},
        });
        nodes.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(node)).await?;
        let resources = json!({"cpu": "64", "memory": "256Gi", "pods": "20000", "ephemeral-storage": "1Ti"});
        let now = now();
        let status = json!({"status": {
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": self.base.to_string()}, {"type": "Hostname", "address": name}],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fake kubelet: nothing really runs",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "fake://1", "kernelVersion": "", "kubeProxyVersion": "",
                "kubeletVersion": format!("v{}", crate::tools::KUBERNETES_VERSION), "machineID": "", "operatingSystem": "linux",
                "osImage": "fake", "systemUUID": "",
            },
        }});
        nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// The node lifecycle controller takes a node without a fresh lease for dead and evicts its pods.
    async fn keep_lease(&self) -> Result<()> {
        use k8s_openapi::api::coordination::v1::Lease;
        let leases = Api::<Lease>::namespaced(self.client.clone(), "kube-node-lease");
        let name = &self.settings.node;
        loop {
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
                "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format!("{:.6}", Timestamp::now())},
            });
            let renewed = leases.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(lease)).await;
            if let Err(error) = renewed {
                eprintln!("lease not renewed, next try in {} s: {error}", HEARTBEAT.as_secs());
            }
            tokio::time::sleep(HEARTBEAT).await;
        }
    }

    async fn watch_pods(&self) -> Result<()> {
        let pods = Api::<Pod>::all(self.client.clone());
        let stream = watcher(pods, watcher::Config::default()).default_backoff().applied_objects();
        stream
            .for_each_concurrent(AT_ONCE, async |event| {
                let done = match event {
                    Ok(pod) => self.advance(&pod).await.with_context(|| pod.name_any()),
                    Err(error) => Err(error).context("watch pods"),
                };
                if let Err(error) = done {
                    eprintln!("{error:#}");
                }
            })
            .await;
        anyhow::bail!("the watch of pods ended")
    }

    /// One step of a pod's life. Every step changes the pod, and so brings the next one.
    async fn advance(&self, pod: &Pod) -> Result<()> {
        let namespace = pod.namespace().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client.clone(), &namespace);
        let name = pod.name_any();
        let done = match status::next(pod, &self.settings.node) {
            Step::Nothing => return Ok(()),
            Step::Bind => self.bind(&namespace, &name).await,
            Step::Finish => {
                let parameters = DeleteParams {
                    grace_period_seconds: Some(0),
                    preconditions: Some(Preconditions { uid: pod.uid(), resource_version: None }),
                    ..DeleteParams::default()
                };
                pods.delete(&name, &parameters).await.map(drop)
            }
            Step::Start => set(&pods, &name, status::started(pod, self.base, self.address(pod), &now())).await,
            Step::MakeReady => {
                tokio::time::sleep(START).await;
                set(&pods, &name, status::ready(pod, &now())).await
            }
            Step::RefuseImage => set(&pods, &name, status::image_refused(pod, self.base, &now())).await,
            Step::BackOff => {
                tokio::time::sleep(START).await;
                set(&pods, &name, status::backing_off(pod)).await
            }
        };
        match done {
            // Gone or changed meanwhile: the watch brings what is true now.
            Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => Ok(()),
            other => Ok(other?),
        }
    }

    async fn bind(&self, namespace: &str, name: &str) -> kube::Result<()> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.settings.node},
        });
        let request = kube::core::Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
        let body = serde_json::to_vec(&binding).map_err(kube::Error::SerdeError)?;
        let request = request.create_subresource("binding", name, &PostParams::default(), body);
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request_text(request).await.map(drop)
    }

    /// A pod keeps the address it has.
    fn address(&self, pod: &Pod) -> Ipv4Addr {
        let has = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        has.or_else(|| Some(status::double(pod, number).address(self.settings.pod_address?))).unwrap_or_else(|| {
            // Addresses .2 to .254; more pods than that share addresses, which nothing here minds.
            Ipv4Addr::from(u32::from(self.base) + 1 + number % 253)
        })
    }
}

async fn set(pods: &Api<Pod>, name: &str, status: serde_json::Value) -> kube::Result<()> {
    let patch = Patch::Merge(json!({"status": status}));
    pods.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
}

fn now() -> String {
    format!("{:.0}", Timestamp::now())
}

/// `10.244.0.0/24` → `10.244.0.1`, the node's own address.
fn first_address(range: &str) -> Result<Ipv4Addr> {
    let what = || format!("{range:?} is no range of addresses such as 10.244.0.0/24");
    let network: Ipv4Addr = range.split('/').next().unwrap_or_default().parse().with_context(what)?;
    Ok(Ipv4Addr::from(u32::from(network) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_has_the_first_address_of_its_range() {
        assert_eq!(first_address("10.244.3.0/24").unwrap().to_string(), "10.244.3.1");
        assert!(first_address("pods").unwrap_err().to_string().contains("10.244.0.0/24"));
    }

    #[test]
    fn times_are_as_kubernetes_writes_them() {
        let now = now();
        assert!(now.ends_with('Z') && now.len() == "2026-11-21T09:00:00Z".len(), "{now}");
    }
}
