//! The election: a loop that holds on to a Lease, or waits for it.
//!
//! In: the API server, a clock and a name. Out: the state in a channel, and a fence that is open while it leads. It
//! creates and replaces with the version it read, and never patches: of two writers one fails. A leader renews without
//! a look before, one request a period.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{
    Leadership, RENEW_DEADLINE, RETRY_PERIOD, State,
    decide::{Move, Observed},
    fence::Fence,
};

/// Longest attempt: half of the deadline, so that a call that hangs leaves time for another.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Longest wait for the release when the process ends.
const RELEASE: Duration = Duration::from_secs(2);

/// A candidate for one Lease.
#[expect(missing_debug_implementations, reason = "kube's client has nothing to show")]
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    fence: Fence,
    observed: Observed,
    /// When the last good renewal was asked for.
    renewed: Duration,
    state: watch::Sender<State>,
    /// The last trouble, so that it is told once.
    trouble: Option<String>,
}

impl Elector {
    /// A candidate called `identity` for the Lease `namespace`/`name`. Returns it and what it will decide.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: String, fence: Fence) -> (Self, Leadership) {
        let (state, receiver) = watch::channel(State::Standby { leader: None });
        let elector = Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity,
            fence,
            observed: Observed::default(),
            renewed: Duration::ZERO,
            state,
            trouble: None,
        };
        (elector, Leadership::new(receiver))
    }

    /// Campaigns until `stop` resolves, then gives the Lease up if it is ours: the next leader need not wait.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.campaign() => {}
        }
        let leads = *self.state.borrow() == State::Leading;
        self.step_down(None, "this operator ends");
        if leads {
            let released = self.observed.released(Timestamp::now());
            match timeout(RELEASE, self.api.replace(&self.name, &PostParams::default(), &released)).await {
                Ok(Ok(_)) => info!("the lease is released"),
                Ok(Err(error)) => warn!(%error, "the lease could not be released: others wait until it expires"),
                Err(_) => warn!("the lease could not be released in time: others wait until it expires"),
            }
        }
    }

    async fn campaign(&mut self) {
        info!(lease = self.name, identity = self.identity, "waiting for the lease");
        loop {
            let asked = self.fence.now();
            let leading = *self.state.borrow() == State::Leading;
            // A leader whose call hangs must stop in time all the same.
            let left = if leading { (self.renewed + RENEW_DEADLINE).saturating_sub(asked) } else { ATTEMPT };
            match timeout(left.min(ATTEMPT), self.attempt(leading)).await {
                Ok(Ok(true)) => self.lead(asked),
                Ok(Ok(false)) => {
                    let holder = self.observed.holder().map(str::to_owned);
                    self.step_down(holder.as_deref(), "another operator holds the lease");
                }
                Ok(Err(error)) => self.trouble(error.to_string()),
                Err(_) => self.trouble("no answer in time".to_owned()),
            }
            let leads = *self.state.borrow() == State::Leading;
            if leads && self.fence.now() >= self.renewed.saturating_add(RENEW_DEADLINE) {
                self.step_down(None, "the lease could not be renewed in time");
            }
            sleep(self.pause()).await;
        }
    }

    /// One try to hold the Lease. False when it is somebody else's.
    async fn attempt(&mut self, leading: bool) -> Result<bool, kube::Error> {
        // A leader knows what it wrote last.
        if !leading || self.trouble.is_some() {
            self.look().await?;
        }
        let mut again = true;
        loop {
            let held = self.observed.held_by(&self.identity, Timestamp::now());
            let written = match self.observed.decide(&self.identity, self.fence.now()) {
                Move::Wait(_) => return Ok(false),
                Move::Create => {
                    let named = Lease { metadata: self.named(), ..held };
                    self.api.create(&PostParams::default(), &named).await
                }
                Move::Renew | Move::Take => self.api.replace(&self.name, &PostParams::default(), &held).await,
            };
            match written {
                Ok(lease) => {
                    self.observed.see(Some(lease), self.fence.now());
                    return Ok(true);
                }
                // Somebody wrote first, or deleted it.
                Err(kube::Error::Api(status)) if again && matches!(status.code, 404 | 409) => {
                    debug!(status.message, "somebody else wrote the lease");
                    again = false;
                    self.look().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn look(&mut self) -> Result<(), kube::Error> {
        let lease = self.api.get_opt(&self.name).await?;
        self.observed.see(lease, self.fence.now());
        Ok(())
    }

    fn named(&self) -> kube::core::ObjectMeta {
        kube::core::ObjectMeta { name: Some(self.name.clone()), ..kube::core::ObjectMeta::default() }
    }

    /// The Lease is ours since `asked` at the latest: others count from when they see it, which is later.
    fn lead(&mut self, asked: Duration) {
        self.renewed = asked;
        self.fence.open_until(asked.saturating_add(RENEW_DEADLINE));
        if self.trouble.take().is_some() {
            info!("the lease is renewed again");
        }
        let begins = self.state.send_if_modified(|state| std::mem::replace(state, State::Leading) != State::Leading);
        if begins {
            info!(identity = self.identity, "leading");
        }
    }

    fn step_down(&mut self, leader: Option<&str>, why: &'static str) {
        self.fence.close();
        let before = self.state.send_replace(State::Standby { leader: leader.map(str::to_owned) });
        match (before, leader) {
            (State::Leading, _) => warn!(why, leader, "not leading any more: what was under way is dropped"),
            (State::Standby { leader: before }, Some(now)) if before.as_deref() != Some(now) => {
                info!(leader = now, "standing by");
            }
            _ => {}
        }
    }

    fn trouble(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            warn!(trouble, lease = self.name, "the lease cannot be read or written; tried again every few seconds");
            self.trouble = Some(trouble);
        }
    }

    /// Until the next try: a period less a jitter, or until the Lease expires if that is sooner.
    fn pause(&self) -> Duration {
        let random = u8::try_from(RandomState::new().build_hasher().finish() % 26).unwrap_or(0);
        let pause = RETRY_PERIOD.mul_f64(1.0 - f64::from(random) / 100.0);
        match self.observed.decide(&self.identity, self.fence.now()) {
            Move::Wait(expiry) => pause.min(expiry.saturating_sub(self.fence.now())).max(Duration::from_millis(50)),
            _ => pause,
        }
    }
}

#[cfg(test)]
#[path = "elect_tests.rs"]
mod tests;
