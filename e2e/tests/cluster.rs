//! The local cluster itself: that each tier does what it says, that clusters do not meet, and above all that nothing
//! of a cluster stays behind, however it or the one who started it ended.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod traces;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::runtime::wait::conditions::{is_deleted, is_deployment_completed};
use kube::{Api, ResourceExt};
use mcp_e2e::audit::Mark;
use mcp_e2e::cache::Cache;
use mcp_e2e::cluster::process::{self, Identity};
use mcp_e2e::cluster::{self, Cluster, Lost, Options, Provider, State, Tier};
use mcp_e2e::image::Image;
use mcp_e2e::progress::Progress;
use mcp_e2e::suite::own;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use self::traces::Traces;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");
const SOON: Duration = Duration::from_mins(1);

fn options(name: &str, tier: Tier) -> Options {
    // What is left behind is looked for at a supervisor, which only the native provider has.
    Options { own_binary: Some(BINARY.into()), provider: Some(Provider::Native), ..Options::new(name, tier) }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("cluster").args(arguments).stdin(Stdio::null());
    command
}

/// Ends a cluster that was started by a command, when the test is over or has failed.
struct Down(String);

impl Drop for Down {
    fn drop(&mut self) {
        let _ = command(&["down", "--name", &self.0]).stderr(Stdio::null()).status();
    }
}

/// A started command; ends with this value, so that a test that fails half-way leaves none behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kill_hard(pid: i32) -> Result<()> {
    kill(Pid::from_raw(pid), Signal::SIGKILL).with_context(|| format!("kill {pid}"))
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        ensure!(Instant::now() < deadline, "{what}: not within {} s", SOON.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Starts `up` as a process, and kills it as soon as the cluster's supervisor is on record.
async fn killed_half_way(name: &str, tier: &str) -> Result<Identity> {
    let dir = Cache::from_env()?.clusters().join(name);
    // On a new machine `up` builds for minutes before there is a supervisor.
    let wanted = if tier == "node" { Tier::Node } else { Tier::Controllers };
    cluster::provide(&Cache::from_env()?, wanted).await?;
    let mut up = Running(
        command(&["up", "--name", name, "--tier", tier, "--provider", "native"]).stderr(Stdio::null()).spawn()?,
    );
    let recorded = || State::load(&dir).ok().flatten().filter(|state| !state.ready).and_then(|state| state.supervisor);
    let mut supervisor = None;
    eventually("a supervisor on record", || {
        supervisor = recorded();
        supervisor.is_some()
    })
    .await?;
    kill_hard(i32::try_from(up.0.id())?)?;
    up.0.wait()?;
    supervisor.context("no supervisor")
}

#[tokio::test]
async fn two_api_servers_live_side_by_side_and_each_ends_alone() -> Result<()> {
    let (one, two) =
        tokio::try_join!(own::up(options("test-one", Tier::Api)), own::up(options("test-two", Tier::Api)),)?;
    let (traces_one, traces_two) = (Traces::of(&one).await?, Traces::of(&two).await?);
    ensure!(traces_one.processes.len() >= 3 && traces_two.processes.len() >= 3, "etcd, API server and supervisor each");
    let (in_one, in_two) = (Api::<Namespace>::all(one.client()), Api::<Namespace>::all(two.client()));
    let marker: Namespace = serde_json::from_value(json!({"metadata": {"name": "only-in-one"}}))?;
    in_one.create(&PostParams::default(), &marker).await?;
    let names = |list: Vec<Namespace>| list.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
    ensure!(names(in_one.list(&ListParams::default()).await?.items).contains(&"only-in-one".to_owned()));
    ensure!(!names(in_two.list(&ListParams::default()).await?.items).contains(&"only-in-one".to_owned()));

    let events = one.audit_log().since(Mark::START)?;
    let created =
        events.iter().find(|event| event.verb == "create" && event.resource == "namespaces" && event.user == "admin");
    ensure!(created.is_some_and(|event| event.code == 201), "the creation is in the audit log: {created:?}");
    let health = events.iter().find(|event| event.uri.starts_with("/readyz") || event.uri.starts_with("/livez"));
    ensure!(health.is_none(), "health checks are not logged: {health:?}");

    one.down().await?;
    traces_one.check_gone()?;
    in_two.list(&ListParams::default()).await.context("the other one goes on")?;
    drop(two);
    traces_two.check_gone()?;
    Ok(())
}

#[tokio::test]
async fn the_commands_say_what_is_and_a_dead_supervisor_is_no_obstacle() -> Result<()> {
    const BASE: &str = "test-commands";
    let name = &own::name(BASE);
    own::remove_leftovers(&Cache::from_env()?, BASE).await?;
    let _down = Down(name.clone());
    let up = || command(&["up", "--name", name, "--tier", "api", "--provider", "native"]).output();
    let first = up()?;
    ensure!(first.status.success() && first.stdout.is_empty(), "{first:?}");
    let again = up()?;
    ensure!(again.status.success() && String::from_utf8_lossy(&again.stderr).contains("nothing to do"), "{again:?}");
    let other = command(&["up", "--name", name, "--tier", "controllers", "--provider", "native"]).output()?;
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    ensure!(!other.status.success() && told.contains("tier api") && told.contains("cluster down"), "{told}");
    ensure!(command(&["status", "--name", name]).stderr(Stdio::null()).stdout(Stdio::null()).status()?.success());
    for path in ["kubeconfig", "audit-log"] {
        let printed = String::from_utf8(command(&[path, "--name", name]).output()?.stdout)?;
        ensure!(printed.lines().count() == 1 && Path::new(printed.trim()).is_file(), "{path} printed {printed:?}");
    }
    let kubectl = command(&["kubectl", "--name", name, "--", "get", "namespaces", "-o", "name"]).output()?;
    ensure!(String::from_utf8_lossy(&kubectl.stdout).contains("namespace/kube-system"), "{kubectl:?}");

    let cluster = Cluster::open(&Cache::from_env()?, name).await?;
    let traces = Traces::of(&cluster).await?;
    let supervisor = cluster.state().supervisor.clone().context("no supervisor on record")?;
    let inner = supervisor.children().first().context("no process 1")?.pid;
    kill_hard(inner)?;
    eventually("the end of everything", || !supervisor.is_alive()).await?;
    let kubectl = command(&["kubectl", "--name", name, "--", "get", "namespaces"]).output()?;
    let told = String::from_utf8_lossy(&kubectl.stderr).into_owned();
    let mends = format!("`cargo xtask cluster up --name {name} --tier api`");
    ensure!(!kubectl.status.success() && told.contains("is not running") && told.contains(&mends), "{told}");
    ensure!(told.lines().count() == 1, "one line, and none of kubectl's: {told}");
    ensure!(
        !command(&["status", "--name", name]).stdout(Stdio::null()).status()?.success(),
        "a dead cluster is not healthy"
    );
    ensure!(up()?.status.success(), "a dead cluster is replaced");
    let first_down = command(&["down", "--name", name]).output()?;
    ensure!(first_down.status.success() && command(&["down", "--name", name]).output()?.status.success());
    traces.check_gone()?;
    let gone = command(&["kubeconfig", "--name", name]).output()?;
    let told = String::from_utf8_lossy(&gone.stderr).into_owned();
    ensure!(!gone.status.success() && gone.stdout.is_empty() && told.contains("cluster up"), "{told}");
    Ok(())
}

/// A machine too busy to answer must not cost anybody a cluster; a component that ended has cost it already.
#[tokio::test]
async fn a_second_up_waits_for_a_busy_cluster_and_replaces_only_a_broken_one() -> Result<()> {
    let cluster = own::up(options("test-busy", Tier::Api)).await?;
    let again = || Cluster::up(Options { name: own::name("test-busy"), ..options("", Tier::Api) });
    let supervisor = cluster.state().supervisor.clone().context("no supervisor on record")?;
    let component = |name: &str| {
        let first = supervisor.children().first().map(Identity::children).unwrap_or_default();
        // Kubernetes is one binary for all components: the first words say which one it is.
        let is_it = |process: &Identity| {
            let line = std::fs::read_to_string(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            line.split('\0').take(2).any(|word| Path::new(word).file_name().is_some_and(|file| file == name))
        };
        first.into_iter().find(is_it).with_context(|| format!("no {name} runs"))
    };
    let server = component("kube-apiserver")?;
    kill(Pid::from_raw(server.pid), Signal::SIGSTOP)?;
    let wake = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        kill(Pid::from_raw(server.pid), Signal::SIGCONT).context("wake the API server")
    };
    let (found, ()) = tokio::try_join!(again(), wake)?;
    ensure!(found.was_found() && server.is_alive() && supervisor.is_alive(), "the busy cluster was replaced");

    kill_hard(component("etcd")?.pid)?;
    let exits = cluster.kubeconfig().with_file_name("exits.jsonl");
    eventually("the end of etcd is on record", || exits.exists()).await?;
    let replaced = again().await?;
    ensure!(!replaced.was_found() && !supervisor.is_alive(), "a broken cluster is replaced");
    cluster.down().await
}

#[tokio::test]
async fn an_up_that_is_killed_takes_its_processes_along_and_can_be_repeated() -> Result<()> {
    let supervisor = killed_half_way(&own::name("test-killed"), "controllers").await?;
    eventually("the supervisor notices that `up` is dead", || !supervisor.is_alive()).await?;
    let cluster = own::up(options("test-killed", Tier::Controllers)).await?;
    let traces = Traces::of(&cluster).await?;
    cluster.down().await?;
    traces.check_gone()?;
    Ok(())
}

#[tokio::test]
async fn an_up_that_is_interrupted_removes_what_it_has_started() -> Result<()> {
    const BASE: &str = "test-interrupted";
    let name = &own::name(BASE);
    own::remove_leftovers(&Cache::from_env()?, BASE).await?;
    let _down = Down(name.clone());
    let dir = Cache::from_env()?.clusters().join(name);
    cluster::provide(&Cache::from_env()?, Tier::Node).await?;
    let mut up = Running(
        command(&["up", "--name", name, "--tier", "node", "--provider", "native"]).stderr(Stdio::piped()).spawn()?,
    );
    let mut supervisor = None;
    eventually("a node on record", || {
        supervisor = State::load(&dir).ok().flatten().and_then(|state| state.supervisor);
        supervisor.is_some()
    })
    .await?;
    kill(Pid::from_raw(i32::try_from(up.0.id())?), Signal::SIGINT)?;
    ensure!(up.0.wait()?.code() == Some(130), "the usual exit status of an interrupted command");
    let mut told = String::new();
    up.0.stderr.take().context("no standard error")?.read_to_string(&mut told)?;
    ensure!(told.contains("interrupted: removing what this command has started"), "{told}");
    ensure!(!supervisor.is_some_and(|supervisor| supervisor.is_alive()), "the supervisor is gone");
    ensure!(!dir.exists(), "the directory is gone");
    let groups = traces::cgroups(name);
    ensure!(groups.is_empty(), "{groups:?}");
    Ok(())
}

/// What would wait for ever for an answer from a cluster that is gone.
async fn never() -> Result<()> {
    std::future::pending().await
}

#[tokio::test]
async fn work_on_a_cluster_that_somebody_removes_ends_at_once_and_says_so() -> Result<()> {
    let cluster = own::up(options("test-removed", Tier::Api)).await?;
    let traces = Traces::of(&cluster).await?;
    let name = own::name("test-removed");
    let done = cluster.while_it_lives(async { Ok(7) }).await;
    ensure!(matches!(done, Ok(Ok(7))), "while it runs, work is done as usual: {done:?}");

    let (lost, down) = tokio::join!(
        tokio::time::timeout(SOON, cluster.while_it_lives(never())),
        tokio::process::Command::from(command(&["down", "--name", &name])).output(),
    );
    ensure!(down?.status.success());
    ensure!(lost.context("the work goes on without a cluster")?.is_err_and(|how| how == Lost::Removed));
    // Work that fails by itself because of it says so too.
    let failed = cluster.while_it_lives::<()>(async { anyhow::bail!("connection refused") }).await;
    ensure!(failed.is_err_and(|how| how == Lost::Removed));

    // The one who comes next must not lose theirs when we let go of ours.
    let next = own::up(options("test-removed", Tier::Api)).await?;
    cluster.leave(Lost::Removed);
    ensure!(cluster::check(next.state(), next.directory()).await.is_ok(), "the next cluster was hurt");
    next.down().await?;
    traces.check_gone()
}

#[tokio::test]
async fn work_on_a_cluster_that_breaks_down_ends_and_the_logs_stay() -> Result<()> {
    let cluster = own::up(options("test-broken", Tier::Api)).await?;
    let supervisor = cluster.state().supervisor.clone().context("no supervisor on record")?;
    let break_down = async { kill_hard(supervisor.children().first().context("no process 1")?.pid) };
    let (lost, broken) = tokio::join!(tokio::time::timeout(SOON, cluster.while_it_lives(never())), break_down);
    broken?;
    let how = lost.context("the work goes on without a cluster")?.err();
    ensure!(how == Some(Lost::Ended), "{how:?}");
    let logs = cluster.directory().join("logs");
    let told = cluster.keep().await.map_or_else(|error| error.to_string(), |()| "nothing".to_owned());
    ensure!(told.contains("its supervisor has ended"), "{told}");
    ensure!(logs.is_dir(), "{} is gone", logs.display());
    cluster::down(&Cache::from_env()?, &own::name("test-broken"), Progress::start()).await?;
    ensure!(!logs.exists());
    Ok(())
}

#[tokio::test]
async fn controllers_roll_out_and_collect_garbage() -> Result<()> {
    let cluster = own::up(options("test-controllers", Tier::Controllers)).await?;
    let traces = Traces::of(&cluster).await?;
    let client = cluster.client();
    let deployments = Api::<Deployment>::namespaced(client.clone(), "default");
    deployments.create(&PostParams::default(), &deployment("web", "web:1")?).await?;
    tokio::time::timeout(SOON, await_condition(deployments.clone(), "web", is_deployment_completed())).await??;

    deployments.create(&PostParams::default(), &deployment("bad", "localhost/does-not-exist:1")?).await?;
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    let deadline = Instant::now() + SOON;
    while pod_waits_for(&pods, "app=bad").await? != Some("ImagePullBackOff".into()) {
        ensure!(Instant::now() < deadline, "no pod of `bad` says ImagePullBackOff");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let replica_set = Api::<ReplicaSet>::namespaced(client, "default");
    let child = replica_set.list(&ListParams::default().labels("app=web")).await?.items;
    let child = child.first().context("the Deployment has a ReplicaSet")?;
    deployments.delete("web", &DeleteParams::background()).await?;
    let uid = child.uid().context("it has a uid")?;
    tokio::time::timeout(SOON, await_condition(replica_set, &child.name_any(), is_deleted(&uid))).await??;
    let deadline = Instant::now() + SOON;
    while !pods.list(&ListParams::default().labels("app=web")).await?.items.is_empty() {
        ensure!(Instant::now() < deadline, "the pods of a deleted Deployment are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.down().await?;
    traces.check_gone()?;
    Ok(())
}

#[tokio::test]
async fn a_node_runs_pods_and_leaves_nothing_behind() -> Result<()> {
    const BASE: &str = "test-node";
    let name = &own::name(BASE);
    let supervisor = killed_half_way(name, "node").await?;
    eventually("the supervisor notices that `up` is dead", || !supervisor.is_alive()).await?;
    let cluster = own::up(options(BASE, Tier::Node)).await?;

    let home = tempfile::tempdir()?;
    let archive = home.path().join("resolve.tar");
    Image::new("localhost/resolve:1")
        .base()
        .file(BINARY, "/mcp-e2e", 0o755)
        .entrypoint(["/mcp-e2e", "resolve"])
        .pack(&archive)?;
    cluster.load(&archive).await?;
    let pods = Api::<Pod>::namespaced(cluster.client(), "default");
    let pod = json!({
        "metadata": {"name": "resolve"},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false,
            "containers": [{
                "name": "resolve", "image": "localhost/resolve:1", "imagePullPolicy": "Never",
                "args": ["kubernetes.default.svc.cluster.local"],
            }],
        },
    });
    wait_for_default_account(&cluster).await?;
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let finished = |pod: Option<&Pod>| {
        let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    tokio::time::timeout(SOON, await_condition(pods.clone(), "resolve", finished)).await??;
    let said = pods.logs("resolve", &LogParams::default()).await?;
    let expected = cluster.state().slot.context("a slot")?.api_service().to_string();
    ensure!(said.trim() == expected, "the pod resolved {said:?}, expected {expected}");

    let slot = cluster.state().slot.context("a slot")?;
    let dns = (slot.dns_service(), 53);
    let reached = tokio::time::timeout(SOON, tokio::net::TcpStream::connect(dns)).await;
    reached.context("the host reaches a ClusterIP")?.with_context(|| format!("connect to {dns:?}"))?;

    let traces = Traces::of(&cluster).await?;
    ensure!(
        traces.processes.iter().any(|process| is_program(process, "containerd-shim")),
        "shims are among the processes"
    );
    ensure!(!traces.left()?.is_empty(), "a running cluster has traces");
    let events = cluster.audit_log().since(Mark::START)?;
    ensure!(events.iter().any(|event| event.user == format!("system:node:{name}")), "the kubelet is in the audit log");
    let apply =
        events.iter().find(|event| event.resource == "deployments" && event.subresource.is_empty() && event.is_write());
    ensure!(
        apply.is_some_and(|event| event.request_object.is_some()),
        "writes to Deployments are logged with their body"
    );

    cluster.down().await?;
    traces.check_gone()?;
    Ok(())
}

fn is_program(process: &Identity, name: &str) -> bool {
    let program = std::fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
    name.starts_with(program.trim()) && !program.trim().is_empty()
}

fn deployment(name: &str, image: &str) -> Result<Deployment> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }))?)
}

async fn pod_waits_for(pods: &Api<Pod>, label: &str) -> Result<Option<String>> {
    let list = pods.list(&ListParams::default().labels(label)).await?;
    let mut waiting = list
        .items
        .iter()
        .flat_map(|pod| pod.status.iter())
        .flat_map(|status| status.container_statuses.iter().flatten());
    Ok(waiting.find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone()))
}

/// A pod cannot be created before the namespace has its ServiceAccount.
async fn wait_for_default_account(cluster: &Cluster) -> Result<()> {
    let accounts = Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(cluster.client(), "default");
    let there = |account: Option<&k8s_openapi::api::core::v1::ServiceAccount>| account.is_some();
    tokio::time::timeout(SOON, await_condition(accounts, "default", there)).await??;
    Ok(())
}

#[test]
fn nothing_is_found_by_the_arguments_of_a_cluster_that_never_was() {
    assert!(process::with_arguments("supervise", "--dir", Path::new("/never/was")).is_empty());
}

/// A suite may start its cluster from any task.
#[test]
fn starting_a_cluster_may_move_between_threads() {
    fn movable<T: Send>(_: T) {}
    movable(Cluster::up(options("test-never-started", Tier::Api)));
}
