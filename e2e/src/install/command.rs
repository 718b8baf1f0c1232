//! `mcp-e2e up`: a local cluster, the operator, the sample Ready, one tool called, and what to do next.
//!
//! Addresses and the answer of the tool go to standard output, progress to standard error.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use kube::{Api, ResourceExt};
use mcp_crds::McpServer;
use serde_json::json;

use super::{SAMPLE, SAMPLES_NAMESPACE, call, call::McpClient, install};
use crate::{
    cache::Cache,
    cluster::{Cluster, DEFAULT_NAME, Options, Provider, Tier},
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
    /// Directory of the binaries mcp-operator and mcp-filesystem, as cargo built them
    #[arg(long)]
    bin_dir: PathBuf,
}

impl Up {
    /// Does it.
    pub async fn run(self, cache: &Cache, progress: Progress) -> Result<()> {
        let options = Options { provider: self.provider, ..Options::new(self.name, Tier::Node) };
        let cluster = Cluster::up_in(cache, options, progress).await?;
        let found = cluster.was_found();
        let name = cluster.state().name.clone();
        let installed = install(&cluster, &self.bin_dir, cache.root(), progress).await;
        let installed = match installed {
            Ok(installed) => installed,
            Err(error) => {
                let path = cluster.kubeconfig();
                cluster.keep()?;
                let hint = format!(
                    "the cluster runs on, for you to look at: `{} get pods -A` (KUBECONFIG={}); `{}` ends it",
                    kubectl_command(&name),
                    path.display(),
                    down_command(&name)
                );
                return Err(error.context(hint));
            }
        };
        if found && !installed.changed {
            progress.say(format_args!("cluster {name}, operator and samples are up and current: nothing to do"));
        }
        let told = tell(&cluster).await;
        cluster.keep()?;
        told
    }
}

/// Calls the sample and prints where everything is.
async fn tell(cluster: &Cluster) -> Result<()> {
    let api: Api<McpServer> = Api::namespaced(cluster.client(), SAMPLES_NAMESPACE);
    let server = api.get(SAMPLE).await.context("read the sample")?;
    let (url, address) = call::endpoint(&cluster.client(), &server).await?;
    let client = McpClient::connect(cluster, &server).await?;
    let tools = client.tools().await?;
    let answer = client.call("list_directory", json!({"path": "/docs"})).await?;
    let text = answer.content.first().and_then(|content| content.as_text()).map(|text| text.text.clone());
    let from_host = match cluster.state().provider {
        Provider::Native => format!("http://{address}{}", url.parse::<http::Uri>()?.path()),
        Provider::Kind => "through port-forward, see below".to_owned(),
    };
    let name = server.name_any();
    let kubectl = kubectl_command(&cluster.state().name);
    let down = down_command(&cluster.state().name);
    println!(
        "\
McpServer {SAMPLES_NAMESPACE}/{name} is Ready: {} tools
  address in the cluster   {url}
  address from this host   {}
  tools/call list_directory {{\"path\": \"/docs\"}} answered:
{}

Next
  {kubectl} get mcpservers.mcp-eks.dev -A
  {kubectl} -n {SAMPLES_NAMESPACE} port-forward service/{name} 8080    # then http://localhost:8080/mcp for your client
  {kubectl} -n {SAMPLES_NAMESPACE} scale mcpservers.mcp-eks.dev/{name} --replicas=3
  export KUBECONFIG={}    # for a kubectl of your own
  {down}",
        tools.len(),
        from_host,
        indent(&text.unwrap_or_default()),
        cluster.kubeconfig().display(),
    );
    Ok(())
}

/// The kubectl that is always there: a fresh machine has none on its PATH.
fn kubectl_command(cluster: &str) -> String {
    let name = if cluster == DEFAULT_NAME { String::new() } else { format!(" --name {cluster}") };
    format!("cargo xtask cluster kubectl{name} --")
}

/// What ends the cluster.
fn down_command(cluster: &str) -> String {
    if cluster == DEFAULT_NAME { "make down".to_owned() } else { format!("cargo xtask down --name {cluster}") }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commands_mean_the_cluster_that_was_started() {
        assert_eq!(kubectl_command(DEFAULT_NAME), "cargo xtask cluster kubectl --");
        assert_eq!(kubectl_command("dev"), "cargo xtask cluster kubectl --name dev --");
        assert_eq!([down_command(DEFAULT_NAME), down_command("dev")], ["make down", "cargo xtask down --name dev"]);
    }
}
