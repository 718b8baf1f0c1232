//! Settings from flags, environment and file, in that order of precedence, with every mistake reported at once.
//!
//! In: the command line, `MCP_*` variables, a YAML file. Out: [`Sources`] a server reads its own settings from, and the
//! kit's own [`Common`] ones. One name serves all three: `allowed-hosts` is the flag `--allowed-hosts`, the variable
//! `MCP_ALLOWED_HOSTS` and the key `allowedHosts`. Binds nothing and starts nothing.

mod access;
mod audit;
mod common;
mod document;
mod names;
mod problem;
mod sessions;
mod sources;
mod token;
mod writes;

pub use common::{Common, LogFormat};
pub use names::{HostName, WebOrigin};
pub use problem::{Problem, Problems};
pub use sessions::Sessions;
pub use sources::{Given, Sources};
pub use writes::Writes;

pub(crate) use access::{access, flags as access_flags, gate};
pub(crate) use audit::{audit, flags as audit_flags};
pub(crate) use common::flags as common_flags;
pub(crate) use document::Document;
pub(crate) use sessions::flags as session_flags;
pub(crate) use token::flags as token_flags;
pub(crate) use writes::{consent, flags as write_flags};

use clap::{Arg, ArgAction};

/// A setting with one value: flag, variable and file key from one name in kebab case.
#[must_use]
pub fn flag(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).env(variable(name)).hide_env_values(true).value_name(value).help(help)
}

/// A setting that may be given several times.
#[must_use]
pub fn repeated(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    flag(name, value, help).action(ArgAction::Append)
}

/// The environment variable of a setting.
fn variable(name: &str) -> String {
    format!("MCP_{}", name.replace('-', "_").to_ascii_uppercase())
}

/// The file key of a setting.
fn key(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut key, word| {
        let mut letters = word.chars();
        key.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        key.push_str(letters.as_str());
        key
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_name_makes_the_variable_and_the_key() {
        assert_eq!(super::variable("allowed-hosts"), "MCP_ALLOWED_HOSTS");
        assert_eq!(super::key("allowed-hosts"), "allowedHosts");
        assert_eq!(super::key("listen"), "listen");
    }
}
