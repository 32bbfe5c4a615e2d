//! Latencies, as an operator writes them.

use std::fmt;
use std::time::Duration;

use crate::rate::{clip, decimal, split_unit, text_type};

/// A time that a packet may take, kept in whole nanoseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Latency(u64);

impl Latency {
    /// So many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The sum, or the longest latency if it does not fit.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = LATENCY_UNITS
            .into_iter()
            .rev()
            .find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(LATENCY_UNITS[0]);
        write!(f, "{} {name}", self.0 / factor)
    }
}

impl std::str::FromStr for Latency {
    type Err = InvalidLatency;

    fn from_str(text: &str) -> Result<Self, InvalidLatency> {
        let invalid = || InvalidLatency { found: clip(text) };
        let (number, unit) = split_unit(text).ok_or_else(invalid)?;
        let factor = LATENCY_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f).ok_or_else(invalid)?;
        decimal(number, factor).map(Self).ok_or_else(invalid)
    }
}

/// A text that is no latency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a latency; expected a number with one of ns, us, ms, s, such as `10 ms`")]
pub struct InvalidLatency {
    /// The text.
    pub found: String,
}

text_type!(Latency, "^[0-9]+(\\.[0-9]+)? ?(ns|us|ms|s)$", "10 ms");

const LATENCY_UNITS: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_exact() {
        assert_eq!("2.5 ms".parse::<Latency>().unwrap().as_nanos(), 2_500_000);
        assert_eq!(Latency::from_nanos(2_500_000).to_string(), "2500 us");
        assert!("10".parse::<Latency>().is_err());
        assert!("10 min".parse::<Latency>().is_err());
    }
}
