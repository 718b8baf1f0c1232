//! HTTP requests that leave a server: to the origins it was given and no others, at addresses that were checked.
//!
//! In: base URLs from settings, then URLs below them. Out: status, type and body, bounded in size and time.
//!
//! Guarantees: scheme, host and port of every request are those of a given base URL. A name is resolved once for each
//! connection, every address of the answer must be a public one (of `localhost`: a loopback one), and the connection
//! goes to exactly those addresses, so a name that resolves differently the next moment gains nothing. Redirects are not
//! followed. Proxies of the environment are not used: they would resolve names themselves.

mod address;
mod origin;
mod resolver;

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{Client, header::CONTENT_TYPE, redirect::Policy};
use url::Url;

pub use origin::{Origin, WrongOrigin};
pub use resolver::{Lookup, Refused, SystemLookup};

/// The most bytes of one answer (1 MiB).
pub const ANSWER_LIMIT: usize = 1024 * 1024;
/// Longest time for one request, from name to last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that reaches a few origins.
#[derive(Clone, Debug)]
pub struct Egress {
    client: Client,
    origins: Arc<[Origin]>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; never a redirect.
    pub status: u16,
    /// `Content-Type`, if it is text.
    pub content_type: String,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why nothing usable came back. No message holds a path or query of the request.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The URL is not below an origin that was given.
    #[error("requests to {0} are not allowed: it is not on the list of this server's settings")]
    NotListed(String),
    /// The name leads to an address that is not reached.
    #[error(transparent)]
    Refused(Refused),
    /// A redirect, which is not followed.
    #[error("{host} answered with a redirect (HTTP {status}), which is not followed")]
    Redirect {
        /// Who answered.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// More than [`ANSWER_LIMIT`].
    #[error("{0} answered with more than {ANSWER_LIMIT} bytes")]
    TooLarge(String),
    /// No connection, no answer, or not in time.
    #[error("{host} {trouble}")]
    Failed {
        /// Who was asked.
        host: String,
        /// What happened.
        trouble: &'static str,
    },
}

impl Egress {
    /// A client for these origins. An error is about the trusted certificates of this machine.
    pub fn new(origins: Vec<Origin>) -> Result<Self, String> {
        Self::through(origins, Arc::new(SystemLookup))
    }

    /// The same with another way to resolve names. Its answers are checked like those of the system.
    pub fn through(origins: Vec<Origin>, lookup: Arc<dyn Lookup>) -> Result<Self, String> {
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(resolver::checked(lookup))
            .user_agent(concat!("mcp-eks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, origins: origins.into() })
    }

    /// Gets a URL below one of the origins.
    pub async fn get(&self, url: Url) -> Result<Answer, EgressError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        if !self.origins.iter().any(|origin| origin.covers(&url)) {
            return Err(EgressError::NotListed(host));
        }
        let failed = |error: reqwest::Error| told(&host, &error);
        let mut response = self.client.get(url).send().await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(EgressError::Redirect { host, status: status.as_u16() });
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(EgressError::TooLarge(host));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: status.as_u16(), content_type, body })
    }
}

/// An error of the client in few words. Its own would repeat the URL.
fn told(host: &str, error: &reqwest::Error) -> EgressError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return EgressError::Refused(refused.clone());
        }
        cause = inner.source();
    }
    let trouble = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "broke off its answer"
    };
    EgressError::Failed { host: host.to_owned(), trouble }
}
