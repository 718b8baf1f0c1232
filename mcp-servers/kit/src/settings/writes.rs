//! Whether tools that write are there, and whether they ask first.

use clap::Arg;

use super::{flag, sources::Sources};

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
pub(crate) fn flags() -> [Arg; 1] {
    [flag(
        "writes",
        "WHICH",
        "Tools that write: off (this server has none), consent (those that may destroy something ask the person first) or \
         allow [default: off]",
    )]
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
