//! Open-Meteo: one service finds places, another tells their weather, in numbers (WMO code 4677 for the condition).

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use mcp_egress::{Egress, Origin};
use mcp_kit::ToolError;
use serde::Deserialize;
use url::Url;

use super::{
    Known, Provider, answers,
    model::{Current, Day, Forecast, Spot},
    place::Place,
};

const NAME: &str = "open-meteo";
const NOW: &str = "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,pressure_msl,\
                   wind_speed_10m,wind_direction_10m";
const DAILY: &str = "weather_code,temperature_2m_min,temperature_2m_max,precipitation_sum,precipitation_probability_max,\
                     wind_speed_10m_max";

/// The service.
pub(crate) struct OpenMeteo {
    egress: Egress,
    forecast: Origin,
    geocoding: Origin,
}

#[derive(Deserialize)]
struct Found {
    /// Absent when nothing was found.
    #[serde(default)]
    results: Vec<Location>,
}

#[derive(Deserialize)]
struct Location {
    name: String,
    admin1: Option<String>,
    country: Option<String>,
    latitude: f64,
    longitude: f64,
    timezone: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    current: Option<Now>,
    daily: Option<Daily>,
}

#[derive(Deserialize)]
struct Now {
    time: Option<String>,
    temperature_2m: f64,
    apparent_temperature: Option<f64>,
    relative_humidity_2m: Option<f64>,
    precipitation: Option<f64>,
    weather_code: Option<u16>,
    pressure_msl: Option<f64>,
    wind_speed_10m: Option<f64>,
    wind_direction_10m: Option<f64>,
}

/// One list for each thing that is known, a place in it for each day.
#[derive(Deserialize)]
struct Daily {
    time: Vec<String>,
    weather_code: Vec<Option<u16>>,
    temperature_2m_min: Vec<Option<f64>>,
    temperature_2m_max: Vec<Option<f64>>,
    #[serde(default)]
    precipitation_sum: Vec<Option<f64>>,
    #[serde(default)]
    precipitation_probability_max: Vec<Option<f64>>,
    #[serde(default)]
    wind_speed_10m_max: Vec<Option<f64>>,
}

impl OpenMeteo {
    pub(crate) fn new(egress: Egress, forecast: Origin, geocoding: Origin) -> Self {
        Self { egress, forecast, geocoding }
    }

    pub(crate) fn boxed(self) -> Arc<dyn Provider> {
        Arc::new(self)
    }

    async fn find(&self, name: &str, count: u8) -> Known<Vec<Spot>> {
        let mut url = self.geocoding.join(&["v1", "search"]);
        let count = count.to_string();
        url.query_pairs_mut().extend_pairs([("name", name), ("count", &count), ("language", "en"), ("format", "json")]);
        let found: Option<Found> = answers::json(&self.egress, NAME, url).await?;
        let spots: Vec<Spot> = found.into_iter().flat_map(|found| found.results).map(spot).collect();
        Ok(if spots.is_empty() { None } else { Some(spots) })
    }

    /// The one place that is meant.
    async fn spot(&self, place: &Place) -> Known<Spot> {
        match place {
            Place::At(latitude, longitude) => {
                Ok(Some(Spot { name: place.key(), latitude: *latitude, longitude: *longitude, ..Spot::default() }))
            }
            Place::Named(name) => {
                // The search knows names alone; what follows a comma says which of them.
                let (name, rest) = name.split_once(',').map_or((name.as_str(), ""), |(name, rest)| (name, rest.trim()));
                let spots = self.find(name.trim(), if rest.is_empty() { 1 } else { 10 }).await?;
                Ok(spots.and_then(|spots| best(spots, rest)))
            }
        }
    }

    fn url(&self, spot: &Spot, more: &[(&str, &str)]) -> Url {
        let mut url = self.forecast.join(&["v1", "forecast"]);
        let (latitude, longitude) = (format!("{:.4}", spot.latitude), format!("{:.4}", spot.longitude));
        let always = [("latitude", latitude.as_str()), ("longitude", &longitude), ("timezone", "auto")];
        url.query_pairs_mut().extend_pairs(always).extend_pairs(more);
        url
    }
}

impl Provider for OpenMeteo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn days(&self) -> u8 {
        16
    }

    fn current<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Known<Current>> {
        async move {
            let Some(spot) = self.spot(place).await? else { return Ok(None) };
            let answer: Option<Answer> =
                answers::json(&self.egress, NAME, self.url(&spot, &[("current", NOW)])).await?;
            let answer = answer.ok_or_else(empty)?;
            let now = answer.current.ok_or_else(empty)?;
            Ok(Some(Current {
                spot,
                observed_at: now.time,
                condition: condition(now.weather_code).to_owned(),
                temperature: now.temperature_2m,
                feels_like: now.apparent_temperature,
                humidity: now.relative_humidity_2m,
                precipitation: now.precipitation,
                pressure: now.pressure_msl,
                wind_speed: now.wind_speed_10m,
                wind_direction: now.wind_direction_10m,
            }))
        }
        .boxed()
    }

    fn forecast<'a>(&'a self, place: &'a Place, days: u8) -> BoxFuture<'a, Known<Forecast>> {
        async move {
            let Some(spot) = self.spot(place).await? else { return Ok(None) };
            let count = days.to_string();
            let url = self.url(&spot, &[("daily", DAILY), ("forecast_days", &count)]);
            let answer: Option<Answer> = answers::json(&self.egress, NAME, url).await?;
            let answer = answer.ok_or_else(empty)?;
            let days = answer.daily.map(|daily| by_day(&daily)).unwrap_or_default();
            if days.is_empty() { Err(empty()) } else { Ok(Some(Forecast { spot, days })) }
        }
        .boxed()
    }

    fn geocode<'a>(&'a self, name: &'a str, count: u8) -> BoxFuture<'a, Known<Vec<Spot>>> {
        self.find(name, count).boxed()
    }
}

fn empty() -> ToolError {
    ToolError::upstream(format!("{NAME} answered without the weather"))
}

fn spot(location: Location) -> Spot {
    Spot {
        name: location.name,
        region: location.admin1,
        country: location.country,
        latitude: location.latitude,
        longitude: location.longitude,
        timezone: location.timezone,
    }
}

/// The first place whose region or country is the one that was named; the first at all if none is.
fn best(spots: Vec<Spot>, rest: &str) -> Option<Spot> {
    let named = |part: &Option<String>| {
        part.as_ref().is_some_and(|part| rest.split(',').any(|word| word.trim().eq_ignore_ascii_case(part)))
    };
    let best = spots.iter().position(|spot| named(&spot.region) || named(&spot.country)).unwrap_or_default();
    spots.into_iter().nth(best)
}

/// Days with both temperatures; a list may be shorter or have holes at its end.
fn by_day(daily: &Daily) -> Vec<Day> {
    let at = |list: &[Option<f64>], index: usize| list.get(index).copied().flatten();
    let days = daily.time.iter().enumerate().filter_map(|(index, date)| {
        Some(Day {
            date: date.clone(),
            condition: condition(daily.weather_code.get(index).copied().flatten()).to_owned(),
            low: at(&daily.temperature_2m_min, index)?,
            high: at(&daily.temperature_2m_max, index)?,
            precipitation: at(&daily.precipitation_sum, index),
            precipitation_chance: at(&daily.precipitation_probability_max, index),
            wind_speed: at(&daily.wind_speed_10m_max, index),
        })
    });
    days.collect()
}

/// WMO code table 4677, in the words of Open-Meteo's documentation.
const fn condition(code: Option<u16>) -> &'static str {
    match code {
        Some(0) => "Clear sky",
        Some(1) => "Mainly clear",
        Some(2) => "Partly cloudy",
        Some(3) => "Overcast",
        Some(45) => "Fog",
        Some(48) => "Depositing rime fog",
        Some(51) => "Light drizzle",
        Some(53) => "Moderate drizzle",
        Some(55) => "Dense drizzle",
        Some(56 | 57) => "Freezing drizzle",
        Some(61) => "Slight rain",
        Some(63) => "Moderate rain",
        Some(65) => "Heavy rain",
        Some(66 | 67) => "Freezing rain",
        Some(71) => "Slight snow fall",
        Some(73) => "Moderate snow fall",
        Some(75) => "Heavy snow fall",
        Some(77) => "Snow grains",
        Some(80) => "Slight rain showers",
        Some(81) => "Moderate rain showers",
        Some(82) => "Violent rain showers",
        Some(85 | 86) => "Snow showers",
        Some(95) => "Thunderstorm",
        Some(96 | 99) => "Thunderstorm with hail",
        _ => "Unknown",
    }
}
