//! wttr.in: its JSON (`?format=j1`) has numbers as text, and three days.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use jiff::civil::DateTime;
use mcp_egress::{Egress, Origin};
use mcp_kit::ToolError;
use serde::Deserialize;

use super::{
    Known, Provider,
    answers::{self, Number},
    model::{Current, Day, Forecast, Spot},
    place::{Place, coordinates},
};

const NAME: &str = "wttr.in";

/// The service.
pub(crate) struct Wttr {
    egress: Egress,
    origin: Origin,
}

#[derive(Deserialize)]
struct Report {
    current_condition: Vec<Now>,
    #[serde(default)]
    nearest_area: Vec<Area>,
    #[serde(default)]
    weather: Vec<Daily>,
}

#[derive(Deserialize)]
struct Now {
    #[serde(rename = "temp_C")]
    temperature: Number,
    #[serde(rename = "FeelsLikeC")]
    feels_like: Option<Number>,
    humidity: Option<Number>,
    #[serde(rename = "precipMM")]
    precipitation: Option<Number>,
    pressure: Option<Number>,
    #[serde(rename = "windspeedKmph")]
    wind_speed: Option<Number>,
    #[serde(rename = "winddirDegree")]
    wind_direction: Option<Number>,
    #[serde(rename = "weatherDesc", default)]
    condition: Vec<Text>,
    #[serde(rename = "localObsDateTime")]
    observed_at: Option<String>,
}

#[derive(Deserialize)]
struct Area {
    #[serde(rename = "areaName", default)]
    name: Vec<Text>,
    #[serde(default)]
    region: Vec<Text>,
    #[serde(default)]
    country: Vec<Text>,
    latitude: Number,
    longitude: Number,
}

#[derive(Deserialize)]
struct Daily {
    date: String,
    #[serde(rename = "mintempC")]
    low: Number,
    #[serde(rename = "maxtempC")]
    high: Number,
    #[serde(default)]
    hourly: Vec<Hour>,
}

#[derive(Deserialize)]
struct Hour {
    #[serde(rename = "precipMM")]
    precipitation: Option<Number>,
    #[serde(rename = "chanceofrain")]
    rain: Option<Number>,
    #[serde(rename = "chanceofsnow")]
    snow: Option<Number>,
    #[serde(rename = "windspeedKmph")]
    wind_speed: Option<Number>,
    #[serde(rename = "weatherDesc", default)]
    condition: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    value: String,
}

impl Wttr {
    pub(crate) fn new(egress: Egress, origin: Origin) -> Self {
        Self { egress, origin }
    }

    pub(crate) fn boxed(self) -> Arc<dyn Provider> {
        Arc::new(self)
    }

    async fn report(&self, place: &Place) -> Known<Report> {
        let mut url = match place {
            Place::Named(name) => self.origin.join(&[name]),
            Place::At(latitude, longitude) => self.origin.join(&[&coordinates(*latitude, *longitude)]),
        };
        url.set_query(Some("format=j1"));
        answers::json(&self.egress, NAME, url).await
    }
}

impl Provider for Wttr {
    fn name(&self) -> &'static str {
        NAME
    }

    fn days(&self) -> u8 {
        3
    }

    fn current<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Known<Current>> {
        async move { self.report(place).await?.map(|report| current(report, place)).transpose() }.boxed()
    }

    fn forecast<'a>(&'a self, place: &'a Place, days: u8) -> BoxFuture<'a, Known<Forecast>> {
        async move {
            let Some(report) = self.report(place).await? else { return Ok(None) };
            let spot = spot(report.nearest_area, place);
            let days: Vec<Day> = report.weather.into_iter().take(days.into()).map(day).collect();
            if days.is_empty() { Err(empty()) } else { Ok(Some(Forecast { spot, days })) }
        }
        .boxed()
    }

    fn geocode<'a>(&'a self, name: &'a str, _: u8) -> BoxFuture<'a, Known<Vec<Spot>>> {
        async move {
            let place = Place::Named(name.to_owned());
            let Some(report) = self.report(&place).await? else { return Ok(None) };
            if report.nearest_area.is_empty() {
                Err(empty())
            } else {
                Ok(Some(vec![spot(report.nearest_area, &place)]))
            }
        }
        .boxed()
    }
}

fn empty() -> ToolError {
    ToolError::upstream(format!("{NAME} answered with an empty report"))
}

fn current(report: Report, place: &Place) -> Result<Current, ToolError> {
    let spot = spot(report.nearest_area, place);
    let now = report.current_condition.into_iter().next().ok_or_else(empty)?;
    Ok(Current {
        spot,
        observed_at: now.observed_at.as_deref().and_then(observed),
        condition: first(now.condition).unwrap_or_default(),
        temperature: now.temperature.into(),
        feels_like: now.feels_like.map(f64::from),
        humidity: now.humidity.map(f64::from),
        precipitation: now.precipitation.map(f64::from),
        pressure: now.pressure.map(f64::from),
        wind_speed: now.wind_speed.map(f64::from),
        wind_direction: now.wind_direction.map(f64::from),
    })
}

/// `2026-11-25 02:45 PM` as `2026-11-25T14:45`.
fn observed(text: &str) -> Option<String> {
    let time = DateTime::strptime("%Y-%m-%d %I:%M %p", text).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M").to_string())
}

fn spot(areas: Vec<Area>, place: &Place) -> Spot {
    let asked = match place {
        Place::Named(name) => Spot { name: name.clone(), ..Spot::default() },
        Place::At(latitude, longitude) => {
            Spot { name: place.key(), latitude: *latitude, longitude: *longitude, ..Spot::default() }
        }
    };
    let Some(area) = areas.into_iter().next() else { return asked };
    Spot {
        name: first(area.name).unwrap_or(asked.name),
        region: first(area.region),
        country: first(area.country),
        latitude: area.latitude.into(),
        longitude: area.longitude.into(),
        ..Spot::default()
    }
}

fn day(daily: Daily) -> Day {
    let most = |of: fn(&Hour) -> Option<Number>| daily.hourly.iter().filter_map(of).map(f64::from).reduce(f64::max);
    let rain = daily.hourly.iter().filter_map(|hour| hour.precipitation).map(f64::from).reduce(|sum, more| sum + more);
    let chance = [most(|hour| hour.rain), most(|hour| hour.snow)].into_iter().flatten().reduce(f64::max);
    let wind_speed = most(|hour| hour.wind_speed);
    // The condition of the day is that of its middle.
    let middle = daily.hourly.len() / 2;
    let condition = daily.hourly.into_iter().nth(middle).and_then(|hour| first(hour.condition)).unwrap_or_default();
    Day {
        date: daily.date,
        condition,
        low: daily.low.into(),
        high: daily.high.into(),
        precipitation: rain,
        precipitation_chance: chance,
        wind_speed,
    }
}

fn first(texts: Vec<Text>) -> Option<String> {
    texts.into_iter().next().map(|text| text.value.trim().to_owned()).filter(|text| !text.is_empty())
}
