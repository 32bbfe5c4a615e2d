//! The network that slices are laid over: nodes, ports, links, and the pools that the manager allocates from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    InterfaceAddress, Label, Latency, LinkName, Locator, Named, NodeName, PortName, Rate, TopologyName, UniqueList, Vni,
};

/// A topology. A manager has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Its name.
    pub name: TopologyName,
    /// What it consists of.
    pub spec: TopologySpec,
}

/// What a topology consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopologySpec {
    /// What may be allocated.
    pub pools: Pools,
    /// Edges and core nodes.
    pub nodes: UniqueList<Node>,
    /// Links between their ports.
    pub links: UniqueList<Link>,
}

/// The ranges that the manager allocates from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pools {
    /// VXLAN network identifiers, one for each micro-segment.
    pub vni: VniPool,
    /// UDP ports of the micro-segments' AAA: an even port for access, the odd one after it for accounting.
    pub radius_ports: RadiusPortPool,
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

/// A node of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub role: NodeRole,
    /// Where it stands; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The addresses by which tunnels reach it.
    #[serde(default)]
    pub loopback: Loopback,
    /// Its ports.
    pub ports: UniqueList<Port>,
    /// The locator that SRv6 SIDs of this node are made from; checked to be its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locator: Option<Locator>,
    /// The labels that this node may hand out; checked to be its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelBlock>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Runs the dataplane, the micro-segments and their AAA.
    Edge,
    /// Forwards the underlay.
    Core,
}

/// Addresses that stay reachable whichever port is down.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loopback {
    /// Over an IPv6 underlay; preferred where both ends have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// Over an IPv4 underlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
}

impl Loopback {
    /// Those that it has, IPv6 first.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        self.ipv6.map(IpAddr::V6).into_iter().chain(self.ipv4.map(IpAddr::V4))
    }
}

/// MPLS labels from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelBlock {
    /// The first.
    pub first: Label,
    /// The last.
    pub last: Label,
}

/// A port of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// Its name.
    pub name: PortName,
    /// How fast it is.
    pub rate: Rate,
    /// The longest layer-3 packet that it carries, in octets.
    #[serde(default = "default_mtu", deserialize_with = "crate::number::within::<_, _, 1280, 0xFFFF>")]
    #[schemars(range(min = 1280))]
    pub mtu: u16,
}

/// The MTU of Ethernet (RFC 894).
fn default_mtu() -> u16 {
    1500
}

/// A link between two ports, the same both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Its name.
    pub name: LinkName,
    /// One end.
    pub a: LinkEnd,
    /// The other.
    pub b: LinkEnd,
    /// What it carries, each way; counted as rates are, in frames of devices without their tunnel headers.
    pub capacity: Rate,
    /// How long a packet takes.
    pub delay: Latency,
    /// Paths prefer the smaller sum.
    #[serde(default = "default_cost", deserialize_with = "crate::number::within::<_, _, 1, 0xFFFF_FFFF>")]
    #[schemars(range(min = 1))]
    pub cost: u32,
}

fn default_cost() -> u32 {
    10
}

/// Where a link ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkEnd {
    /// The node.
    pub node: NodeName,
    /// Its port.
    pub port: PortName,
    /// The port's addresses on this link, at most one of each family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<InterfaceAddress>,
}

impl Named for Node {
    const PLURAL: &'static str = "nodes";
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Named for Port {
    const PLURAL: &'static str = "ports";
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Named for Link {
    const PLURAL: &'static str = "links";
    fn name(&self) -> &str {
        self.name.as_str()
    }
}
