//! The attributes of the generic slice template (GSMA NG.116, version 10): their names, types and units.

use std::fmt;

use serde_json::Value;

use crate::rate::{clip, decimal, split_unit};

/// An attribute of the generic slice template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GstAttribute {
    /// Its name; of an attribute in a group, `group: attribute`.
    pub name: &'static str,
    /// What its values are.
    pub kind: GstKind,
}

/// What the values of an attribute are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GstKind {
    /// A whole number with a unit.
    Whole(GstUnit),
    /// A number with a unit; three decimals are kept.
    Decimal(GstUnit),
    /// One of the numbered choices, 0 to this.
    OneOf(u64),
    /// Some of the numbered choices, 0 to this.
    SetOf(u64),
    /// A text.
    Text,
    /// Some texts.
    Texts,
}

/// The units of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GstUnit {
    /// A count or a plain number.
    None,
    /// Percent.
    Percent,
    /// 1,000 bit/s.
    KilobitsPerSecond,
    /// Bytes.
    Octets,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Metres.
    Metres,
    /// Number per square kilometre.
    PerSquareKilometre,
}

impl GstUnit {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Percent => "percent",
            Self::KilobitsPerSecond => "kbps",
            Self::Octets => "bytes",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Metres => "m",
            Self::PerSquareKilometre => "per km2",
        }
    }
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GstValue {
    /// A whole number.
    Whole(u64, GstUnit),
    /// Thousandths.
    Thousandths(u64, GstUnit),
    /// A numbered choice.
    Choice(u64),
    /// Numbered choices, in the order in which they were written.
    Choices(Vec<u64>),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
}

impl GstValue {
    /// Checks type, unit and range.
    pub fn read(attribute: &'static GstAttribute, value: &Value) -> Result<Self, InvalidGstValue> {
        let read = match attribute.kind {
            GstKind::Whole(unit) => quantity(value, unit, 1).map(|n| Self::Whole(n, unit)),
            GstKind::Decimal(unit) => quantity(value, unit, 1000).map(|n| Self::Thousandths(n, unit)),
            GstKind::OneOf(max) => value.as_u64().filter(|n| *n <= max).map(Self::Choice),
            GstKind::SetOf(max) => list(value, |v| v.as_u64().filter(|n| *n <= max)).map(Self::Choices),
            GstKind::Text => value.as_str().map(|s| Self::Text(s.to_owned())),
            GstKind::Texts => list(value, |v| v.as_str().map(str::to_owned)).map(Self::Texts),
        };
        read.ok_or_else(|| InvalidGstValue { attribute, found: clip(&value.to_string()) })
    }
}

/// A number with its unit; thousandths where decimals are kept.
fn quantity(value: &Value, unit: GstUnit, factor: u64) -> Option<u64> {
    match value {
        Value::String(text) => {
            let (number, found) = split_unit(text)?;
            (found == unit.as_str()).then(|| decimal(number, factor)).flatten()
        }
        Value::Number(number) if unit == GstUnit::None => decimal(&number.to_string(), factor),
        _ => None,
    }
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array().filter(|items| !items.is_empty())?.iter().map(item).collect()
}

impl fmt::Display for GstValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = |f: &mut fmt::Formatter<'_>, unit: GstUnit| match unit {
            GstUnit::None => Ok(()),
            other => write!(f, " {}", other.as_str()),
        };
        match self {
            Self::Whole(n, u) => write!(f, "{n}").and_then(|()| unit(f, *u)),
            Self::Thousandths(n, u) => {
                let fraction = format!("{:03}", n % 1000);
                match fraction.trim_end_matches('0') {
                    "" => write!(f, "{}", n / 1000)?,
                    fraction => write!(f, "{}.{fraction}", n / 1000)?,
                }
                unit(f, *u)
            }
            Self::Choice(n) => write!(f, "{n}"),
            Self::Choices(n) => join(f, n),
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) => join(f, texts),
        }
    }
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(i, item)| if i == 0 { write!(f, "{item}") } else { write!(f, ", {item}") })
}

/// A value that the attribute does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not a value of `{}`; expected {}", attribute.name, Expected(attribute.kind))]
pub struct InvalidGstValue {
    /// The attribute.
    pub attribute: &'static GstAttribute,
    /// The value as found.
    pub found: String,
}

struct Expected(GstKind);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GstKind::Whole(GstUnit::None) => f.write_str("a whole number"),
            GstKind::Whole(unit) => write!(f, "a whole number of {0}, such as `100 {0}`", unit.as_str()),
            GstKind::Decimal(GstUnit::None) => f.write_str("a number with at most three decimals"),
            GstKind::Decimal(unit) => {
                write!(f, "a number of {0} with at most three decimals, such as `99.9 {0}`", unit.as_str())
            }
            GstKind::OneOf(max) => write!(f, "a choice from 0 to {max}"),
            GstKind::SetOf(max) => write!(f, "a list of choices from 0 to {max}"),
            GstKind::Text => f.write_str("a text"),
            GstKind::Texts => f.write_str("a list of texts"),
        }
    }
}

/// The attribute of that name.
pub(super) fn attribute(name: &str) -> Option<&'static GstAttribute> {
    GST_ATTRIBUTES.binary_search_by(|a| a.name.cmp(name)).ok().map(|at| &GST_ATTRIBUTES[at])
}

/// A hint for a name that is none: the attributes that share its first word.
pub(super) fn nearest(name: &str) -> String {
    let word = name.split([' ', ':']).next().unwrap_or_default().to_lowercase();
    let near: Vec<&str> = GST_ATTRIBUTES
        .iter()
        .map(|a| a.name)
        .filter(|a| !word.is_empty() && a.to_lowercase().starts_with(&word))
        .collect();
    if near.is_empty() {
        "expected a name from GSMA NG.116".to_owned()
    } else {
        format!("expected one of `{}`", near.join("`, `"))
    }
}

/// Every attribute that has values, sorted by name.
pub const GST_ATTRIBUTES: &[GstAttribute] = &[
    GstAttribute { name: "Area of Service", kind: GstKind::Texts },
    GstAttribute { name: "Area of Service: Minimum altitude", kind: GstKind::Whole(GstUnit::Metres) },
    GstAttribute { name: "Area of Service: Region specification", kind: GstKind::Texts },
    GstAttribute { name: "Availability", kind: GstKind::Decimal(GstUnit::Percent) },
    GstAttribute { name: "Data network access: Data access per data network", kind: GstKind::OneOf(2) },
    GstAttribute { name: "Data network access: LBO Allowed", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Data network access: Tunnelling mechanism", kind: GstKind::SetOf(4) },
    GstAttribute { name: "Delay tolerance", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Deterministic communication: Availability", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Deterministic communication: Periodicity", kind: GstKind::Decimal(GstUnit::Seconds) },
    GstAttribute {
        name: "Downlink maximum throughput per UE: Maximum downlink throughput per UE value",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute { name: "Downlink maximum throughput per UE: Service category", kind: GstKind::Text },
    GstAttribute {
        name: "Downlink throughput per network slice: Guaranteed downlink throughput quota",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute {
        name: "Downlink throughput per network slice: Maximum downlink throughput",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute { name: "Energy efficiency: Network slice energy efficiency KPI", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Group communication support", kind: GstKind::OneOf(4) },
    GstAttribute { name: "Latency from (last) UPF to Application Server", kind: GstKind::Whole(GstUnit::Milliseconds) },
    GstAttribute { name: "MMTel support", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Maximum number of PDU sessions", kind: GstKind::Whole(GstUnit::None) },
    GstAttribute { name: "Maximum number of PDU sessions: EPS counting required", kind: GstKind::OneOf(1) },
    GstAttribute {
        name: "Maximum number of PDU sessions: LBO PDU Sessions Counting required",
        kind: GstKind::OneOf(1),
    },
    GstAttribute { name: "Maximum number of UEs", kind: GstKind::Whole(GstUnit::None) },
    GstAttribute {
        name: "Maximum number of UEs with at least one PDU session/PDN connection",
        kind: GstKind::Whole(GstUnit::None),
    },
    GstAttribute { name: "Maximum number of UEs: EPS counting required", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Maximum number of UEs: Roaming UEs Counting required", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Maximum supported packet size", kind: GstKind::Whole(GstUnit::Octets) },
    GstAttribute { name: "Mission critical support", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Mission critical support: Mission-critical capability support", kind: GstKind::SetOf(2) },
    GstAttribute { name: "Mission critical support: Mission-critical service support", kind: GstKind::SetOf(3) },
    GstAttribute { name: "Monitoring and analytics", kind: GstKind::OneOf(2) },
    GstAttribute { name: "Multimedia Priority Service", kind: GstKind::OneOf(1) },
    GstAttribute {
        name: "Multimedia Priority Service: Multimedia Priority Service capability support",
        kind: GstKind::SetOf(1),
    },
    GstAttribute { name: "Multimedia Priority Service: Multimedia Priority Service support", kind: GstKind::SetOf(2) },
    GstAttribute { name: "NB-IoT support", kind: GstKind::OneOf(1) },
    GstAttribute {
        name: "Network Slice Specific Authentication and Authorization (NSSAA) Required",
        kind: GstKind::OneOf(1),
    },
    GstAttribute { name: "Network functions owned by Network Slice Customer", kind: GstKind::Texts },
    GstAttribute { name: "PDU Set support", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Performance monitoring: Availability", kind: GstKind::SetOf(2) },
    GstAttribute { name: "Performance monitoring: Monitoring sample frequency", kind: GstKind::OneOf(2) },
    GstAttribute { name: "Performance prediction: Availability", kind: GstKind::SetOf(2) },
    GstAttribute { name: "Performance prediction: Prediction frequency", kind: GstKind::OneOf(2) },
    GstAttribute { name: "Positioning support: Accuracy", kind: GstKind::Decimal(GstUnit::Metres) },
    GstAttribute { name: "Positioning support: Availability", kind: GstKind::SetOf(6) },
    GstAttribute { name: "Positioning support: Prediction frequency", kind: GstKind::OneOf(2) },
    GstAttribute { name: "Radio spectrum", kind: GstKind::Texts },
    GstAttribute { name: "Session and Service Continuity support", kind: GstKind::OneOf(3) },
    GstAttribute { name: "Simultaneous use of the network slice", kind: GstKind::OneOf(4) },
    GstAttribute { name: "Simultaneous use of the network slice: Service category", kind: GstKind::Text },
    GstAttribute {
        name: "Slice quality of service parameters: Maximum Packet Loss Rate",
        kind: GstKind::Whole(GstUnit::Percent),
    },
    GstAttribute { name: "Slice quality of service: 3GPP 5QI", kind: GstKind::SetOf(254) },
    GstAttribute { name: "Slice quality of service: Averaging Window", kind: GstKind::Whole(GstUnit::Milliseconds) },
    GstAttribute {
        name: "Slice quality of service: Guaranteed Flow Bit Rate - Downlink",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute {
        name: "Slice quality of service: Guaranteed Flow Bit Rate - Uplink",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute { name: "Slice quality of service: Maximum Data Burst Volume", kind: GstKind::Whole(GstUnit::Octets) },
    GstAttribute {
        name: "Slice quality of service: Maximum Flow Bit Rate - Downlink",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute {
        name: "Slice quality of service: Maximum Flow Bit Rate - Uplink",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute { name: "Slice quality of service: Packet Delay Budget", kind: GstKind::Whole(GstUnit::Milliseconds) },
    GstAttribute { name: "Slice quality of service: Packet Error Rate", kind: GstKind::Decimal(GstUnit::None) },
    GstAttribute { name: "Slice quality of service: Priority Level", kind: GstKind::Whole(GstUnit::None) },
    GstAttribute { name: "Slice quality of service: Resource Type", kind: GstKind::OneOf(2) },
    GstAttribute { name: "Support for non-IP traffic", kind: GstKind::OneOf(1) },
    GstAttribute { name: "Supported data network", kind: GstKind::Texts },
    GstAttribute { name: "Supported data network: Service category", kind: GstKind::Text },
    GstAttribute { name: "Supported device velocity", kind: GstKind::OneOf(3) },
    GstAttribute { name: "Synchronicity: Accuracy", kind: GstKind::Decimal(GstUnit::Seconds) },
    GstAttribute { name: "Synchronicity: Availability", kind: GstKind::OneOf(2) },
    GstAttribute { name: "UE density", kind: GstKind::Whole(GstUnit::PerSquareKilometre) },
    GstAttribute {
        name: "Uplink maximum throughput per UE: Maximum Uplink Throughput per UE value",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute { name: "Uplink maximum throughput per UE: Service category", kind: GstKind::Text },
    GstAttribute {
        name: "Uplink throughput per network slice: Guaranteed uplink throughput quota",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute {
        name: "Uplink throughput per network slice: Maximum uplink throughput",
        kind: GstKind::Whole(GstUnit::KilobitsPerSecond),
    },
    GstAttribute { name: "User management openness", kind: GstKind::OneOf(1) },
    GstAttribute { name: "V2X-PC5 Network Scheduled Mode", kind: GstKind::OneOf(3) },
    GstAttribute {
        name: "V2X-PC5 Network Scheduled Mode: Default mode of communication for NR PC5",
        kind: GstKind::OneOf(2),
    },
    GstAttribute { name: "V2X-PC5 parameter provisioning", kind: GstKind::OneOf(3) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(GST_ATTRIBUTES.windows(2).all(|w| w[0].name < w[1].name));
        assert!(GST_ATTRIBUTES.iter().all(|a| attribute(a.name) == Some(a)));
    }

    #[test]
    fn values_are_checked_for_type_unit_and_range() {
        let read = |name: &str, value: Value| GstValue::read(attribute(name).unwrap(), &value);
        assert_eq!(read("Availability", "99.95 percent".into()).unwrap().to_string(), "99.95 percent");
        assert_eq!(
            read("Uplink throughput per network slice: Maximum uplink throughput", "20 Mbps".into())
                .unwrap_err()
                .to_string(),
            "\"20 Mbps\" is not a value of `Uplink throughput per network slice: Maximum uplink throughput`; expected a whole number of kbps, such as `100 kbps`"
        );
        assert!(read("Supported device velocity", 4.into()).is_err());
        assert!(read("Delay tolerance", 2.into()).is_err());
        assert!(read("Maximum number of UEs", 5.5.into()).is_err());
    }
}
