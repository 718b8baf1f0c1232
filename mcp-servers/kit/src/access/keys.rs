//! API keys: a mounted file with a name, a key or its hash, and scopes for each.
//!
//! Only hashes are kept, and a presented key is compared with every one of them in constant time: how long an answer
//! takes says nothing about any key.

use std::{io::Read, path::Path, sync::Arc};

use governor::{Quota, RateLimiter};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Principal;

/// The largest file of keys.
const LARGEST: u64 = 1024 * 1024;
/// The shortest key that is accepted in plain text: 128 bits as base64.
const SHORTEST: usize = 22;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    key: Option<String>,
    sha256: Option<String>,
    scopes: Option<Vec<String>>,
}

type Hash = [u8; 32];

/// All keys that open the door.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<(Hash, Arc<Principal>)>);

impl Keys {
    /// Reads a file, or says what is wrong with it. No key is ever part of what it says.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let opened = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut text = String::new();
        let read = opened.take(LARGEST).read_to_string(&mut text);
        read.map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The library's message could quote the file.
        let wrong = |error: serde_yaml::Error| match error.location() {
            Some(place) => format!("not of the expected form at line {}, column {}", place.line(), place.column()),
            None => "not of the expected form".to_owned(),
        };
        let file: File = serde_yaml::from_str(text).map_err(wrong)?;
        let mut keys = Vec::new();
        for (index, entry) in file.keys.into_iter().enumerate() {
            let at = format!("entry {} ({:?})", index + 1, entry.name);
            if entry.name.is_empty()
                || keys.iter().any(|(_, other): &(Hash, Arc<Principal>)| *other.name == *entry.name)
            {
                return Err(format!("{at}: expected a name of its own"));
            }
            let hash = match (&entry.key, &entry.sha256) {
                (Some(key), None) if key.len() >= SHORTEST => Sha256::digest(key).into(),
                (Some(_), None) => return Err(format!("{at}: expected a key of at least {SHORTEST} characters")),
                (None, Some(hex)) => {
                    unhex(hex).ok_or_else(|| format!("{at}: expected sha256 as 64 hexadecimal digits"))?
                }
                _ => return Err(format!("{at}: expected either key or sha256")),
            };
            let principal = Principal { name: entry.name.into(), scopes: entry.scopes, limiter: None };
            keys.push((hash, Arc::new(principal)));
        }
        if keys.is_empty() { Err("expected at least one key".to_owned()) } else { Ok(Self(keys)) }
    }

    /// Whose key this is. Every key is looked at, whichever it is.
    pub(super) fn find(&self, key: &[u8]) -> Option<Arc<Principal>> {
        let presented: Hash = Sha256::digest(key).into();
        let mut found = None;
        for (hash, principal) in &self.0 {
            let equal: Choice = hash.ct_eq(&presented);
            if equal.into() {
                found = Some(principal);
            }
        }
        found.map(Arc::clone)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether these are the keys, names and scopes of `other`.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let told =
            |(hash, principal): &(Hash, Arc<Principal>)| (*hash, Arc::clone(&principal.name), principal.scopes.clone());
        self.0.iter().map(told).eq(other.0.iter().map(told))
    }

    /// Gives every principal its limit: the one it had, if it had one, so that a change of keys is no fresh start.
    pub(super) fn with_limits(self, before: &Self, quota: Option<Quota>) -> Self {
        let Some(quota) = quota else { return self };
        let limited = self.0.into_iter().map(|(hash, principal)| {
            let had = before.0.iter().find(|(_, other)| other.name == principal.name);
            let limiter = had.and_then(|(_, other)| other.limiter.clone());
            let limiter = limiter.unwrap_or_else(|| Arc::new(RateLimiter::direct(quota)));
            let (name, scopes) = (Arc::clone(&principal.name), principal.scopes.clone());
            (hash, Arc::new(Principal { name, scopes, limiter: Some(limiter) }))
        });
        Self(limited.collect())
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "correct-horse-battery-staple";

    #[test]
    fn a_key_is_found_by_its_text_or_its_hash() {
        let hash = format!("{:x}", Sha256::digest("another key of good length"));
        let keys =
            Keys::parse(&format!("keys: [{{name: a, key: {LONG}}}, {{name: b, sha256: {hash}, scopes: [read]}}]"));
        let keys = keys.unwrap();
        assert_eq!(&*keys.find(LONG.as_bytes()).unwrap().name, "a");
        assert_eq!(&*keys.find(b"another key of good length").unwrap().name, "b");
        assert!(keys.find(b"").is_none());
        assert!(keys.find(hash.as_bytes()).is_none(), "the hash is not the key");
    }

    #[test]
    fn what_is_wrong_is_told_without_any_key() {
        for (text, word) in [
            ("keys: []", "at least one"),
            ("keys: [{name: a, key: short}]", "22 characters"),
            ("keys: [{name: a}]", "either key or sha256"),
            ("keys: [{name: a, sha256: abc}]", "64 hexadecimal"),
            ("keys: [{name: '', key: correct-horse-battery-staple}]", "name of its own"),
            (
                "keys: [{name: a, key: correct-horse-battery-staple}, {name: a, key: correct-horse-battery-stable}]",
                "own",
            ),
            ("keys: correct-horse-battery-staple", "form"),
            ("keys: [{name: a, correct-horse-battery-staple: x}]", "form"),
        ] {
            let error = Keys::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("correct-horse"), "{error}");
        }
    }
}
