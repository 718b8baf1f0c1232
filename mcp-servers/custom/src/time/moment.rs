//! A moment as all these tools answer with it.

use jiff::{
    Zoned,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use mcp_kit::ToolError;
use schemars::JsonSchema;
use serde::Serialize;

use super::zone;

/// A moment in a zone.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) time: String,
    pub(super) timezone: String,
    pub(super) unix_seconds: i64,
    pub(super) weekday: String,
    pub(super) is_dst: bool,
    /// Says so when the clock time that was asked for does not exist, or exists twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

impl Moment {
    pub(super) fn new(zoned: &Zoned, note: Option<String>) -> Self {
        Self {
            time: rfc3339(zoned),
            timezone: zone::name(zoned.time_zone()),
            unix_seconds: zoned.timestamp().as_second(),
            weekday: zoned.strftime("%A").to_string(),
            is_dst: zoned.time_zone().to_offset_info(zoned.timestamp()).dst().is_dst(),
            note,
        }
    }
}

fn rfc3339(zoned: &Zoned) -> String {
    zoned.timestamp().display_with_offset(zoned.offset()).to_string()
}

/// What clocks in a zone mean by a time, and a note where they are ambiguous.
pub(super) fn on_clocks(local: DateTime, zone: &TimeZone) -> Result<(Zoned, Option<String>), ToolError> {
    let ambiguous = zone.to_ambiguous_zoned(local);
    let offset = ambiguous.offset();
    let zoned = ambiguous.compatible().map_err(|_| out_of_range())?;
    let (date, time, name) = (local.date(), local.time(), zone::name(zone));
    let note = match offset {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { before, after } => Some(format!(
            "gap: {time} on {date} does not exist in {name}, clocks go forward there from {before} to {after}; taken as {}",
            rfc3339(&zoned)
        )),
        AmbiguousOffset::Fold { before, after } => Some(format!(
            "fold: {time} on {date} comes twice in {name}, at {before} and again at {after}; the first is taken, write the \
             offset to choose"
        )),
    };
    Ok((zoned, note))
}

pub(super) fn out_of_range() -> ToolError {
    ToolError::new("the time is out of range; expected years -9999 to 9999")
}
