//! Rows of an answer within its budget: as many whole rows as fit, cells cut that are too long, numbers that JSON
//! readers would round written as text.

use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cursor;

/// Rows of one page unless the caller says otherwise, and at most.
pub(crate) const ROWS: u32 = 100;
pub(crate) const MOST_ROWS: u32 = 1000;

/// The largest whole number that every JSON reader takes as it is.
const SAFE: i64 = (1 << 53) - 1;

/// What an answer needs besides columns and rows.
const FRAME: usize = 512;

/// A column of an answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The database's name of its type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// A page of rows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Page {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) row_count: usize,
    pub(crate) truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cut_cells: Option<u32>,
}

/// A page that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    limit: usize,
    left: usize,
    longest: usize,
    cut: u32,
    full: bool,
}

impl Filling {
    /// An empty page for these columns, of at most `limit` rows.
    pub(crate) fn new(columns: Vec<Column>, call: &Call, limit: Option<u32>) -> Result<Self, ToolError> {
        let limit = limit.unwrap_or(ROWS).clamp(1, MOST_ROWS);
        let heads = serde_json::to_string(&columns).map_or(0, |json| json.len());
        let left = call.budget().saturating_sub(FRAME + heads);
        let least = call.budget() / 2;
        if columns.is_empty() || left < least {
            let found = columns.len();
            let message = format!("expected 1 to some hundred columns, found {found}: name the columns you need");
            return Err(ToolError::new(message));
        }
        // The longest row there can be fits, so that every page brings the client on. Brackets, quotes and commas take
        // their part.
        let longest = (left.saturating_sub(4) / columns.len()).saturating_sub(3).max(8);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { columns, rows: Vec::new(), limit, left, longest, cut: 0, full: false })
    }

    /// Characters of a text that are of use at most.
    pub(crate) const fn longest(&self) -> usize {
        self.longest
    }

    /// Rows that may still be asked for: one more than fit, to know whether there are more.
    pub(crate) fn wanted(&self) -> usize {
        self.limit.saturating_sub(self.rows.len()) + 1
    }

    /// A text as a cell.
    pub(crate) fn text(&mut self, text: &str) -> Value {
        let kept = fitting(text, self.longest);
        if kept == text {
            return Value::String(text.to_owned());
        }
        self.cut += 1;
        Value::String(format!("{}…", fitting(text, self.longest.saturating_sub(3))))
    }

    /// A JSON value as a cell; as cut text when it is too long.
    pub(crate) fn json(&mut self, value: Value) -> Value {
        let value = safe(value);
        let text = value.to_string();
        if text.len() <= self.longest { value } else { self.text(&text) }
    }

    /// Takes a row. False when it does not fit any more: the page is then complete.
    pub(crate) fn push(&mut self, row: Vec<Value>) -> bool {
        let bytes = serde_json::to_string(&row).map_or(usize::MAX, |json| json.len() + 1);
        if self.rows.len() == self.limit || bytes > self.left {
            self.full = true;
            return false;
        }
        self.left -= bytes;
        self.rows.push(row);
        true
    }

    /// The page; `seen` rows of the answer came before it.
    pub(crate) fn finish(self, question: &str, seen: u64) -> Page {
        let count = self.rows.len();
        let next_cursor = self.full.then(|| cursor::write(question, seen + u64::try_from(count).unwrap_or_default()));
        Page {
            columns: self.columns,
            rows: self.rows,
            row_count: count,
            truncated: self.full,
            next_cursor,
            cut_cells: (self.cut > 0).then_some(self.cut),
        }
    }
}

/// A whole number as JSON: as text where readers would round it.
pub(crate) fn integer(value: i64) -> Value {
    if (-SAFE..=SAFE).contains(&value) { value.into() } else { value.to_string().into() }
}

/// A floating number as JSON, which knows neither NaN nor infinities.
pub(crate) fn float(value: f64) -> Value {
    if value.is_finite() { value.into() } else { value.to_string().into() }
}

fn safe(value: Value) -> Value {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => integer(whole),
            (None, Some(whole)) => whole.to_string().into(),
            (None, None) => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(safe).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, safe(value))).collect(),
        other => other,
    }
}

/// The beginning of a text that takes at most so many bytes as JSON.
fn fitting(text: &str, budget: usize) -> &str {
    let mut cost = 0;
    let end = text.char_indices().find(|(_, letter)| {
        cost += match letter {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\u{0}'..='\u{1f}' => 6,
            _ => letter.len_utf8(),
        };
        cost > budget
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn filling(columns: usize, limit: u32) -> Filling {
        let column = Column { name: "c".into(), kind: "text".into() };
        Filling::new(vec![column; columns], &Call::detached(Duration::from_mins(1)), Some(limit)).unwrap()
    }

    #[test]
    fn numbers_that_readers_would_round_are_text() {
        assert_eq!(integer(SAFE), json!(9_007_199_254_740_991_i64));
        assert_eq!(integer(SAFE + 1), json!("9007199254740992"));
        assert_eq!(integer(i64::MIN), json!("-9223372036854775808"));
        assert_eq!(float(f64::NAN), json!("NaN"));
        let document: Value = serde_json::from_str(r#"{"a": [18446744073709551615, 1], "b": 0.5}"#).unwrap();
        assert_eq!(safe(document), json!({"a": ["18446744073709551615", 1], "b": 0.5}));
    }

    #[test]
    fn a_page_ends_with_its_rows_and_says_where_to_go_on() {
        let mut page = filling(1, 2);
        assert!(page.push(vec![json!(1)]) && page.push(vec![json!(2)]) && !page.push(vec![json!(3)]));
        let page = page.finish("q", 40);
        assert_eq!((page.row_count, page.truncated), (2, true));
        assert_eq!(cursor::read("q", page.next_cursor.as_deref()).unwrap(), 42);
        assert!(filling(1, 2).finish("q", 0).next_cursor.is_none());
    }

    #[test]
    fn the_widest_row_fits_however_its_characters_are_written() {
        for letter in ["\u{1}", "\"", "é", "𝄞", "x"] {
            for columns in [1, 7, 500] {
                let mut page = filling(columns, 1000);
                let row = (0..columns).map(|_| page.text(&letter.repeat(100_000))).collect();
                assert!(page.push(row), "{letter:?} {columns}");
                let page = page.finish("q", 0);
                assert!(serde_json::to_string(&page).unwrap().len() <= 64 * 1024, "{letter:?} {columns}");
                assert_eq!(page.cut_cells, Some(u32::try_from(columns).unwrap()));
            }
        }
        let document = json!({"long": "x".repeat(100_000)});
        assert!(filling(1, 1).json(document).as_str().unwrap().starts_with("{\"long\":\"xxx"));
    }

    #[test]
    fn too_many_columns_are_refused() {
        let column = Column { name: "c".repeat(60), kind: "text".into() };
        let call = Call::detached(Duration::from_mins(1));
        for columns in [Vec::new(), vec![column; 1600]] {
            assert!(Filling::new(columns, &call, None).unwrap_err().to_string().contains("name the columns"));
        }
    }
}
