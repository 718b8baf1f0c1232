//! Builds the components of a cluster from Go modules, once each, into the cache.
//!
//! In: the modules below `e2e/tools`, the Go on this machine, the module proxy. Out: binaries in
//! `tools/<module>-<hash>`, where the hash covers the module's files, the flags and the Go version: another input
//! is another directory. One lock keeps two processes from building twice; a build that is cut off leaves nothing
//! under the final name. Go's build cache is our own and is removed after a batch: it is gigabytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::cache::Cache;
use crate::image::Image;
use crate::progress::Progress;

/// The Kubernetes that local clusters run; the same as in `e2e/tools/kubernetes/go.mod`.
pub const KUBERNETES_VERSION: &str = "1.36.3";

/// The KEDA whose scaling is tested; the same as in `e2e/tools/keda/go.mod`.
pub const KEDA_VERSION: &str = "2.21.0";

/// A component that is built from a module of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The store.
    Etcd,
    /// API server, controller manager, scheduler, kubelet, kube-proxy and kubectl in one binary.
    Kubernetes,
    /// The cluster's name server; comes with an image.
    CoreDns,
    /// `kubectl top` and CPU-based scaling; comes with an image.
    MetricsServer,
    /// Holds a pod's namespaces; comes with an image.
    Pause,
    /// KEDA's operator, metrics adapter and admission webhooks; come with one image.
    Keda,
}

impl Tool {
    fn module(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::CoreDns => "coredns",
            Self::MetricsServer => "metrics-server",
            Self::Pause => "pause",
            Self::Keda => "keda",
        }
    }

    /// Name and package of its binaries, the main one first.
    fn programs(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::MetricsServer => vec![(self.module(), "sigs.k8s.io/metrics-server/cmd/metrics-server")],
            Self::Keda => vec![
                (self.module(), "github.com/kedacore/keda/v2/cmd/operator"),
                ("keda-adapter", "github.com/kedacore/keda/v2/cmd/adapter"),
                ("keda-admission-webhooks", "github.com/kedacore/keda/v2/cmd/webhooks"),
            ],
            _ => vec![(self.module(), ".")],
        }
    }

    fn effort(self) -> &'static str {
        match self {
            Self::Etcd => "20 s",
            Self::Kubernetes => "4 min",
            Self::CoreDns => "1 min",
            Self::MetricsServer => "2 min",
            Self::Pause => "1 s",
            Self::Keda => "6 min",
        }
    }

    fn linker_flags(self) -> String {
        match self {
            Self::Kubernetes => {
                let stamp = "-X k8s.io/component-base/version";
                let mut parts = KUBERNETES_VERSION.split('.');
                let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                format!(
                    "-s -w {stamp}.gitVersion=v{KUBERNETES_VERSION} {stamp}.gitMajor={major} {stamp}.gitMinor={minor}"
                )
            }
            Self::Keda => format!("-s -w -X github.com/kedacore/keda/v2/version.Version={KEDA_VERSION}"),
            _ => "-s -w".to_owned(),
        }
    }

    /// The image reference pods use, for tools that run in the cluster.
    #[must_use]
    pub fn image(self) -> Option<String> {
        matches!(self, Self::CoreDns | Self::MetricsServer | Self::Pause | Self::Keda)
            .then(|| format!("localhost/mcp-eks-{}:1", self.module()))
    }
}

/// The tools that are there now.
#[derive(Clone, Debug)]
pub struct Toolbox {
    directories: BTreeMap<Tool, PathBuf>,
}

impl Toolbox {
    /// Makes sure that `wanted` are built, building what is missing one after the other.
    pub async fn ensure(cache: &Cache, wanted: &[Tool], progress: Progress) -> Result<Self> {
        let go = go_version().await?;
        let mut directories = BTreeMap::new();
        for tool in wanted {
            directories.insert(*tool, cache.tools().join(format!("{}-{}", tool.module(), content_hash(*tool, &go)?)));
        }
        let toolbox = Self { directories };
        if toolbox.missing().is_empty() {
            return Ok(toolbox);
        }
        let waiting = (cache.clone(), progress);
        let _lock = tokio::task::spawn_blocking(move || waiting.0.lock("tools", waiting.1)).await??;
        let missing = toolbox.missing();
        remove_staging(&cache.tools());
        for (tool, directory) in &missing {
            build(cache, *tool, directory, progress).await?;
        }
        if !missing.is_empty() {
            let build_cache = cache.root().join("go-build");
            let _ = std::fs::remove_dir_all(build_cache);
        }
        Ok(toolbox)
    }

    /// The binary of a tool that [`Toolbox::ensure`] was asked for.
    pub fn binary(&self, tool: Tool) -> Result<PathBuf> {
        Ok(self.directory(tool)?.join(tool.module()))
    }

    /// The image archive of a tool that runs in the cluster.
    pub fn archive(&self, tool: Tool) -> Result<PathBuf> {
        Ok(self.directory(tool)?.join("image.tar"))
    }

    fn directory(&self, tool: Tool) -> Result<&Path> {
        let found = self.directories.get(&tool).map(PathBuf::as_path);
        found.with_context(|| format!("{} was not asked for, so it was not built", tool.module()))
    }

    fn missing(&self) -> Vec<(Tool, PathBuf)> {
        self.directories.iter().filter(|(_, path)| !path.exists()).map(|(tool, path)| (*tool, path.clone())).collect()
    }
}

/// What builds that were cut off have left. The lock is held: nobody is building.
fn remove_staging(tools: &Path) {
    for entry in std::fs::read_dir(tools).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

async fn build(cache: &Cache, tool: Tool, directory: &Path, progress: Progress) -> Result<()> {
    let module = tool.module();
    progress.say(format_args!("building {module} from its Go module (about {} on two cores, once)", tool.effort()));
    std::fs::create_dir_all(cache.tools())?;
    let staging = tempfile::Builder::new().prefix(&format!(".{module}-")).tempdir_in(cache.tools())?;
    for (program, package) in tool.programs() {
        compile(cache, tool, package, &staging.path().join(program), progress).await?;
    }
    if let Some(reference) = tool.image() {
        pack(tool, reference, staging.path())?;
    }
    let finished = staging.keep();
    set_mode(&finished, 0o755)?;
    std::fs::rename(&finished, directory)
        .with_context(|| format!("put {module} in place at {}", directory.display()))?;
    progress.say(format_args!("built {module}"));
    Ok(())
}

async fn compile(cache: &Cache, tool: Tool, package: &str, binary: &Path, progress: Progress) -> Result<()> {
    // Killed with us, however we end: a build without its lock would get in the way of the next one.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "go", "build"])
        .args(["-trimpath", "-ldflags", &tool.linker_flags(), "-o"])
        .arg(binary)
        .arg(package)
        .current_dir(source(tool))
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .env("GOCACHE", cache.root().join("go-build"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start `setpriv … go build` (setpriv comes with util-linux)")?;
    let mut complaints = child.stderr.take().context("read what `go build` says")?;
    let reader = tokio::spawn(async move {
        let mut text = String::new();
        let _ = tokio::io::AsyncReadExt::read_to_string(&mut complaints, &mut text).await;
        text
    });
    let status = loop {
        match tokio::time::timeout(Duration::from_mins(1), child.wait()).await {
            Ok(status) => break status?,
            Err(_) => progress.say(format_args!("still building {}", tool.module())),
        }
    };
    let complaints = reader.await.unwrap_or_default();
    if !status.success() {
        let tail: Vec<&str> = complaints.lines().filter(|line| !line.starts_with("go: downloading")).collect();
        bail!(
            "`go build` of {} failed ({status}):\n{}\nIf a module could not be fetched, check that the Go module proxy \
             (`go env GOPROXY`) answers.",
            source(tool).display(),
            tail.join("\n")
        );
    }
    Ok(())
}

fn pack(tool: Tool, reference: String, directory: &Path) -> Result<()> {
    let mut image = Image::new(reference).entrypoint([format!("/{}", tool.module())]);
    for (program, _) in tool.programs() {
        image = image.file(directory.join(program), &format!("/{program}"), 0o755);
    }
    // CoreDNS binds port 53.
    let image = if tool == Tool::CoreDns { image.user("0:0") } else { image };
    image.pack(&directory.join("image.tar"))?;
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

fn source(tool: Tool) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(tool.module())
}

async fn go_version() -> Result<String> {
    let output = Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output().await;
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => bail!("`go env GOVERSION` failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => bail!(
            "the components of a native cluster are built with Go, and `go` cannot be started ({error}): install \
             Go 1.26 or newer (https://go.dev/doc/install) and have it in PATH, or use --provider kind where Docker is"
        ),
    }
}

fn content_hash(tool: Tool, go: &str) -> Result<String> {
    let directory = source(tool);
    let what = || format!("read the Go module {}", directory.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .with_context(what)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ["mod", "sum", "go"].iter().any(|known| ending == *known)))
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        digest.update([0]);
        digest.update(std::fs::read(&file).with_context(what)?);
        digest.update([0]);
    }
    digest.update(format!("{go} {} {} {:?}", tool.linker_flags(), std::env::consts::ARCH, tool.image()));
    Ok(crate::image::hex(digest.finalize().get(..6).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_the_go_version_and_the_module() {
        let hash = |tool, go| content_hash(tool, go).unwrap();
        assert_eq!(hash(Tool::Etcd, "go1.26.8"), hash(Tool::Etcd, "go1.26.8"));
        assert_ne!(hash(Tool::Etcd, "go1.26.8"), hash(Tool::Etcd, "go1.27.0"));
        assert_ne!(hash(Tool::Etcd, "go1.26.8"), hash(Tool::Pause, "go1.26.8"));
    }

    #[test]
    fn the_kubernetes_stamp_is_the_version_in_its_module() {
        let module = std::fs::read_to_string(source(Tool::Kubernetes).join("go.mod")).unwrap();
        assert!(module.contains(&format!("k8s.io/kubernetes v{KUBERNETES_VERSION}")));
        assert!(Tool::Kubernetes.linker_flags().contains("gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"));
    }

    #[test]
    fn the_keda_that_is_built_is_the_version_in_its_module() {
        let module = std::fs::read_to_string(source(Tool::Keda).join("go.mod")).unwrap();
        assert!(module.contains(&format!("github.com/kedacore/keda/v2 v{KEDA_VERSION}")));
    }

    #[test]
    fn only_what_runs_in_pods_has_an_image() {
        assert_eq!(Tool::Etcd.image(), None);
        assert_eq!(Tool::Pause.image().as_deref(), Some("localhost/mcp-eks-pause:1"));
    }
}
