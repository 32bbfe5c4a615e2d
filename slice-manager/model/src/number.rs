//! Numbers of the wire, each with its legal range in its type.
//!
//! [`checked_number!`] is the one place where such a type is made, so that all of them are constructed, compared,
//! printed, read and described (JSON Schema) the same way. A value that exists is in range.

use std::fmt;

/// A number outside the range of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not {what}; expected {min} to {max}")]
pub struct OutOfRange {
    /// What the number was meant to be, with its article ("a VNI").
    pub what: &'static str,
    /// The number as found.
    pub found: u64,
    /// The smallest legal value.
    pub min: u64,
    /// The largest legal value.
    pub max: u64,
}

/// Makes a checked number: `MIN`, `MAX`, `new`, `get`, and every conversion, from one line.
macro_rules! checked_number {
    ($(#[$doc:meta])* $name:ident($int:ty), $min:literal ..= $max:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name($int);

        impl $name {
            /// The smallest legal value.
            pub const MIN: Self = Self($min);
            /// The largest legal value.
            pub const MAX: Self = Self($max);

            /// Checks the range.
            #[allow(unused_comparisons, reason = "the smallest value of an unsigned number is often 0")]
            pub const fn new(value: u64) -> Result<Self, $crate::OutOfRange> {
                if value >= $min && value <= $max {
                    #[allow(clippy::cast_possible_truncation, reason = "the range was checked on the line above")]
                    let value = value as $int;
                    Ok(Self(value))
                } else {
                    Err($crate::OutOfRange { what: $what, found: value, min: $min, max: $max })
                }
            }

            /// The number.
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = $crate::OutOfRange;
            fn try_from(value: u64) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl TryFrom<u32> for $name {
            type Error = $crate::OutOfRange;
            fn try_from(value: u32) -> Result<Self, Self::Error> {
                Self::new(u64::from(value))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_u64($crate::number::CheckedVisitor::new($what, $min, $max)).map(|n| {
                    #[allow(clippy::cast_possible_truncation, reason = "the visitor checked the range")]
                    let n = n as $int;
                    Self(n)
                })
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "integer", "minimum": $min as u64, "maximum": $max as u64 })
            }
        }
    };
}
pub(crate) use checked_number;

checked_number! {
    /// VXLAN network identifier, 24 bits (RFC 7348, section 5). 0 is never handed out.
    Vni(u32), 1..=0x00FF_FFFF, "a VNI"
}
checked_number! {
    /// MPLS label, 20 bits; 0 to 15 are reserved (RFC 3032, section 2.1) and are not allocated.
    Label(u32), 16..=0x000F_FFFF, "an MPLS label"
}
checked_number! {
    /// IEEE 802.1Q VLAN identifier; 0 means "priority tag only" and 4095 is reserved.
    Vlan(u16), 1..=4094, "a VLAN identifier"
}
checked_number! {
    /// Differentiated services code point, 6 bits (RFC 2474, section 3).
    Dscp(u8), 0..=63, "a DSCP"
}
checked_number! {
    /// MPLS traffic class, 3 bits (RFC 5462).
    TrafficClass(u8), 0..=7, "an MPLS traffic class"
}
checked_number! {
    /// Names a path among those between two edges; 16 bits, as STAMP's session identifier (RFC 8972, section 3) that
    /// carries it.
    PathId(u16), 1..=0xFFFF, "a path id"
}
checked_number! {
    /// Number of a slice's class on the ports of a Linux kernel (the minor number of HTB). 1 is the class of the whole
    /// link, 2 that of whatever belongs to no slice's.
    ClassNumber(u16), 3..=0xFFFF, "the number of a slice's class"
}
checked_number! {
    /// IEEE 802.1Q priority code point, 3 bits.
    Pcp(u8), 0..=7, "an 802.1p priority"
}
checked_number! {
    /// QoS flow identifier, 6 bits (TS 23.501, section 5.7.1.1).
    Qfi(u8), 0..=63, "a QFI"
}
checked_number! {
    /// The share of what siblings' guarantees leave over, beside theirs.
    Weight(u8), 1..=100, "a weight"
}

impl Default for Weight {
    /// As much as a sibling that says nothing, too.
    fn default() -> Self {
        Self::MIN
    }
}

impl Weight {
    /// Is it what is meant where none is said?
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) fn is_one(&self) -> bool {
        *self == Self::MIN
    }
}

/// Counts the plans of one manager; it only grows. 0 means "nothing was ever decided".
#[derive(
    Debug,
    Default,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// Before the first plan.
    pub const NONE: Self = Self(0);

    /// The generation of this number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one that follows. At a million plans a second the count lasts 584,000 years.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads a number whose field has a range and no type of its own; for `deserialize_with`.
pub(crate) fn within<'de, D, T, const MIN: u64, const MAX: u64>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: TryFrom<u64>,
{
    let visitor = CheckedVisitor::new("a number in range", MIN, MAX);
    let value = deserializer.deserialize_u64(visitor)?;
    T::try_from(value).map_err(|_| {
        serde::de::Error::custom(OutOfRange { what: "a number in range", found: value, min: MIN, max: MAX })
    })
}

/// Reads a number and says, when it is out of range or no number at all, what was expected.
pub(crate) struct CheckedVisitor {
    what: &'static str,
    min: u64,
    max: u64,
}

impl CheckedVisitor {
    pub(crate) const fn new(what: &'static str, min: u64, max: u64) -> Self {
        Self { what, min, max }
    }
}

impl serde::de::Visitor<'_> for CheckedVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: a whole number from {} to {}", self.what, self.min, self.max)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<u64, E> {
        if (self.min..=self.max).contains(&value) {
            Ok(value)
        } else {
            Err(E::custom(OutOfRange { what: self.what, found: value, min: self.min, max: self.max }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vni_is_24_bits_and_not_zero() {
        assert!(Vni::new(0).is_err());
        assert_eq!(Vni::new(1).unwrap(), Vni::MIN);
        assert_eq!(Vni::new(0x00FF_FFFF).unwrap(), Vni::MAX);
        assert_eq!(Vni::new(0x0100_0000).unwrap_err().to_string(), "16777216 is not a VNI; expected 1 to 16777215");
    }

    #[test]
    fn reserved_labels_and_vlans_are_refused() {
        assert!(Label::new(15).is_err());
        assert!(Label::new(16).is_ok());
        assert!(Label::new(1 << 20).is_err());
        assert!(Vlan::new(0).is_err());
        assert!(Vlan::new(4095).is_err());
        assert!(Dscp::new(64).is_err());
        assert!(TrafficClass::new(8).is_err());
    }

    #[test]
    fn a_number_read_from_text_says_what_was_expected() {
        let error = serde_json::from_str::<Vlan>("5000").unwrap_err().to_string();
        assert!(error.starts_with("5000 is not a VLAN identifier; expected 1 to 4094"), "{error}");
        let error = serde_json::from_str::<Vlan>("\"ten\"").unwrap_err().to_string();
        assert!(error.contains("expected a VLAN identifier: a whole number from 1 to 4094"), "{error}");
    }
}
