//! The tokens by which the probe shows who it is, to bundled servers that ask: they open the list of tools, and no call.
//!
//! In: the operator's key, and the Host of a server. Out: a token for that server alone, for two minutes. What a server
//! makes of it stands in `mcp-servers/kit/src/access/token.rs`. Neither key nor token can be printed.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, uri::Authority};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde::Serialize;

/// Who issues the tokens, and whom they speak for.
const ISSUER: &str = "mcp-eks-operator";
/// Seconds a token is good: clocks may be minutes apart, either way, and servers take none that is good for over five.
const LIFE: u64 = 120;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
}

/// The operator's Ed25519 key.
pub struct Key {
    signer: EncodingKey,
    public: String,
}

impl Key {
    /// Makes a new one, as PKCS#8 in DER; none if the system has no random numbers.
    #[must_use]
    pub fn generate() -> Option<Vec<u8>> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        Some(made.as_ref().to_vec())
    }

    /// Reads PKCS#8 in DER; none if it is something else.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
        let public = BASE64_STANDARD.encode(pair.public_key().as_ref());
        Some(Self { signer: EncodingKey::from_ed_der(der), public })
    }

    /// Its public half, in base64: the setting `probeKey` of bundled servers.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// A token for the server that is called by this Host; none if that is no name.
    #[must_use]
    pub fn token(&self, host: &str) -> Option<Token> {
        let host: Authority = host.parse().ok()?;
        let claims = Claims { iss: ISSUER, sub: ISSUER, aud: host.host(), exp: get_current_timestamp() + LIFE };
        let token = encode(&Header::new(Algorithm::EdDSA), &claims, &self.signer).ok()?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Token(value))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("public", &self.public).finish_non_exhaustive()
    }
}

/// A token, as the value of `Authorization`.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// What goes into the header.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use serde_json::Value;

    use super::*;

    fn key() -> Key {
        Key::read(&Key::generate().unwrap()).unwrap()
    }

    #[test]
    fn every_key_is_another() {
        assert_ne!(key().public(), key().public());
    }

    #[test]
    fn a_token_is_for_one_host_and_for_two_minutes() {
        let key = key();
        let token = key.token("files.team.svc.cluster.local:8080").unwrap();
        let text = token.header().to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        let x = BASE64_URL_SAFE_NO_PAD.encode(BASE64_STANDARD.decode(key.public()).unwrap());
        let public = DecodingKey::from_ed_components(&x).unwrap();
        let mut wanted = Validation::new(Algorithm::EdDSA);
        wanted.set_issuer(&[ISSUER]);
        wanted.set_audience(&["files.team.svc.cluster.local"]);
        wanted.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Value>(&text, &public, &wanted).unwrap().claims;
        let left = claims["exp"].as_u64().unwrap() - get_current_timestamp();
        assert!((1..=LIFE).contains(&left), "{left} s");
        wanted.set_audience(&["other.team.svc.cluster.local"]);
        assert!(decode::<Value>(&text, &public, &wanted).is_err());
    }

    #[test]
    fn neither_key_nor_token_is_printed() {
        let der = Key::generate().unwrap();
        let key = Key::read(&der).unwrap();
        let token = key.token("files:8080").unwrap();
        let shown = format!("{key:?} {token:?} {:?}", token.header());
        let header = token.header();
        let secret = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        assert!(!shown.contains("Bearer") && !shown.contains(secret), "{shown}");
        for private in [BASE64_STANDARD.encode(&der), format!("{der:?}"), format!("{:?}", &der[16..48])] {
            assert!(!shown.contains(private.trim_matches(['[', ']'])), "{shown}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        assert!(Key::read(b"").is_none() && Key::read(&[0; 48]).is_none());
        assert!(key().token("not a host").is_none());
    }

    #[test]
    fn a_key_that_openssl_made_is_read() {
        // openssl genpkey -algorithm ed25519 -outform DER: PKCS#8 without the public half. The key of RFC 8410, section 10.3.
        let der = BASE64_STANDARD.decode("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC").unwrap();
        let key = Key::read(&der).unwrap();
        assert!(key.token("files:8080").is_some(), "it signs");
        assert_eq!(key.public(), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
    }
}
