//! Metric numbers, or the same in imperial units; rounded to what weather can mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// °C, km/h and mm; or °F, mph and inches. Pressure is hPa in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Units {
    #[default]
    Metric,
    Imperial,
}

impl Units {
    pub(super) fn temperature(self, celsius: f64) -> f64 {
        tenth(if self == Self::Metric { celsius } else { celsius * 1.8 + 32.0 })
    }

    pub(super) fn speed(self, kilometres: f64) -> f64 {
        tenth(if self == Self::Metric { kilometres } else { kilometres / 1.609_344 })
    }

    pub(super) fn depth(self, millimetres: f64) -> f64 {
        if self == Self::Metric { tenth(millimetres) } else { (millimetres / 25.4 * 100.0).round() / 100.0 }
    }
}

/// One digit after the point.
pub(super) fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::Units::{Imperial, Metric};

    #[test]
    fn units_are_converted_and_rounded() {
        assert_eq!((Metric.temperature(21.26), Imperial.temperature(21.26)), (21.3, 70.3));
        assert_eq!((Metric.speed(16.09), Imperial.speed(16.09344)), (16.1, 10.0));
        assert_eq!((Metric.depth(2.54), Imperial.depth(2.54)), (2.5, 0.1));
    }
}
