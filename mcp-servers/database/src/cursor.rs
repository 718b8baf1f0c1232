//! Where the next page begins, bound to the question it belongs to.
//!
//! In: a question and how many rows of its answer a client has. Out: a short text, and the number again when it comes
//! back with the same question. Servers keep nothing between calls: any pod can go on where another stopped.

use std::fmt::Write as _;

use mcp_kit::ToolError;
use sha2::{Digest, Sha256};

/// The most rows that are skipped: they are computed again for every page.
const FARTHEST: u64 = 10_000_000;

/// The text for a client that has `seen` rows of this question's answer.
pub(crate) fn write(question: &str, seen: u64) -> String {
    format!("{seen}-{}", mark(question))
}

/// How many rows of this question's answer the client has.
pub(crate) fn read(question: &str, cursor: Option<&str>) -> Result<u64, ToolError> {
    let Some(cursor) = cursor else { return Ok(0) };
    let (seen, of) = cursor.split_once('-').unwrap_or_default();
    if of != mark(question) {
        let message = "this cursor belongs to another question: ask with the same arguments as for the page before, or \
                       leave the cursor out to begin anew";
        return Err(ToolError::new(message));
    }
    let seen = seen.parse().ok().filter(|seen| *seen <= FARTHEST);
    seen.ok_or_else(|| ToolError::new(format!("pages end after {FARTHEST} rows: narrow the question with WHERE")))
}

fn mark(question: &str) -> String {
    Sha256::digest(question).iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_with_its_own_question_alone() {
        let cursor = write("SELECT 1", 20);
        assert_eq!(read("SELECT 1", Some(&cursor)).unwrap(), 20);
        assert_eq!(read("SELECT 1", None).unwrap(), 0);
        for (question, cursor) in
            [("SELECT 2", cursor.as_str()), ("SELECT 1", ""), ("SELECT 1", "20"), ("SELECT 1", "-")]
        {
            assert!(read(question, Some(cursor)).unwrap_err().to_string().contains("another question"), "{cursor}");
        }
        let far = write("SELECT 1", FARTHEST + 1);
        assert!(read("SELECT 1", Some(&far)).unwrap_err().to_string().contains("narrow"));
    }
}
