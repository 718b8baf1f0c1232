//! The tools about weather: two services, asked in order, their answers kept for a while.
//!
//! In: places as people name them. Out: what the first service says that gives a usable answer. A service that fails
//! five times in a row is left alone for a minute (the kit's circuit breaker), and the other one is asked at once.

mod answers;
mod cache;
mod model;
mod open_meteo;
mod place;
mod tools;
mod units;
mod wttr;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use mcp_kit::{Call, Tool, ToolError};

use cache::Cache;
use model::{Current, Forecast, Spot};
pub(crate) use open_meteo::OpenMeteo;
use place::Place;
pub(crate) use wttr::Wttr;

/// What a service knows: `None` when it does not know the place.
type Known<T> = Result<Option<T>, ToolError>;

/// A weather service. To add a third, write one of these and name it in `settings`.
pub(crate) trait Provider: Send + Sync {
    /// Its name, which is also that of its circuit breaker.
    fn name(&self) -> &'static str;
    /// The most days it looks ahead.
    fn days(&self) -> u8;
    /// The weather now.
    fn current<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Known<Current>>;
    /// The weather of so many days from today on.
    fn forecast<'a>(&'a self, place: &'a Place, days: u8) -> BoxFuture<'a, Known<Forecast>>;
    /// Places of this name, the best first.
    fn geocode<'a>(&'a self, name: &'a str, count: u8) -> BoxFuture<'a, Known<Vec<Spot>>>;
}

/// What a service said, and which one it was.
#[derive(Clone, Debug)]
struct Said<T> {
    value: T,
    provider: &'static str,
}

/// The services, and what they said lately.
pub(crate) struct Weather {
    providers: Vec<Arc<dyn Provider>>,
    current: Cache<Current>,
    forecast: Cache<Forecast>,
    spots: Cache<Vec<Spot>>,
}

impl Weather {
    pub(crate) fn new(providers: Vec<Arc<dyn Provider>>, keep: Duration) -> Self {
        Self { providers, current: Cache::new(keep), forecast: Cache::new(keep), spots: Cache::new(keep) }
    }

    /// Asks one service after the other.
    async fn ask<'a, T>(
        call: &Call,
        what: &str,
        providers: impl Iterator<Item = &'a Arc<dyn Provider>>,
        question: impl Fn(&'a dyn Provider) -> BoxFuture<'a, Known<T>>,
    ) -> Result<Said<T>, ToolError> {
        let mut troubles = Vec::new();
        for provider in providers {
            match call.upstream(provider.name(), question(provider.as_ref())).await {
                Ok(Some(value)) => return Ok(Said { value, provider: provider.name() }),
                Ok(None) => {}
                Err(error) => troubles.push(error.to_string()),
            }
        }
        if troubles.is_empty() {
            let advice = "try \"City, Country\", or latitude and longitude such as 52.52,13.41";
            return Err(ToolError::new(format!("no place is known as {what:?}; {advice}")));
        }
        Err(ToolError::upstream(format!("no weather service gave an answer: {}", troubles.join("; "))))
    }
}

/// All tools of this family.
pub(crate) fn tools(weather: Weather) -> Vec<Tool> {
    let weather = Arc::new(weather);
    vec![tools::get_weather(&weather), tools::get_forecast(&weather), tools::geocode(&weather)]
}
