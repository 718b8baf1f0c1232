//! What services know, in one form: °C, km/h, mm, hPa.

/// A place a service found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spot {
    pub(super) name: String,
    pub(super) region: Option<String>,
    pub(super) country: Option<String>,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// IANA name.
    pub(super) timezone: Option<String>,
}

/// The weather at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Current {
    pub(super) spot: Spot,
    /// By the clocks there, without offset.
    pub(super) observed_at: Option<String>,
    pub(super) condition: String,
    pub(super) temperature: f64,
    pub(super) feels_like: Option<f64>,
    /// Percent.
    pub(super) humidity: Option<f64>,
    pub(super) precipitation: Option<f64>,
    pub(super) pressure: Option<f64>,
    pub(super) wind_speed: Option<f64>,
    /// Degrees, from where it blows.
    pub(super) wind_direction: Option<f64>,
}

/// The weather of one day.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Day {
    pub(super) date: String,
    pub(super) condition: String,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) precipitation: Option<f64>,
    /// Percent.
    pub(super) precipitation_chance: Option<f64>,
    pub(super) wind_speed: Option<f64>,
}

/// The weather of the days from today on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Forecast {
    pub(super) spot: Spot,
    pub(super) days: Vec<Day>,
}
