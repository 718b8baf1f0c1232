//! What tools take and give: arguments that all name a region and an account, answers in pages that fit.
//!
//! Nothing here knows a service of AWS.

use aws_smithy_types::{DateTime, date_time::Format};
use mcp_kit::ToolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Items of one page, as asked of AWS.
pub(crate) const PAGE: i32 = 50;

/// Arguments of a tool: those before the semicolon are required. Region and account are added to all.
macro_rules! arguments {
    ($name:ident { $($(#[$rm:meta])* $req:ident: $rt:ty),* $(,)? ; $($(#[$om:meta])* $opt:ident: $ot:ty),* $(,)? }) => {
        #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$rm])* $req: $rt,)*
            $($(#[$om])* $opt: Option<$ot>,)*
            region: Option<String>,
            account: Option<String>,
        }

        impl crate::place::Named for $name {
            fn region(&self) -> Option<&str> {
                self.region.as_deref()
            }

            fn account(&self) -> Option<&str> {
                self.account.as_deref()
            }
        }
    };
}

/// A part of an answer: fields before the semicolon are always there.
macro_rules! answer {
    ($name:ident { $($(#[$rm:meta])* $req:ident: $rt:ty),* $(,)? ; $($(#[$om:meta])* $opt:ident: $ot:ty),* $(,)? }) => {
        #[derive(Debug, serde::Serialize, schemars::JsonSchema)]
        struct $name {
            $($(#[$rm])* $req: $rt,)*
            $($(#[$om])* #[serde(skip_serializing_if = "Option::is_none")] $opt: Option<$ot>,)*
        }
    };
}

pub(crate) use {answer, arguments};

/// A list, or a part of one.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listing<T> {
    pub(crate) items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    /// Regions that have more than is here: ask each by its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) more_in: Vec<String>,
    /// Regions that could not be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed: Vec<FailedRegion>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailedRegion {
    pub(crate) region: String,
    pub(crate) error: String,
}

/// What one request brought: items, and AWS's token for the next.
#[derive(Debug)]
pub(crate) struct Chunk<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T> Chunk<T> {
    pub(crate) fn new(items: Vec<T>, next: Option<&str>) -> Self {
        // Some services answer with an empty token at the end.
        Self { items, next: next.filter(|token| !token.is_empty()).map(str::to_owned) }
    }
}

/// Where a list goes on: AWS's token, and how many items of what it brings were given already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(rename = "s", default)]
    pub(crate) skip: usize,
}

impl Cursor {
    pub(crate) fn read(text: Option<&str>) -> Result<Self, ToolError> {
        text.map_or_else(|| Ok(Self::default()), mcp_kit::place)
    }
}

/// As many items as fit into `budget` bytes; the cursor goes on where they end.
pub(crate) fn page<T: Serialize>(chunk: Chunk<T>, from: &Cursor, budget: usize) -> Listing<T> {
    let mut left = budget;
    let mut items = Vec::new();
    let mut next = chunk.next.map(|token| Cursor { token: Some(token), skip: 0 });
    for (place, item) in chunk.items.into_iter().enumerate().skip(from.skip) {
        let size = weight(&item);
        // One item that alone is too large would stop the list for ever: it goes out, and the kit says what is wrong.
        if size > left && !items.is_empty() {
            next = Some(Cursor { token: from.token.clone(), skip: place });
            break;
        }
        left = left.saturating_sub(size);
        items.push(item);
    }
    Listing { items, next_cursor: next.map(|cursor| mcp_kit::cursor(&cursor)), more_in: Vec::new(), failed: Vec::new() }
}

/// Bytes of an item as JSON, with the comma.
pub(crate) fn weight<T: Serialize>(item: &T) -> usize {
    serde_json::to_string(item).map_or(0, |text| text.len() + 1)
}

/// RFC 3339.
pub(crate) fn time(time: Option<&DateTime>) -> Option<String> {
    time.and_then(|time| time.fmt(Format::DateTime).ok())
}

/// A moment from RFC 3339, or so long before now (`3h`, `7d`).
pub(crate) fn moment(text: &str) -> Result<DateTime, ToolError> {
    let now = jiff::Timestamp::now();
    let ago = text.strip_suffix(['m', 'h', 'd']).and_then(|number| number.parse::<i64>().ok());
    let seconds = match (ago, text.chars().last()) {
        (Some(count), Some('m')) if (0..=525_600).contains(&count) => Some(now.as_second() - count * 60),
        (Some(count), Some('h')) if (0..=87_600).contains(&count) => Some(now.as_second() - count * 3600),
        (Some(count), Some('d')) if (0..=3650).contains(&count) => Some(now.as_second() - count * 86_400),
        _ => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second),
    };
    let expected = || {
        ToolError::new(format!(
            "expected a time such as 2026-11-25T12:00:00Z, or 30m, 3h, 7d before now; found {text:?}"
        ))
    };
    seconds.map(DateTime::from_secs).ok_or_else(expected)
}

/// Text with at most so many bytes, cut at a character.
pub(crate) fn clip(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// An owned copy of optional text.
pub(crate) fn own(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Text that is always there in AWS's answers, though their types do not say so.
pub(crate) fn said(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_in_the_middle_of_what_one_request_brought() {
        let all: Vec<String> = (0..10).map(|number| format!("item-{number}")).collect();
        let (mut seen, mut cursor, mut requests) = (Vec::new(), Cursor::default(), 0);
        loop {
            requests += 1;
            let (items, next) = match cursor.token.as_deref() {
                None => (all[..6].to_vec(), Some("second")),
                Some(_) => (all[6..].to_vec(), Some("")),
            };
            let listing = page(Chunk::new(items, next), &cursor, 30);
            seen.extend(listing.items);
            let Some(next) = listing.next_cursor else { break };
            cursor = Cursor::read(Some(&next)).unwrap();
        }
        assert_eq!((seen, requests), (all, 4));
        assert!(Cursor::read(Some("bm8")).is_err() && Cursor::read(Some("%")).is_err());
    }

    #[test]
    fn moments_are_times_or_distances() {
        assert_eq!(moment("2026-11-25T12:00:00Z").unwrap().secs(), 1_795_608_000);
        let now = jiff::Timestamp::now().as_second();
        assert!((moment("2h").unwrap().secs() - now + 7200).abs() < 5);
        for wrong in ["", "yesterday", "-3h", "99999999999d", "3x"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(clip("ééé", 3), "é…");
        assert_eq!(clip("abc", 3), "abc");
    }
}
