//! Tier node: the whole way, with real pods. What `make up` installs is what is tested.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod repaired;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as KubeEvent, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mcp_e2e::{
    audit::{Event, Mark},
    cache::Cache,
    cluster::{Cluster, Tier},
    image::Image,
    install::{
        self, Installed, OPERATOR_NAMESPACE, OPERATOR_USER, SAMPLE, SAMPLES_NAMESPACE, call::McpClient, kubectl,
    },
    progress::Progress,
    suite::{
        self, Test, clients,
        objects::{SOON, Space},
    },
};
use serde_json::json;
use tokio::process::Command;

mod explained;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time for pods to start or end on a busy machine: the grace period is 28 s.
const ROLLOUT: Duration = Duration::from_secs(90);

/// The image that holds the doubles: servers that behave badly in a pod.
const DOUBLE: &str = "localhost/mcp-eks-double:suite";

/// The window in which a converged operator writes nothing.
const REST: Duration = Duration::from_mins(1);

struct Fixture {
    cluster: Arc<Cluster>,
    installed: Installed,
}

impl Fixture {
    fn samples(&self) -> Space {
        Space::existing(&self.cluster.client(), SAMPLES_NAMESPACE)
    }

    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(kubectl(&self.cluster));
        let output = command.args(arguments).env("KUBECONFIG", self.cluster.kubeconfig()).output().await?;
        ensure!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("kubectl lists the sample as Ready", |f| listed(f).boxed_local()),
        ("the Rust SDK lists the tools and calls one through the Service", |f| rust_client(f).boxed_local()),
        ("the Python SDK lists the tools and calls one through the Service", |f| python_client(f).boxed_local()),
        ("at rest the operator writes nothing in 60 s, nor after a restart", |f| rest(f).boxed_local()),
        ("a second installation finds nothing to do", |f| second(f).boxed_local()),
        ("a sample applied anew as it is for EKS is installed again, with the AWS of this machine", |f| {
            repaired::sample(f).boxed_local()
        }),
        ("an operator applied anew with the published images is installed again", |f| {
            repaired::operator(f).boxed_local()
        }),
        ("a deleted definition is installed again, with all that went with it", |f| {
            repaired::definition(f).boxed_local()
        }),
        ("kubectl scale makes pods", |f| scale(f).boxed_local()),
        ("an env var comes and goes with the spec", |f| env(f).boxed_local()),
        ("a sidecar added by hand leaves the pods", |f| sidecar(f).boxed_local()),
        ("kubectl explain has words for every field", |f| explain(f).boxed_local()),
        ("kubectl rollout restart replaces the pods, and the operator lets it", |f| restarted(f).boxed_local()),
        ("kubectl apply --server-side by two managers: each keeps its fields", |f| two_managers(f).boxed_local()),
        ("an image that is not there is the reason within 5 s, and stays it without a write", |f| {
            missing_image(f).boxed_local()
        }),
        ("a server that ends is explained by exit code and last words", |f| crash_loop(f).boxed_local()),
        ("pods of a web server are not Ready, and the reason says what came back", |f| web_server(f).boxed_local()),
        ("pods that hang are not Ready, and the reason is the time", |f| hangs(f).boxed_local()),
        ("a volume that is missing is the reason within 5 s of kubelet's word", |f| missing_volume(f).boxed_local()),
        ("a server over its memory limit is told so within 5 s of kubelet's word", |f| {
            explained::out_of_memory(f).boxed_local()
        }),
        ("a memory limit too low for a sandbox is told within 5 s of kubelet's word", |f| {
            explained::tiny_limit(f).boxed_local()
        }),
        ("a server that no node takes has the scheduler's reason within 5 s", |f| {
            explained::unschedulable(f).boxed_local()
        }),
        ("a deleted server takes every child and pod with it", |f| deleted(f).boxed_local()),
        ("the operator was never denied anything", |f| async { never_denied(f) }.boxed_local()),
    ];
    suite::run(
        "suite-node",
        Tier::Node,
        BINARY,
        async |cluster| {
            let cache = Cache::from_env()?;
            let bin_dir = suite::bin_dir(BINARY);
            let installed = install::install(&cluster, &bin_dir, cache.root(), Progress::start()).await?;
            Ok(Fixture { cluster, installed })
        },
        tests,
    )
}

async fn listed(fixture: &Fixture) -> Result<()> {
    let text = fixture.kubectl(&["get", "mcpservers.mcp-eks.dev", "-A"]).await?;
    let row = text.lines().find(|line| line.contains(SAMPLE)).context("no row")?;
    let cells: Vec<_> = row.split_whitespace().collect();
    ensure!(cells[..6] == [SAMPLES_NAMESPACE, SAMPLE, "True", "Serving", "10", "2"], "{text}");
    ensure!(cells[6].starts_with("http://") && cells[6].ends_with("/mcp"), "{text}");
    fixture
        .kubectl(&[
            "-n",
            SAMPLES_NAMESPACE,
            "wait",
            "--for=condition=Ready",
            "--timeout=5s",
            "mcpservers.mcp-eks.dev/filesystem",
        ])
        .await?;
    Ok(())
}

async fn rust_client(fixture: &Fixture) -> Result<()> {
    let server = fixture.samples().servers().get(SAMPLE).await?;
    let client = McpClient::connect(&fixture.cluster, &server).await?;
    let tools = client.tools().await?;
    ensure!(tools.contains(&"list_directory".to_owned()) && tools.len() >= 10, "{tools:?}");
    let answer = client.call("read_text_file", json!({"path": "/docs/welcome.md"})).await?;
    let text = serde_json::to_string(&answer.content)?;
    ensure!(answer.is_error != Some(true) && text.contains("This file is a key of the ConfigMap"), "{text}");
    Ok(())
}

async fn python_client(fixture: &Fixture) -> Result<()> {
    let server = fixture.samples().servers().get(SAMPLE).await?;
    let (url, address) = install::call::endpoint(&fixture.cluster.client(), &server).await?;
    let answer = clients::call(&Cache::from_env()?, &url, address, "list_directory", &json!({"path": "/docs"})).await?;
    let tools = answer["tools"].as_array().context("no tools")?;
    ensure!(tools.iter().any(|tool| tool == "list_directory"), "{answer}");
    ensure!(answer["result"].to_string().contains("welcome.md"), "{answer}");
    Ok(())
}

/// What the operator asked of the API server since then.
fn requests_since(fixture: &Fixture, from: Timestamp) -> Result<Vec<Event>> {
    let events = fixture.cluster.audit_log().after(from)?;
    Ok(events.into_iter().filter(|event| event.user == OPERATOR_USER).collect())
}

/// The writes among requests, in words.
fn writes(requests: &[Event]) -> Vec<String> {
    let writes = requests.iter().filter(|e| e.is_write() && !e.is_housekeeping());
    writes.map(|e| format!("{} {}/{} {}/{}", e.verb, e.resource, e.subresource, e.namespace, e.name)).collect()
}

/// What the operator wrote in a window that begins now.
async fn writes_within(fixture: &Fixture, window: Duration) -> Result<Vec<String>> {
    let from = Timestamp::now();
    tokio::time::sleep(window).await;
    Ok(writes(&requests_since(fixture, from)?))
}

async fn rest(fixture: &Fixture) -> Result<()> {
    let at_rest = writes_within(fixture, REST).await?;
    ensure!(at_rest.is_empty(), "at rest: {at_rest:?}");

    let pods: Api<Pod> = Api::namespaced(fixture.cluster.client(), OPERATOR_NAMESPACE);
    let old = pods.list(&ListParams::default()).await?.items;
    ensure!(old.iter().any(is_ready), "there is no operator to restart");
    let from = Timestamp::now();
    for pod in &old {
        pods.delete(&pod.name_any(), &DeleteParams::default()).await?;
    }
    suite::eventually("a new operator pod is ready and the old one is gone", ROLLOUT, async || {
        let now = pods.list(&ListParams::default()).await?.items;
        let is_old = |pod: &Pod| old.iter().any(|old| old.uid() == pod.uid());
        let names = now.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
        Ok(if !now.iter().any(is_old) && now.iter().any(is_ready) { Ok(()) } else { Err(format!("{names:?}")) })
    })
    .await?;
    tokio::time::sleep(REST).await;
    let requests = requests_since(fixture, from)?;
    ensure!(
        requests.iter().any(|event| event.verb == "list" && event.resource == "mcpservers" && event.code == 200),
        "the new operator has not listed the servers, so its silence proves nothing"
    );
    let written = writes(&requests);
    ensure!(written.is_empty(), "after a restart: {written:?}");
    Ok(())
}

async fn second(fixture: &Fixture) -> Result<()> {
    ensure!(!install_again(fixture).await?.changed, "there was something to do");
    Ok(())
}

async fn install_again(fixture: &Fixture) -> Result<Installed> {
    let cache = Cache::from_env()?;
    install::install(&fixture.cluster, &suite::bin_dir(BINARY), cache.root(), Progress::start()).await
}

async fn scale(fixture: &Fixture) -> Result<()> {
    for replicas in ["3", "2"] {
        let target = format!("mcpservers.mcp-eks.dev/{SAMPLE}");
        fixture.kubectl(&["-n", SAMPLES_NAMESPACE, "scale", &target, &format!("--replicas={replicas}")]).await?;
        settled(&fixture.samples(), SAMPLE).await?;
        let pods = ready_pods(&fixture.samples(), SAMPLE).await?;
        ensure!(pods.len().to_string() == replicas, "{} pods are ready, not {replicas}", pods.len());
    }
    Ok(())
}

/// Waits until a server is Ready for its current spec, and neither Reconciling nor Stalled.
async fn settled(space: &Space, name: &str) -> Result<()> {
    install::ready::server(&space.client, &space.name, name, Progress::start()).await.map(drop)
}

/// The pods of a server that are ready and stay.
async fn ready_pods(space: &Space, name: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    let pods = api.list(&ListParams::default().labels(&format!("mcp-eks.dev/server={name}"))).await?;
    Ok(pods.into_iter().filter(is_ready).collect())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none() && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// A variable that every server of ours has: its audit names the pod.
const AUDIT_WRITER: &str = "MCP_AUDIT_WRITER";

async fn env(fixture: &Fixture) -> Result<()> {
    let space = fixture.samples();
    // Null takes the field away. An empty list that one manager owns would become null, and invalid, when a second
    // manager adds an entry by server-side apply and takes it back: so it is with the API server's list merge.
    let greeting = json!([{"name": "GREETING", "value": "hello"}]);
    for (env, expected) in [(greeting, &["GREETING", AUDIT_WRITER] as &[&str]), (json!(null), &[AUDIT_WRITER])] {
        space.edit(SAMPLE, json!({"env": env})).await?;
        settled(&space, SAMPLE).await?;
        for pod in ready_pods(&space, SAMPLE).await? {
            let container = &pod.spec.as_ref().unwrap().containers[0];
            let names: Vec<_> = container.env.iter().flatten().map(|variable| variable.name.clone()).collect();
            ensure!(names == expected, "{}: {names:?}", pod.name_any());
        }
    }
    Ok(())
}

async fn sidecar(fixture: &Fixture) -> Result<()> {
    let space = fixture.samples();
    let image = &fixture.installed.images.servers.reference;
    let sidecar = json!({"spec": {"template": {"spec": {"containers": [{"name": "spy", "image": image}]}}}});
    space.deployments().patch(SAMPLE, &PatchParams::default(), &Patch::Strategic(sidecar)).await?;
    suite::eventually("the Deployment has one container again", SOON, async || {
        let containers = space.deployments().get(SAMPLE).await?.spec.unwrap().template.spec.unwrap().containers.len();
        Ok(if containers == 1 { Ok(()) } else { Err(format!("{containers} containers")) })
    })
    .await?;
    settled(&space, SAMPLE).await?;
    let pods = ready_pods(&space, SAMPLE).await?;
    ensure!(pods.len() == 2 && pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers.len() == 1));
    Ok(())
}

async fn explain(fixture: &Fixture) -> Result<()> {
    let all = fixture.kubectl(&["explain", "mcpservers.mcp-eks.dev", "--recursive"]).await?;
    ensure!(all.contains("roots") && all.contains("observedGeneration"), "{all}");
    for field in ["spec", "spec.server", "spec.server.filesystem.roots", "spec.env", "spec.replicas", "status"] {
        let text = fixture.kubectl(&["explain", &format!("mcpservers.mcp-eks.dev.{field}")]).await?;
        ensure!(text.contains("DESCRIPTION:") && !text.contains("<no description>"), "{text}");
    }
    Ok(())
}

async fn restarted(fixture: &Fixture) -> Result<()> {
    let space = fixture.samples();
    let before: Vec<_> = ready_pods(&space, SAMPLE).await?.iter().map(ResourceExt::uid).collect();
    let deployment = format!("deployment/{SAMPLE}");
    fixture.kubectl(&["-n", SAMPLES_NAMESPACE, "rollout", "restart", &deployment]).await?;
    fixture.kubectl(&["-n", SAMPLES_NAMESPACE, "rollout", "status", &deployment, "--timeout=90s"]).await?;
    settled(&space, SAMPLE).await?;
    let after = ready_pods(&space, SAMPLE).await?;
    ensure!(after.len() == before.len() && after.iter().all(|pod| !before.contains(&pod.uid())), "the old pods stayed");
    let template = space.deployments().get(SAMPLE).await?.spec.unwrap().template.metadata.unwrap();
    let annotations = template.annotations.unwrap_or_default();
    ensure!(annotations.contains_key("kubectl.kubernetes.io/restartedAt"), "{annotations:?}");
    Ok(())
}

async fn two_managers(fixture: &Fixture) -> Result<()> {
    let space = fixture.samples();
    let apply = async |manager: &str, spec: serde_json::Value, force: bool| {
        let object = json!({
            "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
            "metadata": {"name": SAMPLE, "namespace": SAMPLES_NAMESPACE}, "spec": spec,
        });
        let file = tempfile::NamedTempFile::new()?;
        serde_json::to_writer(file.as_file(), &object)?;
        let path = file.path().to_string_lossy().into_owned();
        let mut arguments = vec!["apply", "--server-side", "--field-manager", manager, "-f", &path];
        arguments.extend(force.then_some("--force-conflicts"));
        fixture.kubectl(&arguments).await
    };
    apply("second", json!({"env": [{"name": "SECOND", "value": "1"}]}), false).await?;
    settled(&space, SAMPLE).await?;
    let server = space.servers().get(SAMPLE).await?;
    ensure!(server.spec.server.filesystem.is_some() && server.spec.env.len() == 1, "{:?}", server.spec);
    // What the first manager owns is refused to the second, by name.
    let refused = apply("second", json!({"replicas": 3}), false).await.unwrap_err().to_string();
    ensure!(refused.contains("conflict") && refused.contains(".spec.replicas"), "{refused}");
    // And what the second no longer asks for goes.
    apply("second", json!({}), false).await?;
    settled(&space, SAMPLE).await?;
    let server = space.servers().get(SAMPLE).await?;
    ensure!(server.spec.env.is_empty() && server.spec.server.filesystem.is_some(), "{:?}", server.spec);
    Ok(())
}

async fn missing_image(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("missing-image").await?;
    // A registry on the node's own loopback, where nobody listens: the pull fails at once, and no packet leaves.
    space.apply("tools", json!({"server": {"image": {"ref": "localhost:1/absent:1"}}, "replicas": 1})).await?;
    pod_waits(&space, "tools", &["ErrImagePull", "ImagePullBackOff"]).await?;
    let message = space.condition("tools", "Ready=False/ImagePullFailed", SOON).await?;
    ensure!(message.contains("image localhost:1/absent:1 cannot be pulled: "), "{message}");
    // The Event of a transition follows its status.
    tokio::time::sleep(SOON).await;
    // The kubelet goes back and forth between two reasons and many messages meanwhile.
    let writes = writes_within(fixture, Duration::from_secs(30)).await?;
    ensure!(writes.is_empty(), "{writes:?}");
    space.delete("tools", ROLLOUT).await
}

/// Waits until the kubelet has given one of these reasons: from then on the promise of 5 s counts.
async fn pod_waits(space: &Space, name: &str, reasons: &[&str]) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    suite::eventually(&format!("a pod of {name} waits with {reasons:?}"), ROLLOUT, async || {
        let pods = api.list(&ListParams::default().labels(&format!("mcp-eks.dev/server={name}"))).await?;
        let states = pods.iter().flat_map(|pod| pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()));
        let found: Vec<_> = states.filter_map(|status| status.state.clone()?.waiting?.reason).collect();
        let hit = found.iter().any(|reason| reasons.contains(&reason.as_str()));
        Ok(if hit { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}

async fn crash_loop(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("crash-loop").await?;
    let image = &fixture.installed.images.servers.reference;
    let server = json!({"ref": image, "command": ["mcp-filesystem"], "args": ["--root=data=/nowhere"]});
    space.apply("files", json!({"server": {"image": server}, "replicas": 1})).await?;
    pod_waits(&space, "files", &["CrashLoopBackOff"]).await?;
    let message = space.condition("files", "Ready=False/PodsCrashLooping", SOON).await?;
    ensure!(message.contains("exit code 2") && message.contains("/nowhere"), "{message}");
    space.delete("files", ROLLOUT).await
}

async fn web_server(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("web-server").await?;
    let image = &fixture.installed.images.servers.reference;
    // The health port of a server of ours: HTTP, and not MCP.
    let args = ["--listen=127.0.0.1:8080", "--health-listen=[::]:9090", "--root=data=/tmp"];
    let server = json!({"ref": image, "command": ["mcp-filesystem"], "args": args, "port": 9090});
    space.apply("web", json!({"server": {"image": server}, "replicas": 2})).await?;
    let message = not_mcp(&space, "web", 2, "ProbeFailed").await?;
    ensure!(
        message.starts_with("pod web-") && message.contains("does not speak MCP: it answers POST /mcp"),
        "{message}"
    );
    space.delete("web", ROLLOUT).await
}

/// Makes [`DOUBLE`] known to the node.
async fn load_double(fixture: &Fixture) -> Result<()> {
    let home = tempfile::tempdir()?;
    let archive = home.path().join("double.tar");
    Image::new(DOUBLE).base().file(BINARY, "/usr/local/bin/mcp-e2e", 0o755).pack(&archive)?;
    fixture.cluster.load(&archive).await
}

async fn hangs(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("hangs").await?;
    load_double(fixture).await?;
    let command = ["mcp-e2e", "double", "hangs", "[::]:8080"];
    let server = json!({"ref": DOUBLE, "command": command});
    space.apply("tools", json!({"server": {"image": server}, "replicas": 1})).await?;
    let message = not_mcp(&space, "tools", 1, "ProbeTimeout").await?;
    ensure!(message.contains("does not answer initialize within 4 s"), "{message}");
    space.delete("tools", ROLLOUT).await
}

/// Waits until pods are ready by kubelet's word, and then that the server is not, for this reason. Returns the message.
async fn not_mcp(space: &Space, name: &str, pods: usize, reason: &str) -> Result<String> {
    suite::eventually("kubelet takes the pods for ready", ROLLOUT, async || {
        let found = ready_pods(space, name).await?.len();
        Ok(if found == pods { Ok(()) } else { Err(format!("{found} pods")) })
    })
    .await?;
    space.condition(name, &format!("Ready=False/{reason}"), SOON).await
}

async fn missing_volume(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("missing-volume").await?;
    let image = &fixture.installed.images.servers.reference;
    let spec = json!({
        "server": {"image": {"ref": image}}, "replicas": 1,
        "volumes": [{"name": "data", "configMap": {"name": "nope"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    });
    space.apply("tools", spec).await?;
    let events: Api<KubeEvent> = Api::namespaced(space.client.clone(), &space.name);
    suite::eventually("kubelet says that the volume is missing", ROLLOUT, async || {
        let found = events.list(&ListParams::default().fields("reason=FailedMount")).await?.items;
        Ok(if found.is_empty() { Err("no word".to_owned()) } else { Ok(()) })
    })
    .await?;
    let message = space.condition("tools", "Ready=False/VolumeNotMounted", SOON).await?;
    ensure!(message.contains("configmap \"nope\" not found"), "{message}");
    // The Event of a transition follows its status.
    tokio::time::sleep(SOON).await;
    let writes = writes_within(fixture, Duration::from_secs(20)).await?;
    ensure!(writes.is_empty(), "{writes:?}");
    space.delete("tools", ROLLOUT).await
}

async fn deleted(fixture: &Fixture) -> Result<()> {
    let space = fixture.samples();
    space.delete(SAMPLE, ROLLOUT).await?;
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    suite::eventually("no pod is left", ROLLOUT, async || {
        let pods = api.list(&ListParams::default().labels("mcp-eks.dev/server=filesystem")).await?;
        let names: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
        Ok(if names.is_empty() { Ok(()) } else { Err(format!("{names:?}")) })
    })
    .await
}

fn never_denied(fixture: &Fixture) -> Result<()> {
    let events = fixture.cluster.audit_log().since(Mark::START)?;
    let denied: Vec<_> = events.iter().filter(|e| e.user == OPERATOR_USER && e.code == 403).collect();
    ensure!(denied.is_empty(), "{denied:?}");
    Ok(())
}
