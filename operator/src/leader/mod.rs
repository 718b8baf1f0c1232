//! Leader election: of several operators one works, the others are warm.
//!
//! In: a Lease in the API server, by the protocol of client-go, so that its tools understand it. Out: [`Leadership`],
//! which the shell asks before it works, and a [`fence::Fence`] under the client, for the case that it was wrong. All
//! operators watch and are ready; who loses the Lease drops what is under way and becomes a standby again. It does not
//! exit: an API server that was away would find a fleet in CrashLoopBackOff.

pub mod decide;
pub mod elect;
pub mod fence;
pub mod socket;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch;

/// After this long without a renewal others take the Lease.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// After this long without a renewal its holder stops working. The difference is for clocks that run at different
/// speeds, and for a write that is on its way.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at the Lease, less a jitter.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Whether this operator leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Leading,
    /// Somebody else works, or nobody yet.
    Standby {
        /// Who, if that is known.
        leader: Option<String>,
    },
}

/// A view of who leads.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<State>);

impl Leadership {
    /// A view of an election.
    #[must_use]
    pub fn new(state: watch::Receiver<State>) -> Self {
        Self(state)
    }

    /// For an operator that is alone by promise.
    #[must_use]
    pub fn without_election() -> Self {
        Self(watch::channel(State::Leading).1)
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// Whether this operator leads now.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.0.borrow() == State::Leading
    }

    /// The state, and when it changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<State> {
        self.0.clone()
    }

    /// Resolves when this operator does not lead.
    pub async fn lost(&self) {
        if self.0.clone().wait_for(|state| *state != State::Leading).await.is_err() {
            // Without an election nothing is ever lost.
            std::future::pending::<()>().await;
        }
    }

    /// An item for every time this operator begins to lead.
    pub fn gained(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::unfold((self.0.clone(), false), |(mut state, led)| async move {
            if led {
                state.wait_for(|state| *state != State::Leading).await.ok()?;
            }
            state.wait_for(|state| *state == State::Leading).await.ok()?;
            Some(((), (state, true)))
        })
        .boxed()
    }
}

/// A name for this process that no other has: the host's, which is the pod's, and a random part.
#[must_use]
pub fn identity() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    // A hasher's seed is random for every process.
    format!("{}_{:016x}", host.unwrap_or_else(|| "operator".to_owned()), RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use tokio::sync::watch;

    use super::{Leadership, State, identity};

    const STANDBY: State = State::Standby { leader: None };

    #[tokio::test]
    async fn every_term_begins_once() {
        let (sender, receiver) = watch::channel(STANDBY);
        let leadership = Leadership::new(receiver);
        let mut gained = Box::pin(leadership.gained());
        assert!(gained.next().now_or_never().is_none() && !leadership.leads());
        for _ in 0..2 {
            sender.send_replace(State::Leading);
            assert_eq!(gained.next().now_or_never(), Some(Some(())));
            assert!(gained.next().now_or_never().is_none(), "once a term");
            assert!(leadership.leads() && leadership.lost().now_or_never().is_none());
            sender.send_replace(STANDBY);
            assert!(gained.next().now_or_never().is_none());
            assert!(leadership.lost().now_or_never().is_some());
        }
    }

    #[tokio::test]
    async fn without_election_it_leads_for_ever() {
        let leadership = Leadership::without_election();
        assert!(leadership.leads() && leadership.lost().now_or_never().is_none());
        assert_eq!(leadership.gained().next().now_or_never(), Some(Some(())));
    }

    #[test]
    fn no_two_processes_have_one_identity() {
        assert_ne!(identity(), identity());
    }
}
