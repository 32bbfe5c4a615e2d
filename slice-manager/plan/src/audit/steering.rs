//! Sends a packet along every path, node by node, by what each node is told, and sees where it goes.
//!
//! What a node is told must be what its own shortest paths are, worked out here once more; and what pins a path may
//! not lead over a node that has two ways of equal cost, between which it would choose by itself.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use model::plan::{PathForm, PathKey};
use model::program::{Adjacency, PathProgram, Steering, TransitBehaviour, TransitProgram};
use model::resource::{Control, Link, Node, NodeRole, TopologySpec};
use model::{Label, LinkName, NodeName, PortName, Prefix, Sid};

use super::{Audit, Finding};

/// What a node does, as far as packets need it.
struct Table<'a> {
    sids: HashMap<Sid, Option<&'a Link>>,
    labels: HashMap<Label, (Option<Label>, &'a Link)>,
    routes: HashMap<Prefix, &'a Link>,
    /// Of prefixes, the longest first.
    lengths: Vec<u8>,
}

/// A packet on its way.
struct Packet {
    /// Where the outer header leads.
    to: IpAddr,
    /// SIDs that are still to come.
    sids: Vec<Sid>,
    /// The top is last.
    labels: Vec<Label>,
}

impl<'a> Audit<'a> {
    pub(super) fn steering(&mut self) {
        let Some(topology) = self.topology else { return };
        let mut tables: HashMap<NodeName, Table<'a>> = HashMap::new();
        let mut found = Vec::new();
        let is_needed = !self.paths.is_empty();
        let has_agent = |node: &NodeName| self.plan.programs.contains_key(node);
        if is_needed || self.nodes.keys().any(|node| self.is_core(node) && has_agent(node)) {
            crate::transit::transit(self.plan, topology, |node, program| {
                match self.table(node, &program) {
                    Some(table) => drop(tables.insert(node.clone(), table)),
                    None => found.push(Finding::TransitAstray(node.clone())),
                }
                let told = self.plan.programs.get(node).map(|told| &told.content.transit);
                // One that nobody of ours tells any more is told to do nothing.
                let is_told =
                    self.nodes.get(node).is_some_and(|node| !matches!(node.control, None | Some(Control::Static)));
                let expected = if is_told { program } else { TransitProgram::default() };
                // Queues are looked at elsewhere.
                let is_other = |told: &TransitProgram| {
                    (&told.sids, &told.labels, &told.routes) != (&expected.sids, &expected.labels, &expected.routes)
                };
                if told.is_some_and(is_other) && !self.is_under_way() {
                    found.push(Finding::OtherTransit(node.clone()));
                }
            });
        }
        let owners = topology.nodes.iter().flat_map(|node| {
            let loopbacks = node.loopback.addresses();
            let loopbacks = loopbacks.filter_map(|own| Prefix::new(own, if own.is_ipv6() { 128 } else { 32 }));
            loopbacks.chain(node.locator.map(|locator| locator.prefix())).map(|prefix| (prefix, &node.name))
        });
        let nodes = self.plan.nodes.iter().filter_map(|(name, numbers)| {
            let name = self.nodes.get_key_value(name).map(|(name, _)| *name)?;
            Some((numbers.index?, name))
        });
        let (owners, nodes) = (owners.collect(), nodes.collect());
        let (places, near) = self.near(topology);
        let mut walker = Walker { audit: self, tables: &tables, costs: HashMap::new(), places, near, owners, nodes };
        for (key, path) in &self.plan.paths {
            for (near, far) in [(&key.a, &key.b), (&key.b, &key.a)] {
                let Some(told) = self.paths.get(&(near, far, key.id)).copied() else {
                    let (edge, to) = (near.clone(), far.clone());
                    found.push(Finding::PathNotTold { edge, to, path: key.id });
                    continue;
                };
                let form = match told.steering {
                    Steering::Ip => PathForm::Ip,
                    Steering::Srv6(_) => PathForm::Srv6,
                    Steering::Mpls(_) => PathForm::Mpls,
                };
                let way = walker.send(near, told);
                let is_along = way.is_some_and(|mut way| {
                    if *near == key.b {
                        way.reverse();
                    }
                    way.iter().copied().eq(&path.links)
                });
                // On the way from one plan to the next a path may lead otherwise; that it leads is looked at there.
                if (!is_along && !self.is_under_way()) || form != path.form {
                    let (edge, to) = (near.clone(), far.clone());
                    found.push(Finding::SteeringAstray { edge, to, path: key.id });
                }
            }
        }
        for (edge, to, id) in self.paths.keys() {
            let (a, b) = ((*edge).min(*to).clone(), (*edge).max(*to).clone());
            if !self.plan.paths.contains_key(&PathKey { a, b, id: *id }) && !self.is_left(edge, to, *id) {
                let (edge, to) = ((*edge).clone(), (*to).clone());
                found.push(Finding::PathUnplanned { edge, to, path: *id });
            }
        }
        self.errors(found);
    }

    /// Which links of each node carry what.
    #[allow(clippy::type_complexity, reason = "two parts of one index")]
    fn near(
        &self,
        topology: &'a TopologySpec,
    ) -> (HashMap<&'a NodeName, usize>, Vec<Vec<(&'a Link, usize, [bool; 3])>>) {
        let places: HashMap<_, _> =
            topology.nodes.iter().enumerate().map(|(place, node)| (&node.name, place)).collect();
        let near = topology.nodes.iter().map(|node| {
            let links = self.ports.get(&node.name).into_iter().flatten();
            let carries = links.filter_map(|(link, far)| {
                let has = |is_ipv6: bool| {
                    let ends = [&link.a, &link.b];
                    ends.iter().all(|end| end.addresses.iter().any(|address| address.address().is_ipv6() == is_ipv6))
                };
                let far = *places.get(*far)?;
                let labels =
                    node.labels.is_some() && topology.nodes[..].get(far).is_some_and(|node| node.labels.is_some());
                Some((*link, far, [has(false), has(true), labels && (has(false) || has(true))]))
            });
            carries.collect()
        });
        let near = near.collect();
        (places, near)
    }

    pub(super) fn is_core(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|node| node.role == NodeRole::Core)
    }

    /// The link that ends at a port, with the node to which it leads, if that is a neighbour with this address there.
    pub(super) fn over(&self, node: &NodeName, port: &PortName, next_hop: IpAddr) -> Option<(&'a Link, &'a NodeName)> {
        let ends =
            self.ports.get(node)?.iter().map(|(link, _)| {
                if link.a.node == *node { (*link, &link.a, &link.b) } else { (*link, &link.b, &link.a) }
            });
        let (link, _, far) = ends.into_iter().find(|(_, near, _)| near.port == *port)?;
        far.addresses.iter().any(|address| address.address() == next_hop).then_some((link, &far.node))
    }

    /// `None` if the program names a neighbour that there is not.
    fn table(&self, node: &NodeName, program: &TransitProgram) -> Option<Table<'a>> {
        let link = |adjacency: &Adjacency| Some(self.over(node, &adjacency.port, adjacency.next_hop)?.0);
        let sids = program.sids.iter().map(|sid| match &sid.behaviour {
            TransitBehaviour::End => Some((sid.sid, None)),
            TransitBehaviour::EndX(adjacency) => Some((sid.sid, Some(link(adjacency)?))),
        });
        let labels = program.labels.iter().map(|label| Some((label.label, (label.swap, link(&label.out)?))));
        let routes: HashMap<Prefix, &Link> =
            program.routes.iter().map(|route| Some((route.prefix, link(&route.via)?))).collect::<Option<_>>()?;
        let mut lengths: Vec<u8> = routes.keys().map(Prefix::length).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        Some(Table { sids: sids.collect::<Option<_>>()?, labels: labels.collect::<Option<_>>()?, routes, lengths })
    }
}

/// The SID that a node makes of a function: locator, function, zeros.
pub(super) fn sid_of(node: &Node, function: u16) -> Option<Ipv6Addr> {
    let prefix = node.locator?.prefix();
    let IpAddr::V6(address) = prefix.address() else { return None };
    let mut octets = address.octets();
    let [high, low] = function.to_be_bytes();
    let place = usize::from(prefix.length());
    // Bit by bit: a locator need not end with an octet.
    for (bit, is_set) in (0..16).map(|bit| (bit, u16::from_be_bytes([high, low]) >> (15 - bit) & 1 == 1)) {
        let at = place + bit;
        if is_set {
            *octets.get_mut(at / 8)? |= 0x80 >> (at % 8);
        }
    }
    Some(Ipv6Addr::from(octets))
}

struct Walker<'w, 'a> {
    audit: &'w Audit<'a>,
    tables: &'w HashMap<NodeName, Table<'a>>,
    /// By the plane and the node to which they lead.
    costs: HashMap<(Kind, usize), Vec<u64>>,
    /// Where each node is.
    places: HashMap<&'a NodeName, usize>,
    /// The links of each node that carry packets, with the places to which they lead.
    near: Vec<Vec<(&'a Link, usize, [bool; 3])>>,
    /// Whose loopback or locator it is.
    owners: HashMap<Prefix, &'a NodeName>,
    /// By their places in label blocks.
    nodes: HashMap<u32, &'a NodeName>,
}

/// Which links carry a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Ipv4,
    Ipv6,
    Labels,
}

impl<'a> Walker<'_, 'a> {
    /// The links over which a packet goes; `None` if it does not arrive as it should.
    fn send(&mut self, from: &NodeName, told: &PathProgram) -> Option<Vec<&'a LinkName>> {
        let audit = self.audit;
        let to: &'a NodeName = audit.nodes.get_key_value(&told.to).map(|(name, _)| *name)?;
        let far = *audit.nodes.get(to)?;
        let mut packet = match &told.steering {
            Steering::Ip => Packet { to: told.remote, sids: Vec::new(), labels: Vec::new() },
            Steering::Srv6(sids) => {
                // The SID of a service follows those of the path.
                let mut sids: Vec<Sid> = sids.iter().copied().rev().collect();
                sids.insert(0, Sid::new(sid_of(far, 4096)?).ok()?);
                Packet { to: IpAddr::V6(sids.pop()?.get()), sids, labels: Vec::new() }
            }
            Steering::Mpls(labels) => {
                Packet { to: told.remote, sids: Vec::new(), labels: labels.iter().copied().rev().collect() }
            }
        };
        let is_labelled = matches!(told.steering, Steering::Mpls(_));
        let is_srv6 = matches!(told.steering, Steering::Srv6(_));
        let first = audit.over(from, &told.port, told.next_hop)?;
        let (mut links, mut at) = (vec![&first.0.name], first.1);
        while at != to {
            if links.len() > HOPS_MAX || !audit.is_core(at) {
                return None;
            }
            let link =
                if is_labelled { self.by_label(at, &mut packet)? } else { self.by_address(at, is_srv6, &mut packet)? };
            if link.drained {
                return None;
            }
            links.push(&link.name);
            at = if link.a.node == *at { &link.b.node } else { &link.a.node };
        }
        let has_arrived = packet.labels.is_empty() && packet.sids.is_empty();
        has_arrived.then_some(links)
    }

    /// A label is that of a node, towards which there may be one best way only, or of a link.
    fn by_label(&mut self, at: &'a NodeName, packet: &mut Packet) -> Option<&'a Link> {
        let label = packet.labels.pop()?;
        let (swap, link) = *self.tables.get(at)?.labels.get(&label)?;
        packet.labels.extend(swap);
        let index = label.get().checked_sub(self.audit.nodes.get(at)?.labels?.first.get());
        if let Some(to) = index.and_then(|index| self.nodes.get(&index).copied()) {
            let best = self.best(Kind::Labels, at, to);
            return matches!(best.as_slice(), [only] if std::ptr::eq(*only, link)).then_some(link);
        }
        Some(link)
    }

    /// Over the best way; where SIDs pin the path, the only one.
    fn by_address(&mut self, at: &'a NodeName, is_srv6: bool, packet: &mut Packet) -> Option<&'a Link> {
        let table = self.tables.get(at)?;
        let own = if let IpAddr::V6(address) = packet.to { Sid::new(address).ok() } else { None };
        if let Some(behaviour) = own.and_then(|sid| table.sids.get(&sid)) {
            packet.to = IpAddr::V6(packet.sids.pop()?.get());
            if let Some(link) = behaviour {
                return Some(link);
            }
        }
        let route = |length: &u8| {
            let prefix = Prefix::new(packet.to, *length)?;
            Some((prefix, *table.routes.get(&prefix)?))
        };
        let (prefix, link) = table.lengths.iter().find_map(route)?;
        let to = *self.owners.get(&prefix)?;
        let best = self.best(if packet.to.is_ipv6() { Kind::Ipv6 } else { Kind::Ipv4 }, at, to);
        let is_best = best.iter().any(|other| std::ptr::eq(*other, link));
        (is_best && (!is_srv6 || best.len() == 1)).then_some(link)
    }

    /// The first links of all ways of least cost.
    fn best(&mut self, kind: Kind, at: &NodeName, to: &NodeName) -> Vec<&'a Link> {
        let (Some(at), Some(to)) = (self.places.get(at).copied(), self.places.get(to).copied()) else {
            return Vec::new();
        };
        if !self.costs.contains_key(&(kind, to)) {
            let costs = self.costs(kind, to);
            self.costs.insert((kind, to), costs);
        }
        let Some(costs) = self.costs.get(&(kind, to)) else { return Vec::new() };
        let is_best = |(link, far): &(&'a Link, usize)| {
            (*far == to || self.forwards(*far)) && costs[*far].checked_add(cost_of(link)) == Some(costs[at])
        };
        self.neighbours(kind, at).filter(is_best).map(|(link, _)| link).collect()
    }

    fn forwards(&self, place: usize) -> bool {
        self.audit
            .topology
            .and_then(|topology| topology.nodes[..].get(place))
            .is_some_and(|node| node.role == NodeRole::Core)
    }

    fn neighbours(&self, kind: Kind, at: usize) -> impl Iterator<Item = (&'a Link, usize)> {
        let near = self.near.get(at).into_iter().flatten();
        near.filter(move |(.., carries)| carries[kind as usize]).map(|(link, far, _)| (*link, *far))
    }

    /// What it costs to come from each node to one; `u64::MAX` where there is no way.
    fn costs(&self, kind: Kind, to: usize) -> Vec<u64> {
        let mut costs = vec![u64::MAX; self.near.len()];
        let mut open = BinaryHeap::from([Reverse((0_u64, to))]);
        while let Some(Reverse((cost, at))) = open.pop() {
            if costs[at] != u64::MAX {
                continue;
            }
            costs[at] = cost;
            if at == to || self.forwards(at) {
                for (link, far) in self.neighbours(kind, at).filter(|(_, far)| costs[*far] == u64::MAX) {
                    open.push(Reverse((cost.saturating_add(cost_of(link)), far)));
                }
            }
        }
        costs
    }
}

/// A link that is drained is dearer than all others, so that it is only taken where there is no other way.
fn cost_of(link: &Link) -> u64 {
    u64::from(link.cost) + if link.drained { 1 << 48 } else { 0 }
}

/// A packet that has come so far will not arrive.
const HOPS_MAX: usize = 255;
