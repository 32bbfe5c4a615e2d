//! Tunnels, paths and bookings: does what one edge sends arrive at the other, in time, and is there room for it?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use model::plan::{LinkDirection, Path};
use model::program::{PathProgram, Remote, SegmentProgram, Tunnel};
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
                for remote in &program.remotes {
                    let far = edges.get(&remote.edge).copied();
                    found.extend(self.tunnel(id, edge, program, remote, far));
                }
            }
        }
        for (edge, program) in &self.plan.programs {
            for path in &program.content.paths {
                found.extend(self.path_program(edge, &program.content.loopback, path));
            }
        }
        self.errors(found);
    }

    /// Both ends must know the segment by the same, and have the paths that they name.
    fn tunnel(
        &self,
        id: &SegmentId,
        edge: &NodeName,
        program: &SegmentProgram,
        remote: &Remote,
        far: Option<&SegmentProgram>,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let back = far.and_then(|far| far.remotes.iter().find(|back| back.edge == *edge));
        let answers = back.is_some_and(|back| {
            let same = back.working == remote.working && back.backup == remote.backup;
            let tunnels = match (remote.tunnel, back.tunnel) {
                (Tunnel::Vxlan(one), Tunnel::Vxlan(other)) => one == program.vni && one == other,
                _ => false,
            };
            same && tunnels
        });
        if !answers {
            let (segment, edge, remote) = (id.clone(), edge.clone(), remote.edge.clone());
            found.push(Finding::TunnelAsymmetric { segment, edge, remote });
        }
        let paths = self.plan.programs.get(edge).map_or(&[][..], |program| &program.content.paths);
        for path in std::iter::once(remote.working).chain(remote.backup) {
            if !paths.iter().any(|program| program.id == path && program.to == remote.edge) {
                let (segment, edge, remote) = (id.clone(), edge.clone(), remote.edge.clone());
                found.push(Finding::NoSuchPath { segment, edge, remote, path });
            }
        }
        found
    }

    /// From one loopback to another, over a neighbour on the path.
    fn path_program(&self, edge: &NodeName, own: &[IpAddr], program: &PathProgram) -> Vec<Finding> {
        let mut found = Vec::new();
        let PathProgram { id, to, local, remote, port, next_hop, .. } = program;
        let is_loopback = |node: &NodeName, address: &IpAddr| {
            self.nodes.get(node).is_some_and(|node| node.loopback.addresses().any(|own| own == *address))
        };
        let family = local.is_ipv6() == remote.is_ipv6() && local.is_ipv6() == next_hop.is_ipv6();
        if !own.contains(local) || !is_loopback(edge, local) || !is_loopback(to, remote) || !family {
            found.push(Finding::PathEnds { edge: edge.clone(), to: to.clone(), path: *id });
        }
        let path = self.plan.paths.get(&(edge.clone(), to.clone()));
        let first = path.and_then(|path| self.links.get(path.links.first()?));
        let is_neighbour = first.is_some_and(|link| {
            let is_near = |end: &LinkEnd| end.node == *edge && end.port == *port;
            let far = if is_near(&link.a) { Some(&link.b) } else { is_near(&link.b).then_some(&link.a) };
            far.is_some_and(|far| far.addresses.iter().any(|address| address.address() == *next_hop))
        });
        if !is_neighbour {
            let (edge, to, port, next_hop) = (edge.clone(), to.clone(), port.clone(), *next_hop);
            found.push(Finding::NotANeighbour { edge, to, port, next_hop });
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
                    let paths = self.plan.programs.get(*edge).map_or(&[][..], |program| &program.content.paths);
                    let path = paths.iter().find(|path| path.to == remote.edge && path.id == remote.working);
                    let outer = if path.is_some_and(|path| path.remote.is_ipv4()) { 20 } else { 40 };
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
