//! From a running cluster to Ready samples: what `make up` does, and what the suites on tier node start from.
//!
//! In: a cluster and the directory of the built binaries. Out: the operator and the samples of `config/`, Ready, and
//! the answer of a tool of each. A second run with the same input finds nothing to do. Nothing is done here that a user
//! could not do with kubectl.

pub mod aws;
pub mod call;
pub mod command;
pub mod images;
pub mod keda;
mod local;
pub mod manifests;
pub mod ready;
pub mod samples;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use self::{images::Images, manifests::Manifests, samples::samples};
use crate::{cache::Cache, cluster::Cluster, progress::Progress};

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "mcp-eks-system";
/// Name of the operator's Deployment and ServiceAccount.
pub const OPERATOR: &str = "mcp-eks-operator";
/// User name of the operator at the API server.
pub const OPERATOR_USER: &str = "system:serviceaccount:mcp-eks-system:mcp-eks-operator";
/// Namespace of the samples.
pub const SAMPLES_NAMESPACE: &str = "mcp-eks-samples";
/// The sample that most tests are about.
pub const SAMPLE: &str = "filesystem";

/// What was installed, and whether there was anything to do.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The local images.
    pub images: Images,
    /// False when everything was there already.
    pub changed: bool,
}

/// Brings images, definitions, operator and samples into a cluster of tier node, and waits until all are Ready.
pub async fn install(cluster: &Cluster, bin_dir: &Path, cache: &Path, progress: Progress) -> Result<Installed> {
    // The archives have fixed names: another checkout with the same cache must not replace them before they are loaded.
    let lock = Cache::at(cache.to_owned());
    let lock = tokio::task::spawn_blocking(move || lock.lock("images", progress)).await??;
    let images = Images::pack(bin_dir, &cache.join("images"))?;
    let client = cluster.client();
    let calls_aws = samples().iter().any(|sample| sample.name == "aws");
    let aws = if calls_aws { aws::ensure(cluster, &Cache::at(cache.to_owned()), progress).await? } else { None };
    let manifests = Manifests::render(&kubectl(cluster), &repository(), &images, aws).await?;
    let changed = !manifests.are_applied(&client).await?;
    if changed {
        progress.say(format_args!("loading images {} and {}", images.operator.reference, images.servers.reference));
        cluster.load(&images.operator_archive).await?;
        cluster.load(&images.servers_archive).await?;
    }
    drop(lock);
    if changed {
        progress.say("applying the operator and the samples (kubectl apply --server-side)");
        manifests.apply(&kubectl(cluster), &cluster.kubeconfig()).await?;
    }
    ready::operator(&client, progress).await?;
    // All at once: each takes its time to start, and none waits for another.
    let all = samples();
    let ready = all.iter().map(|sample| ready::server(&client, SAMPLES_NAMESPACE, sample.name, progress));
    futures::future::try_join_all(ready).await?;
    if changed {
        manifests.record(&client).await?;
    }
    Ok(Installed { images, changed })
}

/// Brings the operator alone into a cluster of tier node, without a sample, and waits until it is ready.
pub async fn operator(cluster: &Cluster, bin_dir: &Path, cache: &Path, progress: Progress) -> Result<()> {
    let lock = Cache::at(cache.to_owned());
    let lock = tokio::task::spawn_blocking(move || lock.lock("images", progress)).await??;
    let images = Images::pack(bin_dir, &cache.join("images"))?;
    cluster.load(&images.operator_archive).await?;
    cluster.load(&images.servers_archive).await?;
    drop(lock);
    let manifests = Manifests::render(&kubectl(cluster), &repository(), &images, None).await?;
    manifests.apply_operator(&kubectl(cluster), &cluster.kubeconfig()).await?;
    ready::operator(&cluster.client(), progress).await
}

/// The kubectl that belongs to a cluster: built with a native one, else that of the PATH.
#[must_use]
pub fn kubectl(cluster: &Cluster) -> PathBuf {
    let own = cluster.kubeconfig().with_file_name("bin").join("kubectl");
    if own.exists() { own } else { PathBuf::from("kubectl") }
}

/// The repository this program was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir).to_owned()
}

/// The operator's namespace, on which an installation is recorded.
pub(crate) fn namespaces(client: &kube::Client) -> Api<Namespace> {
    Api::all(client.clone())
}

/// Nothing where there is no such object, and where the API server serves no such kind: it says both by 404, the latter
/// in plain text.
pub(crate) fn unless_absent<T>(got: kube::Result<T>) -> kube::Result<Option<T>> {
    match got {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs a command to its end. Returns its standard output; fails with its standard error.
pub(crate) async fn output(command: &mut tokio::process::Command) -> Result<String> {
    let shown = format!("{:?}", command.as_std());
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("start {shown}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{shown}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed what is not UTF-8"))
}
