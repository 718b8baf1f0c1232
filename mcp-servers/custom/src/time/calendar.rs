//! `time_difference`, `add_duration`: arithmetic by calendar and by clock, which differ where daylight saving changes.

use jiff::{Span, Unit, Zoned};
use mcp_kit::{Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    moment::{Moment, on_clocks, out_of_range},
    tool, written,
    zone::zone,
};

/// The longest duration that is read.
const LONGEST: usize = 128;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Difference {
    from: String,
    to: String,
    /// Default that of from
    timezone: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Apart {
    seconds: i64,
    iso8601: String,
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    time: String,
    /// P1M2DT3H or 1 month 2 days
    duration: String,
    timezone: Option<String>,
}

pub(super) fn time_difference() -> Tool {
    let description = "Tell the time between two times, in seconds and by the calendar.";
    tool("time_difference", "Time difference", description, difference)
}

fn difference(arguments: &Difference) -> Result<Apart, ToolError> {
    let zone = arguments.timezone.as_deref().map(|name| zone(Some(name))).transpose()?;
    let from = written::read(&arguments.from, zone.as_ref())?.zoned;
    let to = written::read(&arguments.to, zone.as_ref().or(Some(from.time_zone())))?.zoned;
    let to = to.with_time_zone(from.time_zone().clone());
    let span = from.until((Unit::Year, &to)).map_err(|_| out_of_range())?;
    let seconds = to.timestamp().as_second() - from.timestamp().as_second();
    Ok(Apart { seconds, iso8601: span.to_string(), text: format!("{span:#}") })
}

pub(super) fn add_duration() -> Tool {
    let description = "Add a duration: years to days by the calendar of the zone, hours and less by the clock.";
    tool("add_duration", "Add duration", description, add)
}

fn add(arguments: &Add) -> Result<Moment, ToolError> {
    let zone = arguments.timezone.as_deref().map(|name| zone(Some(name))).transpose()?;
    let written = written::read(&arguments.time, zone.as_ref())?;
    let span = span(&arguments.duration)?;
    let (zoned, note) = added(&written.zoned, span)?;
    let notes: Vec<String> = written.note.into_iter().chain(note).collect();
    Ok(Moment::new(&zoned, (!notes.is_empty()).then(|| notes.join("; "))))
}

/// First the calendar, then the clock. A day that ends where clocks jump is named.
fn added(zoned: &Zoned, span: Span) -> Result<(Zoned, Option<String>), ToolError> {
    let clock = span.years(0).months(0).weeks(0).days(0);
    let calendar = span.hours(0).minutes(0).seconds(0).milliseconds(0).microseconds(0).nanoseconds(0);
    let (day, note) = if calendar.is_zero() {
        (zoned.clone(), None)
    } else {
        let local = zoned.datetime().checked_add(calendar).map_err(|_| out_of_range())?;
        on_clocks(local, zoned.time_zone())?
    };
    Ok((day.checked_add(clock).map_err(|_| out_of_range())?, note))
}

fn span(text: &str) -> Result<Span, ToolError> {
    let parsed = if text.len() > LONGEST { None } else { text.trim().parse().ok() };
    parsed.ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        ToolError::new(format!("{text:?} is not a duration; expected P1M2DT3H or words such as 1 month 2 days 3 hours"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plus(time: &str, duration: &str) -> (String, Option<String>) {
        let add = Add { time: time.into(), duration: duration.into(), timezone: Some("Europe/Berlin".into()) };
        let moment = super::add(&add).unwrap();
        (moment.time, moment.note)
    }

    #[test]
    fn a_day_is_a_day_of_the_calendar_and_24_hours_are_24_hours() {
        assert_eq!(plus("2026-03-28T12:00", "1 day"), ("2026-03-29T12:00:00+02:00".into(), None));
        assert_eq!(plus("2026-03-28T12:00", "24 hours"), ("2026-03-29T13:00:00+02:00".into(), None));
        assert_eq!(plus("2026-01-31", "P1M"), ("2026-02-28T00:00:00+01:00".into(), None));
        assert_eq!(plus("2026-03-29T12:00", "-P1D"), ("2026-03-28T12:00:00+01:00".into(), None));
        assert_eq!(plus("2026-03-28T12:00", "P1DT1H30M"), ("2026-03-29T13:30:00+02:00".into(), None));
    }

    #[test]
    fn gaps_and_folds_are_named() {
        let (time, note) = plus("2026-03-28T02:30", "1 day");
        assert_eq!(time, "2026-03-29T03:30:00+02:00");
        assert!(note.unwrap().starts_with("gap: 02:30:00 on 2026-03-29 does not exist in Europe/Berlin"));
        let (time, note) = plus("2026-10-24T02:30", "1 day");
        assert_eq!(time, "2026-10-25T02:30:00+02:00");
        assert!(note.unwrap().starts_with("fold: 02:30:00 on 2026-10-25 comes twice in Europe/Berlin"));
        // The second time round, chosen by its offset, stays the second.
        assert_eq!(plus("2026-10-25T02:30+01:00", "1 hour"), ("2026-10-25T03:30:00+01:00".into(), None));
    }

    #[test]
    fn a_difference_is_told_by_calendar_and_by_clock() {
        let between = |from: &str, to: &str| {
            let timezone = Some("Europe/Berlin".into());
            difference(&Difference { from: from.into(), to: to.into(), timezone }).unwrap()
        };
        let day = between("2026-03-28T12:00", "2026-03-29T12:00");
        assert_eq!((day.seconds, day.iso8601.as_str()), (23 * 3600, "P1D"));
        let back = between("2026-05-01", "2025-01-31T06:00");
        assert_eq!((back.seconds < 0, back.text.as_str()), (true, "1y 3mo 18h ago"));
    }

    #[test]
    fn what_is_too_much_is_told() {
        for (time, duration, word) in [
            ("2026-01-01", "P9999Y", "out of range"),
            ("2026-01-01", "soon", "is not a duration"),
            ("2026-01-01", "", "is not a duration"),
        ] {
            let add = Add { time: time.into(), duration: duration.into(), timezone: None };
            let error = super::add(&add).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
