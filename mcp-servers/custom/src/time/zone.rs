//! Time zones by their IANA names, from the database in this binary: the same answer on every machine.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use mcp_kit::ToolError;

/// The zone of this name, or UTC without one.
pub(super) fn zone(name: Option<&str>) -> Result<TimeZone, ToolError> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZoneDatabase::bundled().get(name).map_err(|_| {
        let name: String = name.chars().take(64).collect();
        ToolError::new(format!("unknown time zone {name:?}; expected an IANA name such as Europe/Berlin or UTC"))
    })
}

/// How a zone is called in answers.
pub(super) fn name(zone: &TimeZone) -> String {
    zone.iana_name().map_or_else(|| "fixed offset".to_owned(), str::to_owned)
}
