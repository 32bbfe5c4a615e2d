//! A slice: an S-NSSAI, the service it gives, the SDPs where it is entered, and what it is promised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Latency, Named, NodeName, PortName, ProfileName, RateLimits, SdpName, SliceName, Snssai, UniqueList, Vlan,
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
    /// How long the underlay may take; instead of the template's packet delay budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyObjective>,
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
    pub vlan: Option<Vlan>,
}

impl Named for Sdp {
    const PLURAL: &'static str = "SDPs";
    fn name(&self) -> &str {
        self.name.as_str()
    }
}
