//! A Kubernetes quantity as people write it: `500m`, `1Gi`, or a bare number.
//!
//! In: YAML strings and numbers. Out: the text as given and its exact value in thousandths, for comparison by
//! meaning. Source of the grammar: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A quantity, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quantity(pub String);

impl Quantity {
    /// The value in thousandths of the unit (`1` is 1000, `1m` is 1), rounded up as the API server does.
    ///
    /// Returns `None` when the text is not a quantity or does not fit; both are refused by validation.
    #[must_use]
    pub fn millis(&self) -> Option<i128> {
        let text = self.0.strip_prefix('+').unwrap_or(&self.0);
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(split)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || number.len() > 24 {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        let (factor, divisor) = scale(suffix)?;
        let numerator = digits.checked_mul(factor)?.checked_mul(1000)?;
        let denominator = divisor.checked_mul(10_i128.checked_pow(places)?)?;
        Some(numerator / denominator + i128::from(numerator % denominator != 0))
    }
}

/// Factor and divisor of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let decimal = |power: u32| 10_i128.pow(power);
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, decimal(9)),
        "u" => (1, decimal(6)),
        "m" => (1, decimal(3)),
        "k" => (decimal(3), 1),
        "M" => (decimal(6), 1),
        "G" => (decimal(9), 1),
        "T" => (decimal(12), 1),
        "P" => (decimal(15), 1),
        "E" => (decimal(18), 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => return exponent(suffix),
    })
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let magnitude = 10_i128.checked_pow(power.unsigned_abs())?;
    (power.abs() <= 18).then_some(if power < 0 { (1, magnitude) } else { (magnitude, 1) })
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Quantity;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a quantity such as 500m, 256Mi or 2")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }
        input.deserialize_any(Text)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A quantity, for example 500m, 256Mi or 2.",
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "isQuantity(string(self)) && !string(self).startsWith('-')",
                "message": "not a quantity: write for example 500m, 256Mi or 2",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn equal_amounts_written_differently_have_equal_value() {
        for (left, right) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1Gi", "1024Mi"),
            ("1e3", "1k"),
            ("2.50", "2500m"),
            ("1E", "1000P"),
        ] {
            assert_eq!(Quantity::from(left).millis(), Quantity::from(right).millis(), "{left} and {right}");
            assert!(Quantity::from(left).millis().is_some(), "{left}");
        }
        assert_eq!(Quantity::from("1n").millis(), Some(1), "rounded up, never to nothing");
    }

    #[test]
    fn what_is_no_quantity_has_no_value() {
        for text in ["", "Mi", "1mi", "1 Gi", "-1", "1.2.3", "1e", "1e99", "9999999999999999999999999999"] {
            assert_eq!(Quantity::from(text).millis(), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_taken_as_text() {
        assert_eq!(serde_yaml::from_str::<Quantity>("2").unwrap(), Quantity::from("2"));
        assert_eq!(serde_yaml::from_str::<Quantity>("0.5").unwrap(), Quantity::from("0.5"));
        assert_eq!(serde_yaml::from_str::<Quantity>("1Gi").unwrap(), Quantity::from("1Gi"));
    }
}
