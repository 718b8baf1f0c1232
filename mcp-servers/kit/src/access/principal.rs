//! Who calls: a name, what they may use, and how often.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter, clock::Clock};

use super::Denied;

/// Above so many names, those that were not heard of for a while are forgotten.
const NAMES: usize = 10_000;

/// What a principal may see and use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything.
    All,
    /// What has one of these scopes.
    Scopes(Vec<String>),
    /// See everything and use nothing: the operator's probe.
    Look,
}

/// Who calls.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) name: Arc<str>,
    pub(super) rights: Rights,
    pub(super) limit: Limit,
}

impl Principal {
    /// Whether this principal may see what has this scope.
    pub(crate) fn sees(&self, scope: &str) -> bool {
        self.rights == Rights::Look || self.may(scope)
    }

    /// Whether this principal may use what has this scope.
    pub(crate) fn may(&self, scope: &str) -> bool {
        match &self.rights {
            Rights::All => true,
            Rights::Scopes(scopes) => scopes.iter().any(|held| held == scope),
            Rights::Look => false,
        }
    }

    /// Counts so many requests against the rate.
    pub(crate) fn spend(&self, requests: u32) -> Result<(), Denied> {
        let Some(requests) = NonZeroU32::new(requests) else { return Ok(()) };
        let told = match &self.limit {
            Limit::None => return Ok(()),
            Limit::Own(limiter) => {
                limiter.check_n(requests).map(|it| it.map_err(|later| wait(&later, limiter.clock())))
            }
            Limit::Named(limiter) => {
                limiter.check_key_n(&self.name, requests).map(|it| it.map_err(|later| wait(&later, limiter.clock())))
            }
        };
        match told {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wait)) => Err(Denied::TooMany(wait)),
            // More at once than there ever is room for: in smaller parts it goes now.
            Err(_) => Err(Denied::TooMany(Duration::ZERO)),
        }
    }
}

fn wait<C: Clock>(later: &NotUntil<C::Instant>, clock: &C) -> Duration {
    later.wait_time_from(clock.now())
}

/// What limits how often a principal may come.
#[derive(Clone, Debug, Default)]
pub(super) enum Limit {
    #[default]
    None,
    /// A limiter of its own.
    Own(Arc<DefaultDirectRateLimiter>),
    /// A place in one that is shared by all whose names are not known beforehand.
    Named(Arc<DefaultKeyedRateLimiter<Arc<str>>>),
}

impl Limit {
    pub(super) fn own(quota: Option<Quota>) -> Self {
        quota.map_or(Self::None, |quota| Self::Own(Arc::new(RateLimiter::direct(quota))))
    }

    pub(super) fn named(quota: Option<Quota>) -> Self {
        quota.map_or(Self::None, |quota| Self::Named(Arc::new(RateLimiter::keyed(quota))))
    }

    /// Forgets names that have their full rate again, before there are too many.
    pub(super) fn tidy(&self) {
        if let Self::Named(limiter) = self
            && limiter.len() > NAMES
        {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(rights: Rights) -> Principal {
        Principal { name: "p".into(), rights, limit: Limit::None }
    }

    #[test]
    fn rights_decide_what_is_seen_and_used() {
        for (rights, sees_read, may_read, sees_write, may_write) in [
            (Rights::All, true, true, true, true),
            (Rights::Scopes(vec!["read".into()]), true, true, false, false),
            (Rights::Scopes(vec![]), false, false, false, false),
            (Rights::Look, true, false, true, false),
        ] {
            let it = principal(rights.clone());
            let told = (it.sees("read"), it.may("read"), it.sees("write"), it.may("write"));
            assert_eq!(told, (sees_read, may_read, sees_write, may_write), "{rights:?}");
        }
    }

    #[test]
    fn names_share_a_limiter_and_not_their_rate() {
        let quota = Quota::per_second(NonZeroU32::MIN);
        let limit = Limit::named(Some(quota));
        let named = |name: &str| Principal { name: name.into(), rights: Rights::All, limit: limit.clone() };
        assert_eq!(named("a").spend(1), Ok(()));
        assert!(matches!(named("a").spend(1), Err(Denied::TooMany(_))));
        assert_eq!(named("b").spend(1), Ok(()));
        assert_eq!(named("b").spend(2), Err(Denied::TooMany(Duration::ZERO)), "more than there ever is room for");
    }
}
