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
    let failed = |error: io::Error| ToolError::new(format!("{path} could not be read: {}", error.kind()));
    for _ in 1..first {
        call.check()?;
        if reader.skip_until(b'\n').map_err(failed)? == 0 {
            break;
        }
    }
    let (mut bytes, mut cost, mut taken) = (Vec::new(), 0, 0_u64);
    let mut truncated = false;
    while limit.is_none_or(|limit| taken < limit) {
        call.check()?;
        let start = bytes.len();
        let read = (&mut reader).take(budget as u64 + 1).read_until(b'\n', &mut bytes).map_err(failed)?;
        if read == 0 {
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

/// The last `count` lines.
pub(crate) fn tail(
    path: &VirtualPath,
    mut file: File,
    size: u64,
    count: u64,
    budget: usize,
) -> Result<Piece, ToolError> {
    let failed = |error: io::Error| ToolError::new(format!("{path} could not be read: {}", error.kind()));
    let start = size.saturating_sub(budget as u64);
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(budget as u64).read_to_end(&mut bytes).map_err(failed)?;
    let ends = bytes.ends_with(b"\n");
    let breaks: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    // A line break at the very end closes the last line, it does not begin another.
    let starts: Vec<usize> = breaks.into_iter().filter(|at| !(ends && *at == bytes.len())).rev().collect();
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let reaches_start = start == 0;
    let mut from = match wanted.checked_sub(1).map(|index| starts.get(index)) {
        None => bytes.len(),
        Some(Some(at)) => *at,
        Some(None) => 0,
    };
    let mut truncated = from == 0 && !reaches_start;
    if truncated {
        // Begins inside a line: leave that line out, unless it is all there is.
        from = starts.last().copied().unwrap_or(0);
    }
    let cost = |from: usize| bytes.iter().skip(from).copied().map(json_cost).sum::<usize>();
    while cost(from) > budget {
        truncated = true;
        from = starts.iter().rev().copied().find(|at| *at > from).unwrap_or(bytes.len());
    }
    let mut text = bytes.split_off(from);
    if truncated {
        let broken = text.iter().take_while(|byte| (**byte & 0xc0) == 0x80).count();
        text.drain(..broken);
    }
    Ok(Piece { text: utf8(path, text, false)?, truncated, next_line: None })
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
