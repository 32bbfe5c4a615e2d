//! Tunnels, paths and bookings: does what one edge sends arrive at the other, in time, and is there room for it?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use model::plan::{LinkDirection, Path};
use model::program::{Remote, SegmentProgram};
use model::resource::{LinkEnd, NodeRole, SegmentId};
use model::{Latency, LinkName, NodeName, PortName, Rate, SliceName};

use super::numbers::NEARLY_PERCENT;
use super::{Audit, Finding};

impl<'a> Audit<'a> {
    pub(super) fn tunnels(&mut self) {
        let mut found = Vec::new();
        for (id, edges) in &self.segments {
            for (edge, program) in edges {
                let others: Vec<&NodeName> = edges.keys().filter(|other| *other != edge).copied().collect();
                let mut remotes: Vec<&NodeName> = program.remotes.iter().map(|remote| &remote.edge).collect();
                remotes.sort_unstable();
                if remotes != others {
                    found.push(Finding::RemotesDiffer { segment: (*id).clone(), edge: (*edge).clone() });
                }
                let own = self.plan.programs.get(*edge).map_or(&[][..], |program| &program.content.loopback);
                if program.local.map_or(!others.is_empty(), |local| !own.contains(&local)) {
                    found.push(Finding::LocalNotLoopback { segment: (*id).clone(), edge: (*edge).clone() });
                }
                for remote in &program.remotes {
                    let far = edges.get(&remote.edge).copied();
                    found.extend(self.tunnel(id, edge, program, remote, far));
                }
            }
        }
        self.errors(found);
    }

    fn tunnel(
        &self,
        id: &SegmentId,
        edge: &NodeName,
        program: &SegmentProgram,
        remote: &Remote,
        far: Option<&SegmentProgram>,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let answers = far.is_some_and(|far| {
            far.local == Some(remote.address)
                && far.remotes.iter().any(|back| back.edge == *edge && Some(back.address) == program.local)
        });
        if !answers {
            let (segment, edge, remote, address) = (id.clone(), edge.clone(), remote.edge.clone(), remote.address);
            found.push(Finding::TunnelAsymmetric { segment, edge, remote, address });
        }
        let path = self.plan.paths.get(&(edge.clone(), remote.edge.clone()));
        let first = path.and_then(|path| self.links.get(path.links.first()?));
        let is_neighbour = first.is_some_and(|link| {
            let is_near = |end: &LinkEnd| end.node == *edge && end.port == remote.port;
            let far = if is_near(&link.a) { Some(&link.b) } else { is_near(&link.b).then_some(&link.a) };
            far.is_some_and(|far| far.addresses.iter().any(|address| address.address() == remote.next_hop))
        });
        if !is_neighbour || remote.next_hop.is_ipv6() != remote.address.is_ipv6() {
            let (segment, edge) = (id.clone(), edge.clone());
            let (port, next_hop) = (remote.port.clone(), remote.next_hop);
            found.push(Finding::NotANeighbour { segment, edge, port, next_hop });
        }
        found
    }

    pub(super) fn paths(&mut self) {
        let pairs = self.pairs();
        let needed: BTreeSet<_> = pairs.values().flatten().copied().collect();
        for (from, to) in &needed {
            if !self.plan.paths.contains_key(&((*from).clone(), (*to).clone())) {
                self.error(Finding::PathMissing { from: (*from).clone(), to: (*to).clone() });
            }
        }
        for ((from, to), path) in &self.plan.paths {
            if !needed.contains(&(from, to)) {
                self.error(Finding::PathUnwanted { from: from.clone(), to: to.clone() });
            }
            match self.walk(from, to, path) {
                None => self.error(Finding::PathBroken { from: from.clone(), to: to.clone() }),
                Some(expected) if expected != path.delay => {
                    let (from, to, found) = (from.clone(), to.clone(), path.delay);
                    self.error(Finding::PathDelay { from, to, found, expected });
                }
                Some(_) => {}
            }
        }
        for (slice, pairs) in pairs {
            let Some(bound) = self.intents.slices.get(slice).and_then(|spec| self.latency(spec)) else { continue };
            for (from, to) in pairs {
                let path = self.plan.paths.get(&(from.clone(), to.clone()));
                if let Some(delay) = path.map(|path| path.delay).filter(|delay| *delay > bound) {
                    let (from, to, slice) = (from.clone(), to.clone(), slice.clone());
                    self.error(Finding::PathTooSlow { from, to, delay, slice, bound });
                }
            }
        }
    }

    /// Follows a path link by link; the sum of delays if it arrives, and leads through core nodes only.
    fn walk(&self, from: &NodeName, to: &NodeName, path: &Path) -> Option<Latency> {
        let (mut at, mut nanos) = (from, 0_u64);
        for (place, name) in path.links.iter().enumerate() {
            if place > 0 && self.nodes.get(at)?.role != NodeRole::Core {
                return None;
            }
            let link = self.links.get(name)?;
            at = if link.a.node == *at {
                &link.b.node
            } else if link.b.node == *at {
                &link.a.node
            } else {
                return None;
            };
            nanos = nanos.saturating_add(link.delay.as_nanos());
        }
        (at == to && !path.links.is_empty()).then_some(Latency::from_nanos(nanos))
    }

    /// For every link and direction: who may send over it at once, who may receive, and the smaller of the two.
    pub(super) fn bookings(&mut self) {
        let mut expected: BTreeMap<LinkDirection, BTreeMap<&SliceName, u128>> = BTreeMap::new();
        for (slice, pairs) in self.pairs() {
            let mut crossing: HashMap<(&LinkName, &NodeName), BTreeSet<(&NodeName, &NodeName)>> = HashMap::new();
            for pair in &pairs {
                for direction in self.directions(pair.0, pair.1) {
                    crossing.entry(direction).or_default().insert(*pair);
                }
            }
            for ((link, from), pairs) in crossing {
                let sum =
                    |edges: BTreeSet<&NodeName>| -> u128 { edges.iter().map(|edge| self.hose(slice, edge)).sum() };
                let senders = sum(pairs.iter().map(|(from, _)| *from).collect());
                let receivers = sum(pairs.iter().map(|(_, to)| *to).collect());
                let direction = LinkDirection { link: link.clone(), from: from.clone() };
                expected.entry(direction).or_default().insert(slice, senders.min(receivers));
            }
        }
        let none = BTreeMap::new();
        let directions: BTreeSet<&LinkDirection> = self.plan.bookings.keys().chain(expected.keys()).collect();
        let mut found = Vec::new();
        for direction in directions {
            let booked = self.plan.bookings.get(direction).unwrap_or(&none);
            let needs = expected.get(direction);
            let slices: BTreeSet<&SliceName> =
                booked.keys().chain(needs.into_iter().flat_map(|needs| needs.keys().copied())).collect();
            for slice in slices {
                let needed = rate(needs.and_then(|needs| needs.get(slice)).copied().unwrap_or_default());
                let held = booked.get(slice).copied().unwrap_or_default();
                if held != needed {
                    let (slice, direction) = (slice.clone(), direction.clone());
                    found.push(Finding::BookingDiffers { slice, direction, found: held, expected: needed });
                }
            }
            let sum = rate(needs.into_iter().flat_map(BTreeMap::values).sum());
            let capacity = self.links.get(&direction.link).map_or(Rate::ZERO, |link| link.capacity);
            if sum > capacity {
                found.push(Finding::LinkOverbooked { direction: direction.clone(), booked: sum, capacity });
            }
        }
        self.errors(found);
        self.nearly_full(&expected);
    }

    /// What the SDPs of a slice on an edge may send or receive together.
    fn hose(&self, slice: &SliceName, edge: &NodeName) -> u128 {
        self.slices.get(&(slice, edge)).map_or(0, |program| {
            u128::from(program.limits.guaranteed().bits_per_second()) * program.circuits.len() as u128
        })
    }

    /// The links of a path, each with the node from which it is entered.
    fn directions(&self, from: &'a NodeName, to: &NodeName) -> Vec<(&'a LinkName, &'a NodeName)> {
        let mut at = from;
        let mut directions = Vec::new();
        for name in self.plan.paths.get(&(from.clone(), to.clone())).into_iter().flat_map(|path| &path.links) {
            let Some(link) = self.links.get(name).copied() else { continue };
            directions.push((name, at));
            at = if link.a.node == *at { &link.b.node } else { &link.a.node };
        }
        directions
    }

    fn nearly_full(&mut self, expected: &BTreeMap<LinkDirection, BTreeMap<&SliceName, u128>>) {
        let mut fuller: BTreeMap<&LinkName, u128> = BTreeMap::new();
        for (direction, slices) in expected {
            let booked = fuller.entry(&direction.link).or_default();
            *booked = (*booked).max(slices.values().sum());
        }
        for (link, booked) in fuller {
            let capacity = self.links.get(link).map_or(Rate::ZERO, |link| link.capacity);
            if booked * 100 >= u128::from(capacity.bits_per_second()) * u128::from(NEARLY_PERCENT) {
                self.warning(Finding::LinkNearlyFull { link: link.clone(), booked: rate(booked), capacity });
            }
        }
    }

    /// Outer IP, UDP and VXLAN headers and the inner Ethernet header (RFC 7348, section 5) must fit beside the packet.
    pub(super) fn packets(&mut self) {
        let mut tight: BTreeSet<(&SliceName, &NodeName, &PortName)> = BTreeSet::new();
        for (id, edges) in &self.segments {
            for (edge, program) in edges {
                let octets = self.slices.get(&(&id.slice, *edge)).map_or(0, |s| u32::from(s.packet_octets_max));
                for remote in &program.remotes {
                    let outer = if matches!(remote.address, IpAddr::V6(_)) { 40 } else { 20 };
                    let needed = octets + outer + 8 + 8 + 14;
                    for (link, _) in self.directions(edge, &remote.edge) {
                        let ends = self.links.get(link).into_iter().flat_map(|link| [&link.a, &link.b]);
                        let ports = ends.filter(|end| self.mtu(&end.node, &end.port) < needed);
                        tight.extend(ports.map(|end| (&id.slice, &end.node, &end.port)));
                    }
                }
            }
        }
        for ((name, edge), slice) in &self.slices {
            let ports = slice.circuits.iter().map(|circuit| &circuit.port);
            let short = ports.filter(|port| self.mtu(edge, port) < u32::from(slice.packet_octets_max));
            tight.extend(short.map(|port| (*name, *edge, port)));
        }
        for (slice, node, port) in tight {
            let (slice, node, port) = (slice.clone(), node.clone(), port.clone());
            self.error(Finding::PacketTooLong { slice, node, port });
        }
    }

    fn mtu(&self, node: &NodeName, port: &PortName) -> u32 {
        let port = self.nodes.get(node).and_then(|node| node.ports.get(port.as_str()));
        port.map_or(0, |port| u32::from(port.mtu))
    }
}

fn rate(bits: u128) -> Rate {
    Rate::from_bits_per_second(u64::try_from(bits).unwrap_or(u64::MAX))
}
