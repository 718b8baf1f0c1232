//! The public keys of an issuer: fetched, kept, and fetched again, within bounds of size, time and number.
//!
//! In: where they are, or the issuer that says where (RFC 8414, OpenID Connect Discovery). Out: keys by id, each with the
//! algorithms it may be used for. What was fetched stays good while the issuer cannot be reached, for a day; a token whose
//! key is not known leads to one more look, at most every ten seconds, whoever sends how many of them. Only https, but for
//! this machine; no redirects.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How often the keys are fetched again.
const REFRESH: Duration = Duration::from_mins(5);
/// How soon after a fetch that failed.
const RETRY: Duration = Duration::from_secs(15);
/// How soon after a look for an unknown key the next may be.
const LOOK: Duration = Duration::from_secs(10);
/// How long keys stay good that cannot be fetched again.
const STALE: Duration = Duration::from_hours(24);
/// The longest one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const LARGEST: usize = 256 * 1024;
/// The most keys of one issuer that are kept.
const KEYS: usize = 64;

/// One key, and what it may be used for.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

impl Key {
    /// A public key that signs tokens, or nothing: other kinds in a set are no mistake.
    fn of(jwk: &Jwk) -> Option<Self> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        if jwk.common.public_key_use.as_ref().is_some_and(|use_| *use_ != PublicKeyUse::Signature) {
            return None;
        }
        // By the kind of the key, never by what a token says: a public key is no HMAC secret.
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
            AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => vec![ES256],
            AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P384 => vec![ES384],
            AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => vec![EdDSA],
            _ => return None,
        };
        if let Some(only) = jwk.common.key_algorithm {
            let only = Algorithm::try_from(only).ok();
            algorithms.retain(|algorithm| Some(*algorithm) == only);
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then(|| Self { id: jwk.common.key_id.clone(), algorithms, key })
    }
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has no such key.
    Unknown,
    /// Nobody knows: its keys could not be fetched.
    Unavailable,
}

/// What is known of the issuer's keys.
#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    fetched: Option<Instant>,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Jwks {
    issuer: Url,
    uri: Option<Url>,
    client: Client,
    known: RwLock<Known>,
    looked: Mutex<Option<Instant>>,
}

impl Jwks {
    /// Of an issuer, whose keys are at `uri` or where it says.
    pub(super) fn new(issuer: Url, uri: Option<Url>) -> Result<Self, reqwest::Error> {
        let all_loopback = is_loopback(&issuer) && uri.as_ref().is_none_or(is_loopback);
        let mut client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        if all_loopback {
            client = client.no_proxy();
        }
        Ok(Self { issuer, uri, client: client.build()?, known: RwLock::default(), looked: Mutex::default() })
    }

    /// The key for a token: by its id, or the only one for its algorithm where the token names none.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, NoKey> {
        if let Some(key) = self.known().as_ref().and_then(|keys| pick(keys, id, algorithm)) {
            return Ok(key);
        }
        self.look().await;
        let keys = self.known().ok_or(NoKey::Unavailable)?;
        pick(&keys, id, algorithm).ok_or(NoKey::Unknown)
    }

    /// The keys, as long as they are good.
    fn known(&self) -> Option<Arc<Vec<Key>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.fetched.filter(|fetched| fetched.elapsed() < STALE).map(|_| Arc::clone(&known.keys))
    }

    /// Looks for a key that is not known, unless somebody just did. Those who come meanwhile wait for the same look.
    async fn look(&self) {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if self.fetched_since(asked) || looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.fetch().await;
        *looked = Some(Instant::now());
    }

    fn fetched_since(&self, then: Instant) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).fetched.is_some_and(|fetched| fetched >= then)
    }

    /// Keeps the keys fresh until `closing`.
    pub(super) async fn refresh(&self, closing: &CancellationToken) {
        let mut begun = Instant::now();
        loop {
            let fresh = {
                let _one = self.looked.lock().await;
                self.fetched_since(begun) || self.fetch().await
            };
            tokio::select! {
                () = tokio::time::sleep(if fresh { REFRESH } else { RETRY }) => begun = Instant::now(),
                () = closing.cancelled() => return,
            }
        }
    }

    async fn fetch(&self) -> bool {
        match self.fetched().await {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "the issuer's keys are fetched");
                let known = Known { keys: Arc::new(keys), fetched: Some(Instant::now()) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
                true
            }
            Err(error) => {
                let issuer = self.issuer.as_str();
                tracing::error!(issuer, error, "the issuer's keys cannot be fetched; those of before stay for a day");
                false
            }
        }
    }

    async fn fetched(&self) -> Result<Vec<Key>, String> {
        let uri = match &self.uri {
            Some(uri) => uri.clone(),
            None => self.discover().await?,
        };
        let set: JwkSet = self.get(uri.clone()).await?;
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::of).take(KEYS).collect();
        if keys.is_empty() { Err(format!("{uri}: no key that signs tokens")) } else { Ok(keys) }
    }

    /// Where the issuer says its keys are.
    async fn discover(&self) -> Result<Url, String> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let mut told = Vec::new();
        for place in places(&self.issuer) {
            match self.get::<Metadata>(place.clone()).await {
                Ok(found) if same_issuer(&found.issuer, self.issuer.as_str()) => {
                    let uri = found.jwks_uri.parse::<Url>().map_err(|error| format!("{place}: jwks_uri: {error}"))?;
                    return if may_name(&self.issuer, &uri) {
                        Ok(uri)
                    } else {
                        Err(format!("{place}: jwks_uri {uri} is not https"))
                    };
                }
                Ok(found) => told.push(format!("{place}: expected issuer {}, found {}", self.issuer, found.issuer)),
                Err(error) => told.push(error),
            }
        }
        Err(told.join("; "))
    }

    /// Gets a JSON document, as far as it is not too large.
    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", error.without_url());
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("{url}: status {}", response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(format!("{url}: more than {LARGEST} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("{url}: {error}"))
    }
}

fn pick(keys: &[Key], id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = keys.iter().filter(|key| key.algorithms.contains(&algorithm));
    if let Some(id) = id {
        return fitting.find(|key| key.id.as_deref() == Some(id)).map(|key| key.key.clone());
    }
    let only = fitting.next()?;
    fitting.next().is_none().then(|| only.key.clone())
}

/// Where an issuer's metadata may be: RFC 8414, and OpenID Connect Discovery in both readings of a path.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ];
    if !path.is_empty() {
        places.push(at(format!("/.well-known/openid-configuration{path}")));
    }
    places
}

/// Issuers are compared as texts; a URL gains a final slash when it is parsed.
fn same_issuer(left: &str, right: &str) -> bool {
    left.trim_end_matches('/') == right.trim_end_matches('/')
}

/// Whether an issuer may say that its keys are there: one elsewhere has no business on this machine.
fn may_name(issuer: &Url, uri: &Url) -> bool {
    is_safe(uri) && (is_loopback(issuer) || !is_loopback(uri))
}

/// Whether nobody on the way can change what is fetched.
pub(crate) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().and_then(crate::settings::HostName::parse).is_some_and(|host| host.is_loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(jwk: Value) -> Option<Vec<Algorithm>> {
        Key::of(&serde_json::from_value(jwk).unwrap()).map(|key| key.algorithms)
    }

    #[test]
    fn a_key_is_good_for_the_algorithms_of_its_kind_alone() {
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let with = |name: &str, value: &str| {
            let mut jwk = ed.clone();
            jwk[name] = value.into();
            jwk
        };
        assert_eq!(key(ed.clone()), Some(vec![Algorithm::EdDSA]));
        assert_eq!(key(with("alg", "EdDSA")), Some(vec![Algorithm::EdDSA]));
        assert_eq!(key(with("alg", "RS256")), None);
        assert_eq!(key(with("use", "enc")), None);
        assert_eq!(key(json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"})), None, "no shared secrets");
    }

    #[test]
    fn metadata_is_looked_for_where_the_standards_put_it() {
        let told = |issuer: &str| -> Vec<String> {
            places(&issuer.parse().unwrap()).iter().map(|url| url.path().to_owned()).collect()
        };
        let plain = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
        assert_eq!(told("https://id.example.com"), plain);
        assert_eq!(told("https://id.example.com/"), plain);
        let tenant = [
            "/.well-known/oauth-authorization-server/t/v2",
            "/t/v2/.well-known/openid-configuration",
            "/.well-known/openid-configuration/t/v2",
        ];
        assert_eq!(told("https://id.example.com/t/v2"), tenant);
    }

    #[test]
    fn an_issuer_elsewhere_cannot_send_us_to_this_machine() {
        for (issuer, uri, may) in [
            ("https://id.example.com", "https://keys.example.com/jwks", true),
            ("https://id.example.com", "https://127.0.0.1/jwks", false),
            ("https://id.example.com", "http://localhost:9090/metrics", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:2/jwks", true),
        ] {
            assert_eq!(may_name(&issuer.parse().unwrap(), &uri.parse().unwrap()), may, "{issuer} {uri}");
        }
    }

    #[test]
    fn only_https_is_safe_but_on_this_machine() {
        for (url, safe) in [
            ("https://id.example.com", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]/", true),
            ("http://localhost", true),
            ("http://id.example.com", false),
            ("http://localhost.evil.example", false),
            ("ftp://localhost", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_safe(&url.parse().unwrap()), safe, "{url}");
        }
    }
}
