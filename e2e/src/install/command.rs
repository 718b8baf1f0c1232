//! `mcp-e2e up`: a local cluster, the operator, the samples Ready, a tool of each called, and what to do next.
//!
//! Addresses and answers go to standard output, progress to standard error.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use kube::{Api, ResourceExt};
use mcp_crds::McpServer;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    SAMPLE, SAMPLES_NAMESPACE, call,
    call::McpClient,
    install,
    samples::{Sample, samples},
};
use crate::{
    cache::Cache,
    cluster::{Cluster, DEFAULT_NAME, Lost, Options, Provider, Tier},
    progress::Progress,
};

/// Arguments of `up`.
#[derive(Args, Debug)]
pub struct Up {
    /// Which cluster
    #[arg(long, default_value = DEFAULT_NAME)]
    name: String,
    /// Who makes it [default: kind where Docker answers and kind is installed, else native]
    #[arg(long, value_enum)]
    provider: Option<Provider>,
    /// Directory of the binaries of operator and servers [default: where this program is]
    #[arg(long)]
    bin_dir: Option<PathBuf>,
}

impl Up {
    /// Does it.
    pub async fn run(self, cache: &Cache, progress: Progress) -> Result<()> {
        let options = Options { provider: self.provider, ..Options::new(self.name, Tier::Node) };
        let bin_dir = self.bin_dir.map_or_else(own_directory, Ok)?;
        let cluster = Cluster::up_in(cache, options, progress).await?;
        let found = cluster.was_found();
        let name = cluster.state().name.clone();
        let work = Box::pin(async {
            let installed = install(&cluster, &bin_dir, cache.root(), progress).await;
            let installed = installed.map_err(|error| anyhow!("{error:#}\n{}", look(&cluster)))?;
            if found && !installed.changed {
                progress.say(format_args!("cluster {name}, operator and samples are up and current: nothing to do"));
            }
            tell(&cluster).await
        });
        match cluster.while_it_lives(work).await {
            Ok(done) => {
                let kept = cluster.keep().await;
                // The cause comes first.
                done.and(kept)
            }
            Err(how) => {
                let logs = cluster.directory().join("logs");
                let see = if how == Lost::Ended { format!(" (see {})", logs.display()) } else { String::new() };
                cluster.leave(how);
                Err(anyhow!("cluster {name} is gone: {how}{see}. `{}` starts a new one", up_command(&name)))
            }
        }
    }
}

/// Where cargo put this program, and the others beside it.
fn own_directory() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the path of this program")?;
    Ok(own.parent().map(PathBuf::from).unwrap_or_default())
}

/// What to do with a cluster whose samples did not become Ready.
fn look(cluster: &Cluster) -> String {
    let name = &cluster.state().name;
    format!(
        "the cluster runs on, for you to look at: `{} get pods -A` (KUBECONFIG={}); `{}` ends it",
        kubectl_command(name),
        cluster.kubeconfig().display(),
        down_command(name)
    )
}

/// Calls a tool of each sample and prints where everything is.
async fn tell(cluster: &Cluster) -> Result<()> {
    let api: Api<McpServer> = Api::namespaced(cluster.client(), SAMPLES_NAMESPACE);
    let samples = samples();
    let mut text = String::new();
    let mut clients = serde_json::Map::new();
    for sample in &samples {
        let server = api.get(sample.name).await.with_context(|| format!("read sample {}", sample.name))?;
        let (url, address) = call::endpoint(&cluster.client(), &server).await?;
        let from_host = match cluster.state().provider {
            Provider::Native => format!("http://{address}{}", url.parse::<http::Uri>()?.path()),
            Provider::Kind => "http://localhost:8080/mcp".to_owned(),
        };
        text += &show(cluster, sample, &server, &url).await?;
        clients.insert(sample.name.to_owned(), json!({"type": "http", "url": from_host}));
    }
    let kubectl = kubectl_command(&cluster.state().name);
    let down = down_command(&cluster.state().name);
    let how = match cluster.state().provider {
        Provider::Native => "These addresses answer on this machine",
        Provider::Kind => "One at a time, through the port-forward below",
    };
    let first = samples.first().map_or(SAMPLE, |sample| sample.name);
    println!(
        "\
{text}
{how}; for a client's configuration:
{}

Next
  {kubectl} get mcpservers.mcp-eks.dev -A
  {kubectl} -n {SAMPLES_NAMESPACE} port-forward service/{first} 8080    # then http://localhost:8080/mcp for your client
  {kubectl} -n {SAMPLES_NAMESPACE} scale mcpservers.mcp-eks.dev/{SAMPLE} --replicas=3
  export KUBECONFIG={}    # for a kubectl of your own
  {down}",
        serde_json::to_string_pretty(&json!({"mcpServers": clients}))?,
        cluster.kubeconfig().display(),
    );
    Ok(())
}

/// What one sample is and answers.
async fn show(cluster: &Cluster, sample: &Sample, server: &McpServer, url: &str) -> Result<String> {
    let name = server.name_any();
    let client = McpClient::connect(cluster, server).await?;
    let tools = client.tools().await?.len();
    let head = format!("McpServer {SAMPLES_NAMESPACE}/{name} is Ready: {tools} tools at {url}\n");
    if sample.name == "aws" && cluster.state().provider == Provider::Kind {
        return Ok(head + "  its calls need AWS, and there is no emulator beside a kind cluster\n");
    }
    let said = answer(cluster, sample, server).await?;
    Ok(format!("{head}  tools/call {} {} answered:\n{}\n", sample.tool, sample.arguments, indent(&said)))
}

/// What the tool of a sample says. Just after a rollout the Service may still lead to a pod that is about to end and knows
/// the earlier spec: a call that fails is made again, over another connection, until such pods are out of the way.
async fn answer(cluster: &Cluster, sample: &Sample, server: &McpServer) -> Result<String> {
    let deadline = Instant::now() + OLD_PODS;
    loop {
        let client = McpClient::connect(cluster, server).await?;
        let answer = client.call(sample.tool, sample.arguments.clone()).await?;
        let said = answer.content.first().and_then(|content| content.as_text()).map(|text| text.text.clone());
        let said = said.unwrap_or_default();
        if answer.is_error != Some(true) {
            return Ok(said);
        }
        ensure!(Instant::now() < deadline, "sample {}: tools/call {} failed: {said}", sample.name, sample.tool);
        sleep(Duration::from_secs(1)).await;
    }
}

/// The kubectl that is always there: a fresh machine has none on its PATH.
fn kubectl_command(cluster: &str) -> String {
    let name = if cluster == DEFAULT_NAME { String::new() } else { format!(" --name {cluster}") };
    format!("cargo xtask cluster kubectl{name} --")
}

/// What starts the cluster, with everything in it.
fn up_command(cluster: &str) -> String {
    if cluster == DEFAULT_NAME { "make up".to_owned() } else { format!("cargo xtask up --name {cluster}") }
}

/// What ends the cluster.
fn down_command(cluster: &str) -> String {
    if cluster == DEFAULT_NAME { "make down".to_owned() } else { format!("cargo xtask down --name {cluster}") }
}

/// How long a Service may lead to pods that are ending, on a busy machine.
const OLD_PODS: Duration = Duration::from_secs(15);
/// Lines of an answer that are shown.
const SHOWN: usize = 6;
/// Characters of a line that are shown.
const WIDTH: usize = 160;

fn indent(text: &str) -> String {
    let cut = |line: &str| match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    };
    let more = text.lines().nth(SHOWN).map(|_| "    ...".to_owned());
    let lines = text.lines().take(SHOWN).map(|line| format!("    {}", cut(line)));
    lines.chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_is_cut_where_the_eye_has_enough() {
        assert_eq!(indent("a\nb"), "    a\n    b");
        assert_eq!(indent(&"x\n".repeat(9)).lines().count(), 7);
        assert_eq!(indent(&"ä".repeat(160)), format!("    {}", "ä".repeat(160)));
        assert_eq!(indent(&"ä".repeat(500)), format!("    {}...", "ä".repeat(160)));
    }

    #[test]
    fn the_next_commands_mean_the_cluster_that_was_started() {
        assert_eq!(kubectl_command(DEFAULT_NAME), "cargo xtask cluster kubectl --");
        assert_eq!(kubectl_command("dev"), "cargo xtask cluster kubectl --name dev --");
        assert_eq!([down_command(DEFAULT_NAME), down_command("dev")], ["make down", "cargo xtask down --name dev"]);
        assert_eq!([up_command(DEFAULT_NAME), up_command("dev")], ["make up", "cargo xtask up --name dev"]);
    }
}
