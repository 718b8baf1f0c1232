//! The settings of the door: API keys, tokens, rate limit, and which tools there are at all.

use std::{collections::BTreeSet, num::NonZeroU32, path::PathBuf};

use clap::Arg;
use governor::Quota;

use super::{flag, repeated, sources::Sources, token};
use crate::{
    access::{Access, Credentials, Keys},
    registry::Registry,
};

/// The flags of these settings.
pub(crate) fn flags() -> [Arg; 5] {
    [
        flag(
            "api-keys",
            "FILE",
            "Every request over HTTP needs one of the API keys in this file, as a bearer token or X-Api-Key: \
             keys: [{name, key or sha256, scopes}], or one key a line. Changes are picked up [default: no keys are needed]",
        ),
        flag(
            "rate-limit",
            "N",
            "Requests a second for each API key, or for all together without keys [default: no limit]",
        ),
        flag("rate-burst", "N", "Requests at once before --rate-limit counts [default: the same number]"),
        repeated(
            "allow-tools",
            "NAME,...",
            "The only tools this server has; those that write need --writes too [default: all of them]",
        ),
        repeated("deny-tools", "NAME,...", "Tools this server does not have, whatever --allow-tools says"),
    ]
}

/// Reads keys, tokens and limit; `None` exactly when there were problems.
pub(crate) fn access(sources: &mut Sources, tool_scopes: &[String], title: &str) -> Option<Access> {
    let told = token::read(sources, tool_scopes, title);
    let keys = sources.one("api-keys").map(|given| {
        let path = PathBuf::from(&given.text);
        let read = Keys::read(&path);
        match read {
            Ok(keys) => Some((path, keys)),
            Err(error) => {
                let expected =
                    "a file such as `keys: [{name: alice, sha256: <hex>, scopes: [read]}]`, or of one key a line";
                sources.problems.add(given.at, expected, error, "correct the file or the path");
                None
            }
        }
    });
    let rate = number(sources, "rate-limit");
    let burst = number(sources, "rate-burst");
    let quota = match (rate.ok()?, burst.ok()?) {
        (Some(rate), Some(burst)) => Some(Quota::per_second(rate).allow_burst(burst)),
        (Some(rate), None) => Some(Quota::per_second(rate)),
        (None, Some(_)) => {
            let mend = "give --rate-limit too, or leave --rate-burst out";
            sources.problems.add("--rate-burst", "a --rate-limit that it belongs to", "none", mend);
            return None;
        }
        (None, None) => None,
    };
    let keys = match keys {
        Some(keys) => Some(keys?),
        None => None,
    };
    let token::Read { tokens, probe, protected } = told?;
    Some(Access::new(Credentials { keys, tokens, probe }, protected, quota))
}

/// A number that may be left out; `Err` when it was wrong, which is told already.
fn number(sources: &mut Sources, name: &'static str) -> Result<Option<NonZeroU32>, ()> {
    let Some(given) = sources.one(name) else { return Ok(None) };
    let parsed = given.text.parse().ok();
    if parsed.is_none() {
        let expected = "a whole number from 1 on";
        sources.problems.add(given.at, expected, format!("{:?}", given.text), "leave it out for no limit");
    }
    parsed.map(Some).ok_or(())
}

/// Leaves in the registry what may be called. A name that is no tool is an error: a slip in a name must not open anything.
pub(crate) fn gate(sources: &mut Sources, registry: Registry) -> Option<Registry> {
    let mut wrong = false;
    let mut names = |name: &'static str| {
        let given = sources.many(name);
        for unknown in given.iter().filter(|given| registry.get(&given.text).is_none()) {
            let known: Vec<&str> = registry.tools().map(|tool| tool.name).collect();
            let expected = format!("one of {}", known.join(", "));
            sources.problems.add(&unknown.at, expected, format!("{:?}", unknown.text), "correct the name");
            wrong = true;
        }
        given.into_iter().map(|given| given.text).collect::<BTreeSet<String>>()
    };
    let (allow, deny) = (names("allow-tools"), names("deny-tools"));
    let has = |name: &str| (allow.is_empty() || allow.contains(name)) && !deny.contains(name);
    (!wrong).then(|| registry.only(has).writing(sources.writes))
}
