//! Tells a cluster that is gone from one that only does not answer: the first may be removed, the second holds
//! somebody's work on a busy machine.
//!
//! In: a record and its directory. Out: healthy, gone and why, or an error after patience. Removes nothing itself.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::state::{Provider, State};
use super::{check, kind, native};
use crate::progress::Progress;

/// How long a cluster may be too busy to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(500);

/// What is known about a recorded cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Everything of it runs and answers.
    Well,
    /// It can never answer again, and this is why.
    Gone(String),
}

/// Looks until the cluster answers or is known to be gone. Fails when after `patience` it is neither.
pub(super) async fn examine(state: &State, dir: &Path, patience: Duration, progress: Progress) -> Result<Health> {
    let deadline = Instant::now() + patience;
    let mut said = false;
    loop {
        if let Some(why) = gone(state, dir).await? {
            return Ok(Health::Gone(why));
        }
        let Err(reason) = check(state, dir).await else {
            return Ok(Health::Well);
        };
        let name = &state.name;
        if Instant::now() >= deadline {
            // A component may have ended while it was asked.
            if let Some(why) = gone(state, dir).await? {
                return Ok(Health::Gone(why));
            }
            bail!(
                "cluster {name} runs, yet was not healthy within {} s ({reason:#}). Nothing was removed: try again when \
                 the machine is less busy, look at {}, or end it with `cluster down --name {name}`",
                patience.as_secs(),
                dir.join("logs").display()
            );
        }
        if !said {
            progress.say(format_args!("cluster {name} runs, but is not healthy yet ({reason:#}): waiting for it"));
            said = true;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Why the cluster can never answer again, if so. The caller holds its lock, so nobody is about to finish it.
async fn gone(state: &State, dir: &Path) -> Result<Option<String>> {
    if !state.ready {
        return Ok(Some("it never became ready".to_owned()));
    }
    match state.provider {
        Provider::Native => Ok(native::broken(state, dir)),
        Provider::Kind => kind::gone(&state.name).await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::Identity;
    use super::super::state::Tier;
    use super::*;

    fn recorded(supervisor: Option<Identity>) -> State {
        State {
            name: "dev".into(),
            provider: Provider::Native,
            tier: Tier::Api,
            slot: None,
            supervisor,
            server: String::new(),
            ready: true,
        }
    }

    fn own() -> Option<Identity> {
        Identity::of(i32::try_from(std::process::id()).unwrap())
    }

    /// No kubeconfig is in the directory, so nothing can answer.
    async fn examined(state: &State, dir: &Path) -> Result<Health> {
        examine(state, dir, Duration::ZERO, Progress::start()).await
    }

    #[tokio::test]
    async fn a_cluster_that_runs_but_does_not_answer_is_never_gone() {
        let home = tempfile::tempdir().unwrap();
        let error = examined(&recorded(own()), home.path()).await.unwrap_err().to_string();
        assert!(error.contains("Nothing was removed") && error.contains("cluster down --name dev"), "{error}");
    }

    #[tokio::test]
    async fn without_its_supervisor_or_one_of_its_components_it_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let health = examined(&recorded(None), home.path()).await.unwrap();
        assert_eq!(health, Health::Gone("its supervisor is gone".into()));
        let exit = r#"{"component":"etcd","status":"exit status 1"}"#;
        std::fs::write(home.path().join("exits.jsonl"), format!("{exit}\n")).unwrap();
        let Health::Gone(why) = examined(&recorded(own()), home.path()).await.unwrap() else { panic!("not gone") };
        assert!(why.starts_with("etcd ended"), "{why}");
    }

    #[tokio::test]
    async fn one_that_never_became_ready_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let state = State { ready: false, ..recorded(own()) };
        assert_eq!(examined(&state, home.path()).await.unwrap(), Health::Gone("it never became ready".into()));
    }
}
