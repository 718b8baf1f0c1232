//! Notices that a cluster went away under the hands of whoever works with it. Nothing else would: a connection into a
//! network namespace that is gone is neither answered nor refused.
//!
//! In: a cluster's record and the work on it. Out: what the work came to, or how the cluster was lost. Ends and removes nothing.

use std::{fmt, path::Path, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{
    Cluster,
    state::{Provider, State},
};

const PERIOD: Duration = Duration::from_millis(200);
/// `down` ends the processes first and removes the record last; meanwhile it looks as if the cluster had broken down.
const REMOVAL: Duration = Duration::from_secs(5);

/// How a cluster went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Somebody else ended it on purpose.
    Removed,
    /// Its processes ended, and its record is still there.
    Ended,
}

impl fmt::Display for Lost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Removed => "it was removed meanwhile, by a `make down` or `cluster down` of somebody else",
            Self::Ended => "its supervisor has ended, and with it everything that ran",
        })
    }
}

impl Cluster {
    /// Does `work` on this cluster, but not longer than the cluster lives: the outer error is how it was lost, and then
    /// `work` is dropped where it stands.
    pub async fn while_it_lives<T>(&self, work: impl Future<Output = Result<T>>) -> Result<Result<T>, Lost> {
        let done = tokio::select! {
            done = work => done,
            () = self.until_lost() => return Err(self.how().await),
        };
        // What fails because the cluster is gone may fail before anybody has looked.
        if done.is_err() && self.lost().is_some() { Err(self.how().await) } else { Ok(done) }
    }

    /// Whether it is gone, at this moment.
    pub(super) fn lost(&self) -> Option<Lost> {
        lost(&self.state, &self.dir)
    }

    async fn until_lost(&self) {
        while self.lost().is_none() {
            sleep(PERIOD).await;
        }
    }

    /// How it was lost, once that can be told.
    pub(super) async fn how(&self) -> Lost {
        let deadline = Instant::now() + REMOVAL;
        while self.lost() != Some(Lost::Removed) && Instant::now() < deadline {
            sleep(PERIOD).await;
        }
        self.lost().unwrap_or(Lost::Ended)
    }
}

/// A record that cannot be read is not a missing one: who cannot look has lost nothing yet.
fn lost(own: &State, dir: &Path) -> Option<Lost> {
    match State::load(dir) {
        Ok(None) => return Some(Lost::Removed),
        // The same name, and somebody else's cluster.
        Ok(Some(found)) if found.supervisor != own.supervisor => return Some(Lost::Removed),
        Ok(Some(_)) | Err(_) => {}
    }
    let ended =
        own.provider == Provider::Native && !own.supervisor.as_ref().is_some_and(super::process::Identity::is_alive);
    ended.then_some(Lost::Ended)
}

#[cfg(test)]
mod tests {
    use super::{super::process::Identity, super::state::Tier, *};

    fn recorded(pid: i32) -> State {
        State {
            name: "dev".into(),
            provider: Provider::Native,
            tier: Tier::Api,
            slot: None,
            supervisor: Identity::of(pid),
            server: String::new(),
            ready: true,
        }
    }

    #[test]
    fn a_cluster_is_lost_with_its_record_its_supervisor_or_its_name() {
        let home = tempfile::tempdir().unwrap();
        let own = recorded(i32::try_from(std::process::id()).unwrap());
        assert_eq!(lost(&own, home.path()), Some(Lost::Removed));
        own.save(home.path()).unwrap();
        assert_eq!(lost(&own, home.path()), None);
        let dead = State { supervisor: None, ..own.clone() };
        dead.save(home.path()).unwrap();
        assert_eq!((lost(&dead, home.path()), lost(&own, home.path())), (Some(Lost::Ended), Some(Lost::Removed)));
        recorded(1).save(home.path()).unwrap();
        assert_eq!(lost(&own, home.path()), Some(Lost::Removed), "another cluster of that name");
        std::fs::write(home.path().join("state.json"), "{").unwrap();
        assert_eq!(lost(&own, home.path()), None);
    }
}
