//! The network that slices are laid over: nodes, ports, links, and the pools that the manager allocates from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pool::Pools;
use super::probe::Probes;
use crate::profile::QueueClass;
use crate::{
    AffinityName, InterfaceAddress, Label, Latency, LinkName, Locator, Named, NodeName, PortName, Rate, RiskName,
    Share, TopologyName, UniqueList,
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
    /// How the core forwards what is not pinned to a path.
    #[serde(default)]
    pub underlay: UnderlayKind,
    /// How edges probe their paths.
    #[serde(default)]
    pub probes: Probes,
    /// Edges and core nodes.
    pub nodes: UniqueList<Node>,
    /// Links between their ports.
    pub links: UniqueList<Link>,
}

/// How the core forwards what is not pinned to a path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnderlayKind {
    /// By IP: VXLAN and MPLS over UDP take the core's own routes.
    #[default]
    Ip,
    /// By labels: VXLAN is pinned to its path by labels, too.
    Mpls,
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
    /// The most SIDs that it can push (RFC 9352, section 4.2).
    #[serde(default = "default_sid_depth", deserialize_with = "crate::number::within::<_, _, 1, 0xFF>")]
    #[schemars(range(min = 1))]
    pub sid_depth_max: u8,
    /// The most labels that it can push (RFC 8491, section 2).
    #[serde(default = "default_label_depth", deserialize_with = "crate::number::within::<_, _, 1, 0xFF>")]
    #[schemars(range(min = 1))]
    pub label_depth_max: u8,
    /// How much of their segment list the packets of a path carry that ends here or leads over the node.
    #[serde(default, skip_serializing_if = "Srh::is_reduced")]
    pub srh: Srh,
    /// Who makes it do what the plan says; `agent` for an edge, and `static` for a core node that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
}

impl Node {
    /// How many SIDs a node can push that does not say.
    pub const SID_DEPTH_DEFAULT: u8 = 8;
    /// How many labels a node can push that does not say.
    pub const LABEL_DEPTH_DEFAULT: u8 = 10;

    /// Who makes it do what the plan says.
    pub fn control(&self) -> Control {
        self.control.unwrap_or(match self.role {
            NodeRole::Edge => Control::Agent,
            NodeRole::Core => Control::Static,
        })
    }
}

/// How much of its segment list a packet carries in its segment routing header.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Srh {
    /// All but the first segment, which is the destination address; no header for one segment (RFC 8986, sections 5.2
    /// and 5.4).
    #[default]
    Reduced,
    /// All of it, even if it is one segment (RFC 8986, sections 5.1 and 5.3): for nodes that look the first one up there
    /// or take no packet without the header.
    Full,
}

impl Srh {
    /// Is the first segment left out?
    pub const fn is_reduced(&self) -> bool {
        matches!(self, Self::Reduced)
    }
}

/// Who makes a node do what the plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Our dataplane on the node itself.
    Agent,
    /// The kernel of a Linux box, by our agent on it.
    Linux,
    /// Somebody else, from the manager's listing.
    Static,
}

impl Control {
    /// Does the manager tell it what to do?
    pub const fn is_told(self) -> bool {
        matches!(self, Self::Agent | Self::Linux)
    }
}

const fn default_sid_depth() -> u8 {
    Node::SID_DEPTH_DEFAULT
}

const fn default_label_depth() -> u8 {
    Node::LABEL_DEPTH_DEFAULT
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
    /// What it shares with others that fails for all of them at once: a duct, a power feed.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub srlgs: UniqueList<RiskName>,
    /// Properties that slices may ask for or avoid.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub affinities: UniqueList<AffinityName>,
    /// To be emptied: no path takes it, and those that did are planned anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
    /// The most of the capacity that guarantees of a class may take; all of it where a class is not named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<QueueClass, Share>,
}

/// Is the list empty?
fn is_empty<T>(list: &UniqueList<T>) -> bool {
    list.is_empty()
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

impl Named for RiskName {
    const PLURAL: &'static str = "shared risks";
    fn name(&self) -> &str {
        self.as_str()
    }
}

impl Named for AffinityName {
    const PLURAL: &'static str = "affinities";
    fn name(&self) -> &str {
        self.as_str()
    }
}
