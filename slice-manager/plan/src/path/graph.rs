//! The topology by places instead of names, for those who walk it often.

use std::collections::{BTreeSet, HashMap};

use model::resource::{Link, LinkEnd, Node, NodeRole};
use model::{LinkName, NodeName, RiskName};

use crate::refusal::Family;
use crate::underlay::{Underlay, address_of};

/// Nodes and links by their places; places are in the order of names.
pub(crate) struct Graph<'a> {
    nodes: Vec<Vertex<'a>>,
    links: Vec<Line<'a>>,
    places: HashMap<&'a NodeName, usize>,
    link_places: HashMap<&'a LinkName, usize>,
}

struct Vertex<'a> {
    node: &'a Node,
    arcs: Vec<Arc>,
}

/// A link with what paths ask of it.
pub(crate) struct Line<'a> {
    pub(crate) link: &'a Link,
    /// The shorter of the MTUs of its two ports.
    pub(crate) mtu: u16,
    /// Where end `a` is.
    pub(crate) a: usize,
    /// Breaks ties between paths of equal cost and delay in the same way from both ends.
    pub(crate) weight: u64,
    /// Its risks, numbered.
    pub(crate) risks: Vec<u32>,
    /// It seems to be down: paths over it are dearer than all others.
    pub(crate) is_suspect: bool,
    planes: [bool; 3],
}

/// A link as it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arc {
    link: u32,
    to: u32,
}

/// Who forwards what: the links of each address family, and those between nodes that know labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Plane {
    Ipv4,
    Ipv6,
    Mpls,
}

impl Plane {
    /// That of a family's packets.
    pub(crate) const fn of(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }

    pub(crate) const ALL: [Self; 3] = [Self::Ipv4, Self::Ipv6, Self::Mpls];
}

impl<'a> Graph<'a> {
    pub(crate) fn new(underlay: &Underlay<'a>, suspects: &BTreeSet<LinkName>) -> Self {
        let views: Vec<_> = underlay.nodes().collect();
        let mut nodes: Vec<Vertex<'a>> =
            views.iter().map(|view| Vertex { node: view.node, arcs: Vec::new() }).collect();
        let places: HashMap<&NodeName, usize> =
            views.iter().enumerate().map(|(place, view)| (&view.node.name, place)).collect();
        let mut links = Vec::new();
        let mut risks: HashMap<&RiskName, u32> = HashMap::new();
        for link in underlay.links() {
            let ends = [&link.a, &link.b].map(|end| places.get(&end.node).copied());
            let [Some(a), Some(b)] = ends else { continue };
            let ports = [&link.a, &link.b].map(|end| underlay.port(&end.node, &end.port));
            let mtu = ports.iter().map(|view| view.map_or(0, |view| view.port.mtu)).min().unwrap_or_default();
            let place = links.len();
            if let Some(node) = nodes.get_mut(a) {
                node.arcs.push(Arc::new(place, b));
            }
            if let Some(node) = nodes.get_mut(b) {
                node.arcs.push(Arc::new(place, a));
            }
            let has = |family| [&link.a, &link.b].iter().all(|end| address_of(end, family).is_some());
            let labels = [a, b].iter().all(|place| nodes.get(*place).is_some_and(|node| node.node.labels.is_some()));
            let (ipv4, ipv6) = (has(Family::Ipv4), has(Family::Ipv6));
            let planes = [ipv4, ipv6, labels && (ipv4 || ipv6)];
            let numbered = link.srlgs.iter().map(|risk| {
                let next = narrow(risks.len());
                *risks.entry(risk).or_insert(next)
            });
            let risks = numbered.collect();
            let is_suspect = suspects.contains(&link.name);
            links.push(Line { link, mtu, a, weight: weight(link.name.as_str()), risks, is_suspect, planes });
        }
        let link_places = links.iter().enumerate().map(|(place, line)| (&line.link.name, place)).collect();
        Self { nodes, links, places, link_places }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn links(&self) -> &[Line<'a>] {
        &self.links
    }

    pub(crate) fn place(&self, node: &NodeName) -> Option<usize> {
        self.places.get(node).copied()
    }

    pub(crate) fn link_place(&self, link: &LinkName) -> Option<usize> {
        self.link_places.get(link).copied()
    }

    /// By a place that this graph gave.
    pub(crate) fn node(&self, place: usize) -> &'a Node {
        self.nodes[place].node
    }

    /// By a place that this graph gave.
    pub(crate) fn link(&self, place: usize) -> &Line<'a> {
        &self.links[place]
    }

    /// The links of a node, by place.
    pub(crate) fn arcs(&self, node: usize) -> &[Arc] {
        self.nodes.get(node).map_or(&[], |node| &node.arcs)
    }

    /// Does it forward for others?
    pub(crate) fn is_core(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.node.role == NodeRole::Core)
    }

    /// Does the link carry what this plane forwards, drained or not?
    pub(crate) fn carries(&self, link: usize, plane: Plane) -> bool {
        self.links.get(link).is_some_and(|line| line.planes[plane as usize])
    }

    /// The ends of a link, the one at this node first.
    pub(crate) fn ends(&self, node: usize, link: usize) -> (&'a LinkEnd, &'a LinkEnd) {
        let line = self.link(link);
        if line.a == node { (&line.link.a, &line.link.b) } else { (&line.link.b, &line.link.a) }
    }

    /// The place of one direction of a link, entered at this node.
    pub(crate) fn direction(&self, node: usize, link: usize) -> usize {
        link * 2 + usize::from(self.link(link).a != node)
    }
}

impl Arc {
    pub(crate) fn new(link: usize, to: usize) -> Self {
        Self { link: narrow(link), to: narrow(to) }
    }

    /// The place of the link.
    pub(crate) const fn link(self) -> usize {
        self.link as usize
    }

    /// The place of the node to which it leads.
    pub(crate) const fn to(self) -> usize {
        self.to as usize
    }
}

/// A place fits 32 bits: a file of a topology is shorter than that.
pub(crate) fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// FNV-1a of the name, cut so that the sum over any path fits. It depends on nothing but the name, so that a link that
/// is added changes no tie between others.
fn weight(name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01B3));
    (hash >> 24) + 1
}
