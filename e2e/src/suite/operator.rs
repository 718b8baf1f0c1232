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
    time::Duration,
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
}

impl OperatorProcess {
    /// Applies the operator's manifests and starts its binary from `bin_dir`.
    pub async fn start(cluster: &Cluster, bin_dir: &Path) -> Result<Self> {
        for manifest in MANIFESTS {
            let path = repository().join(manifest);
            let mut command = Command::new(kubectl(cluster));
            command.args(["apply", "--server-side", if path.is_dir() { "-k" } else { "-f" }]).arg(&path);
            output(command.env("KUBECONFIG", cluster.kubeconfig())).await?;
        }
        let wait = ["wait", "--for=condition=Established", "crd/mcpservers.mcp-eks.dev", "--timeout=30s"];
        output(Command::new(kubectl(cluster)).args(wait).env("KUBECONFIG", cluster.kubeconfig())).await?;
        let home = tempfile::tempdir()?;
        write_kubeconfig(cluster, &home.path().join("kubeconfig")).await?;
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let binary = bin_dir.join("mcp-operator");
        let child = spawn(&binary, home.path(), admin)?;
        let process = Self { child, binary, admin, home };
        process.ready().await?;
        Ok(process)
    }

    /// Ends it with SIGTERM and starts it again. Returns when it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        let pid = self.child.id().context("the operator has ended by itself")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        let status = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        let status = status.context("the operator did not end within 10 s of SIGTERM")??;
        anyhow::ensure!(status.success(), "the operator ended with {status} after SIGTERM");
        self.child = spawn(&self.binary, self.home.path(), self.admin)?;
        self.ready().await
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.home.path().join("log"))?)
    }

    async fn ready(&self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin);
        let http = reqwest::Client::builder().no_proxy().build()?;
        eventually("the operator is ready", Duration::from_secs(30), async || {
            Ok(match http.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(answer.text().await?),
                Err(error) => Err(error.to_string()),
            })
        })
        .await
        .with_context(|| format!("its log: {}", self.log().unwrap_or_default()))
    }
}

fn spawn(binary: &Path, home: &Path, admin: u16) -> Result<Child> {
    let log = File::options().create(true).append(true).open(home.join("log"))?;
    Command::new(binary)
        .env("KUBECONFIG", home.join("kubeconfig"))
        .env("MCP_EKS_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
        .env("MCP_EKS_SERVERS_IMAGE", "localhost/mcp-eks-servers:suite")
        .env("MCP_EKS_LOG", "info,mcp_operator=debug")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}: `cargo build -p mcp-operator` makes it", binary.display()))
}

/// A kubeconfig with a token of the operator's ServiceAccount in place of the admin's certificate.
async fn write_kubeconfig(cluster: &Cluster, target: &Path) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), OPERATOR_NAMESPACE);
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
