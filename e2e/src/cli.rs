//! The command line of `mcp-e2e`. Paths and answers go to standard output, progress and errors to standard error.

use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::bench::{self, Bench};
use crate::cache::Cache;
use crate::cluster::{self, Cluster, DEFAULT_NAME, Options, Provider, State, Tier};
use crate::doubles::{self, Behaviour, pod_identity};
use crate::fake_kubelet::{self, Settings};
use crate::install::command::Up;
use crate::progress::Progress;

/// Local Kubernetes clusters for mcp-eks.
#[derive(Parser)]
#[command(name = "mcp-e2e", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start, use and end a local cluster
    #[command(subcommand, after_help = EXAMPLES)]
    Cluster(ClusterCommand),
    /// From nothing to a cluster with the operator and Ready samples; the second time there is nothing to do
    Up(Up),
    /// End what `up` started
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Many servers, against a bare writer of the same objects; prints a report
    Bench(Bench),
    /// Process 1 of a cluster's pid namespace
    #[command(name = cluster::native::supervisor::COMMAND, hide = true)]
    Supervise {
        #[arg(long)]
        dir: PathBuf,
    },
    /// Look a name up as any program would; run in a pod to see whether names resolve there
    #[command(hide = true)]
    Resolve {
        /// The name
        name: String,
    },
    /// A server for tests that behaves badly, in a pod
    #[command(hide = true)]
    Double {
        /// How it behaves
        behaviour: Behaviour,
        /// Where it listens
        listen: SocketAddr,
    },
    /// The double of EKS's agent for Pod Identity, which runs in each node
    #[command(hide = true)]
    PodIdentityAgent {
        /// Where SDKs in pods find it
        #[arg(long)]
        listen: SocketAddr,
        /// Where EKS Auth answers
        #[arg(long)]
        endpoint: String,
        /// The cluster, as AWS calls it
        #[arg(long)]
        cluster_name: String,
    },
    /// The fake kubelet of tier controllers
    #[command(hide = true)]
    FakeKubelet {
        #[arg(long)]
        kubeconfig: PathBuf,
        #[arg(long)]
        node: String,
        #[arg(long)]
        pods: String,
        #[arg(long)]
        pod_address: Option<Ipv4Addr>,
    },
}

const EXAMPLES: &str = "Examples:
  cluster up                                  a full node called mcp-eks
  cluster up --tier api --name dev            only etcd and the API server, in about four seconds
  export KUBECONFIG=$(cargo xtask cluster kubeconfig)
  cluster kubectl -- get pods -A              kubectl comes with a native cluster
  cluster load target/images/operator.tar     make an image available to pods
  tail -f $(cargo xtask cluster audit-log)    who did what
  cluster down                                nothing stays behind

Tiers: api (etcd + API server; objects are stored, nothing acts on them), controllers (+ controller manager and a
fake kubelet; Deployments become available, nothing really runs), node (everything: containers, DNS, metrics).";

#[derive(Args)]
struct Name {
    /// Which cluster; any number can run side by side
    #[arg(long, default_value = DEFAULT_NAME, global = true)]
    name: String,
}

#[derive(Subcommand)]
enum ClusterCommand {
    /// Start a cluster and wait until it is ready; does nothing when it already is
    Up {
        #[command(flatten)]
        name: Name,
        /// How much of a cluster
        #[arg(long, value_enum, default_value_t = Tier::Node)]
        tier: Tier,
        /// Who makes it [default: kind where Docker answers and kind is installed, else native]
        #[arg(long, value_enum)]
        provider: Option<Provider>,
        /// Tier controllers: the address that fake pods report, such as that of a real listener; those of bad servers follow
        #[arg(long)]
        pod_address: Option<Ipv4Addr>,
    },
    /// End a cluster and remove all of it; fine when there is none
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Say what runs; exit status 1 unless it is healthy
    Status {
        #[command(flatten)]
        name: Name,
    },
    /// Make an image available to pods, from an archive (docker save, podman save)
    Load {
        /// The archive's path
        image: PathBuf,
        #[command(flatten)]
        name: Name,
    },
    /// Print the path of a kubeconfig with all rights
    Kubeconfig {
        #[command(flatten)]
        name: Name,
    },
    /// Print the path of the API server's audit log
    AuditLog {
        #[command(flatten)]
        name: Name,
    },
    /// Run kubectl against the cluster
    Kubectl {
        #[command(flatten)]
        name: Name,
        /// What to tell kubectl
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn run() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            if let Some(shortage) = Cache::from_env().ok().and_then(|cache| cache.shortage()) {
                eprintln!("error: {shortage}");
            }
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Supervise { dir } => {
            cluster::native::supervisor::run(&dir)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::FakeKubelet { kubeconfig, node, pods, pod_address } => {
            let settings = Settings { kubeconfig, node, pods, pod_address };
            runtime()?.block_on(fake_kubelet::run(settings))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Double { behaviour, listen } => {
            let serve = async { doubles::serve(behaviour, TcpListener::bind(listen).await?).await };
            runtime()?.block_on(serve)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::PodIdentityAgent { listen, endpoint, cluster_name } => {
            runtime()?.block_on(pod_identity::agent::serve(listen, &endpoint, &cluster_name))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Resolve { name } => {
            let found = (name.as_str(), 0).to_socket_addrs().with_context(|| format!("look up {name}"))?;
            for address in found {
                println!("{}", address.ip());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(options) => block_on(async {
            bench::run(options, Progress::start()).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Cluster(command) => block_on(execute(command)),
        Command::Down { name } => block_on(execute(ClusterCommand::Down { name })),
        Command::Up(up) => block_on(async {
            up.run(&Cache::from_env()?, Progress::start()).await?;
            Ok(ExitCode::SUCCESS)
        }),
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = runtime()?;
    let done = runtime.block_on(interruptible(work));
    // A thread that still waits for a lock must not keep an interrupted command alive.
    runtime.shutdown_background();
    done
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the async runtime")
}

/// Ctrl-C and SIGTERM drop the work, and dropping it removes what it has started.
async fn interruptible(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut work = Box::pin(work);
    let code = tokio::select! {
        done = &mut work => return done,
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    eprintln!("interrupted: removing what this command has started");
    drop(work);
    eprintln!("interrupted: what was built or downloaded stays, and the same command goes on from there");
    Ok(ExitCode::from(code))
}

async fn execute(command: ClusterCommand) -> Result<ExitCode> {
    let cache = Cache::from_env()?;
    let progress = Progress::start();
    match command {
        ClusterCommand::Up { name, tier, provider, pod_address } => {
            let options = Options { provider, pod_address, ..Options::new(name.name, tier) };
            let cluster = Cluster::up_in(&cache, options, progress).await?;
            let State { name, provider, tier, .. } = cluster.state();
            let how = if cluster.was_found() { "already runs, nothing to do" } else { "is up" };
            progress.say(format_args!("cluster {name} {how} (provider {provider}, tier {tier})"));
            progress.say(format_args!("export KUBECONFIG={}", cluster.kubeconfig().display()));
            cluster.keep().await?;
        }
        ClusterCommand::Down { name } => {
            let existed = cluster::down(&cache, &name.name, progress).await?;
            let how = if existed { "is removed" } else { "was not there, nothing to do" };
            progress.say(format_args!("cluster {} {how}", name.name));
        }
        ClusterCommand::Status { name } => return status(&cache, &name.name).await,
        ClusterCommand::Load { image, name } => {
            let archive = std::path::absolute(&image)?;
            crate::image::check_archive(&image)?;
            Cluster::open(&cache, &name.name).await?.load(&archive).await?;
            progress.say(format_args!("loaded {} into cluster {}", image.display(), name.name));
        }
        ClusterCommand::Kubeconfig { name } => {
            let (_, dir) = cluster::recorded(&cache, &name.name)?;
            println!("{}", dir.join("kubeconfig").display());
        }
        ClusterCommand::AuditLog { name } => {
            let (_, dir) = cluster::recorded(&cache, &name.name)?;
            println!("{}", cluster::audit_log_path(&dir).display());
        }
        ClusterCommand::Kubectl { name, arguments } => {
            let (state, dir) = cluster::recorded(&cache, &name.name)?;
            cluster::check_runs(&state)?;
            return Err(kubectl(&dir, &arguments));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(cache: &Cache, name: &str) -> Result<ExitCode> {
    let (state, dir) = cluster::recorded(cache, name)?;
    let health = cluster::check(&state, &dir).await;
    let told = health.as_ref().map_or_else(|error| format!("broken: {error:#}"), |()| "healthy".to_owned());
    let mut lines = vec![
        ("cluster", name.to_owned()),
        ("state", told),
        ("provider", state.provider.to_string()),
        ("tier", state.tier.to_string()),
        ("API server", state.server),
        ("kubeconfig", dir.join("kubeconfig").display().to_string()),
        ("audit log", cluster::audit_log_path(&dir).display().to_string()),
    ];
    if let Some(slot) = state.slot {
        let logs = dir.join("logs").display().to_string();
        lines.extend([("services", slot.services()), ("pods", slot.pods()), ("logs", logs)]);
    }
    let text: Vec<String> = lines.into_iter().map(|(what, value)| format!("{what:<12}{value}\n")).collect();
    std::io::stdout().write_all(text.concat().as_bytes()).context("write to standard output")?;
    Ok(if health.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Becomes kubectl; comes back only with the reason why not.
fn kubectl(dir: &Path, arguments: &[OsString]) -> anyhow::Error {
    let own = dir.join("bin/kubectl");
    let program = if own.exists() { own } else { PathBuf::from("kubectl") };
    let error = std::process::Command::new(&program)
        .args(arguments)
        .env("KUBECONFIG", dir.join("kubeconfig"))
        .env("NO_PROXY", "*")
        .env("KUBECACHEDIR", dir.join("kubectl-cache"))
        .exec();
    anyhow::Error::new(error).context(format!("start {}", program.display()))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli> {
        let parsed = Cli::try_parse_from(line.split(' '));
        let Ok(cli) = parsed else { bail!("{line} is refused") };
        Ok(cli)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_commands_are_understood() {
        for line in [
            "mcp-e2e cluster up",
            "mcp-e2e cluster up --tier controllers --name dev --provider native",
            "mcp-e2e cluster down --name dev",
            "mcp-e2e cluster status",
            "mcp-e2e cluster load a.tar --name dev",
            "mcp-e2e cluster kubeconfig",
            "mcp-e2e cluster audit-log --name dev",
            "mcp-e2e cluster kubectl --name dev -- get pods -A",
        ] {
            parse(line).unwrap();
        }
        assert!(parse("mcp-e2e cluster up --tier huge").is_err());
    }

    #[test]
    fn a_cluster_is_a_node_called_mcp_eks_unless_told_otherwise() {
        let Command::Cluster(ClusterCommand::Up { name, tier, provider, .. }) =
            parse("mcp-e2e cluster up").unwrap().command
        else {
            panic!("not `up`")
        };
        assert_eq!((name.name.as_str(), tier, provider), ("mcp-eks", Tier::Node, None));
    }
}
