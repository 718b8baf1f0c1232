//! Consent: a tool that may destroy something asks the person before it is called, wherever `writes` says so.
//!
//! In: a call that wants to begin, and what came with it. Out: go on, ask, or refuse. Clients of 2026-07-28 that can show a
//! form are asked by the protocol's own rounds, with a sealed `requestState`; all others get an answer that says what the
//! call would do and a sealed token to repeat the call with. Never an argument that only says "yes": what counts is a text
//! this server gave out for this caller, this tool and these arguments, a few minutes ago, once. Any replica with the same
//! key can finish what another began; that a text counts once is kept by each process for itself.

mod key;
mod seal;
mod words;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};

pub(crate) use key::{Key, LARGEST};
pub(crate) use seal::{Deed, SHORTEST};
pub(crate) use words::{TOKEN, agreed, asking, form, listed};

use seal::{Flaw, LIFETIME, Once};

/// The most texts whose use is remembered at once.
const REMEMBERED: usize = 65_536;

/// The consent of one process.
#[derive(Debug)]
pub(crate) struct Consent {
    key: Key,
    used: Mutex<HashSet<Once>>,
}

impl Consent {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, used: Mutex::default() }
    }

    /// Keeps the key what its file says, for as long as this is polled.
    pub(crate) async fn refresh(&self) {
        self.key.follow().await;
    }

    /// Gives out a text that makes a call go on, once the person has agreed.
    pub(crate) fn give(&self, deed: Deed<'_>) -> Option<String> {
        self.key.seal().close(deed, now())
    }

    /// Takes a text back. It is good for this once.
    pub(crate) fn take(&self, text: &str, deed: Deed<'_>) -> Result<(), Flaw> {
        let now = now();
        let once = self.key.seal().open(text, deed, now)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains(&once) {
            return Err(Flaw::Used);
        }
        if used.len() >= REMEMBERED {
            used.retain(|once| once.until > now);
            if used.len() >= REMEMBERED {
                return Err(Flaw::Full);
            }
        }
        used.insert(once);
        Ok(())
    }
}

/// Takes the token out of the arguments: tools never see it.
pub(crate) fn token(arguments: &mut Map<String, Value>) -> Option<Value> {
    arguments.remove(TOKEN)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_once() {
        let consent = Consent::new(Key::random().unwrap());
        let arguments = Map::new();
        let deed = Deed { principal: "alice", tool: "wipe", arguments: &arguments };
        let (one, two) = (consent.give(deed).unwrap(), consent.give(deed).unwrap());
        assert_ne!(one, two);
        assert_eq!(consent.take(&one, deed), Ok(()));
        assert_eq!(consent.take(&one, deed), Err(Flaw::Used));
        assert_eq!(consent.take(&two, deed), Ok(()), "another text for the same deed");
    }

    #[test]
    fn a_text_that_was_refused_is_not_used_up() {
        let consent = Consent::new(Key::random().unwrap());
        let arguments = Map::new();
        let deed = Deed { principal: "alice", tool: "wipe", arguments: &arguments };
        let text = consent.give(deed).unwrap();
        assert_eq!(consent.take(&text, Deed { principal: "bob", ..deed }), Err(Flaw::Caller));
        assert_eq!(consent.take(&text, deed), Ok(()));
    }
}
