//! The narrow values that a kernel object is made of, each checked where it is made.

use std::fmt;
use std::num::NonZeroU32;

use model::Rate;

/// A value that no kernel object can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {what}")]
pub struct InvalidValue {
    /// What was expected.
    pub what: &'static str,
    /// What was found.
    pub found: String,
}

/// The name of a network device: 1 to 15 octets without `/`, `:`, blanks and control characters, not `.` or `..`
/// (`dev_valid_name` of the kernel).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(Box<str>);

impl LinkName {
    /// Checks a name.
    pub fn new(text: &str) -> Result<Self, InvalidValue> {
        let legal = (1..=LINK_NAME_OCTETS_MAX).contains(&text.len())
            && text != "."
            && text != ".."
            && !text.chars().any(|c| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
        if legal {
            Ok(Self(text.into()))
        } else {
            let found = text.chars().take(64).collect();
            Err(InvalidValue {
                what: "the name of a network device: 1 to 15 octets without `/`, `:` and blanks",
                found,
            })
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Does the name say that the link is ours? Its group must say so, too.
    pub fn is_ours(&self) -> bool {
        self.0.starts_with(LINK_NAME_PREFIX)
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for LinkName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

/// A routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(NonZeroU32);

impl Table {
    /// The table that packets are looked up in when no rule says otherwise.
    pub const MAIN: Self = Self(NonZeroU32::MIN.saturating_add(253));

    /// A table by number; 0 means "unspecified" to the kernel and is none.
    pub fn new(number: u32) -> Result<Self, InvalidValue> {
        let what = "a routing table: 1 to 4294967295";
        NonZeroU32::new(number).map(Self).ok_or_else(|| InvalidValue { what, found: number.to_string() })
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The metric of a route; of two routes to one prefix in one table, the kernel takes the one with the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(NonZeroU32);

impl Metric {
    /// What our routes have when nothing else is asked for: before those of `ip` in IPv6 (1024), and not a number that
    /// others use.
    pub const DEFAULT: Self = Self(NonZeroU32::MIN.saturating_add(200));

    /// A metric; 0 is none, since IPv6 turns it into 1024.
    pub fn new(number: u32) -> Result<Self, InvalidValue> {
        let what = "the metric of a route: 1 to 4294967295";
        NonZeroU32::new(number).map(Self).ok_or_else(|| InvalidValue { what, found: number.to_string() })
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The minor number of an HTB class; 1 is the class of the link, which the others borrow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(u16);

impl ClassId {
    /// The class of whatever no classifier names.
    pub const REST: Self = Self(2);

    /// A class below that of the link.
    pub fn new(minor: u16) -> Result<Self, InvalidValue> {
        let what = "a class below that of the link: 2 to 65535";
        if minor >= 2 { Ok(Self(minor)) } else { Err(InvalidValue { what, found: minor.to_string() }) }
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A rate as HTB keeps it: whole octets a second, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapedRate(u64);

impl ShapedRate {
    /// The smallest rate that HTB keeps.
    pub const MIN: Self = Self(1);

    /// The largest rate that HTB keeps and is not more than this one.
    pub fn new(rate: Rate) -> Result<Self, InvalidValue> {
        Self::from_octets_per_second(rate.bits_per_second() / 8)
            .ok_or_else(|| InvalidValue { what: "a rate to shape to: at least 8 bit/s", found: rate.to_string() })
    }

    pub(crate) fn from_octets_per_second(octets: u64) -> Option<Self> {
        (octets > 0).then_some(Self(octets))
    }

    /// In the unit of the kernel.
    pub const fn octets_per_second(self) -> u64 {
        self.0
    }

    /// As a rate.
    pub const fn rate(self) -> Rate {
        Rate::from_bits_per_second(self.0.saturating_mul(8))
    }
}

impl fmt::Display for ShapedRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rate().fmt(f)
    }
}

/// What the names of links of ours start with.
pub(crate) const LINK_NAME_PREFIX: &str = "ms-";

const LINK_NAME_OCTETS_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_a_name_that_the_kernel_takes() {
        for good in ["lo", "ms-v16777215", "eth0.5", "x", "fifteen-octets-"] {
            assert!(LinkName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a:1", "sixteen-octets--", "a\n"] {
            assert!(LinkName::new(bad).is_err(), "{bad:?}");
        }
        assert!(LinkName::new("ms-b7").unwrap().is_ours());
        assert!(!LinkName::new("br-ms-").unwrap().is_ours());
    }

    #[test]
    fn zero_is_no_table_no_metric_and_no_rate() {
        assert!(Table::new(0).is_err() && Metric::new(0).is_err() && ClassId::new(0).is_err());
        assert_eq!((Table::MAIN.get(), Metric::DEFAULT.get()), (254, 201));
        assert!(ClassId::new(1).is_err(), "the root class belongs to no slice");
        assert!(ShapedRate::new(Rate::from_bits_per_second(7)).is_err());
        assert_eq!(ShapedRate::new(Rate::from_bits_per_second(100_007)).unwrap().octets_per_second(), 12_500);
    }
}
