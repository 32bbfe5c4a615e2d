//! Rates in bit/s, pairs of guarantee and ceiling, and shares of a whole.
//!
//! A rate counts layer-2 frames from the destination address to the end of the payload, without preamble, frame check
//! sequence and inter-frame gap. Text carries its unit; a bare number is refused, because a rate without a unit is
//! the classic mistake.

use std::fmt;

/// A rate in bit/s. 0 is legal and means "nothing".
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many bit/s.
    pub const fn from_bits_per_second(bits: u64) -> Self {
        Self(bits)
    }

    /// In bit/s.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Is it nothing?
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or the largest rate if it does not fit.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing if `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times this rate, or the largest rate if it does not fit.
    #[must_use]
    pub const fn saturating_mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// That share of this rate, rounded down to a whole bit/s.
    #[must_use]
    pub fn share(self, share: Share) -> Self {
        let bits = u128::from(self.0) * u128::from(share.0) / u128::from(Share::WHOLE.0);
        Self(u64::try_from(bits).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    /// The largest unit that keeps the number whole: `20 Mbit/s`, `1500 kbit/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = RATE_UNITS
            .into_iter()
            .rev()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(RATE_UNITS[0]);
        write!(f, "{} {name}", self.0 / factor)
    }
}

impl std::str::FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate { found: clip(text) };
        let (number, unit) = split_unit(text).ok_or_else(invalid)?;
        let factor =
            RATE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(invalid)?;
        decimal(number, factor).map(Self).ok_or_else(invalid)
    }
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a rate; expected a number with one of bit/s, kbit/s, Mbit/s, Gbit/s, such as `20 Mbit/s`")]
pub struct InvalidRate {
    /// The text.
    pub found: String,
}

/// A part of a whole, in hundredths of a percent: more than none, at most all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(10_000);

    /// From hundredths of a percent, 1 to 10,000.
    pub const fn from_basis_points(points: u32) -> Result<Self, InvalidShare> {
        if points >= 1 && points <= 10_000 {
            #[allow(clippy::cast_possible_truncation, reason = "10,000 fits")]
            let points = points as u16;
            Ok(Self(points))
        } else {
            Err(InvalidShare { found: String::new() })
        }
    }

    /// In hundredths of a percent.
    pub const fn basis_points(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match hundredths {
            0 => write!(f, "{whole} %"),
            h if h % 10 == 0 => write!(f, "{whole}.{} %", h / 10),
            h => write!(f, "{whole}.{h:02} %"),
        }
    }
}

impl std::str::FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let invalid = || InvalidShare { found: clip(text) };
        let (number, unit) = split_unit(text).ok_or_else(invalid)?;
        let points = decimal(number, 100).filter(|_| unit == "%").ok_or_else(invalid)?;
        u32::try_from(points).ok().and_then(|p| Self::from_basis_points(p).ok()).ok_or_else(invalid)
    }
}

/// A text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a share; expected more than 0 % and at most 100 %, such as `60 %`")]
pub struct InvalidShare {
    /// The text.
    pub found: String,
}

/// What a slice or a segment is promised, and what it may never exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(try_from = "RawLimits", into = "RawLimits")]
pub struct RateLimits {
    guaranteed: Rate,
    ceiling: Rate,
}

impl RateLimits {
    /// The guarantee must not exceed the ceiling, and the ceiling must let something through.
    pub const fn new(guaranteed: Rate, ceiling: Rate) -> Result<Self, InvalidLimits> {
        if ceiling.0 == 0 {
            Err(InvalidLimits::NoCeiling)
        } else if guaranteed.0 > ceiling.0 {
            Err(InvalidLimits::GuaranteeAboveCeiling { guaranteed, ceiling })
        } else {
            Ok(Self { guaranteed, ceiling })
        }
    }

    /// Held whatever the others do.
    pub const fn guaranteed(self) -> Rate {
        self.guaranteed
    }

    /// Never exceeded.
    pub const fn ceiling(self) -> Rate {
        self.ceiling
    }
}

/// A pair of rates that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// A ceiling of 0 forwards nothing.
    #[error("ceiling: 0 bit/s forwards nothing; expected more than 0 bit/s")]
    NoCeiling,
    /// More is promised than is allowed.
    #[error("guaranteed: {guaranteed} is more than the ceiling of {ceiling}; expected at most {ceiling}")]
    GuaranteeAboveCeiling {
        /// The promise.
        guaranteed: Rate,
        /// The bound.
        ceiling: Rate,
    },
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    guaranteed: Rate,
    ceiling: Rate,
}

impl TryFrom<RawLimits> for RateLimits {
    type Error = InvalidLimits;
    fn try_from(raw: RawLimits) -> Result<Self, InvalidLimits> {
        Self::new(raw.guaranteed, raw.ceiling)
    }
}

impl From<RateLimits> for RawLimits {
    fn from(limits: RateLimits) -> Self {
        Self { guaranteed: limits.guaranteed, ceiling: limits.ceiling }
    }
}

/// A type whose text form is its only form: serde and JSON Schema by `Display` and `FromStr`.
macro_rules! text_type {
    ($name:ident, $pattern:literal, $example:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a text such as `", $example, "`"))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}
pub(crate) use text_type;

text_type!(Rate, "^[0-9]+(\\.[0-9]+)? ?(bit/s|kbit/s|Mbit/s|Gbit/s)$", "20 Mbit/s");
text_type!(Share, "^[0-9]+(\\.[0-9]+)? ?%$", "60 %");

/// Splits `20 Mbit/s` into its number and its unit; the blank between them is optional.
pub(crate) fn split_unit(text: &str) -> Option<(&str, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(at);
    (!number.is_empty()).then_some((number, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// A decimal number times `factor`, exactly; `None` if it has a remainder, does not fit, or is no number.
pub(crate) fn decimal(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(fraction.len()).ok()?;
    let scale = 10_u64.checked_pow(digits)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
    if fraction.is_multiple_of(scale) { whole.checked_add(fraction / scale) } else { None }
}

/// A text as an error may show it.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

const RATE_UNITS: [(&str, u64); 4] =
    [("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_printed_with_their_unit() {
        for (text, bits, printed) in [
            ("20 Mbit/s", 20_000_000, "20 Mbit/s"),
            ("1.5Mbit/s", 1_500_000, "1500 kbit/s"),
            ("0 bit/s", 0, "0 bit/s"),
            ("64 kbit/s", 64_000, "64 kbit/s"),
            ("10 Gbit/s", 10_000_000_000, "10 Gbit/s"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.bits_per_second(), bits, "{text}");
            assert_eq!(rate.to_string(), printed);
        }
    }

    #[test]
    fn a_rate_without_a_unit_or_with_a_wrong_one_is_refused() {
        for bad in
            ["20", "20 Mbps", "20 MB/s", "20  Mbit/s", "-1 bit/s", "1.5 bit/s", "", "Mbit/s", "99999999999 Gbit/s"]
        {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_exact_to_a_hundredth_of_a_percent() {
        assert_eq!("12.5 %".parse::<Share>().unwrap().basis_points(), 1250);
        assert_eq!("0.01%".parse::<Share>().unwrap().to_string(), "0.01 %");
        assert_eq!(Rate(10_000_001).share("60 %".parse().unwrap()), Rate(6_000_000));
        for bad in ["0 %", "100.01 %", "60", "0.001 %"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_guarantee_above_the_ceiling_is_refused() {
        let error = RateLimits::new(Rate(2), Rate(1)).unwrap_err().to_string();
        assert_eq!(error, "guaranteed: 2 bit/s is more than the ceiling of 1 bit/s; expected at most 1 bit/s");
        assert_eq!(RateLimits::new(Rate(0), Rate(0)), Err(InvalidLimits::NoCeiling));
    }
}
