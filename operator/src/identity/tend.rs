//! The association of each server over time: made, waited for, settled, looked after, and gone.
//!
//! In: what a server shall have, and what was published of it. Out: a [`State`]; an error when AWS did not do it. Remembers
//! what it wrote and since when it is as wished; after a restart what the pods have says that it had settled.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Association, Associations, Failure, Key, Owner,
    plan::{Foreign, Intent, Late, Wish, Written},
    pursue::{Memory, Outcome, pursue},
    sweep::{Servers, Sweep},
    token::hash,
};

/// When AWS is looked at again for what it does not show yet.
pub const AGAIN: Duration = Duration::from_secs(2);
/// Servers that are remembered: more than a cluster may have associations.
const SERVERS: usize = 10_000;

/// What was published of a server's association.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Its id, in the status.
    pub id: Option<String>,
    /// Its hash, in the template of the pods.
    pub hash: Option<String>,
}

/// How far the association of a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// As wished, for so long that pods get what it gives.
    Ready(Association),
    /// As wished, and pods have to wait for so long.
    Settling(Association, Duration),
    /// Not yet as wished: why, and the association as far as it is known.
    Coming(String, Option<Association>),
    /// The key has an association that is not of this server.
    Foreign(Foreign),
}

/// Looks after the associations of a cluster.
pub struct Tending {
    cluster: String,
    aws: Box<dyn Associations>,
    /// Time in which AWS comes to show to pods what was written.
    settle: Duration,
    servers: Mutex<HashMap<String, Known>>,
}

impl fmt::Debug for Tending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tending").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// What is remembered of one server, by its uid.
#[derive(Clone, Debug, Default)]
struct Known {
    memory: Memory,
    /// Since when there is an association with this hash.
    shown: Option<(String, Instant)>,
    /// Since when it shall have none.
    losing: Option<Instant>,
}

impl Tending {
    /// Looks after the associations of the cluster of this name. AWS comes to show what was written within `settle`.
    #[must_use]
    pub fn new(cluster: &str, aws: Box<dyn Associations>, settle: Duration) -> Self {
        Self { cluster: cluster.to_owned(), aws, settle, servers: Mutex::default() }
    }

    /// The server of this name and uid, as the owner of an association.
    #[must_use]
    pub fn owner(&self, namespace: &str, name: &str, uid: &str) -> Owner {
        Owner {
            cluster: self.cluster.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        }
    }

    /// Goes one step towards what is wished, which a class allows.
    pub async fn want(&self, wish: &Wish, published: &Published) -> Result<State, Failure> {
        let mut known = self.recall(&wish.owner.uid);
        known.losing = None;
        if known.memory.last.is_none() {
            known.memory.last.clone_from(&published.id);
        }
        let outcome = pursue(self.aws.as_ref(), Intent::Have(wish), &wish.key, &mut known.memory).await;
        let state = outcome.map(|outcome| match outcome {
            Outcome::Have(found) => self.settled(&mut known, found, published),
            Outcome::Wrote(call, written) => {
                let found = match written {
                    Written::Is(found) => Some(*found),
                    Written::Deleted(_) => None,
                };
                known.shown = found.as_ref().map(|found| (hash(found), Instant::now()));
                State::Coming(format!("{call} is done, and AWS does not show it yet"), found)
            }
            Outcome::Wait(why) => State::Coming(why.to_owned(), None),
            Outcome::Stop(foreign) => State::Foreign(foreign),
            // Only whoever loses one is told so.
            Outcome::Gone => State::Coming("there is no association".to_owned(), None),
        });
        self.remember(&wish.owner.uid, known);
        state
    }

    /// Goes one step towards none. Returns whether there is none, and none can come.
    ///
    /// `since` is how long the server has been on its way out, if it is.
    pub async fn lose(&self, owner: &Owner, key: &Key, since: Option<Duration>) -> Result<bool, Failure> {
        let mut known = self.recall(&owner.uid);
        let losing = *known.losing.get_or_insert_with(Instant::now);
        let since = since.unwrap_or_default().max(losing.elapsed());
        let intent = Intent::Lose(owner, Late(since >= self.settle));
        self.end(owner, known, pursue_to(self.aws.as_ref(), intent, key).await)
    }

    /// Goes one step towards an association that nobody looks after. Returns whether it is so.
    pub async fn leave(&self, owner: &Owner, key: &Key) -> Result<bool, Failure> {
        let known = self.recall(&owner.uid);
        self.end(owner, known, pursue_to(self.aws.as_ref(), Intent::Leave(owner), key).await)
    }

    /// One round of the sweep for associations whose servers are gone. Returns what it deleted.
    pub async fn sweep(&self, sweep: &mut Sweep, servers: &dyn Servers) -> Result<Vec<Association>, Failure> {
        sweep.round(self.aws.as_ref(), &self.cluster, servers).await
    }

    fn end(&self, owner: &Owner, known: Known, outcome: Result<Outcome, Failure>) -> Result<bool, Failure> {
        let gone = matches!(outcome?, Outcome::Gone);
        if gone {
            self.forget(&owner.uid);
        } else {
            self.remember(&owner.uid, known);
        }
        Ok(gone)
    }

    /// Whether what AWS shows has been so for long enough.
    fn settled(&self, known: &mut Known, found: Association, published: &Published) -> State {
        let now = Instant::now();
        let hash = hash(&found);
        if published.hash.as_ref() == Some(&hash) {
            return State::Ready(found);
        }
        let since = match &known.shown {
            Some((shown, since)) if *shown == hash => *since,
            _ => now,
        };
        known.shown = Some((hash, since));
        match self.settle.checked_sub(now - since) {
            Some(left) if !left.is_zero() => State::Settling(found, left),
            _ => State::Ready(found),
        }
    }

    fn recall(&self, uid: &str) -> Known {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(uid).cloned().unwrap_or_default()
    }

    fn remember(&self, uid: &str, known: Known) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= SERVERS && !servers.contains_key(uid) {
            // Forgetting costs a look at AWS, nothing else.
            servers.clear();
        }
        servers.insert(uid.to_owned(), known);
    }

    fn forget(&self, uid: &str) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// On the way out nothing is remembered: each look is at what AWS shows now.
async fn pursue_to(aws: &dyn Associations, intent: Intent<'_>, key: &Key) -> Result<Outcome, Failure> {
    pursue(aws, intent, key, &mut Memory::default()).await
}

#[cfg(test)]
mod tests;
