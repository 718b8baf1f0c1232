//! The settings of sessions: whether clients of the 2025 revisions open them, how many there may be, how long one may idle.

use std::time::Duration;

use clap::Arg;

use super::{flag, sources::Sources};

const MOST: usize = 256;
/// As many as there are connections: each session may keep one open for messages.
const MOST_OF_ALL: usize = 512;
const IDLE_SECONDS: u64 = 30 * 60;
const LONGEST_IDLE_SECONDS: u64 = 24 * 60 * 60;

/// What sessions are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// How many there may be at once.
    pub most: usize,
    /// How long one may go without a request.
    pub idle: Duration,
}

/// The flags of these settings.
pub(crate) fn flags() -> [Arg; 3] {
    [
        flag(
            "sessions",
            "WHICH",
            "stateless (any replica answers any request) or stateful (clients of the 2025 revisions open a session, which \
             stays with this process) [default: stateless]",
        ),
        flag("max-sessions", "N", "How many sessions may be open at once [default: 256]"),
        flag("session-idle-seconds", "N", "A session that made no request for so long is ended [default: 1800]"),
    ]
}

/// Reads and checks them; `Err` when one was wrong, which is told already.
pub(crate) fn sessions(sources: &mut Sources) -> Result<Option<Sessions>, ()> {
    let stateful = match sources.one("sessions") {
        None => Ok(false),
        Some(given) if given.text == "stateless" => Ok(false),
        Some(given) if given.text == "stateful" => Ok(true),
        Some(given) => {
            let found = format!("{:?}", given.text);
            sources.problems.add(given.at, "stateless or stateful", found, "use one of the two");
            Err(())
        }
    };
    let most = number(sources, "max-sessions", 1..=MOST_OF_ALL as u64, MOST as u64);
    let idle = number(sources, "session-idle-seconds", 1..=LONGEST_IDLE_SECONDS, IDLE_SECONDS);
    let (stateful, most, idle) = (stateful?, most?, idle?);
    let most = usize::try_from(most).unwrap_or(MOST);
    Ok(stateful.then_some(Sessions { most, idle: Duration::from_secs(idle) }))
}

fn number(sources: &mut Sources, name: &str, range: std::ops::RangeInclusive<u64>, default: u64) -> Result<u64, ()> {
    let Some(given) = sources.one(name) else { return Ok(default) };
    if let Some(number) = given.text.parse().ok().filter(|number| range.contains(number)) {
        return Ok(number);
    }
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    let mend = format!("leave it out for {default}");
    sources.problems.add(given.at, expected, format!("{:?}", given.text), mend);
    Err(())
}
