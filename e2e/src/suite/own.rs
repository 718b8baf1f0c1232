//! A suite's own cluster: a name that no other run can have, and an end for what killed runs left.
//!
//! In: what the suite calls its cluster, and the recorded clusters. Out: a fresh cluster, `NAME-PID`. Removes only
//! clusters of the same suite whose process is dead, which held their lease.

use anyhow::{Result, ensure};

use crate::{
    cache::Cache,
    cluster::{self, Cluster, Options, process::Identity},
    progress::Progress,
};

/// The name of this process's cluster.
#[must_use]
pub fn name(base: &str) -> String {
    format!("{base}-{}", std::process::id())
}

/// Starts the cluster that `options` describes under this process's own name, after removing what killed runs left.
/// Fails when there is one already: a suite proves nothing about a cluster that others have used.
pub async fn up(options: Options) -> Result<Cluster> {
    let cache = Cache::from_env()?;
    remove_leftovers(&cache, &options.name).await?;
    let options = Options { name: name(&options.name), ..options };
    let cluster = Cluster::up_in(&cache, options, Progress::start()).await?;
    let name = &cluster.state().name;
    ensure!(
        !cluster.was_found(),
        "cluster {name} runs already: a suite needs a fresh one; `cluster down --name {name}`"
    );
    Ok(cluster)
}

/// Removes the clusters of killed runs of a suite, running or not. Returns their names.
pub async fn remove_leftovers(cache: &Cache, base: &str) -> Result<Vec<String>> {
    let progress = Progress::start();
    let is_left = |name: &String| owner(name, base).is_some_and(|pid| Identity::of(pid).is_none());
    let left: Vec<String> = cluster::names(cache).into_iter().filter(is_left).collect();
    for name in &left {
        progress.say(format_args!("removing cluster {name}, left by a run that was killed"));
        cluster::down(cache, name, progress).await?;
    }
    Ok(left)
}

/// The process that a cluster of this suite belongs to; none for other clusters.
fn owner(name: &str, base: &str) -> Option<i32> {
    let pid = name.strip_prefix(base)?.strip_prefix('-')?;
    if pid.bytes().all(|byte| byte.is_ascii_digit()) { pid.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Provider, State, Tier};

    /// No process ever has it: the kernel's limit is 2²².
    const NOBODY: u32 = 9_999_999;

    fn record(cache: &Cache, name: &str) {
        let (provider, tier, supervisor) = (Provider::Native, Tier::Api, None);
        let state =
            State { name: name.into(), provider, tier, slot: None, supervisor, server: String::new(), ready: true };
        state.save(&cache.clusters().join(name)).unwrap();
    }

    #[tokio::test]
    async fn only_clusters_of_killed_runs_of_the_same_suite_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().to_owned());
        let killed = format!("suite-x-{NOBODY}");
        let mut others = [
            name("suite-x"),
            "suite-x".to_owned(),
            "mcp-eks".to_owned(),
            format!("suite-x-y-{NOBODY}"),
            format!("suite-xx-{NOBODY}"),
        ];
        others.sort();
        for name in others.iter().chain([&killed]) {
            record(&cache, name);
        }
        assert_eq!(remove_leftovers(&cache, "suite-x").await.unwrap(), [killed]);
        assert_eq!(cluster::names(&cache), others);
    }

    #[test]
    fn the_longest_name_fits() {
        assert!("suite-controllers-4194304".len() <= 30 && name("suite-x").starts_with("suite-x-"));
    }
}
