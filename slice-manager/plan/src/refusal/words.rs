//! The parts of a refusal, and how they are told.

use std::fmt;
use std::net::IpAddr;

use model::{AffinityName, LinkName, NodeName, RiskName, Vlan};

/// A pool of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// VXLAN network identifiers.
    Vni,
    /// Pairs of UDP ports, named by the even one.
    RadiusPort,
    /// Pairs of functions of SIDs, named by the first.
    SidFunction,
    /// Labels of a node's block.
    Label,
    /// VLANs of a port.
    Vlan,
    /// Numbers of route targets.
    RouteTarget,
}

impl Pool {
    /// Where it stands in a topology.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Vni => "spec.pools.vni",
            Self::RadiusPort => "spec.pools.radiusPorts",
            Self::SidFunction => "spec.pools.sidFunctions",
            Self::Label => "spec.nodes",
            Self::Vlan => "spec.pools.vlans",
            Self::RouteTarget => "spec.pools.routeTargets",
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vni => "VNI",
            Self::RadiusPort => "pair of RADIUS ports",
            Self::SidFunction => "pair of SID functions",
            Self::Label => "label",
            Self::Vlan => "VLAN",
            Self::RouteTarget => "route target number",
        })
    }
}

/// What stands between a slice and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Nodes that it excludes.
    Nodes(Vec<NodeName>),
    /// Links that it excludes.
    Links(Vec<LinkName>),
    /// Affinities that it excludes.
    Affinities(Vec<AffinityName>),
    /// Links that have none of the affinities that it asks for.
    Without(Vec<LinkName>),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(nodes) => write!(f, "{} not excluded", Names(nodes)),
            Self::Links(links) => write!(f, "{} not excluded", Names(links)),
            Self::Affinities(affinities) => write!(f, "affinity {} not excluded", Names(affinities)),
            Self::Without(links) => write!(f, "links without the affinities asked for ({})", Names(links)),
        }
    }
}

/// What two paths share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharedPart {
    /// A link.
    Link(LinkName),
    /// A risk of links of both.
    Risk(RiskName),
    /// A node on the way.
    Node(NodeName),
}

impl fmt::Display for SharedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, "link {link}"),
            Self::Risk(risk) => write!(f, "risk {risk}"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// That of an address.
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::Ipv6 } else { Self::Ipv4 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// Whose an underlay address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressOwner {
    /// The loopback of a node.
    Loopback(NodeName),
    /// The subnet of a link.
    Link(LinkName),
}

impl fmt::Display for AddressOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(node) => write!(f, "the loopback of `{node}`"),
            Self::Link(link) => write!(f, "link `{link}`"),
        }
    }
}

/// Prints names between commas.
pub(super) struct Names<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Names<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(
            |(i, name)| {
                if i == 0 { write!(f, "{name}") } else { write!(f, ", {name}") }
            },
        )
    }
}

/// Prints itself as a refusal has it.
pub(super) struct Of<'a>(pub(super) Option<&'a NodeName>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |node| write!(f, " of {node}"))
    }
}

/// Prints itself as a refusal has it.
pub(super) struct Shared<'a>(pub(super) &'a [SharedPart]);

impl fmt::Display for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("there is no second path that keeps the slice's bounds")
        } else {
            write!(f, "the best pair shares {}", Names(self.0))
        }
    }
}

/// Prints itself as a refusal has it.
pub(super) struct Circuit(pub(super) Option<Vlan>);

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(vlan) => write!(f, "VLAN {vlan}"),
            None => f.write_str("untagged traffic"),
        }
    }
}

/// Prints itself as a refusal has it.
pub(super) struct AtOnce(pub(super) u64);

impl fmt::Display for AtOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " from {} SDPs at once", self.0) } else { Ok(()) }
    }
}

/// Prints itself as a refusal has it.
pub(super) struct Percent(pub(super) u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 100 {
            0 => write!(f, "{} %", self.0 / 100),
            hundredths => write!(f, "{}.{hundredths:02} %", self.0 / 100),
        }
    }
}
