//! `get_current_time`, `convert_time`, `parse_timestamp`.

use jiff::Timestamp;
use mcp_kit::{Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{moment::Moment, tool, written, zone::zone};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Now {
    /// IANA name; default UTC
    timezone: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Convert {
    /// ISO 8601, Unix time, or 14:30 for today
    time: String,
    /// Of a time without offset; default UTC
    source_timezone: Option<String>,
    target_timezone: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parse {
    text: String,
    timezone: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Parsed {
    format: String,
    moment: Moment,
}

pub(super) fn get_current_time() -> Tool {
    let work = |arguments: &Now| {
        let zone = zone(arguments.timezone.as_deref())?;
        Ok(Moment::new(&Timestamp::now().to_zoned(zone), None))
    };
    tool("get_current_time", "Get current time", "Tell the time now in a time zone.", work)
}

pub(super) fn convert_time() -> Tool {
    let description = "Convert a time between zones. note tells a clock time that daylight saving skips or repeats.";
    tool("convert_time", "Convert time", description, convert)
}

fn convert(arguments: &Convert) -> Result<Moment, ToolError> {
    let source = arguments.source_timezone.as_deref().map(|name| zone(Some(name))).transpose()?;
    let target = zone(Some(&arguments.target_timezone))?;
    let written = written::read(&arguments.time, source.as_ref())?;
    Ok(Moment::new(&written.zoned.with_time_zone(target), written.note))
}

pub(super) fn parse_timestamp() -> Tool {
    let description = "Read a time in ISO 8601, RFC 3339, RFC 2822 or Unix seconds to nanoseconds.";
    tool("parse_timestamp", "Parse timestamp", description, parse)
}

fn parse(arguments: &Parse) -> Result<Parsed, ToolError> {
    let zone = arguments.timezone.as_deref().map(|name| zone(Some(name))).transpose()?;
    let written = written::read(&arguments.text, zone.as_ref())?;
    Ok(Parsed { format: written.format.to_owned(), moment: Moment::new(&written.zoned, written.note) })
}
