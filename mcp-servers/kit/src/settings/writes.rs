//! Whether tools that write are there, whether they ask first, and the key of what they ask.

use clap::Arg;

use super::{flag, sources::Sources};
use crate::consent::{Consent, Key, LARGEST, SHORTEST};

/// Whether tools that write are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// They are not: neither listed nor called.
    #[default]
    Off,
    /// They are, and those that may destroy something ask the person first.
    Consent,
    /// They are, and none of them asks.
    Allow,
}

/// The flags of these settings.
pub(crate) fn flags() -> [Arg; 2] {
    [
        flag(
            "writes",
            "WHICH",
            "Tools that write: off (this server has none), consent (those that may destroy something ask the person first) or \
         allow [default: off]",
        ),
        flag(
            "consent-key",
            "FILE",
            "At least 32 random bytes that all replicas share, so that consent asked by one counts for another. Changes are \
             picked up [default: a key of this process alone]",
        ),
    ]
}

impl Writes {
    /// Reads the setting; off where it is wrong, which is told.
    pub(super) fn read(sources: &mut Sources) -> Self {
        match sources.one("writes") {
            None => Self::Off,
            Some(given) => match given.text.to_ascii_lowercase().as_str() {
                // YAML 1.1 reads a bare `off` as false.
                "off" | "false" => Self::Off,
                "consent" => Self::Consent,
                "allow" => Self::Allow,
                _ => {
                    let expected = "off, consent or allow";
                    sources.problems.add(given.at, expected, format!("{:?}", given.text), "use one of the three");
                    Self::Off
                }
            },
        }
    }
}

/// Reads the key that consent is sealed with; `None` exactly when there was a problem.
pub(crate) fn consent(sources: &mut Sources) -> Option<Consent> {
    let Some(given) = sources.one("consent-key") else {
        let key = Key::random();
        if key.is_none() {
            let mend = "see why this machine gives out no random bytes";
            sources.problems.add("--consent-key", "random bytes from the system", "none", mend);
        }
        return key.map(Consent::new);
    };
    match Key::of(given.text.into()) {
        Ok(key) => Some(Consent::new(key)),
        Err(found) => {
            let expected = format!("a file of {SHORTEST} to {LARGEST} random bytes");
            let mend = "make one, for example with `head -c 32 /dev/urandom`, and give all replicas the same";
            sources.problems.add(given.at, expected, found, mend);
            None
        }
    }
}
