//! Provider `kind`: the same interface where a Docker daemon is (a developer's laptop, GitHub Actions).
//!
//! In: a name. Out: a kind cluster with our audit policy and metrics-server. Written from kind's documentation and
//! sources (0.32, 0.33) and **not run where it was written**: there was no Docker daemon. Its tests check the
//! configuration and the command lines alone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use super::state::{Provider, State, Tier};
use super::{addons, connect};
use crate::audit;
use crate::cache::Cache;
use crate::packages;
use crate::progress::Progress;
use crate::tools::{Tool, Toolbox};

/// The node, pinned by content. kind publishes one image per minor version and release, so the patch differs from
/// the native provider's.
const NODE_IMAGE: &str = "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5";

/// Where the two host directories are mounted in the node.
const POLICY_IN_NODE: &str = "/etc/kubernetes/audit-policy.yaml";
const LOG_IN_NODE: &str = "/var/log/kubernetes-audit";

/// True where kind is installed and a Docker daemon answers.
pub async fn is_usable() -> bool {
    if packages::find("kind").is_none() || packages::find("docker").is_none() {
        return false;
    }
    let asked = quiet("docker", &["info".to_owned()]).status();
    matches!(tokio::time::timeout(Duration::from_secs(5), asked).await, Ok(Ok(status)) if status.success())
}

/// Creates the cluster and waits until it is ready.
pub(super) async fn start(cache: &Cache, name: &str, tier: Tier, dir: &Path, progress: Progress) -> Result<State> {
    if tier != Tier::Node {
        bail!("provider kind always makes a full node: tier {tier} is for --provider native alone (Linux, root)");
    }
    if !is_usable().await {
        bail!(
            "provider kind needs the `kind` program and a Docker daemon that answers `docker info`: install both \
             (https://kind.sigs.k8s.io), or use --provider native on Linux as root"
        );
    }
    let mut state = State {
        name: name.to_owned(),
        provider: Provider::Kind,
        tier,
        slot: None,
        supervisor: None,
        server: String::new(),
        ready: false,
    };
    state.save(dir)?;
    std::fs::create_dir_all(dir.join("audit"))?;
    std::fs::write(dir.join("audit-policy.yaml"), audit::POLICY)?;
    std::fs::write(dir.join("kind.yaml"), serde_yaml::to_string(&config(name, dir))?)?;
    run("kind", &create_command(name, dir)).await?;
    progress.say("kind has created the node");

    let client = connect::client(&dir.join("kubeconfig")).await?;
    let tools = Toolbox::ensure(cache, &[Tool::MetricsServer], progress).await?;
    load(name, &tools.archive(Tool::MetricsServer)?).await?;
    addons::apply(&client, addons::METRICS_SERVER, std::net::Ipv4Addr::UNSPECIFIED).await?;
    let patience = Duration::from_mins(3);
    let dns = addons::until_available(&client, "kube-system", "coredns");
    tokio::time::timeout(patience, dns).await.context("CoreDNS did not become ready within 180 s")??;
    progress.say("CoreDNS ready; metrics-server starts in the background");
    state.server = server(&dir.join("kubeconfig"))?;
    state.ready = true;
    state.save(dir)?;
    Ok(state)
}

/// Loads an image archive.
pub(super) async fn load(name: &str, archive: &Path) -> Result<()> {
    run("kind", &load_command(name, archive)).await
}

/// Fails unless the cluster answers.
pub(super) async fn check(state: &State, dir: &Path) -> Result<()> {
    if !state.ready {
        bail!("it never became ready");
    }
    connect::is_ready(&connect::client(&dir.join("kubeconfig")).await?).await
}

/// Why the cluster can never answer again, if so: its node is no longer there. A daemon that does not say is an error.
pub(super) async fn gone(name: &str) -> Result<Option<String>> {
    let mut command = quiet("kind", &["get".to_owned(), "clusters".to_owned()]);
    let output = command.stdout(Stdio::piped()).output().await.context("start `kind`")?;
    if !output.status.success() {
        bail!("`kind get clusters` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let listed = String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == name);
    Ok((!listed).then(|| "kind knows no such cluster".to_owned()))
}

/// Deletes the cluster; fine when there is none. Synchronous, so that it can run while unwinding.
pub(super) fn delete(name: &str) -> Result<()> {
    let output = std::process::Command::new("kind").args(delete_command(name)).stdin(Stdio::null()).output();
    let output = output.context("start `kind` to delete the cluster")?;
    if !output.status.success() {
        bail!("`kind delete cluster --name {name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn create_command(name: &str, dir: &Path) -> Vec<String> {
    let path = |file: &str| dir.join(file).to_string_lossy().into_owned();
    [
        "create",
        "cluster",
        "--name",
        name,
        "--config",
        &path("kind.yaml"),
        "--kubeconfig",
        &path("kubeconfig"),
        "--wait",
        "180s",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn load_command(name: &str, archive: &Path) -> Vec<String> {
    vec!["load".into(), "image-archive".into(), archive.to_string_lossy().into_owned(), "--name".into(), name.into()]
}

fn delete_command(name: &str) -> Vec<String> {
    ["delete", "cluster", "--name", name].map(str::to_owned).to_vec()
}

/// One node; its API server writes our audit log to a directory of the host.
fn config(name: &str, dir: &Path) -> Value {
    let cluster = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": [
                {"name": "audit-policy-file", "value": POLICY_IN_NODE},
                {"name": "audit-log-path", "value": format!("{LOG_IN_NODE}/audit.log")},
                {"name": "audit-log-mode", "value": "blocking"},
                {"name": "audit-log-maxsize", "value": "0"},
            ],
            "extraVolumes": [
                {"name": "audit-policy", "hostPath": POLICY_IN_NODE, "mountPath": POLICY_IN_NODE, "readOnly": true, "pathType": "File"},
                {"name": "audit-log", "hostPath": LOG_IN_NODE, "mountPath": LOG_IN_NODE, "readOnly": false, "pathType": "DirectoryOrCreate"},
            ],
        },
    });
    json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "nodes": [{
            "role": "control-plane",
            "image": NODE_IMAGE,
            "extraMounts": [
                {"hostPath": dir.join("audit-policy.yaml"), "containerPath": POLICY_IN_NODE, "readOnly": true},
                {"hostPath": dir.join("audit"), "containerPath": LOG_IN_NODE},
            ],
            // JSON is YAML, and kind wants the patch as a text.
            "kubeadmConfigPatches": [cluster.to_string()],
        }],
    })
}

fn server(kubeconfig: &Path) -> Result<String> {
    let parsed = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let server = parsed.clusters.into_iter().find_map(|cluster| cluster.cluster?.server);
    server.with_context(|| format!("{} names no server", kubeconfig.display()))
}

async fn run(program: &str, arguments: &[String]) -> Result<()> {
    let output = quiet(program, arguments).output().await.with_context(|| format!("start `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{program} {}` failed ({}):\n{}", arguments.join(" "), output.status, said.trim());
    }
    Ok(())
}

fn quiet(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_reaches_the_host() {
        let config = config("dev", Path::new("/cache/clusters/dev"));
        let node = &config["nodes"][0];
        assert_eq!(node["extraMounts"][1]["hostPath"], "/cache/clusters/dev/audit");
        let patch: Value = serde_yaml::from_str(node["kubeadmConfigPatches"][0].as_str().unwrap()).unwrap();
        assert_eq!(patch["kind"], "ClusterConfiguration");
        let arguments = patch["apiServer"]["extraArgs"].as_array().unwrap();
        let log = arguments.iter().find(|argument| argument["name"] == "audit-log-path").unwrap();
        let log = Path::new(log["value"].as_str().unwrap());
        let mount = node["extraMounts"][1]["containerPath"].as_str().unwrap();
        assert_eq!(log.parent(), Some(Path::new(mount)));
        assert_eq!(log.file_name(), super::super::audit_log_path(Path::new("/")).file_name());
    }

    #[test]
    fn the_node_is_pinned_by_content_to_the_native_minor_version() {
        let minor = crate::tools::KUBERNETES_VERSION.rsplit_once('.').unwrap().0;
        assert!(NODE_IMAGE.starts_with(&format!("kindest/node:v{minor}.")) && NODE_IMAGE.contains("@sha256:"));
    }

    #[test]
    fn every_command_names_the_cluster() {
        assert_eq!(
            create_command("dev", Path::new("/d")).join(" "),
            "create cluster --name dev --config /d/kind.yaml --kubeconfig /d/kubeconfig --wait 180s"
        );
        assert_eq!(load_command("dev", Path::new("/i.tar")).join(" "), "load image-archive /i.tar --name dev");
        assert_eq!(delete_command("dev").join(" "), "delete cluster --name dev");
    }

    #[tokio::test]
    async fn other_tiers_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().to_owned());
        let error = start(&cache, "dev", Tier::Api, home.path(), Progress::start()).await.unwrap_err().to_string();
        assert!(error.contains("--provider native"), "{error}");
    }
}
