//! Who calls, and how often they may: nobody in particular, the holder of an API key, or whom a token speaks for.
//!
//! In: the headers of a request. Out: its [`Principal`], or why it is refused. Over stdio there is no such question: the
//! client started the server itself.

mod jwks;
mod keys;
mod principal;
mod protected;
mod token;

use std::{
    fmt::Write,
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use governor::Quota;
use http::{HeaderMap, HeaderValue, header};
use tokio_util::sync::CancellationToken;

pub(crate) use jwks::is_safe;
pub(crate) use keys::Keys;
pub(crate) use principal::Principal;
pub(crate) use protected::{Protected, WELL_KNOWN};
pub(crate) use token::{Probe, Tokens};

use crate::settings::HostName;
use principal::{Limit, Rights};

/// How often the file of keys is read again. What is taken out of it is refused after that long.
const RELOAD: Duration = Duration::from_secs(2);

/// Where a call leaves word that its principal lacks a scope, for the transport to say it in its own way.
#[derive(Debug, Default)]
pub(crate) struct Shortfall(pub(crate) OnceLock<&'static str>);

/// Why a request is refused before anybody looks at what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No key or token was sent.
    Missing,
    /// A key was sent that is not among ours.
    Unknown,
    /// A token was sent that is not good, and what is wrong with it.
    Token(&'static str),
    /// A good token lacks a scope that every token must have.
    Scope,
    /// Whether a token is good cannot be told: the issuer's keys cannot be fetched.
    Unavailable,
    /// Too many requests; when the next may come.
    TooMany(Duration),
}

impl Denied {
    /// The reason, as audit records name it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Missing => "no_credentials",
            Self::Unknown | Self::Token(_) => "wrong_credentials",
            Self::Scope => "insufficient_scope",
            Self::Unavailable => "issuer_unavailable",
            Self::TooMany(_) => "rate_limited",
        }
    }
}

/// The ways in which callers may show who they are. With none of them, everybody is one principal.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// API keys, and the file they come from.
    pub(crate) keys: Option<(PathBuf, Keys)>,
    /// Tokens of an issuer.
    pub(crate) tokens: Option<Tokens>,
    /// Tokens of the operator's probe; they open nothing that is open already.
    pub(crate) probe: Option<Probe>,
}

/// The door of one process.
#[derive(Debug)]
pub(crate) struct Access {
    file: Option<PathBuf>,
    quota: Option<Quota>,
    keys: RwLock<Arc<Keys>>,
    tokens: Option<Tokens>,
    probe: Option<Probe>,
    /// What limits those whom tokens speak for.
    named: Limit,
    anonymous: Arc<Principal>,
    protected: Option<Protected>,
}

impl Access {
    pub(crate) fn new(credentials: Credentials, protected: Option<Protected>, quota: Option<Quota>) -> Self {
        let limit = Limit::own(quota);
        let anonymous = Arc::new(Principal { name: "anonymous".into(), rights: Rights::All, limit });
        let Credentials { keys, tokens, probe } = credentials;
        let (file, keys) = keys.unzip();
        let keys = keys.unwrap_or_default().with_limits(&Keys::default(), quota);
        let (keys, named) = (RwLock::new(Arc::new(keys)), Limit::named(quota));
        Self { file, quota, keys, tokens, probe, named, anonymous, protected }
    }

    /// Lets a request in.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Denied> {
        let open = self.file.is_none() && self.tokens.is_none();
        let principal = if open { Arc::clone(&self.anonymous) } else { self.identify(headers).await? };
        principal.spend(1)?;
        Ok(principal)
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Denied> {
        let shown = presented(headers).ok_or(Denied::Missing)?;
        if let Some(principal) = self.keys().find(shown) {
            return Ok(principal);
        }
        // Tokens travel in Authorization alone (RFC 9728 would name other ways).
        let bearer = headers.contains_key(header::AUTHORIZATION);
        let token = std::str::from_utf8(shown).ok().filter(|text| bearer && token::is_token(text));
        let token = token.ok_or(Denied::Unknown)?;
        let (name, rights) = match (&self.probe, &self.tokens) {
            (Some(probe), _) if Probe::claims(token) => probe.verify(token, &host(headers))?,
            (_, Some(tokens)) => tokens.verify(token).await?,
            _ => return Err(Denied::Unknown),
        };
        self.named.tidy();
        Ok(Arc::new(Principal { name, rights, limit: self.named.clone() }))
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What callers are told to show.
    pub(crate) const fn wanted(&self) -> &'static str {
        match (&self.file, &self.tokens) {
            (_, None) => "an API key, as `Authorization: Bearer KEY` or `X-Api-Key: KEY`",
            (None, Some(_)) => "a token, as `Authorization: Bearer TOKEN`",
            (Some(_), Some(_)) => "a token or an API key, as `Authorization: Bearer TOKEN` or `X-Api-Key: KEY`",
        }
    }

    /// The challenge of RFC 6750, section 3, with where to read more by RFC 9728, section 5.1.
    pub(crate) fn challenge(&self, error: Option<&str>, told: Option<&str>, scope: Option<&str>) -> HeaderValue {
        let needed = self.tokens.as_ref().map_or(&[][..], |tokens| &tokens.scopes);
        let scope: Vec<&str> = needed.iter().map(String::as_str).chain(scope).collect();
        let mut challenge = r#"Bearer realm="mcp""#.to_owned();
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let _ = write!(challenge, r#", {name}="{value}""#);
            }
        };
        add("error", error);
        add("error_description", told);
        add("scope", Some(&scope.join(" ")));
        add("resource_metadata", self.protected.as_ref().map(Protected::metadata));
        HeaderValue::try_from(challenge).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    /// What this server tells of itself to those who look for its issuer.
    pub(crate) const fn protected(&self) -> Option<&Protected> {
        self.protected.as_ref()
    }

    /// Keeps keys fresh, those of callers and those of the issuer, until `closing`.
    pub(crate) async fn refresh(self: Arc<Self>, closing: CancellationToken) {
        let issuer = async {
            if let Some(tokens) = &self.tokens {
                tokens.refresh(&closing).await;
            }
        };
        tokio::join!(issuer, self.reload(&closing));
    }

    /// Reads the file again whenever it changed. A file that cannot be read changes nothing.
    async fn reload(&self, closing: &CancellationToken) {
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

/// The key or token in a request: a bearer token, or `X-Api-Key`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, key) = value.as_bytes().split_at_checked("bearer ".len())?;
        return scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii());
    }
    headers.get("x-api-key").map(http::HeaderValue::as_bytes)
}

/// The name this server was called by. It was found on the list of such names before.
fn host(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| HostName::parse(host.to_str().ok()?));
    host.map(|host| host.to_string()).unwrap_or_default()
}
