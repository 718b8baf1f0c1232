//! Lists that do not fit into one answer: pages that are full at the call's budget, and cursors to go on with.
//!
//! In: items in a stable order, and where to begin. Out: as many as fit, and where the next page begins. A result with a
//! list has `truncated` and, where there is more, `next_cursor` (opaque) or `next_offset` (a number people may choose).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    call::Call,
    tool::{Failure, ToolError},
};

/// Kept free for the fields around the items.
const FRAME: usize = 1024;
/// The longest cursor that is looked at.
const CURSOR: usize = 4096;

/// Fills one answer with items up to the call's budget, from the `offset`-th on.
#[derive(Debug)]
pub struct Page<T> {
    /// What it has so far.
    pub items: Vec<T>,
    offset: usize,
    limit: usize,
    seen: usize,
    left: usize,
    full: bool,
}

impl<T> Page<T> {
    /// An empty page of at most `limit` items.
    #[must_use]
    pub fn new(call: &Call, offset: Option<u32>, limit: usize) -> Self {
        let offset = offset.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX));
        let left = call.budget().saturating_sub(FRAME);
        Self { items: Vec::new(), offset, limit, seen: 0, left, full: false }
    }

    /// Takes one more item of about `bytes` bytes as JSON; `false` when the page is full.
    pub fn push(&mut self, bytes: usize, item: impl FnOnce() -> T) -> bool {
        if self.full {
            return false;
        }
        if self.seen >= self.offset {
            if bytes > self.left || self.items.len() >= self.limit {
                self.full = true;
                return false;
            }
            self.left -= bytes;
            self.items.push(item());
        }
        self.seen += 1;
        true
    }

    /// The same for an item whose size nobody knows yet: it is measured as JSON.
    pub fn add(&mut self, item: T) -> bool
    where
        T: Serialize,
    {
        let mut measured = Measure(1);
        // What cannot be written as JSON is told when the answer is made.
        let _ = serde_json::to_writer(&mut measured, &item);
        self.push(measured.0, || item)
    }

    /// Whether an item had no room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Where the next page begins, if there is one.
    #[must_use]
    pub fn next_offset(&self) -> Option<u64> {
        self.full.then_some(self.seen as u64)
    }
}

/// Counts bytes and keeps none.
struct Measure(usize);

impl std::io::Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An opaque text for `next_cursor` from where to go on. It is not sealed: put nothing into it that a client may not know
/// or choose.
#[must_use]
pub fn cursor<T: Serialize>(place: &T) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

/// Reads a cursor back, or says what was expected.
pub fn place<T: DeserializeOwned>(cursor: &str) -> Result<T, ToolError> {
    let bytes = (cursor.len() <= CURSOR).then(|| BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()).flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        let message = "cursor: expected the next_cursor of an earlier answer of this tool, found something else; leave it \
                       out to begin anew";
        ToolError::of(Failure::Arguments, message)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn call() -> Call {
        Call::detached(Duration::from_secs(1))
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_overlap() {
        let all: Vec<String> = (0..1000).map(|number| format!("{number}{}", "x".repeat(500))).collect();
        let (mut seen, mut offset) = (Vec::new(), None);
        loop {
            let mut page = Page::new(&call(), offset, 300);
            let _ = all.iter().all(|item| page.add(item.clone()));
            assert!(serde_json::to_string(&page.items).unwrap().len() + FRAME <= call().budget());
            let next = page.next_offset();
            seen.extend(page.items);
            let Some(next) = next else { break };
            offset = Some(u32::try_from(next).unwrap());
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_and_anything_else_is_told() {
        assert_eq!(
            place::<(String, u32)>(&cursor(&("token/+=".to_owned(), 7_u32))).unwrap(),
            ("token/+=".to_owned(), 7)
        );
        for wrong in ["", "!", "bnVsbA", &"A".repeat(CURSOR + 1)] {
            let error = place::<(String, u32)>(wrong).unwrap_err().to_string();
            assert!(error.contains("next_cursor"), "{error}");
        }
    }
}
