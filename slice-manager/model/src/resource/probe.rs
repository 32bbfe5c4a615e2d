//! How edges probe their paths.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Latency;

/// How edges probe their paths; `off` for not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probes {
    /// Not at all: a path counts as up.
    Off,
    /// By STAMP test packets (RFC 8762).
    Stamp(ProbeSpec),
}

impl Default for Probes {
    fn default() -> Self {
        Self::Stamp(ProbeSpec::default())
    }
}

impl Serialize for Probes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str(OFF),
            Self::Stamp(spec) => spec.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Probes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Probes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, or interval, losses and answers")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Probes, E> {
                if text == OFF {
                    Ok(Probes::Off)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Probes, A::Error> {
                ProbeSpec::deserialize(MapAccessDeserializer::new(map)).map(Probes::Stamp)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Probes {
    fn schema_name() -> Cow<'static, str> {
        "Probes".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let spec = generator.subschema_for::<ProbeSpec>();
        schemars::json_schema!({ "oneOf": [{ "const": OFF }, spec] })
    }
}

/// When a path is probed, and when it is up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeSpec {
    /// From one probe of a path to the next; at least a millisecond.
    pub interval: Latency,
    /// So many in a row without an answer, and the path is down.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1, 16>")]
    #[schemars(range(min = 1, max = 16))]
    pub losses: u8,
    /// So many answers in a row, and it is up again.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1, 16>")]
    #[schemars(range(min = 1, max = 16))]
    pub answers: u8,
}

impl ProbeSpec {
    /// The shortest interval.
    pub const INTERVAL_MIN: Latency = Latency::from_nanos(1_000_000);
}

impl Default for ProbeSpec {
    /// A dead path is left within 40 ms, and taken again when it has answered for 160 ms.
    fn default() -> Self {
        Self { interval: Latency::from_nanos(10_000_000), losses: 3, answers: 16 }
    }
}

const OFF: &str = "off";
