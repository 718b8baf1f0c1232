//! Times as people and programs write them.

use jiff::{
    Timestamp, Zoned,
    civil::Time,
    fmt::{rfc2822, temporal::Pieces},
    tz::{TimeZone, TimeZoneDatabase},
};
use mcp_kit::ToolError;

use super::moment::{on_clocks, out_of_range};

/// The longest text that is read.
const LONGEST: usize = 128;

/// A time that was read.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) zoned: Zoned,
    pub(super) format: &'static str,
    /// What is to be known about a time that does not exist or exists twice.
    pub(super) note: Option<String>,
}

/// Reads a time. One without an offset is what clocks in `zone` show; one with an offset is shown in `zone` if there is
/// one, else at its own offset.
pub(super) fn read(text: &str, zone: Option<&TimeZone>) -> Result<Written, ToolError> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(ToolError::new(format!("the time has {} bytes; expected at most {LONGEST}", text.len())));
    }
    let shown = |zoned: Zoned| zone.map_or(zoned.clone(), |zone| zoned.with_time_zone(zone.clone()));
    if let Ok(number) = text.parse::<i64>() {
        let (timestamp, format) = unix(number).ok_or_else(out_of_range)?;
        return Ok(Written { zoned: shown(timestamp.to_zoned(TimeZone::UTC)), format, note: None });
    }
    if let Ok(pieces) = Pieces::parse(text) {
        return pieced(&pieces, zone);
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Ok(Written { zoned: shown(zoned), format: "rfc2822", note: None });
    }
    if let Ok(time) = text.parse::<Time>() {
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let today = Timestamp::now().to_zoned(zone.clone()).date();
        let (zoned, note) = on_clocks(today.to_datetime(time), &zone)?;
        return Ok(Written { zoned, format: "time", note });
    }
    Err(ToolError::new(format!(
        "{text:?} is not a time; expected 2026-03-29T14:30:00+02:00, 2026-03-29T14:30, 2026-03-29, 14:30 (today), an RFC 2822 \
         date or Unix time"
    )))
}

/// ISO 8601 in its parts: date, and perhaps time, offset, `[Zone/Name]`.
fn pieced(pieces: &Pieces<'_>, zone: Option<&TimeZone>) -> Result<Written, ToolError> {
    let unknown =
        |_| ToolError::new("the time names an unknown time zone; expected an IANA name such as Europe/Berlin");
    let own = pieces.to_time_zone_with(&TimeZoneDatabase::bundled()).map_err(unknown)?;
    let local = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let Some(offset) = pieces.to_numeric_offset() else {
        let clocks = own.as_ref().or(zone).cloned().unwrap_or(TimeZone::UTC);
        let (zoned, note) = on_clocks(local, &clocks)?;
        let zoned = zone.map_or(zoned.clone(), |zone| zoned.with_time_zone(zone.clone()));
        let format = if pieces.time().is_some() { "local" } else { "date" };
        return Ok(Written { zoned, format, note });
    };
    let timestamp = offset.to_timestamp(local).map_err(|_| out_of_range())?;
    if let Some(own) = &own
        && own.to_offset(timestamp) != offset
    {
        let there = own.to_offset(timestamp);
        return Err(ToolError::new(format!(
            "the time says {offset}, but its zone is at {there} then; leave one of them out"
        )));
    }
    let zone =
        zone.cloned().or(own).unwrap_or_else(|| if offset.is_zero() { TimeZone::UTC } else { TimeZone::fixed(offset) });
    Ok(Written { zoned: timestamp.to_zoned(zone), format: "rfc3339", note: None })
}

/// Unix time. Its unit follows from its size: seconds up to the year 5138, milliseconds from 1973 on, and so on.
fn unix(number: i64) -> Option<(Timestamp, &'static str)> {
    let (timestamp, format) = match number.unsigned_abs() {
        0..100_000_000_000 => (Timestamp::from_second(number), "unix_seconds"),
        100_000_000_000..100_000_000_000_000 => (Timestamp::from_millisecond(number), "unix_milliseconds"),
        100_000_000_000_000..100_000_000_000_000_000 => (Timestamp::from_microsecond(number), "unix_microseconds"),
        _ => (Timestamp::from_nanosecond(number.into()), "unix_nanoseconds"),
    };
    Some((timestamp.ok()?, format))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, zone: &str) -> String {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let written = read(text, Some(&zone)).unwrap();
        format!("{} {} {}", written.format, written.zoned.timestamp(), written.zoned.offset())
    }

    #[test]
    fn every_way_to_write_a_moment_is_read() {
        for (text, expected) in [
            ("2026-07-01T14:30:00+02:00", "rfc3339 2026-07-01T12:30:00Z +02"),
            ("2026-07-01T12:30:00Z", "rfc3339 2026-07-01T12:30:00Z +02"),
            ("2026-07-01 14:30", "local 2026-07-01T12:30:00Z +02"),
            ("2026-07-01T08:30[America/New_York]", "local 2026-07-01T12:30:00Z +02"),
            ("2026-07-01", "date 2026-06-30T22:00:00Z +02"),
            ("Wed, 1 Jul 2026 14:30:00 +0200", "rfc2822 2026-07-01T12:30:00Z +02"),
            ("1782909000", "unix_seconds 2026-07-01T12:30:00Z +02"),
            ("1782909000000", "unix_milliseconds 2026-07-01T12:30:00Z +02"),
            ("1782909000000000", "unix_microseconds 2026-07-01T12:30:00Z +02"),
            ("1782909000000000000", "unix_nanoseconds 2026-07-01T12:30:00Z +02"),
            ("-1", "unix_seconds 1969-12-31T23:59:59Z +01"),
        ] {
            assert_eq!(of(text, "Europe/Berlin"), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (text, word) in [
            ("yesterday", "is not a time"),
            ("", "is not a time"),
            ("2026-02-30", "is not a time"),
            ("25:00", "is not a time"),
            ("2026-07-01T14:30+05:00[Europe/Berlin]", "leave one of them out"),
            ("2026-07-01T14:30[Europe/Nowhere]", "unknown time zone"),
            (&"1".repeat(200), "at most 128"),
        ] {
            let error = read(text, None).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
