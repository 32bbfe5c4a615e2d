//! Templates: filled generic slice templates (NESTs, GSMA NG.116).

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::FiveQi;
use super::gst::{self, GstAttribute, GstKind, GstValue};
use crate::{ProfileName, Sst};

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its name.
    pub name: ProfileName,
    /// What it says.
    pub spec: TemplateSpec,
}

/// What a template says.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateSpec {
    /// For people.
    pub description: String,
    /// The slice/service type that slices of this template must have.
    pub sst: Sst,
    /// The 5QI of traffic that no rule classifies; one of the template's 5QIs.
    #[serde(rename = "defaultFiveQI")]
    pub default_five_qi: FiveQi,
    /// GST attributes with their values.
    pub attributes: Attributes,
}

/// GST attributes with their values, by name; each is known, of the right type and in the right unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes(BTreeMap<&'static str, GstValue>);

impl Attributes {
    /// The value of an attribute, by its GST name.
    pub fn get(&self, name: &str) -> Option<&GstValue> {
        self.0.get(name)
    }

    /// A whole number, by its GST name.
    pub fn whole(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            GstValue::Whole(value, _) => Some(*value),
            _ => None,
        }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static GstAttribute, &GstValue)> {
        self.0.iter().filter_map(|(name, value)| gst::attribute(name).map(|attribute| (attribute, value)))
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Attributes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("GST attributes by name, such as `Availability: 99.9 percent`")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut attributes = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let (attribute, value) = map.next_value_seed(ValueOf(&name))?;
                    attributes.insert(attribute.name, value);
                }
                Ok(Attributes(attributes))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Reads the value of the attribute of that name. The name is looked up here, not where it is read, so that the error
/// about a name that is none has the name in its path.
struct ValueOf<'a>(&'a str);

impl<'de> serde::de::DeserializeSeed<'de> for ValueOf<'_> {
    type Value = (&'static GstAttribute, GstValue);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let attribute = gst::attribute(self.0).ok_or_else(|| {
            serde::de::Error::custom(format!("`{}` is not a GST attribute; {}", self.0, gst::nearest(self.0)))
        })?;
        let value = serde_json::Value::deserialize(deserializer)?;
        GstValue::read(attribute, &value).map(|value| (attribute, value)).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Attributes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Attributes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let properties: serde_json::Map<String, serde_json::Value> = gst::GST_ATTRIBUTES
            .iter()
            .map(|attribute| (attribute.name.to_owned(), schema_of(attribute.kind)))
            .collect();
        schemars::json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

fn schema_of(kind: GstKind) -> serde_json::Value {
    match kind {
        GstKind::Whole(unit) | GstKind::Decimal(unit) if unit.as_str().is_empty() => {
            serde_json::json!({ "type": "number", "minimum": 0 })
        }
        GstKind::Whole(unit) | GstKind::Decimal(unit) => {
            serde_json::json!({ "type": "string", "pattern": format!("^[0-9]+(\\.[0-9]+)? {}$", unit.as_str()) })
        }
        GstKind::OneOf(max) => serde_json::json!({ "type": "integer", "minimum": 0, "maximum": max }),
        GstKind::SetOf(max) => {
            serde_json::json!({ "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": max } })
        }
        GstKind::Text => serde_json::json!({ "type": "string" }),
        GstKind::Texts => serde_json::json!({ "type": "array", "items": { "type": "string" } }),
    }
}
