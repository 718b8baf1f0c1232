//! Text of a file in bounded pieces: whole lines, valid UTF-8, within a budget of bytes as JSON will write them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use mcp_kit::{Call, ToolError};

use crate::sandbox::VirtualPath;

/// A piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// There is more than was asked for and returned: the budget was used up.
    pub(crate) truncated: bool,
    /// The line to go on with, from 1.
    pub(crate) next_line: Option<u64>,
}

/// Bytes a JSON string needs for this byte.
pub(crate) const fn json_cost(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0x00..=0x1f => 6,
        _ => 1,
    }
}

/// Bytes a JSON string needs for this text.
pub(crate) fn json_len(text: &str) -> usize {
    text.bytes().map(json_cost).sum()
}

/// Lines from number `first` (from 1), at most `limit` of them.
pub(crate) fn lines(
    path: &VirtualPath,
    file: File,
    first: u64,
    limit: Option<u64>,
    budget: usize,
    call: &Call,
) -> Result<Piece, ToolError> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    for _ in 1..first {
        if !skip_line(path, &mut reader, call)? {
            break;
        }
    }
    let (mut bytes, mut cost, mut taken) = (Vec::new(), 0, 0_u64);
    let mut truncated = false;
    while limit.is_none_or(|limit| taken < limit) {
        call.check()?;
        let start = bytes.len();
        let read = (&mut reader).take(budget as u64 + 1).read_until(b'\n', &mut bytes);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            break;
        }
        let line_cost: usize = bytes.iter().skip(start).copied().map(json_cost).sum();
        if cost + line_cost > budget {
            truncated = true;
            if taken == 0 {
                // A single line longer than the budget: its beginning is all there will be of it.
                cut(&mut bytes, budget);
                taken = 1;
            } else {
                bytes.truncate(start);
            }
            break;
        }
        cost += line_cost;
        taken += 1;
    }
    let text = utf8(path, bytes, truncated)?;
    let next_line = truncated.then_some(first + taken);
    Ok(Piece { text, truncated, next_line })
}

/// Skips the rest of a line, asking as it goes whether anybody still waits; tells whether there was any of it.
pub(crate) fn skip_line(path: &VirtualPath, reader: &mut impl BufRead, call: &Call) -> Result<bool, ToolError> {
    let mut any = false;
    loop {
        call.check()?;
        let piece = match reader.fill_buf() {
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(path, &error)),
        };
        let end = piece.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(piece.len(), |at| at + 1);
        reader.consume(length);
        any |= length > 0;
        if end.is_some() || length == 0 {
            return Ok(any);
        }
    }
}

/// An error of the disk while a file is read.
pub(crate) fn unreadable(path: &VirtualPath, error: &io::Error) -> ToolError {
    ToolError::new(format!("{path} could not be read: {}", error.kind()))
}

/// The last `count` lines.
pub(crate) fn tail(
    path: &VirtualPath,
    mut file: File,
    size: u64,
    count: u64,
    budget: usize,
) -> Result<Piece, ToolError> {
    let start = size.saturating_sub(budget as u64);
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(budget as u64).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(path, &error))?;
    let (from, truncated) = last_lines(&bytes, start == 0, count, budget);
    let mut text = bytes.split_off(from);
    if truncated {
        let broken = text.iter().take_while(|byte| (**byte & 0xc0) == 0x80).count();
        text.drain(..broken);
    }
    Ok(Piece { text: utf8(path, text, false)?, truncated, next_line: None })
}

/// Where the last `count` lines begin, as far as the budget goes, and whether they are fewer than asked for. `whole` says
/// that these bytes begin where the file does, else they begin inside a line. One pass from the end.
fn last_lines(bytes: &[u8], whole: bool, count: u64, budget: usize) -> (usize, bool) {
    let (mut from, mut at, mut cost, mut taken) = (bytes.len(), bytes.len(), 0, 0);
    while taken < count && at > 0 {
        // A line break at the very end closes the last line, it does not begin another.
        let above = bytes.get(..at - 1).unwrap_or_default();
        let start = above.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = bytes.get(start..at).unwrap_or_default();
        cost += line.iter().copied().map(json_cost).sum::<usize>();
        let inside = start == 0 && !whole;
        if cost > budget || inside {
            // A line that is not whole is left out, unless it is all there is.
            return (if taken == 0 { at - ending(line, budget) } else { from }, true);
        }
        (from, at) = (start, start);
        taken += 1;
    }
    (from, false)
}

/// How many bytes at the end of a line fit into the budget.
fn ending(line: &[u8], budget: usize) -> usize {
    let mut cost = 0;
    let fits = line.iter().rev().take_while(|byte| {
        cost += json_cost(**byte);
        cost <= budget
    });
    fits.count()
}

fn cut(bytes: &mut Vec<u8>, budget: usize) {
    let mut cost = 0;
    let fits = bytes.iter().take_while(|byte| {
        cost += json_cost(**byte);
        cost <= budget
    });
    let length = fits.count();
    bytes.truncate(length);
}

fn utf8(path: &VirtualPath, bytes: Vec<u8>, cut: bool) -> Result<String, ToolError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    let error = match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => return Ok(text),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    // A character that was cut in two at the end of the budget is no sign of a binary file.
    if let Some(error) = error
        && cut
        && error.utf8_error().error_len().is_none()
    {
        let valid = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(valid);
        return utf8(path, bytes, false);
    }
    Err(ToolError::new(format!("{path} is not UTF-8 text; read_media_file reads other files")))
}

#[cfg(test)]
mod tests {
    use std::{io::repeat, time::Duration};

    use super::*;

    #[test]
    fn a_line_without_an_end_is_not_skipped_for_ever() {
        let path = VirtualPath::parse("/data/a", &["data"].into_iter()).unwrap();
        let call = Call::detached(Duration::from_millis(50));
        let error = skip_line(&path, &mut BufReader::new(repeat(b'x')), &call).unwrap_err();
        assert!(error.to_string().contains("ran out of time"), "{error}");
    }

    #[test]
    fn the_rest_of_a_line_is_skipped_over_buffers() {
        let path = VirtualPath::parse("/data/a", &["data"].into_iter()).unwrap();
        let call = Call::detached(Duration::from_mins(1));
        let mut reader = BufReader::with_capacity(4, &b"0123456\n89\n\nend"[..]);
        let mut rests = Vec::new();
        while skip_line(&path, &mut reader, &call).unwrap() {
            rests.push(reader.buffer().len() + reader.get_ref().len());
        }
        assert_eq!(rests, [7, 4, 3, 0]);
    }

    #[test]
    fn millions_of_lines_are_counted_once() {
        // Once for each line would take days.
        let (lines, budget) = (vec![b'\n'; 4_000_000], 4_000_000);
        assert_eq!(last_lines(&lines, true, u64::MAX, budget), (2_000_000, true));
    }

    #[test]
    fn last_lines_are_whole_and_within_the_budget() {
        let at = |text: &str, whole, count, budget| last_lines(text.as_bytes(), whole, count, budget);
        for (text, whole, count, budget, expected) in [
            ("one\ntwo\nthree\n", true, 2, 99, (4, false)),
            ("one\ntwo\nthree", true, 2, 99, (4, false)),
            ("one\ntwo\nthree", true, 9, 99, (0, false)),
            ("one\ntwo\nthree", true, 0, 99, (13, false)),
            ("", true, 3, 99, (0, false)),
            ("\n\n\n", true, 2, 99, (1, false)),
            // "three" and "two" with its line break, which takes two bytes as JSON, make ten.
            ("one\ntwo\nthree", true, 9, 10, (4, true)),
            ("one\ntwo\nthree", true, 9, 9, (8, true)),
            ("ne\ntwo\nthree", false, 9, 99, (3, true)),
            ("ne\ntwo\nthree", false, 2, 99, (3, false)),
            ("endless", false, 1, 99, (0, true)),
            ("endless", true, 1, 3, (4, true)),
        ] {
            assert_eq!(at(text, whole, count, budget), expected, "{text:?} {count} {budget}");
        }
    }
}
