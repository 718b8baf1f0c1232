//! The operator as a process beside the cluster, with the rights it has in the cluster and not one more.
//!
//! In: a cluster of tier api or controllers. Out: a running `mcp-operator` that authenticates as its ServiceAccount.
//! Its manifests are those of `config/`, without the Deployment.

use std::{
    fs::File,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api,
    api::PostParams,
    config::{AuthInfo, Kubeconfig},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::eventually;
use crate::{
    cluster::Cluster,
    doubles,
    install::{OPERATOR, OPERATOR_NAMESPACE, kubectl, output, repository},
};

/// What `config/` holds besides the Deployment.
const MANIFESTS: [&str; 3] = ["crds", "config/manager/namespace.yaml", "config/rbac"];

/// A running operator; ends with this value.
pub struct OperatorProcess {
    child: Child,
    binary: PathBuf,
    admin: u16,
    home: TempDir,
    /// Environment variables besides those that every suite's operator has.
    settings: Vec<(&'static str, String)>,
}

impl OperatorProcess {
    /// Applies the operator's manifests and starts its binary from `bin_dir`.
    pub async fn start(cluster: &Cluster, bin_dir: &Path) -> Result<Self> {
        Self::manifests(cluster).await?;
        Self::start_with(cluster, bin_dir, OPERATOR_NAMESPACE, Vec::new()).await
    }

    /// Applies the admission policy.
    pub async fn policies(cluster: &Cluster) -> Result<()> {
        apply(cluster, "config/policies").await
    }

    /// Applies the operator's manifests, but for its Deployment and the admission policy.
    pub async fn manifests(cluster: &Cluster) -> Result<()> {
        for manifest in MANIFESTS {
            apply(cluster, manifest).await?;
        }
        let crds = ["crd/mcpservers.mcp-eks.dev", "crd/mcpserverclasses.mcp-eks.dev"];
        let wait = ["wait", "--for=condition=Established", crds[0], crds[1], "--timeout=30s"];
        output(Command::new(kubectl(cluster)).args(wait).env("KUBECONFIG", cluster.kubeconfig())).await?;
        Ok(())
    }

    /// Starts one on a cluster that has the manifests, with the rights that it has in `namespace` and with
    /// `settings` in its environment.
    pub async fn start_with(
        cluster: &Cluster,
        bin_dir: &Path,
        namespace: &str,
        settings: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let process = Self::spawn_with(cluster, bin_dir, namespace, settings).await?;
        process.ready().await?;
        Ok(process)
    }

    /// Like [`Self::start_with`], but does not wait until it is ready.
    pub async fn spawn_with(
        cluster: &Cluster,
        bin_dir: &Path,
        namespace: &str,
        mut settings: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        settings.push(("MCP_EKS_LEADER_ELECT_NAMESPACE", namespace.to_owned()));
        let home = tempfile::tempdir()?;
        write_kubeconfig(cluster, namespace, &home.path().join("kubeconfig")).await?;
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let binary = bin_dir.join("mcp-operator");
        let child = spawn(&binary, home.path(), admin, &settings)?;
        Ok(Self { child, binary, admin, home, settings })
    }

    /// Ends it with SIGTERM and starts it again. Returns when it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start_again().await
    }

    /// Ends it with SIGTERM. Returns how long that took.
    pub async fn stop(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.signal(Signal::SIGTERM)?;
        let status = tokio::time::timeout(Duration::from_secs(15), self.child.wait()).await;
        let status = status.context("the operator did not end within 15 s of SIGTERM")??;
        anyhow::ensure!(status.success(), "the operator ended with {status} after SIGTERM");
        Ok(start.elapsed())
    }

    /// Ends it with SIGKILL: nothing is finished, nothing released.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("kill the operator")
    }

    /// Starts it again after its end. Returns when it is ready.
    pub async fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.binary, self.home.path(), self.admin, &self.settings)?;
        self.ready().await
    }

    /// Its process id.
    pub fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id().context("the operator has ended by itself")?)?)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid()?), signal).with_context(|| format!("send {signal} to the operator"))
    }

    /// What one of its health endpoints says: status and text. Fails when it does not answer.
    pub async fn health(&self, path: &str) -> Result<(u16, String)> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let answer = http.get(format!("http://127.0.0.1:{}/{path}", self.admin)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until it is the one that works. Returns how long that took.
    pub async fn leads(&self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        eventually("the operator leads", limit, async || {
            Ok(match self.health("readyz").await {
                Ok((200, text)) if text.starts_with("ok: leading") => Ok(()),
                Ok((_, text)) => Err(text),
                Err(error) => Err(error.to_string()),
            })
        })
        .await
        .with_context(|| format!("its log: {}", self.log().unwrap_or_default()))?;
        Ok(start.elapsed())
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.home.path().join("log"))?)
    }

    /// Waits until it is ready.
    pub async fn ready(&self) -> Result<()> {
        eventually("the operator is ready", Duration::from_secs(30), async || {
            Ok(match self.health("readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((_, text)) => Err(text),
                Err(error) => Err(error.to_string()),
            })
        })
        .await
        .with_context(|| format!("its log: {}", self.log().unwrap_or_default()))
    }
}

async fn apply(cluster: &Cluster, manifest: &str) -> Result<()> {
    let path = repository().join(manifest);
    let mut command = Command::new(kubectl(cluster));
    command.args(["apply", "--server-side", if path.is_dir() { "-k" } else { "-f" }]).arg(&path);
    output(command.env("KUBECONFIG", cluster.kubeconfig())).await.map(drop)
}

fn spawn(binary: &Path, home: &Path, admin: u16, settings: &[(&str, String)]) -> Result<Child> {
    let log = File::options().create(true).append(true).open(home.join("log"))?;
    Command::new(binary)
        .env("KUBECONFIG", home.join("kubeconfig"))
        .env("MCP_EKS_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
        .env("MCP_EKS_SERVERS_IMAGE", "localhost/mcp-eks-servers:suite")
        .env("MCP_EKS_LOG", "info,mcp_operator=debug")
        // There is no kube-proxy and no cluster DNS here.
        .env("MCP_EKS_SERVICE_ADDRESS", doubles::address().to_string())
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}: `cargo build -p mcp-operator` makes it", binary.display()))
}

/// A kubeconfig with a token of the operator's ServiceAccount in place of the admin's certificate.
async fn write_kubeconfig(cluster: &Cluster, namespace: &str, target: &Path) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(3600 * 4), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(OPERATOR, &PostParams::default(), &request).await?;
    let token = answer.status.context("the API server gave no token")?.token;
    let mut kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() });
    }
    File::create(target)?.write_all(serde_yaml::to_string(&kubeconfig)?.as_bytes())?;
    Ok(())
}
