//! Who calls, and how often they may: nobody in particular, or the holder of an API key.
//!
//! In: the headers of a request. Out: its [`Principal`], or why it is refused. Over stdio there is no such question: the
//! client started the server itself.

mod keys;

use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use http::{HeaderMap, header};
use tokio_util::sync::CancellationToken;

pub(crate) use keys::Keys;

/// How often the file of keys is read again. What is taken out of it is refused after that long.
const RELOAD: Duration = Duration::from_secs(2);

/// Who calls.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) name: Arc<str>,
    /// `None` is every scope.
    scopes: Option<Vec<String>>,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Principal {
    /// Whether this principal may see and use what has this scope.
    pub(crate) fn may(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|held| held == scope))
    }

    /// Counts so many requests against the rate.
    pub(crate) fn spend(&self, requests: u32) -> Result<(), Denied> {
        let (Some(limiter), Some(requests)) = (&self.limiter, NonZeroU32::new(requests)) else { return Ok(()) };
        match limiter.check_n(requests) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(later)) => Err(Denied::TooMany(later.wait_time_from(limiter.clock().now()))),
            // More at once than there ever is room for: in smaller parts it goes now.
            Err(_) => Err(Denied::TooMany(Duration::ZERO)),
        }
    }
}

/// Where a call leaves word that its principal lacks a scope, for the transport to say it in its own way.
#[derive(Debug, Default)]
pub(crate) struct Shortfall(pub(crate) OnceLock<&'static str>);

/// Why a request is refused before anybody looks at what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No key was sent.
    Missing,
    /// A key was sent that is not among ours.
    Unknown,
    /// Too many requests; when the next may come.
    TooMany(Duration),
}

/// The door of one process.
#[derive(Debug)]
pub(crate) struct Access {
    file: Option<PathBuf>,
    quota: Option<Quota>,
    keys: RwLock<Arc<Keys>>,
    anonymous: Arc<Principal>,
}

impl Access {
    /// With a file every request needs a key that is in it; without, everybody is one principal.
    pub(crate) fn new(keys: Option<(PathBuf, Keys)>, quota: Option<Quota>) -> Self {
        let limiter = quota.map(|quota| Arc::new(RateLimiter::direct(quota)));
        let anonymous = Arc::new(Principal { name: "anonymous".into(), scopes: None, limiter });
        let (file, keys) = keys.unzip();
        let keys = keys.unwrap_or_default().with_limits(&Keys::default(), quota);
        Self { file, quota, keys: RwLock::new(Arc::new(keys)), anonymous }
    }

    /// Lets a request in.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Denied> {
        let principal = if self.file.is_some() {
            let key = presented(headers).ok_or(Denied::Missing)?;
            self.keys().find(key).ok_or(Denied::Unknown)?
        } else {
            Arc::clone(&self.anonymous)
        };
        principal.spend(1)?;
        Ok(principal)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again whenever it changed, until `closing`. A file that cannot be read changes nothing.
    pub(crate) async fn reload(self: Arc<Self>, closing: CancellationToken) {
        let Some(file) = &self.file else { return };
        loop {
            tokio::select! {
                () = tokio::time::sleep(RELOAD) => {}
                () = closing.cancelled() => return,
            }
            match tokio::task::spawn_blocking({
                let file = file.clone();
                move || Keys::read(&file)
            })
            .await
            {
                Ok(Ok(read)) if !read.same_as(&self.keys()) => {
                    let read = read.with_limits(&self.keys(), self.quota);
                    tracing::info!(keys = read.len(), "the API keys changed");
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                }
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => tracing::error!(%error, "the API keys cannot be read again; those of before stay"),
            }
        }
    }
}

/// The key in a request: a bearer token, or `X-Api-Key`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, key) = value.as_bytes().split_at_checked("bearer ".len())?;
        return scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii());
    }
    headers.get("x-api-key").map(http::HeaderValue::as_bytes)
}
