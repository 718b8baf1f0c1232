//! API keys: a mounted file with a name, a key or its hash, and scopes for each; or with nothing but keys, one a line.
//!
//! Only hashes are kept, and a presented key is compared with every one of them in constant time: how long an answer
//! takes says nothing about any key.

use std::{io::Read, path::Path, sync::Arc};

use governor::Quota;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::principal::{Limit, Principal, Rights};

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
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        match first {
            Some(line) if !line.starts_with("keys:") && !line.starts_with(['{', '-']) => Self::lines(text),
            _ => Self::yaml(text),
        }
    }

    /// One key a line, for every tool. Its name says which it is without saying what it is.
    fn lines(text: &str) -> Result<Self, String> {
        let mut keys: Vec<(Hash, Arc<Principal>)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (line, at) = (line.trim(), index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() < SHORTEST || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("line {at}: expected a key of at least {SHORTEST} characters, without blanks"));
            }
            let hash: Hash = Sha256::digest(line).into();
            if keys.iter().any(|(other, _)| *other == hash) {
                return Err(format!("line {at}: this key is there twice"));
            }
            let name = hash.iter().take(4).fold("key-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
            keys.push((hash, Arc::new(Principal { name: name.into(), rights: Rights::All, limit: Limit::None })));
        }
        if keys.is_empty() { Err("expected at least one key".to_owned()) } else { Ok(Self(keys)) }
    }

    fn yaml(text: &str) -> Result<Self, String> {
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
            let rights = entry.scopes.map_or(Rights::All, Rights::Scopes);
            let principal = Principal { name: entry.name.into(), rights, limit: Limit::None };
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
            |(hash, principal): &(Hash, Arc<Principal>)| (*hash, Arc::clone(&principal.name), principal.rights.clone());
        self.0.iter().map(told).eq(other.0.iter().map(told))
    }

    /// Gives every principal its limit: the one it had, if it had one, so that a change of keys is no fresh start.
    pub(super) fn with_limits(self, before: &Self, quota: Option<Quota>) -> Self {
        if quota.is_none() {
            return self;
        }
        let limited = self.0.into_iter().map(|(hash, principal)| {
            let had = before.0.iter().find(|(_, other)| other.name == principal.name);
            let limit = had.map_or_else(|| Limit::own(quota), |(_, other)| other.limit.clone());
            let (name, rights) = (Arc::clone(&principal.name), principal.rights.clone());
            (hash, Arc::new(Principal { name, rights, limit }))
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
    fn a_file_may_have_one_key_a_line() {
        let other = "another-key-of-good-length";
        let keys = Keys::parse(&format!("# for the agents\n\n{LONG}\n  {other}\r\n")).unwrap();
        assert_eq!(keys.len(), 2);
        let hash = format!("{:x}", Sha256::digest(LONG));
        assert_eq!(*keys.find(LONG.as_bytes()).unwrap().name, format!("key-{}", &hash[..8]));
        assert!(keys.find(other.as_bytes()).unwrap().may("write"));
        assert!(keys.find(b"# for the agents").is_none());
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
            ("", "form"),
            ("# nothing", "form"),
            ("correct-horse-battery-staple\nshort", "line 2"),
            ("correct-horse-battery-staple correct-horse", "line 1"),
            ("correct-horse-battery-staple\n\ncorrect-horse-battery-staple", "line 3: this key is there twice"),
            ("key: correct-horse-battery-staple", "line 1"),
            ("keys: [{name: a, correct-horse-battery-staple: x}]", "form"),
        ] {
            let error = Keys::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("correct-horse"), "{error}");
        }
    }
}
