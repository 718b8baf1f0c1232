//! From nothing to a ready native cluster.
//!
//! In: what is wanted, and an empty directory. Out: a running, ready cluster, or an error that says which part did
//! not come and why. On an error the caller sweeps; nothing here cleans up.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::Client;

use super::pki::Pki;
use super::plan::{Layout, Ports};
use super::{cgroup, config, exits, images, kubeconfig, link, supervisor, write_private};
use crate::audit;
use crate::cache::Cache;
use crate::cluster::process::Identity;
use crate::cluster::slot::Slot;
use crate::cluster::state::{Provider, State, Tier};
use crate::cluster::{addons, connect};
use crate::packages;
use crate::progress::Progress;
use crate::tools::{Tool, Toolbox};

/// How long to wait for any one part on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// What to start.
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) tier: Tier,
    pub(crate) dir: &'a Path,
    pub(crate) cache: &'a Cache,
    pub(crate) own_binary: &'a Path,
    pub(crate) pod_address: Option<Ipv4Addr>,
    pub(crate) progress: Progress,
}

/// A started cluster: the record, a client, and the process that holds its lease on standard input.
pub(crate) struct Started {
    pub(crate) state: State,
    pub(crate) client: Client,
    pub(crate) child: Child,
}

/// Installs and builds what a tier needs; nothing when it is there.
pub(crate) async fn provide(cache: &Cache, tier: Tier, progress: Progress) -> Result<Toolbox> {
    packages::ensure(cache, packages::NAMESPACES, progress).await?;
    let mut tools = vec![Tool::Etcd, Tool::Kubernetes];
    if tier == Tier::Node {
        packages::ensure(cache, packages::NODE, progress).await?;
        tools.extend([Tool::CoreDns, Tool::Pause, Tool::MetricsServer]);
    }
    Toolbox::ensure(cache, &tools, progress).await
}

/// Starts it and waits until it is ready.
pub(crate) async fn start(wanted: &Wanted<'_>) -> Result<Started> {
    let (name, dir, progress) = (wanted.name, wanted.dir, wanted.progress);
    let node = wanted.tier == Tier::Node;
    let tools = provide(wanted.cache, wanted.tier, progress).await?;

    let mut state = claim(wanted)?;
    let slot = state.slot.context("a native cluster has a slot")?;
    let ports = ports(wanted.tier, &state.server)?;
    prepare(wanted, &tools, slot, ports, &state.server)?;
    if node {
        cgroup::create(name)?;
    }
    let mut child = spawn(wanted)?;
    let unshare = Identity::of(i32::try_from(child.id())?).context("the supervisor ended at once")?;
    state.supervisor = Some(unshare.clone());
    state.save(dir)?;
    let first = first_process(&unshare, &mut child, dir).await?;
    if node {
        link::connect(slot, first, dir)?;
    }

    let admin = dir.join("kubeconfig");
    let server = guarded(dir, "the API server", async {
        connect::until_ready(&admin).await?;
        progress.say("API server ready");
        connect::client(&admin).await
    });
    let snapshotter = images::snapshotter(dir);
    let load = async |tool: Tool| images::import(first, &tools.archive(tool)?, snapshotter).await;
    let loaded = guarded(dir, "containerd", async {
        if node {
            images::until_listening(first).await;
            load(Tool::Pause).await?;
            load(Tool::CoreDns).await?;
            progress.say("containerd ready, system images loaded");
        }
        Ok(())
    });
    let (client, ()) = tokio::try_join!(server, loaded)?;
    if wanted.tier != Tier::Api {
        let apply =
            async { if node { addons::apply(&client, addons::COREDNS, slot.dns_service()).await } else { Ok(()) } };
        let ready = guarded(dir, "the node", addons::until_node_ready(&client, name));
        tokio::try_join!(apply, ready)?;
        progress.say("node ready");
    }
    if node {
        load(Tool::MetricsServer).await?;
        addons::apply(&client, addons::METRICS_SERVER, slot.dns_service()).await?;
        guarded(dir, "CoreDNS", addons::until_available(&client, "kube-system", "coredns")).await?;
        progress.say("CoreDNS ready; metrics-server starts in the background");
    }
    state.ready = true;
    state.save(dir)?;
    Ok(Started { state, client, child })
}

/// Takes the lowest free slot and writes the record, so that nobody else takes it.
fn claim(wanted: &Wanted<'_>) -> Result<State> {
    let _lock = wanted.cache.lock("slots", wanted.progress)?;
    let mut taken = Vec::new();
    for entry in std::fs::read_dir(wanted.cache.clusters()).into_iter().flatten().flatten() {
        taken.extend(State::load(&entry.path()).ok().flatten().and_then(|state| state.slot));
    }
    let free = Slot::all().find(|slot| !taken.contains(slot) && !link::exists(*slot));
    let Some(slot) = free else {
        bail!("all {} places for native clusters are taken: `cluster down` one of them", crate::cluster::slot::COUNT)
    };
    let (address, port) = match wanted.tier {
        Tier::Node => (IpAddr::from(slot.link_node()), Ports::NODE.server),
        Tier::Api | Tier::Controllers => (IpAddr::from(Ipv4Addr::LOCALHOST), free_ports(slot)?),
    };
    let state = State {
        name: wanted.name.to_owned(),
        provider: Provider::Native,
        tier: wanted.tier,
        slot: Some(slot),
        supervisor: None,
        server: format!("https://{address}:{port}"),
        ready: false,
    };
    state.save(wanted.dir)?;
    Ok(state)
}

fn free_ports(slot: Slot) -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let found = slot.port_bases().find(|base| Ports::from_base(*base).all().iter().all(is_free));
    found.with_context(|| format!("none of the ports for slot {} is free on loopback (from 18000 up)", slot.0))
}

fn ports(tier: Tier, server: &str) -> Result<Ports> {
    if tier == Tier::Node {
        return Ok(Ports::NODE);
    }
    let port = server.rsplit(':').next().and_then(|port| port.parse().ok());
    port.map(Ports::from_base).with_context(|| format!("no port in {server}"))
}

/// Writes everything the supervisor and the components read.
fn prepare(wanted: &Wanted<'_>, tools: &Toolbox, slot: Slot, ports: Ports, server: &str) -> Result<()> {
    let (dir, name) = (wanted.dir, wanted.name);
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut server_names = strings(&["kubernetes", "kubernetes.default", "kubernetes.default.svc"]);
    server_names.extend(strings(&["kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1"]));
    server_names.extend([slot.api_service(), slot.node(), slot.link_node()].map(|address| address.to_string()));
    let node_names = [name.to_owned(), slot.node().to_string(), "127.0.0.1".to_owned()];
    let pki = Pki::create(&dir.join("pki"), &server_names, name, &node_names)?;

    let (etcd, kubernetes) = (tools.binary(Tool::Etcd)?, tools.binary(Tool::Kubernetes)?);
    let containerd = if wanted.tier == Tier::Node {
        Some(packages::find("containerd").context("containerd is not installed")?)
    } else {
        None
    };
    let layout = Layout {
        dir,
        tier: wanted.tier,
        slot,
        node: name,
        pki: &pki,
        etcd: &etcd,
        kubernetes: &kubernetes,
        containerd: containerd.as_deref(),
        own_binary: wanted.own_binary,
        ports,
        pod_address: wanted.pod_address,
    };
    write_private(&dir.join("plan.json"), &serde_json::to_string_pretty(&layout.plan())?, 0o600)?;
    write_private(&dir.join("audit-policy.yaml"), audit::POLICY, 0o644)?;
    for directory in ["audit", "logs", "bin"] {
        std::fs::create_dir_all(dir.join(directory))?;
    }
    // The multi-call binary goes by the name it is called.
    std::os::unix::fs::symlink(&kubernetes, dir.join("bin/kubectl")).context("link kubectl")?;
    write_private(&dir.join("kubeconfig"), &kubeconfig::render(name, server, &pki, "admin")?, 0o600)?;

    let inside = match wanted.tier {
        Tier::Node => format!("https://{}:{}", slot.node(), ports.server),
        Tier::Api | Tier::Controllers => server.to_owned(),
    };
    for client in ["controller-manager", "scheduler", "proxy", "kubelet", "fake-kubelet"] {
        let text = kubeconfig::render(name, &inside, &pki, client)?;
        write_private(Path::new(&layout.kubeconfig(client)), &text, 0o600)?;
    }
    if wanted.tier == Tier::Node {
        let pause = Tool::Pause.image().unwrap_or_default();
        let containerd = config::containerd(dir, packages::cni_directory()?, images::snapshotter(dir), &pause);
        let kubelet = config::kubelet(dir, slot, &pki, &cgroup::root(name));
        let proxy = config::proxy(&PathBuf::from(layout.kubeconfig("proxy")), slot, name);
        for (file, text) in [
            ("containerd.toml", containerd),
            ("cni/10-pods.conflist", config::cni(dir, slot).to_string()),
            ("conf/kubelet.json", kubelet.to_string()),
            ("conf/proxy.json", proxy.to_string()),
            ("resolv.conf", format!("nameserver {}\n", slot.dns_service())),
        ] {
            write_private(&dir.join(file), &text, 0o644)?;
        }
    }
    Ok(())
}

/// Starts the supervisor in namespaces of its own, away from our terminal. We hold the other end of its lease.
fn spawn(wanted: &Wanted<'_>) -> Result<Child> {
    let log = std::fs::File::create(wanted.dir.join("logs/supervisor.log"))?;
    let mut command = Command::new("setsid");
    command.args(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]);
    if wanted.tier == Tier::Node {
        command.args(["--net", "--ipc", "--uts"]);
    }
    command
        .arg(wanted.own_binary)
        .arg(supervisor::COMMAND)
        .arg("--dir")
        .arg(wanted.dir)
        .current_dir(wanted.dir)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start the supervisor with `setsid unshare` (package util-linux)")
}

/// The supervisor as the host sees it: the one child of `unshare`.
async fn first_process(unshare: &Identity, child: &mut Child, dir: &Path) -> Result<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(first) = unshare.children().first() {
            return Ok(first.pid);
        }
        if let Some(status) = child.try_wait()? {
            let log = exits::tail(&dir.join("logs/supervisor.log"));
            bail!("the supervisor's namespaces could not be made ({status}): {log}");
        }
        if Instant::now() > deadline {
            bail!("`unshare` started no supervisor within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for `work`, but not longer than it can possibly come: a component that ended is the answer.
async fn guarded<T>(dir: &Path, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let broken = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if let Some(exit) = exits::first_with_log(dir) {
                return exit;
            }
            if supervisor_gone(dir) {
                return format!(
                    "the supervisor ended; the end of its log:\n{}",
                    exits::tail(&dir.join("logs/supervisor.log"))
                );
            }
        }
    };
    tokio::select! {
        done = tokio::time::timeout(PATIENCE, work) => match done {
            Ok(result) => result.with_context(|| format!("while waiting for {what}")),
            Err(_) => bail!("{what} did not become ready within {} s: see {}", PATIENCE.as_secs(), dir.join("logs").display()),
        },
        exit = broken => bail!("{what} cannot become ready: {exit}"),
    }
}

fn supervisor_gone(dir: &Path) -> bool {
    let state = State::load(dir).ok().flatten();
    state.and_then(|state| state.supervisor).is_none_or(|supervisor| !supervisor.is_alive())
}
