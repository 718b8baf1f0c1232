//! What is kept, and the rules that all places share: bounds, versions, what can go wrong.

use jiff::Timestamp;
use mcp_kit::ToolError;

/// Where an entry is: a namespace is a caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) namespace: String,
    pub(super) key: String,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) value: String,
    pub(super) version: u64,
    /// When it ends, in milliseconds of Unix time.
    pub(super) expires_at: Option<i64>,
}

/// A value that is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(super) value: String,
    pub(super) ttl_ms: Option<i64>,
    /// The version that must be there; 0 for none.
    pub(super) if_version: Option<u64>,
}

/// Part of a list: keys with their entries' version and end, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(super) keys: Vec<Listed>,
    pub(super) more: bool,
}

/// One key of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(super) key: String,
    pub(super) version: u64,
    pub(super) expires_at: Option<i64>,
}

/// How much is kept, of all callers together; beyond it the oldest entries go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl Bounds {
    /// 64 MiB: a pod has a limit on memory.
    pub(crate) const fn in_memory(entries: usize) -> Self {
        Self { entries, bytes: 64 * 1024 * 1024 }
    }

    /// 1 GiB.
    pub(crate) const fn on_disk(entries: usize) -> Self {
        Self { entries, bytes: 1024 * 1024 * 1024 }
    }

    pub(super) const fn exceeded(self, entries: usize, bytes: usize) -> bool {
        entries > self.entries || bytes > self.bytes
    }
}

/// What an entry counts towards the bytes: its texts, and about what is kept around them.
pub(super) fn weight(place: &Place, value_bytes: usize) -> usize {
    place.namespace.len() + place.key.len() + value_bytes + 200
}

/// The version of a write: the time in milliseconds, moved on so that it grows with every write. A version that was seen
/// once is never that of another write, also after a restart without the entries of before.
pub(super) fn next_version(last: u64, now_ms: i64) -> u64 {
    u64::try_from(now_ms).unwrap_or_default().max(last + 1)
}

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Why an operation did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another version is there; 0 is none.
    Conflict(u64),
    /// What is there is no whole number of 64 bits.
    NoNumber,
    /// The sum does not fit 64 bits.
    Overflow,
    /// The place does not answer.
    Away(&'static str),
}

impl Trouble {
    /// The same in words.
    pub(super) fn told(&self, key: &str) -> ToolError {
        match self {
            Self::Conflict(0) => ToolError::new(format!("conflict: {key:?} does not exist; nothing was changed")),
            Self::Conflict(version) => ToolError::new(format!(
                "conflict: {key:?} has version {version}; nothing was changed, read it with kv_get and decide again"
            )),
            Self::NoNumber => ToolError::new(format!(
                "{key:?} holds something else than a whole number of 64 bits; kv_set replaces it"
            )),
            Self::Overflow => ToolError::new(format!("{key:?} would not fit 64 bits; nothing was changed")),
            Self::Away(what) => ToolError::upstream(format!("the key-value store {what}; try again later")),
        }
    }
}

/// Whether a write that asks for `wanted` may go over `found` (0 is no entry).
pub(super) fn agrees(wanted: Option<u64>, found: u64) -> Result<(), Trouble> {
    if wanted.is_none_or(|wanted| wanted == found) { Ok(()) } else { Err(Trouble::Conflict(found)) }
}

/// A value and a number added. The number is written as Valkey would write it: no sign but `-`, no zeros before it.
pub(super) fn added(value: Option<&str>, by: i64) -> Result<i64, Trouble> {
    let number = match value {
        None => 0,
        Some(value) => value.parse::<i64>().ok().filter(|it| it.to_string() == value).ok_or(Trouble::NoNumber)?,
    };
    number.checked_add(by).ok_or(Trouble::Overflow)
}

#[cfg(test)]
mod tests {
    use super::next_version;

    #[test]
    fn versions_grow_whatever_the_clock_does() {
        assert_eq!(next_version(0, 1000), 1000);
        assert_eq!(next_version(1000, 1000), 1001, "two writes in one millisecond");
        assert_eq!(next_version(1001, 900), 1002, "a clock that was set back");
        assert_eq!(next_version(1002, -5), 1003);
    }
}
