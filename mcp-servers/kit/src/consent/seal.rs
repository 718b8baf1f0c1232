//! What a consent is bound to, sealed so that only a server with the same key can make or read it.
//!
//! In: who asks, for which tool, with which arguments, and the time. Out: a short text that a client carries from the
//! question to the call, and whether such a text is good. AES-256-GCM under a key derived from the secret all replicas
//! share, with a random nonce each. Pure but for the nonces: the time is an argument.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
    hkdf::{HKDF_SHA256, Salt},
    rand,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// How long a person may think, in seconds.
pub(crate) const LIFETIME: u64 = 300;
/// The shortest secret, in bytes.
pub(crate) const SHORTEST: usize = 32;
/// The longest text that is looked at.
const LONGEST: usize = 512;
/// Keeps these texts apart from anything else that may one day be sealed under the same secret.
const PURPOSE: &[u8] = b"mcp-eks/consent/v1";

/// What a person is asked to agree to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) principal: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Map<String, Value>,
}

/// Why a text is no consent to a deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it was not given out by this server, or was changed, or the server's key was")]
    Foreign,
    #[error("it is older than {} minutes", LIFETIME / 60)]
    Expired,
    #[error("it was given to another caller")]
    Caller,
    #[error("it was given for another tool")]
    Tool,
    #[error("it was given for other arguments")]
    Arguments,
    #[error("it was used already: each is good for one call")]
    Used,
    #[error("too many confirmations are open at once; try again in a few minutes")]
    Full,
}

/// What marks one text out, until when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Once {
    pub(crate) nonce: [u8; NONCE_LEN],
    pub(crate) until: u64,
}

/// The key. Two are equal when they come from the same secret.
pub(crate) struct Seal {
    key: RandomizedNonceKey,
    /// Tells secrets apart, and says nothing about them.
    mark: [u8; 32],
}

impl Seal {
    /// Derives the key from a secret; `None` when it is too short.
    pub(crate) fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < SHORTEST {
            return None;
        }
        let (mut key, mut mark) = ([0; 32], [0; 32]);
        let pseudorandom = Salt::new(HKDF_SHA256, PURPOSE).extract(secret);
        pseudorandom.expand(&[b"seal"], HKDF_SHA256).ok()?.fill(&mut key).ok()?;
        pseudorandom.expand(&[b"mark"], HKDF_SHA256).ok()?.fill(&mut mark).ok()?;
        Some(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?, mark })
    }

    /// A key of this process alone.
    pub(crate) fn random() -> Option<Self> {
        let mut secret = [0; SHORTEST];
        rand::fill(&mut secret).ok()?;
        Self::new(&secret)
    }

    /// Seals a deed, good from now on for its lifetime.
    pub(crate) fn close(&self, deed: Deed<'_>, now: u64) -> Option<String> {
        let mut sealed = Vec::from((now + LIFETIME).to_be_bytes());
        sealed.extend_from_slice(&prints(deed).concat());
        let nonce = self.key.seal_in_place_append_tag(Aad::from(PURPOSE), &mut sealed).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    /// Whether a text is a consent to this deed, now.
    pub(crate) fn open(&self, text: &str, deed: Deed<'_>, now: u64) -> Result<Once, Flaw> {
        let sealed = (text.len() <= LONGEST).then(|| BASE64_URL_SAFE_NO_PAD.decode(text.trim()).ok()).flatten();
        let sealed = sealed.ok_or(Flaw::Foreign)?;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Flaw::Foreign)?;
        let mut rest = rest.to_vec();
        let opened = self.key.open_in_place(Nonce::from(nonce), Aad::from(PURPOSE), &mut rest);
        let opened = opened.map_err(|_| Flaw::Foreign)?;
        let (until, told) = opened.split_first_chunk::<8>().ok_or(Flaw::Foreign)?;
        let until = u64::from_be_bytes(*until);
        if now >= until {
            return Err(Flaw::Expired);
        }
        let (told, _) = told.as_chunks::<32>();
        for ((told, print), flaw) in told.iter().zip(prints(deed)).zip([Flaw::Caller, Flaw::Tool, Flaw::Arguments]) {
            if *told != print {
                return Err(flaw);
            }
        }
        // Fewer prints than there should be would have let the loop end early.
        if told.len() == 3 { Ok(Once { nonce: *nonce, until }) } else { Err(Flaw::Foreign) }
    }
}

impl PartialEq for Seal {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seal")
    }
}

/// Hashes of who, what and with what.
fn prints(deed: Deed<'_>) -> [[u8; 32]; 3] {
    let mut arguments = Vec::new();
    members(deed.arguments, &mut arguments);
    [deed.principal.as_bytes(), deed.tool.as_bytes(), &arguments].map(|bytes| {
        let mut print = [0; 32];
        print.copy_from_slice(digest(&SHA256, bytes).as_ref());
        print
    })
}

/// Writes arguments so that their order does not count. Parsed JSON is at most 128 deep.
fn write(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Object(map) => members(map, into),
        Value::Array(list) => {
            into.push(b'[');
            for value in list {
                write(value, into);
                into.push(b',');
            }
            into.push(b']');
        }
        plain => into.extend_from_slice(plain.to_string().as_bytes()),
    }
}

fn members(map: &Map<String, Value>, into: &mut Vec<u8>) {
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    into.push(b'{');
    for (name, value) in members {
        write(&Value::String(name.clone()), into);
        into.push(b':');
        write(value, into);
        into.push(b',');
    }
    into.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const SECRET: &[u8] = b"a secret of thirty-two bytes ...";

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_consent_counts_for_its_deed_and_its_time_under_its_key_and_for_nothing_else() {
        let seal = Seal::new(SECRET).unwrap();
        let arguments = map(json!({"path": "/data/a", "options": {"a": 1, "b": [1, 2]}}));
        let other = map(json!({"path": "/data/b", "options": {"a": 1, "b": [1, 2]}}));
        let deed = Deed { principal: "alice", tool: "delete_file", arguments: &arguments };
        let text = seal.close(deed, NOW).unwrap();
        let mut changed = text.clone().into_bytes();
        changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let long = "A".repeat(LONGEST + 1);
        let end = NOW + LIFETIME;
        for (what, text, deed, now, expected) in [
            ("as given", text.as_str(), deed, NOW, Ok(())),
            ("at the last moment", &text, deed, end - 1, Ok(())),
            ("too late", &text, deed, end, Err(Flaw::Expired)),
            ("another caller", &text, Deed { principal: "bob", ..deed }, NOW, Err(Flaw::Caller)),
            ("another tool", &text, Deed { tool: "move_file", ..deed }, NOW, Err(Flaw::Tool)),
            ("other arguments", &text, Deed { arguments: &other, ..deed }, NOW, Err(Flaw::Arguments)),
            ("changed", &changed, deed, NOW, Err(Flaw::Foreign)),
            ("cut", &text[..60], deed, NOW, Err(Flaw::Foreign)),
            ("nothing", "", deed, NOW, Err(Flaw::Foreign)),
            ("no base64", "not base64!", deed, NOW, Err(Flaw::Foreign)),
            ("huge", &long, deed, NOW, Err(Flaw::Foreign)),
        ] {
            assert_eq!(seal.open(text, deed, now).map(|_| ()), expected, "{what}");
        }
        let stranger = Seal::new(b"another secret of the same length").unwrap();
        assert_eq!(stranger.open(&text, deed, NOW), Err(Flaw::Foreign));
        assert!(Seal::new(SECRET).unwrap().open(&text, deed, NOW).is_ok(), "another process with the same secret");
        assert!(seal == Seal::new(SECRET).unwrap() && seal != stranger);
    }

    #[test]
    fn a_secret_has_thirty_two_bytes_at_least() {
        assert!(Seal::new(&SECRET[1..]).is_none());
        assert!(Seal::random().is_some());
    }

    #[test]
    fn the_order_of_arguments_does_not_count_and_their_values_do() {
        let print = |value: Value| {
            let arguments = map(value);
            prints(Deed { principal: "", tool: "", arguments: &arguments })[2]
        };
        assert_eq!(print(json!({"a": 1, "b": {"c": 2, "d": 3}})), print(json!({"b": {"d": 3, "c": 2}, "a": 1})));
        for (left, right) in [
            (json!({"a": 1}), json!({"a": "1"})),
            (json!({"a": [1, 2]}), json!({"a": [2, 1]})),
            (json!({"a": [[1], 2]}), json!({"a": [[1, 2]]})),
            (json!({"a": "1,b:2"}), json!({"a": "1", "b": 2})),
            (json!({"a": null}), json!({})),
        ] {
            assert_ne!(print(left.clone()), print(right.clone()), "{left} {right}");
        }
    }
}
