//! What a topology's parts must be to one another. All violations are told at once.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use model::plan::{Allocation, SlicePlan};
use model::resource::{
    Control, LinkEnd, Node, NodeRole, Pools, Port, ProbeSpec, Probes, ResourceId, SegmentId, TopologySpec,
};
use model::{LinkName, NodeName, PortName, Prefix, SliceName, TopologyName};

use crate::refusal::{AddressOwner, Family, Pool, Refusal, RefusalReason};

/// Checks a topology by itself, and its pools against the numbers that are kept.
pub(crate) fn check(
    name: &TopologyName,
    topology: &TopologySpec,
    kept: &BTreeMap<SegmentId, Allocation>,
    slices: &BTreeMap<SliceName, SlicePlan>,
) -> Vec<Refusal> {
    let mut checker = Checker {
        topology,
        nodes: topology.nodes.iter().map(|node| (&node.name, node)).collect(),
        resource: ResourceId::Topology(name.clone()),
        refusals: Vec::new(),
    };
    checker.pools(&topology.pools);
    checker.kept(&topology.pools, kept, slices);
    checker.nodes();
    checker.links();
    checker.addresses();
    checker.locators();
    checker.labels();
    checker.refusals
}

struct Checker<'a> {
    topology: &'a TopologySpec,
    nodes: HashMap<&'a NodeName, &'a Node>,
    resource: ResourceId,
    refusals: Vec<Refusal>,
}

impl<'a> Checker<'a> {
    fn refuse(&mut self, path: impl Into<String>, reason: RefusalReason) {
        self.refusals.push(Refusal { resource: self.resource.clone(), path: path.into(), reason });
    }

    fn pools(&mut self, pools: &Pools) {
        let (vni, ports) = (pools.vni, pools.radius_ports);
        for (pool, first, last) in [
            (Pool::Vni, u64::from(vni.first.get()), u64::from(vni.last.get())),
            (Pool::RadiusPort, u64::from(ports.first), u64::from(ports.last)),
            (Pool::SidFunction, u64::from(pools.sid_functions.first), u64::from(pools.sid_functions.last)),
            (Pool::RouteTarget, u64::from(pools.route_targets.first), u64::from(pools.route_targets.last)),
            (Pool::Vlan, u64::from(pools.vlans.first.get()), u64::from(pools.vlans.last.get())),
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
    }

    /// Nothing is renumbered silently.
    fn kept(
        &mut self,
        pools: &Pools,
        segments: &BTreeMap<SegmentId, Allocation>,
        slices: &BTreeMap<SliceName, SlicePlan>,
    ) {
        let (vni, ports, functions) = (pools.vni, pools.radius_ports, pools.sid_functions);
        let mut outside: Vec<(String, String, Pool, u64)> = Vec::new();
        let nodes = self.topology.nodes.iter().enumerate();
        let blocks: BTreeMap<&NodeName, _> =
            nodes.filter_map(|(index, node)| Some((&node.name, (index, node.labels?)))).collect();
        for (segment, allocation) in segments {
            let holder = || format!("segment `{segment}`");
            let mut keep = |path: &str, pool: Pool, number: u64, is_inside: bool| {
                outside.extend((!is_inside).then(|| (path.to_owned(), holder(), pool, number)));
            };
            let port = allocation.access_port;
            let is_inside = (vni.first..=vni.last).contains(&allocation.vni);
            keep(Pool::Vni.path(), Pool::Vni, allocation.vni.get().into(), is_inside);
            keep(Pool::RadiusPort.path(), Pool::RadiusPort, port.into(), (ports.first..ports.last).contains(&port));
            if let Some(function) = allocation.function {
                let is_inside = (functions.first..functions.last).contains(&function);
                keep(Pool::SidFunction.path(), Pool::SidFunction, function.into(), is_inside);
            }
            for ((receiver, _), label) in &allocation.labels {
                if let Some((index, block)) = blocks.get(receiver).copied() {
                    let is_inside = (block.first..=block.last).contains(label);
                    keep(&format!("spec.nodes[{index}].labels"), Pool::Label, label.get().into(), is_inside);
                }
            }
        }
        let targets = pools.route_targets;
        for (slice, plan) in slices {
            if !(targets.first..=targets.last).contains(&plan.number) {
                let pool = Pool::RouteTarget;
                outside.push((pool.path().to_owned(), format!("slice `{slice}`"), pool, plan.number.into()));
            }
        }
        for (path, holder, pool, number) in outside {
            self.refuse(path, RefusalReason::KeptOutsidePool { holder, pool, number });
        }
    }

    fn nodes(&mut self) {
        if let Probes::Stamp(spec) = self.topology.probes
            && spec.interval < ProbeSpec::INTERVAL_MIN
        {
            self.refuse("spec.probes.interval", RefusalReason::ProbesTooOften(spec.interval));
        }
        for (index, node) in self.topology.nodes.iter().enumerate() {
            if node.role == NodeRole::Edge && node.control() != Control::Agent {
                self.refuse(format!("spec.nodes[{index}].control"), RefusalReason::EdgeWithoutAgent);
            }
            if node.control() == Control::Linux {
                self.kernel(index, node);
            }
            if let Some(locator) = node.locator.filter(|locator| locator.prefix().length() > LOCATOR_BITS_MAX) {
                self.refuse(format!("spec.nodes[{index}].locator"), RefusalReason::LocatorTooLong(locator));
            }
        }
    }

    /// What the driver for Linux kernels can't do is refused here rather than by the box.
    fn kernel(&mut self, index: usize, node: &Node) {
        if node.labels.is_some() {
            self.refuse(format!("spec.nodes[{index}].labels"), RefusalReason::LabelsOfKernel);
        }
        for (place, port) in node.ports.iter().enumerate() {
            if port.name.as_str().len() > DEVICE_NAME_OCTETS_MAX {
                let reason = RefusalReason::PortOfKernel(port.name.clone());
                self.refuse(format!("spec.nodes[{index}].ports[{place}].name"), reason);
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
        self.nodes.get(&end.node)?.ports.get(end.port.as_str())
    }

    fn link_end(&mut self, end: &LinkEnd, far: &LinkEnd, path: &str) {
        if !self.nodes.contains_key(&end.node) {
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

    /// No address of ours is a SID of somebody: neither of another node, nor of its own.
    fn sids(&mut self, claims: &[Claim<AddressOwner>]) {
        let topology = self.topology;
        let mut locators: Vec<_> = topology.nodes.iter().filter_map(|node| Some((node.locator?, node))).collect();
        locators.sort_by_key(|(locator, _)| (locator.prefix().address(), locator.prefix().length()));
        for claim in claims {
            let address = claim.prefix.address();
            // Prefixes that nest are refused elsewhere, so that the last one that begins before the address decides.
            let place = locators.partition_point(|(locator, _)| locator.prefix().address() <= address);
            let around = locators.get(place.saturating_sub(1)).into_iter().chain(locators.get(place));
            for (locator, node) in around.filter(|(locator, _)| locator.prefix().overlaps(&claim.prefix)) {
                let is_own = matches!(&claim.owner, AddressOwner::Loopback(owner) if *owner == node.name);
                if !is_own || function(*locator, address) != 0 {
                    let (locator, node) = (*locator, node.name.clone());
                    self.refuse(claim.path.clone(), RefusalReason::AddressIsSid { address, locator, node });
                }
            }
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
        self.sids(&claims);
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

/// The 16 bits behind a locator.
fn function(locator: model::Locator, address: IpAddr) -> u16 {
    let IpAddr::V6(address) = address else { return 0 };
    let octets = address.to_bits() << u32::from(locator.prefix().length().min(LOCATOR_BITS_MAX));
    u16::try_from(octets >> (u128::BITS - u16::BITS)).unwrap_or(u16::MAX)
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
/// What a Linux kernel has room for (IFNAMSIZ, less the end).
const DEVICE_NAME_OCTETS_MAX: usize = 15;
/// Behind a locator a function and an argument of 16 bits each must fit.
const LOCATOR_BITS_MAX: u8 = 128 - 16 - 16;
