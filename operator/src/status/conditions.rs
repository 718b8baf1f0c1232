//! The conditions of one pass: set in order, transition times kept where the status of a type did not change.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::vocabulary::{ConditionType, Reason};

/// Longest message, in bytes as JSON writes them.
const MESSAGE_LIMIT: usize = 600;
/// All messages together: the whole status stays under 4 KiB, whatever an error says, in whatever script.
const MESSAGES_LIMIT: usize = 1800;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    /// As it stands in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Collects the conditions of a pass.
#[derive(Debug)]
pub struct Conditions<'a> {
    last: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    set: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Starts from the last conditions.
    #[must_use]
    pub fn new(last: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { last, generation, now, set: Vec::new() }
    }

    /// Sets a condition; types that are never set in a pass disappear.
    pub fn set(&mut self, kind: ConditionType, status: impl Into<Truth>, reason: Reason, message: &str) {
        let status = status.into().as_str();
        let unchanged =
            self.last.iter().find(|condition| condition.type_ == kind.as_str() && condition.status == status);
        self.set.push(Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: printable(message),
            observed_generation: self.generation,
            last_transition_time: unchanged.map_or(Time(self.now), |condition| condition.last_transition_time.clone()),
        });
    }

    /// The conditions, in the order in which they were set; the longest messages are cut first.
    ///
    /// Where nothing else changed, the last cuts stay: a message that a pass carries over is cut already, and would
    /// leave the others more room than they had.
    #[must_use]
    pub fn finish(mut self) -> Vec<Condition> {
        let last: Option<Vec<_>> = self.set.iter().map(|condition| said_before(self.last, condition)).collect();
        let fits = |last: &Vec<&str>| last.iter().map(|message| width(message)).sum::<usize>() <= MESSAGES_LIMIT;
        if let Some(last) = last.filter(|last| last.len() == self.last.len() && fits(last)) {
            for (condition, message) in self.set.iter_mut().zip(last) {
                message.clone_into(&mut condition.message);
            }
            return self.set;
        }
        let sizes: Vec<usize> = self.set.iter().map(|condition| width(&condition.message)).collect();
        let fits = |limit: &usize| sizes.iter().map(|size| *size.min(limit)).sum::<usize>() <= MESSAGES_LIMIT;
        let limit = (0..=MESSAGE_LIMIT).rev().find(fits).unwrap_or_default();
        for condition in &mut self.set {
            condition.message = bounded(&condition.message, limit);
        }
        self.set
    }
}

/// The last message of a condition that says the same as it did, be it that only its beginning was shown.
fn said_before<'a>(last: &'a [Condition], now: &Condition) -> Option<&'a str> {
    let same = |last: &&Condition| (&last.type_, &last.status, &last.reason) == (&now.type_, &now.status, &now.reason);
    let last = last.iter().find(same)?.message.as_str();
    let cut = || last.strip_suffix('…').is_some_and(|start| now.message.starts_with(start));
    (width(last) <= MESSAGE_LIMIT && (last == now.message || cut())).then_some(last)
}

/// Control characters out: they would move a terminal's cursor. No more is kept than could ever be shown.
fn printable(message: &str) -> String {
    message.chars().take(MESSAGE_LIMIT + 1).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A message of at most so many bytes as JSON writes them.
#[must_use]
pub fn bounded(message: &str, limit: usize) -> String {
    let mut used = 0;
    let end = message.char_indices().find_map(|(at, c)| {
        used += size(c);
        (used > limit).then_some(at)
    });
    let Some(_) = end else { return message.to_owned() };
    let room = limit.saturating_sub(size('…'));
    let mut used = 0;
    let fits = |c: &char| {
        used += size(*c);
        used <= room
    };
    message.chars().take_while(fits).chain(['…']).collect()
}

/// Bytes of a message as JSON writes it.
fn width(message: &str) -> usize {
    message.chars().map(size).sum()
}

/// Bytes of a printable character as JSON writes it.
fn size(c: char) -> usize {
    if matches!(c, '"' | '\\') { 2 } else { c.len_utf8() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(last: &[Condition], words: &[(ConditionType, String)]) -> Vec<Condition> {
        let mut conditions = Conditions::new(last, None, Timestamp::UNIX_EPOCH);
        for (kind, message) in words {
            conditions.set(*kind, Truth::False, Reason::Progressing, message);
        }
        conditions.finish()
    }

    #[test]
    fn a_message_that_is_carried_over_cut_leaves_the_others_as_they_are() {
        use ConditionType::{Available, Ready, Reconciling, Verified};
        // Letters of four bytes: the cut is shorter than it might be by as much as the others can share.
        let long = |letter: &str| letter.repeat(600);
        let mut words = [(Ready, long("x")), (Available, long("y")), (Reconciling, long("z")), (Verified, long("🦀"))];
        let first = pass(&[], &words);
        assert!(first.iter().all(|condition| condition.message.ends_with('…')), "{first:?}");
        words[3].1.clone_from(&first[3].message);
        assert_eq!(pass(&first, &words), first);
        words[2].1 = "short".to_owned();
        let next = pass(&first, &words);
        assert_eq!(next[2].message, "short");
        assert!(next[0].message.len() > first[0].message.len(), "what became free is used");
        let fewer = pass(&first, &words[..2]);
        assert!(fewer[0].message.len() > first[0].message.len(), "a type that went leaves its room");
    }
}

#[cfg(test)]
pub(super) mod examples {
    use super::*;

    /// Conditions from lines such as `Ready=True/Serving`.
    pub(crate) fn conditions(lines: &[&str]) -> Vec<Condition> {
        let condition = |line: &&str| {
            let (kind, rest) = line.split_once('=').unwrap();
            let (status, reason) = rest.split_once('/').unwrap();
            Condition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: format!("{kind} because {reason}"),
                observed_generation: None,
                last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            }
        };
        lines.iter().map(condition).collect()
    }
}
