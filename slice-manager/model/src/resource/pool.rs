//! The ranges that the manager allocates from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Vlan, Vni};

/// The ranges that the manager allocates from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pools {
    /// VXLAN network identifiers, one for each micro-segment.
    pub vni: VniPool,
    /// UDP ports of the micro-segments' AAA: an even port for access, the odd one after it for accounting.
    pub radius_ports: RadiusPortPool,
    /// Functions of the SIDs that lead into micro-segments: two in a row for each, the same on every edge.
    #[serde(default)]
    pub sid_functions: SidFunctionPool,
    /// Numbers from which the slices' route targets and route distinguishers are made.
    #[serde(default)]
    pub route_targets: RouteTargetPool,
    /// VLANs for SDPs that leave the choice to the manager, on each port anew.
    #[serde(default)]
    pub vlans: VlanPool,
}

/// VNIs from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VniPool {
    /// The first.
    pub first: Vni,
    /// The last.
    pub last: Vni,
}

/// UDP ports from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RadiusPortPool {
    /// The first; even.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1024, 0xFFFF>")]
    #[schemars(range(min = 1024))]
    pub first: u16,
    /// The last; odd.
    pub last: u16,
}

/// SRv6 functions from `first` to `last`, both included; those below 4096 are for nodes and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SidFunctionPool {
    /// The first.
    #[serde(deserialize_with = "crate::number::within::<_, _, 4096, 0xFFFF>")]
    #[schemars(range(min = 4096))]
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl SidFunctionPool {
    /// The lowest function that may lead into a micro-segment.
    pub const FIRST_MIN: u16 = 4096;
}

impl Default for SidFunctionPool {
    fn default() -> Self {
        Self { first: Self::FIRST_MIN, last: u16::MAX }
    }
}

/// Numbers from `first` to `last`, both included: a slice's route target is `asn:number` (RFC 4360, section 4), its
/// route distinguisher on a node `loopback:number` (RFC 4364, section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTargetPool {
    /// The autonomous system.
    pub asn: u16,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Default for RouteTargetPool {
    /// The first autonomous system for private use (RFC 6996, section 5).
    fn default() -> Self {
        Self { asn: 64_512, first: 1, last: u16::MAX }
    }
}

/// VLANs from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VlanPool {
    /// The first.
    pub first: Vlan,
    /// The last.
    pub last: Vlan,
}

impl Default for VlanPool {
    fn default() -> Self {
        Self { first: Vlan::MIN, last: Vlan::MAX }
    }
}
