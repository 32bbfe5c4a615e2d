//! What a topology's parts must be to one another. All violations are told at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::plan::Allocation;
use model::resource::{LinkEnd, Node, Pools, Port, ResourceId, SegmentId, TopologySpec};
use model::{LinkName, NodeName, PortName, Prefix, TopologyName};

use crate::refusal::{AddressOwner, Family, Pool, Refusal, RefusalReason};

/// Checks a topology by itself, and its pools against the numbers that are kept.
pub(crate) fn check(
    name: &TopologyName,
    topology: &TopologySpec,
    kept: &BTreeMap<SegmentId, Allocation>,
) -> Vec<Refusal> {
    let mut checker = Checker { topology, resource: ResourceId::Topology(name.clone()), refusals: Vec::new() };
    checker.pools(&topology.pools, kept);
    checker.links();
    checker.addresses();
    checker.locators();
    checker.labels();
    checker.refusals
}

struct Checker<'a> {
    topology: &'a TopologySpec,
    resource: ResourceId,
    refusals: Vec<Refusal>,
}

impl<'a> Checker<'a> {
    fn refuse(&mut self, path: impl Into<String>, reason: RefusalReason) {
        self.refusals.push(Refusal { resource: self.resource.clone(), path: path.into(), reason });
    }

    fn pools(&mut self, pools: &Pools, kept: &BTreeMap<SegmentId, Allocation>) {
        let (vni, ports) = (pools.vni, pools.radius_ports);
        for (pool, first, last) in [
            (Pool::Vni, u64::from(vni.first.get()), u64::from(vni.last.get())),
            (Pool::RadiusPort, u64::from(ports.first), u64::from(ports.last)),
        ] {
            if first > last {
                self.refuse(pool.path(), RefusalReason::PoolReversed { pool, first, last });
            }
        }
        let path = |field: &str| format!("{}.{field}", Pool::RadiusPort.path());
        if ports.first < SYSTEM_PORTS_END {
            self.refuse(path("first"), RefusalReason::SystemPort(ports.first));
        }
        if !ports.first.is_multiple_of(2) {
            self.refuse(path("first"), RefusalReason::OddFirstPort(ports.first));
        }
        if ports.last.is_multiple_of(2) {
            self.refuse(path("last"), RefusalReason::EvenLastPort(ports.last));
        }
        for (segment, allocation) in kept {
            let port = allocation.access_port;
            let outside = [
                (Pool::Vni, u64::from(allocation.vni.get()), (vni.first..=vni.last).contains(&allocation.vni)),
                (Pool::RadiusPort, u64::from(port), (ports.first..ports.last).contains(&port)),
            ];
            for (pool, number, _) in outside.into_iter().filter(|(.., inside)| !inside) {
                let reason = RefusalReason::KeptOutsidePool { segment: segment.clone(), pool, number };
                self.refuse(pool.path(), reason);
            }
        }
    }

    fn links(&mut self) {
        let mut taken: BTreeMap<(&NodeName, &PortName), &LinkName> = BTreeMap::new();
        for (index, link) in self.topology.links.iter().enumerate() {
            let path = format!("spec.links[{index}]");
            if link.a.node == link.b.node {
                self.refuse(format!("{path}.b.node"), RefusalReason::LinkToItself(link.b.node.clone()));
            }
            for (end, far, side) in [(&link.a, &link.b, "a"), (&link.b, &link.a, "b")] {
                if let Some(port) = self.port(end).filter(|port| link.capacity > port.rate) {
                    let (node, capacity, rate) = (end.node.clone(), link.capacity, port.rate);
                    let reason = RefusalReason::LinkAbovePort { capacity, node, port: port.name.clone(), rate };
                    self.refuse(format!("{path}.capacity"), reason);
                }
                let path = format!("{path}.{side}");
                if let Some(other) = taken.insert((&end.node, &end.port), &link.name) {
                    let (node, port, link) = (end.node.clone(), end.port.clone(), other.clone());
                    self.refuse(format!("{path}.port"), RefusalReason::PortInTwoLinks { node, port, link });
                }
                self.link_end(end, far, &path);
            }
        }
    }

    fn port(&self, end: &LinkEnd) -> Option<&'a Port> {
        self.topology.nodes.get(end.node.as_str())?.ports.get(end.port.as_str())
    }

    fn link_end(&mut self, end: &LinkEnd, far: &LinkEnd, path: &str) {
        if self.topology.nodes.get(end.node.as_str()).is_none() {
            return self.refuse(format!("{path}.node"), RefusalReason::UnknownNode(end.node.clone()));
        }
        if self.port(end).is_none() {
            let (node, port) = (end.node.clone(), end.port.clone());
            self.refuse(format!("{path}.port"), RefusalReason::UnknownPort { node, port });
        }
        for (index, address) in end.addresses.iter().enumerate() {
            let path = format!("{path}.addresses[{index}]");
            let family = Family::of(address.address());
            if end.addresses[..index].iter().any(|other| Family::of(other.address()) == family) {
                self.refuse(path.clone(), RefusalReason::SecondOfFamily(family));
            }
            self.unicast(&path, address.address());
            let neighbour = |other: &model::InterfaceAddress| {
                address.address() != other.address()
                    && address.length() == other.length()
                    && address.is_on_link(other.address())
            };
            if !far.addresses.iter().any(neighbour) {
                self.refuse(path, RefusalReason::NotOnLink { address: *address, node: far.node.clone() });
            }
        }
    }

    fn unicast(&mut self, path: &str, address: IpAddr) {
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || broadcast {
            self.refuse(path, RefusalReason::NotUnicast(address));
        }
    }

    /// Loopbacks and the subnets of links are pairwise apart.
    fn addresses(&mut self) {
        let mut claims: Vec<Claim<AddressOwner>> = Vec::new();
        for (index, node) in self.topology.nodes.iter().enumerate() {
            let path = format!("spec.nodes[{index}].loopback");
            for address in node.loopback.addresses() {
                let path = format!("{path}.{}", if address.is_ipv6() { "ipv6" } else { "ipv4" });
                self.unicast(&path, address);
                let prefix = Prefix::new(address, if address.is_ipv6() { 128 } else { 32 });
                claims.extend(prefix.map(|prefix| Claim {
                    prefix,
                    path,
                    owner: AddressOwner::Loopback(node.name.clone()),
                }));
            }
        }
        for (index, link) in self.topology.links.iter().enumerate() {
            // The ends of a link share their subnets, so one end stands for both.
            for (at, address) in link.a.addresses.iter().enumerate() {
                claims.extend(Prefix::new(address.address(), address.length()).map(|prefix| Claim {
                    prefix,
                    path: format!("spec.links[{index}].a.addresses[{at}]"),
                    owner: AddressOwner::Link(link.name.clone()),
                }));
            }
        }
        for (claim, other) in overlaps(&claims) {
            let (prefix, other, owner) = (claim.prefix, other.prefix, other.owner.clone());
            self.refuse(claim.path.clone(), RefusalReason::AddressOverlap { prefix, other, owner });
        }
    }

    fn locators(&mut self) {
        let claims: Vec<Claim<&'a Node>> = self
            .topology
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(index, node)| {
                let path = format!("spec.nodes[{index}].locator");
                node.locator.map(|locator| Claim { prefix: locator.prefix(), path, owner: node })
            })
            .collect();
        for (claim, other) in overlaps(&claims) {
            if let (Some(locator), Some(other_locator)) = (claim.owner.locator, other.owner.locator) {
                let node = other.owner.name.clone();
                let reason = RefusalReason::LocatorOverlap { locator, other: other_locator, node };
                self.refuse(claim.path.clone(), reason);
            }
        }
    }

    fn labels(&mut self) {
        let nodes = self.topology.nodes.iter().enumerate();
        let mut blocks: Vec<_> = nodes.filter_map(|(index, node)| Some((node.labels?, index, &node.name))).collect();
        blocks.sort_by_key(|(block, index, _)| (block.first, *index));
        let mut highest: Option<(model::Label, &NodeName)> = None;
        for (block, index, node) in blocks {
            let (path, first, last) = (format!("spec.nodes[{index}].labels"), block.first, block.last);
            if first > last {
                self.refuse(path, RefusalReason::LabelsReversed { first, last });
                continue;
            }
            match highest {
                Some((end, other)) if first <= end => {
                    self.refuse(path, RefusalReason::LabelsOverlap { first, last, node: other.clone() });
                    highest = Some(if last > end { (last, node) } else { (end, other) });
                }
                _ => highest = Some((last, node)),
            }
        }
    }
}

/// A prefix that somebody claims for itself.
struct Claim<T> {
    prefix: Prefix,
    path: String,
    owner: T,
}

/// Each claim that lies within, or is the same as, another, with the widest such. Prefixes nest or are apart, so in
/// sorted order a claim can only lie within the last one that was not itself inside another.
fn overlaps<T>(claims: &[Claim<T>]) -> Vec<(&Claim<T>, &Claim<T>)> {
    let mut sorted: Vec<&Claim<T>> = claims.iter().collect();
    sorted.sort_by_key(|claim| (claim.prefix.address(), claim.prefix.length()));
    let mut outer: Option<&Claim<T>> = None;
    let mut found = Vec::new();
    for claim in sorted {
        match outer {
            Some(outer) if outer.prefix.overlaps(&claim.prefix) => found.push((claim, outer)),
            _ => outer = Some(claim),
        }
    }
    found
}

/// Ports below this are the system's (RFC 6335, section 6).
const SYSTEM_PORTS_END: u16 = 1024;
