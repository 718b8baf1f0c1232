//! `get_weather`, `get_forecast`, `geocode`.

use std::sync::Arc;

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Weather,
    model::{Current, Day, Spot},
    place::{self, Place},
    units::{Units, tenth},
};

/// The most days of a forecast.
const DAYS: u8 = 7;
/// The most places of one name.
const PLACES: u8 = 10;
/// They read, from services that are not ours.
const HINTS: Hints = Hints { open_world: true, ..Hints::READ };

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Now {
    /// City, or latitude,longitude
    location: String,
    units: Option<Units>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ahead {
    location: String,
    /// Default 3
    #[schemars(range(min = 1, max = DAYS))]
    days: Option<u8>,
    units: Option<Units>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Find {
    name: String,
    /// Default 5
    #[schemars(range(min = 1, max = PLACES))]
    count: Option<u8>,
}

#[derive(Serialize, JsonSchema)]
struct Location {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    latitude: f64,
    longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Report {
    /// Name, region, country.
    location: String,
    latitude: f64,
    longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<String>,
    condition: String,
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    feels_like: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    humidity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precipitation: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pressure: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_speed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_direction: Option<f64>,
    units: Units,
    provider: String,
    cached: bool,
}

#[derive(Serialize, JsonSchema)]
struct DayReport {
    date: String,
    condition: String,
    low: f64,
    high: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    precipitation: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precipitation_chance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_speed: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
struct DaysReport {
    location: String,
    latitude: f64,
    longitude: f64,
    days: Vec<DayReport>,
    units: Units,
    provider: String,
    cached: bool,
}

#[derive(Serialize, JsonSchema)]
struct Places {
    places: Vec<Location>,
    provider: String,
    cached: bool,
}

pub(super) fn get_weather(weather: &Arc<Weather>) -> Tool {
    let description = "Tell the weather now. metric: °C, km/h, mm; imperial: °F, mph, inch; pressure hPa, humidity %.";
    let weather = Arc::clone(weather);
    let handler = move |arguments: Now, call: Call| {
        let weather = Arc::clone(&weather);
        async move { now(&weather, &arguments, &call).await }
    };
    Tool::new("get_weather", "Get weather", description, HINTS, handler)
}

async fn now(weather: &Weather, arguments: &Now, call: &Call) -> Result<Reply<Report>, ToolError> {
    let place = Place::parse(&arguments.location)?;
    let ask = Weather::ask(call, &arguments.location, weather.providers.iter(), |provider| provider.current(&place));
    let (said, cached) = weather.current.get(place.key(), ask).await?;
    let Current { spot, observed_at, condition, .. } = said.value;
    let (units, provider) = (arguments.units.unwrap_or_default(), said.provider.to_owned());
    Ok(Reply::new(Report {
        location: full_name(&spot),
        latitude: spot.latitude,
        longitude: spot.longitude,
        observed_at,
        condition,
        temperature: units.temperature(said.value.temperature),
        feels_like: said.value.feels_like.map(|it| units.temperature(it)),
        humidity: said.value.humidity.map(tenth),
        precipitation: said.value.precipitation.map(|it| units.depth(it)),
        pressure: said.value.pressure.map(tenth),
        wind_speed: said.value.wind_speed.map(|it| units.speed(it)),
        wind_direction: said.value.wind_direction.map(tenth),
        units,
        provider,
        cached,
    }))
}

pub(super) fn get_forecast(weather: &Arc<Weather>) -> Tool {
    let description = "Tell the weather of today and the days after it, up to 7 days. Units as in get_weather.";
    let weather = Arc::clone(weather);
    let handler = move |arguments: Ahead, call: Call| {
        let weather = Arc::clone(&weather);
        async move { ahead(&weather, &arguments, &call).await }
    };
    Tool::new("get_forecast", "Get forecast", description, HINTS, handler)
}

async fn ahead(weather: &Weather, arguments: &Ahead, call: &Call) -> Result<Reply<DaysReport>, ToolError> {
    let place = Place::parse(&arguments.location)?;
    let count = bounded("days", arguments.days.unwrap_or(3), DAYS)?;
    let able = weather.providers.iter().filter(|provider| count <= provider.days());
    let ask = Weather::ask(call, &arguments.location, able, |provider| provider.forecast(&place, count));
    let (said, cached) = weather.forecast.get(format!("{count} {}", place.key()), ask).await?;
    let units = arguments.units.unwrap_or_default();
    let day = |day: Day| DayReport {
        date: day.date,
        condition: day.condition,
        low: units.temperature(day.low),
        high: units.temperature(day.high),
        precipitation: day.precipitation.map(|it| units.depth(it)),
        precipitation_chance: day.precipitation_chance.map(tenth),
        wind_speed: day.wind_speed.map(|it| units.speed(it)),
    };
    let days = said.value.days.into_iter().map(day).collect();
    let (spot, provider) = (said.value.spot, said.provider.to_owned());
    let (latitude, longitude) = (spot.latitude, spot.longitude);
    Ok(Reply::new(DaysReport { location: full_name(&spot), latitude, longitude, days, units, provider, cached }))
}

pub(super) fn geocode(weather: &Arc<Weather>) -> Tool {
    let description = "Find places by name: coordinates and time zone, best match first.";
    let weather = Arc::clone(weather);
    let handler = move |arguments: Find, call: Call| {
        let weather = Arc::clone(&weather);
        async move { find(&weather, &arguments, &call).await }
    };
    Tool::new("geocode", "Find places", description, HINTS, handler)
}

async fn find(weather: &Weather, arguments: &Find, call: &Call) -> Result<Reply<Places>, ToolError> {
    let name = place::name(&arguments.name)?;
    let count = bounded("count", arguments.count.unwrap_or(5), PLACES)?;
    // The last service knows names best: the first finds one place at most, and not its time zone.
    let ask = Weather::ask(call, &name, weather.providers.iter().rev(), |provider| provider.geocode(&name, count));
    let (said, cached) = weather.spots.get(format!("{count} {}", name.to_lowercase()), ask).await?;
    let (places, provider) = (said.value.into_iter().map(location).collect(), said.provider.to_owned());
    Ok(Reply::new(Places { places, provider, cached }))
}

fn bounded(name: &str, number: u8, most: u8) -> Result<u8, ToolError> {
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ToolError::new(format!("expected {name} from 1 to {most}, found {number}")))
}

fn location(spot: Spot) -> Location {
    let Spot { name, region, country, latitude, longitude, timezone } = spot;
    Location { name, region, country, latitude, longitude, timezone }
}

/// `Berlin, State of Berlin, Germany`, without what is the same twice.
fn full_name(spot: &Spot) -> String {
    let mut parts = vec![spot.name.as_str()];
    parts.extend([&spot.region, &spot.country].into_iter().flatten().map(String::as_str));
    parts.dedup();
    parts.join(", ")
}
