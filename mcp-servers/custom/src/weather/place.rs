//! A place as a person names it: words, or latitude and longitude.

use mcp_kit::ToolError;

/// The longest name of a place, in characters.
const LONGEST: usize = 100;

/// Where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// A name.
    Named(String),
    /// Latitude and longitude in degrees.
    At(f64, f64),
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let text = name(text)?;
        let numbers =
            text.split_once(',').map(|(latitude, longitude)| (latitude.trim().parse(), longitude.trim().parse()));
        let Some((Ok(latitude), Ok(longitude))) = numbers else { return Ok(Self::Named(text)) };
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            let message = "expected a latitude from -90 to 90 and a longitude from -180 to 180, such as 52.52,13.41";
            return Err(ToolError::new(message));
        }
        Ok(Self::At(latitude, longitude))
    }

    /// One spelling for the same place.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Named(name) => name.to_lowercase(),
            Self::At(latitude, longitude) => coordinates(*latitude, *longitude),
        }
    }
}

/// Both numbers as services read them; more digits than four mean nothing to weather.
pub(super) fn coordinates(latitude: f64, longitude: f64) -> String {
    format!("{latitude:.4},{longitude:.4}")
}

/// A name that every service takes for a name. Some give a meaning to a sign at its beginning.
pub(super) fn name(text: &str) -> Result<String, ToolError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = text.chars().next();
    let sound = first.is_some_and(|first| first.is_alphanumeric() || first == '-' || first == '+')
        && text.chars().count() <= LONGEST
        && !text.contains(char::is_control);
    if sound {
        return Ok(text);
    }
    let message =
        format!("expected the name of a place, beginning with a letter or digit, of up to {LONGEST} characters");
    Err(ToolError::new(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_coordinates_are_told_apart() {
        for (text, expected) in [
            ("Berlin", Place::Named("Berlin".into())),
            ("  São   Paulo, Brazil ", Place::Named("São Paulo, Brazil".into())),
            ("10115", Place::Named("10115".into())),
            ("52.52, 13.41", Place::At(52.52, 13.41)),
            ("-33.87,151.21", Place::At(-33.87, 151.21)),
        ] {
            assert_eq!(Place::parse(text).unwrap(), expected, "{text}");
        }
        assert_eq!(Place::parse("52.520001,13.410001").unwrap().key(), "52.5200,13.4100");
    }

    #[test]
    fn what_services_give_another_meaning_is_refused() {
        for text in [
            "",
            " ",
            "@github.com",
            "~Eiffel",
            ":help",
            "../x",
            "/etc",
            "?x",
            "a\u{0}b",
            "91,0",
            "0,181",
            "NaN,0",
            "inf,0",
        ] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
        assert!(Place::parse(&"a".repeat(101)).is_err());
    }
}
