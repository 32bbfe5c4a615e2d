//! The topology, indexed by name, and the rules that its parts must keep among themselves.

mod check;

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::resource::{Link, LinkEnd, Node, NodeRole, Port, TopologySpec};
use model::{NodeName, PortName};

use crate::refusal::Family;

pub(crate) use check::check;

/// A topology in which names lead somewhere. What leads nowhere is left out here and refused by [`check`].
#[derive(Default)]
pub(crate) struct Underlay<'a> {
    nodes: BTreeMap<&'a NodeName, NodeView<'a>>,
    /// The places of nodes in their file.
    places: BTreeMap<&'a NodeName, usize>,
    /// By name: the place of a link here orders it among links.
    links: Vec<&'a Link>,
}

/// A node with its ports by name.
pub(crate) struct NodeView<'a> {
    pub(crate) node: &'a Node,
    pub(crate) ports: BTreeMap<&'a PortName, PortView<'a>>,
}

/// A port, and the link that ends there.
pub(crate) struct PortView<'a> {
    pub(crate) port: &'a Port,
    pub(crate) link: Option<LinkAt<'a>>,
}

/// A link as it is seen from one of its ends.
#[derive(Clone, Copy)]
pub(crate) struct LinkAt<'a> {
    pub(crate) link: &'a Link,
    /// The end from which it is seen.
    pub(crate) near: &'a LinkEnd,
}

impl<'a> Underlay<'a> {
    /// Indexes a topology.
    pub(crate) fn new(topology: &'a TopologySpec) -> Self {
        let mut nodes: BTreeMap<_, _> = topology.nodes.iter().map(|node| (&node.name, NodeView::new(node))).collect();
        let mut links: Vec<&Link> = topology.links.iter().collect();
        links.sort_by_key(|link| &link.name);
        for link in &links {
            for near in [&link.a, &link.b] {
                let port = nodes.get_mut(&near.node).and_then(|node| node.ports.get_mut(&near.port));
                if let Some(port) = port.filter(|port| port.link.is_none()) {
                    port.link = Some(LinkAt { link, near });
                }
            }
        }
        let places = topology.nodes.iter().enumerate().map(|(place, node)| (&node.name, place)).collect();
        Self { nodes, places, links }
    }

    pub(crate) fn node(&self, name: &NodeName) -> Option<&NodeView<'a>> {
        self.nodes.get(name)
    }

    pub(crate) fn port(&self, node: &NodeName, port: &PortName) -> Option<&PortView<'a>> {
        self.node(node)?.ports.get(port)
    }

    /// Nodes by name.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeView<'a>> {
        self.nodes.values()
    }

    /// Links by name.
    pub(crate) fn links(&self) -> impl Iterator<Item = &'a Link> {
        self.links.iter().copied()
    }

    /// Where a node stands in its file.
    pub(crate) fn place_in_file(&self, node: &NodeName) -> usize {
        self.places.get(node).copied().unwrap_or_default()
    }
}

impl<'a> NodeView<'a> {
    fn new(node: &'a Node) -> Self {
        let ports = node.ports.iter().map(|port| (&port.name, PortView { port, link: None })).collect();
        Self { node, ports }
    }

    /// The links that end here, by port.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkAt<'a>> {
        self.ports.values().filter_map(|port| port.link)
    }

    pub(crate) fn is_edge(&self) -> bool {
        self.node.role == NodeRole::Edge
    }

    /// The loopback address of a family.
    pub(crate) fn loopback(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.node.loopback.ipv4.map(IpAddr::V4),
            Family::Ipv6 => self.node.loopback.ipv6.map(IpAddr::V6),
        }
    }
}

/// The address of a family at one end of a link.
pub(crate) fn address_of(end: &LinkEnd, family: Family) -> Option<IpAddr> {
    end.addresses.iter().map(model::InterfaceAddress::address).find(|address| Family::of(*address) == family)
}
