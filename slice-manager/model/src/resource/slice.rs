//! A slice: an S-NSSAI, the service it gives, the SDPs where it is entered, and what it is promised.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::program::SessionRates;
use crate::{
    AffinityName, InterfaceAddress, Latency, LinkName, Named, NodeName, PortName, ProfileName, RateLimits, SdpName,
    SliceName, Snssai, UniqueList, Vlan, Weight,
};

/// A network slice service (RFC 9543).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Its name.
    pub name: SliceName,
    /// What it is.
    pub spec: SliceSpec,
}

/// What a slice is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SliceSpec {
    /// The template (NEST) that says what is not said here.
    pub template: ProfileName,
    /// Which slice it is to the 5G system; unique in a manager.
    pub snssai: Snssai,
    /// What its SDPs are to one another.
    #[serde(default)]
    pub service: Service,
    /// How its packets cross the underlay.
    #[serde(default)]
    pub transport: Transport,
    /// What each SDP is guaranteed and what it may not exceed, each way; instead of the template's throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateLimits>,
    /// Its share of what the guarantees of slices leave over, where it meets others; 1 if left out.
    #[serde(default, skip_serializing_if = "Weight::is_one")]
    pub weight: Weight,
    /// What each session may send and receive; each instead of the template's throughput of a UE.
    #[serde(default, skip_serializing_if = "SessionRates::is_unbound")]
    pub session_rates: SessionRates,
    /// How long the underlay may take; instead of the template's packet delay budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyObjective>,
    /// Where its paths may lead, and what stands ready when one fails.
    #[serde(default, skip_serializing_if = "PathPolicy::is_default")]
    pub paths: PathPolicy,
    /// Where it is entered.
    pub sdps: UniqueList<Sdp>,
}

/// What the SDPs of a slice are to one another.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// A line between two SDPs.
    #[serde(rename = "l2-point-to-point")]
    L2PointToPoint,
    /// A LAN.
    #[default]
    #[serde(rename = "l2-multipoint")]
    L2Multipoint,
    /// A routed network.
    #[serde(rename = "l3")]
    L3,
}

impl Service {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L2PointToPoint => "l2-point-to-point",
            Self::L2Multipoint => "l2-multipoint",
            Self::L3 => "l3",
        }
    }
}

/// How packets cross the underlay.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Segment routing over IPv6 (RFC 8986).
    Srv6,
    /// Label switching (RFC 3031).
    Mpls,
    /// VXLAN (RFC 7348).
    #[default]
    Vxlan,
}

impl Transport {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Srv6 => "srv6",
            Self::Mpls => "mpls",
            Self::Vxlan => "vxlan",
        }
    }
}

/// A bound on latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyObjective {
    /// No path of the slice may be longer.
    pub max: Latency,
}

/// Where the paths of a slice may lead, and what stands ready when one fails.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PathPolicy {
    /// Core nodes that no path leads over.
    #[serde(skip_serializing_if = "is_empty")]
    pub exclude_nodes: UniqueList<NodeName>,
    /// Links that no path leads over.
    #[serde(skip_serializing_if = "is_empty")]
    pub exclude_links: UniqueList<LinkName>,
    /// Each link has at least one of these; any link will do if none is named.
    #[serde(skip_serializing_if = "is_empty")]
    pub include_affinities: UniqueList<AffinityName>,
    /// No link has one of these.
    #[serde(skip_serializing_if = "is_empty")]
    pub exclude_affinities: UniqueList<AffinityName>,
    /// What a backup path may not share with the working one. If left out: no risk, where there is such a path, and
    /// none where there isn't. What is asked for by name must be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupMode>,
}

impl PathPolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a backup path may not share with the working one. Each asks for all that those before it ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackupMode {
    /// There is no backup path.
    None,
    /// A link.
    Link,
    /// A shared risk.
    Srlg,
    /// A node on the way.
    Node,
}

impl BackupMode {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Link => "link",
            Self::Srlg => "srlg",
            Self::Node => "node",
        }
    }
}

fn is_empty<T>(list: &UniqueList<T>) -> bool {
    list.is_empty()
}

/// A service demarcation point: where an attachment circuit meets the slice on an edge (RFC 9543).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sdp {
    /// Its name.
    pub name: SdpName,
    /// The edge.
    pub edge: NodeName,
    /// The edge's port.
    pub port: PortName,
    /// The 802.1Q VLAN on that port; untagged frames if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<SdpVlan>,
    /// Endpoints of leaf SDPs can't reach one another (RFC 7796).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaf: bool,
    /// Of an l3 slice: the edge's own addresses there, each with the subnet that it is on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<InterfaceAddress>,
}

/// Which VLAN an SDP has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SdpVlan {
    /// Whichever is free on the port: the manager chooses and keeps to it.
    Auto,
    /// This one.
    Id(Vlan),
}

impl Serialize for SdpVlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Id(vlan) => vlan.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SdpVlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = SdpVlan;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a VLAN identifier: a whole number from {} to {}, or `{AUTO}`", Vlan::MIN, Vlan::MAX)
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<SdpVlan, E> {
                Vlan::new(value).map(SdpVlan::Id).map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SdpVlan, E> {
                if text == AUTO {
                    Ok(SdpVlan::Auto)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for SdpVlan {
    fn schema_name() -> Cow<'static, str> {
        "SdpVlan".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let vlan = generator.subschema_for::<Vlan>();
        schemars::json_schema!({ "oneOf": [{ "const": AUTO }, vlan] })
    }
}

impl Named for Sdp {
    const PLURAL: &'static str = "SDPs";
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Named for LinkName {
    const PLURAL: &'static str = "links";
    fn name(&self) -> &str {
        self.as_str()
    }
}

const AUTO: &str = "auto";
