//! Bearer tokens (JWT): of the issuer that is trusted, for this server, now, under a key the issuer has.
//!
//! In: the text of a token. Out: who calls and with which scopes, or what is wrong, in words a client may hear. Whatever a
//! token says about its own key (`jku`, `jwk`, `x5u`) is not looked at.

use std::{fmt, sync::Arc};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind, get_current_timestamp,
};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{
    Denied,
    jwks::{Jwks, NoKey},
    principal::Rights,
};

/// The largest token, in bytes.
const LARGEST: usize = 8 * 1024;
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;
/// The longest subject, in bytes.
const SUBJECT: usize = 256;
/// Who issues the tokens of the operator's probe.
const OPERATOR: &str = "mcp-eks-operator";
/// The longest life of such a token, in seconds.
const PROBE_LIFE: u64 = 300;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    scope: Option<String>,
    scp: Option<Scopes>,
}

/// Some issuers write scopes as a text with blanks, others as a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl Claims {
    fn scopes(self) -> Vec<String> {
        let mut scopes: Vec<String> =
            self.scope.iter().flat_map(|text| text.split_whitespace()).map(String::from).collect();
        match self.scp {
            Some(Scopes::Text(text)) => scopes.extend(text.split_whitespace().map(String::from)),
            Some(Scopes::List(list)) => scopes.extend(list),
            None => {}
        }
        scopes
    }
}

/// Whose tokens are good.
#[derive(Debug)]
pub(crate) struct Tokens {
    issuer: String,
    audience: String,
    /// What every token must have.
    pub(super) scopes: Vec<String>,
    jwks: Arc<Jwks>,
}

impl Tokens {
    pub(crate) fn new(
        issuer: String,
        audience: String,
        uri: Option<reqwest::Url>,
        scopes: Vec<String>,
    ) -> Result<Self, String> {
        let url = issuer.parse().map_err(|error| format!("{error}"))?;
        let jwks = Jwks::new(url, uri).map_err(|error| error.to_string())?;
        Ok(Self { issuer, audience, scopes, jwks: Arc::new(jwks) })
    }

    /// Keeps the issuer's keys fresh.
    pub(super) async fn refresh(&self, closing: &CancellationToken) {
        self.jwks.refresh(closing).await;
    }

    /// Who a token speaks for.
    pub(super) async fn verify(&self, token: &str) -> Result<(Arc<str>, Rights), Denied> {
        let (algorithm, id) = header(token)?;
        let key = self.jwks.find(id.as_deref(), algorithm).await.map_err(|missing| match missing {
            NoKey::Unknown => Denied::Token("its key is not one of the issuer's"),
            NoKey::Unavailable => Denied::Unavailable,
        })?;
        let claims = claims(token, &key, algorithm, (&self.issuer, &self.audience))?;
        if claims.sub.is_empty() || claims.sub.len() > SUBJECT || claims.sub.chars().any(char::is_control) {
            return Err(Denied::Token("its subject is empty, too long or not printable"));
        }
        let name = format!("{}#{}", claims.iss, claims.sub).into();
        let held = claims.scopes();
        if self.scopes.iter().any(|needed| !held.contains(needed)) {
            return Err(Denied::Scope);
        }
        Ok((name, Rights::Scopes(held)))
    }
}

/// The key of the operator's probe, whose tokens may list and never call.
pub(crate) struct Probe(DecodingKey);

impl Probe {
    /// From the 32 bytes of an Ed25519 public key, as base64 (plain or URL-safe), bare or in a PEM file.
    pub(crate) fn new(text: &str) -> Option<Self> {
        use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
        /// What comes before the key in its DER form (RFC 8410).
        const DER: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let bytes = BASE64_STANDARD.decode(&body).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(&body)).ok()?;
        let key = bytes.strip_prefix(DER).unwrap_or(&bytes);
        let key = (key.len() == 32).then(|| BASE64_URL_SAFE_NO_PAD.encode(key))?;
        DecodingKey::from_ed_components(&key).ok().map(Self)
    }

    /// Whether a token says that it is the probe's.
    pub(super) fn claims(token: &str) -> bool {
        let claimed = jsonwebtoken::dangerous::insecure_decode_claims::<Issuer>(token);
        claimed.is_ok_and(|claimed| claimed.iss == OPERATOR)
    }

    /// Whether a token is the probe's, for the server of this host name, now and not for long.
    pub(super) fn verify(&self, token: &str, host: &str) -> Result<(Arc<str>, Rights), Denied> {
        let (algorithm, _) = header(token)?;
        if algorithm != Algorithm::EdDSA {
            return Err(Denied::Token("its algorithm is not the one of its key"));
        }
        let claims = claims(token, &self.0, algorithm, (OPERATOR, host))?;
        #[expect(clippy::cast_precision_loss, reason = "seconds fit for a while")]
        let longest = (get_current_timestamp() + PROBE_LIFE) as f64;
        if claims.exp > longest {
            return Err(Denied::Token("it would live longer than the probe's tokens may"));
        }
        Ok((OPERATOR.into(), Rights::Look))
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Probe")
    }
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// Whether a text has the form of a token at all.
pub(super) fn is_token(text: &str) -> bool {
    text.split('.').count() == 3
}

/// The algorithm and the key's id, as the token says them.
fn header(token: &str) -> Result<(Algorithm, Option<String>), Denied> {
    if token.len() > LARGEST {
        return Err(Denied::Token("it is larger than 8 KiB"));
    }
    let header =
        decode_header(token).map_err(|_| Denied::Token("it is malformed, or its algorithm is not supported"))?;
    // RFC 7515, section 4.1.11: what is critical must be understood, and nothing is.
    if header.crit.is_some() {
        return Err(Denied::Token("it has critical extensions this server does not know"));
    }
    Ok((header.alg, header.kid))
}

fn claims(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    (issuer, audience): (&str, &str),
) -> Result<Claims, Denied> {
    let mut wanted = Validation::new(algorithm);
    wanted.leeway = LEEWAY;
    wanted.validate_nbf = true;
    wanted.set_issuer(&[issuer]);
    wanted.set_audience(&[audience]);
    wanted.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let decoded = decode::<Claims>(token, key, &wanted).map_err(|error| {
        Denied::Token(match error.kind() {
            ErrorKind::ExpiredSignature => "it has expired",
            ErrorKind::ImmatureSignature => "it is not valid yet",
            ErrorKind::InvalidIssuer => "it is of another issuer",
            ErrorKind::InvalidAudience => "it is for another audience",
            ErrorKind::InvalidSignature => "its signature is wrong",
            ErrorKind::InvalidAlgorithm => "its algorithm is not the one of its key",
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => {
                "it lacks one of the claims iss, sub, aud and exp, or one has the wrong form"
            }
            _ => "it is malformed",
        })
    })?;
    Ok(decoded.claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probes_key_is_read_in_every_usual_form() {
        let raw = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let url_safe = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        for text in [raw, url_safe, pem] {
            assert!(Probe::new(text).is_some(), "{text}");
        }
        for text in ["", "short", "MCowBQYDK2VwAyEA11qYAYKxCrfVS"] {
            assert!(Probe::new(text).is_none(), "{text}");
        }
    }

    #[test]
    fn scopes_are_read_in_every_usual_form() {
        let scopes = |json: &str| serde_json::from_str::<Claims>(json).unwrap().scopes();
        let rest = r#""iss": "i", "sub": "s", "exp": 1"#;
        assert_eq!(scopes(&format!(r#"{{{rest}, "scope": "read  write"}}"#)), ["read", "write"]);
        assert_eq!(scopes(&format!(r#"{{{rest}, "scp": "read"}}"#)), ["read"]);
        assert_eq!(scopes(&format!(r#"{{{rest}, "scp": ["read", "write"]}}"#)), ["read", "write"]);
        assert!(scopes(&format!("{{{rest}}}")).is_empty());
    }
}
