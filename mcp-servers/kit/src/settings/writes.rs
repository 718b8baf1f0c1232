//! Whether tools that write are there, whether they ask first, and the key of what they ask.

use std::{fs::File, io::Read, path::Path};

use clap::Arg;

use super::{flag, sources::Sources};
use crate::consent::{Consent, SHORTEST, Seal};

/// The largest file that is taken for a key.
const LARGEST: u64 = 4096;

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
            "At least 32 random bytes that all replicas share, so that consent asked by one counts for another \
             [default: a key of this process alone]",
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
        let seal = Seal::random();
        if seal.is_none() {
            let mend = "see why this machine gives out no random bytes";
            sources.problems.add("--consent-key", "random bytes from the system", "none", mend);
        }
        return seal.map(Consent::new);
    };
    let read = secret(given.text.as_ref()).map_err(|error| format!("{}: {error}", given.text));
    let seal =
        read.and_then(|secret| Seal::new(&secret).ok_or_else(|| format!("{}: {} bytes", given.text, secret.len())));
    match seal {
        Ok(seal) => Some(Consent::new(seal)),
        Err(found) => {
            let expected = format!("a file of {SHORTEST} to {LARGEST} random bytes");
            let mend = "make one, for example with `head -c 32 /dev/urandom`, and give all replicas the same";
            sources.problems.add(given.at, expected, found, mend);
            None
        }
    }
}

fn secret(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut secret)?;
    if secret.len() as u64 > LARGEST { Err(std::io::Error::other("too large")) } else { Ok(secret) }
}
