//! What to do about the Lease: pure, with the time passed in.
//!
//! In: the record as last read, and since when it has been like that by our own clock. Out: create, renew, take or wait.
//! The times written in a record are for people. They come from another machine's clock and decide nothing: a record
//! has expired when it has not changed for its own duration, measured here.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

use super::LEASE_DURATION;

/// A Lease, and since when its record has not changed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    lease: Option<Lease>,
    since: Duration,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// There is none: create it.
    Create,
    /// It is ours: write it again.
    Renew,
    /// Nobody holds it, or whoever did has let it expire: take it.
    Take,
    /// It is somebody else's, until this time of our clock unless it is renewed.
    Wait(Duration),
}

impl Observed {
    /// Takes in what was read or written at `now`.
    pub fn see(&mut self, lease: Option<Lease>, now: Duration) {
        let record = |lease: &Option<Lease>| lease.as_ref().map(|lease| lease.spec.clone());
        // A label on the Lease is no sign of life.
        if record(&self.lease) != record(&lease) {
            self.since = now;
        }
        self.lease = lease;
    }

    /// Who holds it, if anybody.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.spec()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// What `me` does now.
    #[must_use]
    pub fn decide(&self, me: &str, now: Duration) -> Move {
        if self.lease.is_none() {
            return Move::Create;
        }
        match self.holder() {
            None => Move::Take,
            Some(holder) if holder == me => Move::Renew,
            Some(_) if now >= self.expiry() => Move::Take,
            Some(_) => Move::Wait(self.expiry()),
        }
    }

    /// The Lease as `me` writes it to hold it. Keeps the version that was read, so that whoever writes first wins.
    #[must_use]
    pub fn held_by(&self, me: &str, at: Timestamp) -> Lease {
        let before = self.spec().cloned().unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(me);
        let transitions = before.lease_transitions.unwrap_or(0);
        self.with(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: Some(i32::try_from(LEASE_DURATION.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: before.acquire_time.clone().filter(|_| ours).or(Some(MicroTime(at))),
            renew_time: Some(MicroTime(at)),
            lease_transitions: Some(if ours || self.lease.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..before
        })
    }

    /// The Lease as its holder writes it to give it up.
    #[must_use]
    pub fn released(&self, at: Timestamp) -> Lease {
        self.with(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(at)),
            renew_time: Some(MicroTime(at)),
            ..self.spec().cloned().unwrap_or_default()
        })
    }

    fn with(&self, spec: LeaseSpec) -> Lease {
        Lease { spec: Some(spec), ..self.lease.clone().unwrap_or_default() }
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.lease.as_ref()?.spec.as_ref()
    }

    fn expiry(&self) -> Duration {
        let seconds = self.spec().and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        self.since.saturating_add(seconds.map_or(LEASE_DURATION, Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Duration, Lease, Move, Observed, Timestamp};

    fn lease(spec: &Value) -> Lease {
        serde_json::from_value(json!({"metadata": {"name": "l", "resourceVersion": "7"}, "spec": spec})).unwrap()
    }

    fn held(holder: &str, renewed: &str) -> Lease {
        lease(
            &json!({"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed, "leaseTransitions": 3,
                "acquireTime": "2026-01-01T00:00:00.000000Z"}),
        )
    }

    const THEN: &str = "2026-01-01T00:00:00.000000Z";
    const LATER: &str = "2026-01-01T00:00:02.000000Z";
    const FUTURE: &str = "2999-01-01T00:00:00.000000Z";
    const PAST: &str = "1999-01-01T00:00:00.000000Z";

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What is tried, what was read at which second, and what to do at which second.
    type Case = (&'static str, Vec<(u64, Option<Lease>)>, u64, Move);

    #[test]
    fn the_own_clock_and_a_change_of_the_record_decide() {
        let cases: &[Case] = &[
            ("no Lease", vec![(100, None)], 100, Move::Create),
            ("a Lease without a spec", vec![(100, Some(Lease::default()))], 100, Move::Take),
            ("released", vec![(100, Some(held("", THEN)))], 100, Move::Take),
            ("ours", vec![(100, Some(held("me", THEN)))], 100, Move::Renew),
            ("ours, long expired, and nobody took it", vec![(100, Some(held("me", THEN)))], 900, Move::Renew),
            ("another's, seen for the first time", vec![(100, Some(held("you", THEN)))], 100, Move::Wait(s(115))),
            ("another's, not expired", vec![(100, Some(held("you", THEN)))], 114, Move::Wait(s(115))),
            ("another's, expired", vec![(100, Some(held("you", THEN)))], 115, Move::Take),
            (
                "another's, renewed meanwhile",
                vec![(100, Some(held("you", THEN))), (110, Some(held("you", LATER)))],
                115,
                Move::Wait(s(125)),
            ),
            (
                "read again without a change: no sign of life",
                vec![(100, Some(held("you", THEN))), (114, Some(held("you", THEN)))],
                115,
                Move::Take,
            ),
            (
                "its clock is far ahead: it expires all the same",
                vec![(100, Some(held("you", FUTURE)))],
                115,
                Move::Take,
            ),
            (
                "its clock is far behind: it is valid all the same",
                vec![(100, Some(held("you", PAST)))],
                114,
                Move::Wait(s(115)),
            ),
            (
                "its clock was set back between two renewals: alive",
                vec![(100, Some(held("you", FUTURE))), (110, Some(held("you", PAST)))],
                115,
                Move::Wait(s(125)),
            ),
            (
                "its own duration counts",
                vec![(100, Some(lease(&json!({"holderIdentity": "you", "leaseDurationSeconds": 60}))))],
                115,
                Move::Wait(s(160)),
            ),
            (
                "a duration that makes no sense is ours",
                vec![(100, Some(lease(&json!({"holderIdentity": "you", "leaseDurationSeconds": -1}))))],
                115,
                Move::Take,
            ),
            (
                "gone, and made anew by another",
                vec![(100, None), (101, Some(held("you", THEN)))],
                102,
                Move::Wait(s(116)),
            ),
        ];
        for (case, reads, now, expected) in cases {
            let mut observed = Observed::default();
            for (at, lease) in reads {
                observed.see(lease.clone(), s(*at));
            }
            assert_eq!(observed.decide("me", s(*now)), *expected, "{case}");
        }
    }

    #[test]
    fn a_label_is_no_sign_of_life() {
        let mut observed = Observed::default();
        observed.see(Some(held("you", THEN)), s(100));
        let mut labelled = held("you", THEN);
        labelled.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        labelled.metadata.resource_version = Some("8".to_owned());
        observed.see(Some(labelled), s(114));
        assert_eq!(observed.decide("me", s(115)), Move::Take);
        let written = observed.held_by("me", Timestamp::UNIX_EPOCH);
        assert_eq!(written.metadata.resource_version.as_deref(), Some("8"), "the newest version goes along");
        assert!(written.metadata.labels.is_some(), "what others put there stays");
    }

    #[test]
    fn a_transition_is_counted_and_a_renewal_is_not() {
        let at: Timestamp = "2026-02-02T00:00:00Z".parse().unwrap();
        let written = |lease: Option<Lease>| {
            let mut observed = Observed::default();
            observed.see(lease, s(1));
            serde_json::to_value(observed.held_by("me", at).spec.unwrap()).unwrap()
        };
        let expected = |acquired: &str, transitions: u32| {
            json!({"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-02-02T00:00:00.000000Z",
                "acquireTime": acquired, "leaseTransitions": transitions})
        };
        assert_eq!(written(None), expected("2026-02-02T00:00:00.000000Z", 0));
        assert_eq!(written(Some(held("me", THEN))), expected(THEN, 3));
        assert_eq!(written(Some(held("you", THEN))), expected("2026-02-02T00:00:00.000000Z", 4));
        assert_eq!(written(Some(held("", THEN))), expected("2026-02-02T00:00:00.000000Z", 4));
    }

    #[test]
    fn a_released_lease_has_no_holder_and_is_short() {
        let mut observed = Observed::default();
        observed.see(Some(held("me", THEN)), s(1));
        let released = observed.released("2026-02-02T00:00:00Z".parse().unwrap());
        let spec = serde_json::to_value(released.spec.as_ref().unwrap()).unwrap();
        assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!(""), &json!(1)));
        assert_eq!(spec["leaseTransitions"], 3);
        observed.see(Some(released), s(2));
        assert_eq!(observed.decide("you", s(2)), Move::Take);
    }
}
