//! Does it fit? Guaranteed rates against links and access ports, packets with their tunnel headers against MTUs, paths
//! against bounds on delay.
//!
//! Links are booked by the hose model: each SDP may send its guarantee to any other, so over one direction of a link a
//! slice needs its guarantee times the number of SDPs that can send over it, or of those that can be reached over it,
//! whichever is smaller. No traffic that keeps to its guarantees needs more. Capacities count what rates count: the
//! frames of devices, without tunnel headers.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{LinkDirection, Plan};
use model::resource::ResourceId;
use model::{LinkName, NodeName, PortName, Rate, SliceName};

use crate::path::{Route, Routes};
use crate::refusal::{Family, Refusal, RefusalReason};
use crate::underlay::Underlay;
use crate::wish::SliceWish;

/// What is booked on each link in each direction.
pub(crate) type Bookings = BTreeMap<LinkDirection, BTreeMap<SliceName, Rate>>;

/// One direction of a link: its place, and whether it is entered at end `a`.
type Direction = (usize, bool);

/// Books every slice. Slices that need no more than they had come first, so that a newcomer is refused and not one
/// that was there before; what is refused books nothing.
pub(crate) fn book(
    slices: &[SliceWish<'_>],
    underlay: &Underlay<'_>,
    routes: &Routes<'_>,
    parent: &Plan,
    refusals: &mut Vec<Refusal>,
) -> Bookings {
    let before = Before::of(parent);
    let mut demands: Vec<Demand<'_>> = slices.iter().map(|slice| Demand::of(slice, routes)).collect();
    demands.sort_by_key(|demand| (!before.covers(demand, underlay), demand.slice.name));
    let mut links: BTreeMap<Direction, Rate> = BTreeMap::new();
    let mut ports: BTreeMap<(&NodeName, &PortName), Rate> = BTreeMap::new();
    let mut bookings = Bookings::new();
    for demand in demands {
        let found = demand.check(underlay, &links, &ports);
        if !found.is_empty() {
            refusals.extend(found);
            continue;
        }
        for (port, times) in &demand.ports {
            let booked = ports.entry(*port).or_default();
            *booked = booked.saturating_add(demand.guaranteed().saturating_mul(*times));
        }
        for (direction, times) in &demand.links {
            let rate = demand.guaranteed().saturating_mul(*times);
            let booked = links.entry(*direction).or_default();
            *booked = booked.saturating_add(rate);
            if let Some(direction) = name(underlay, *direction).filter(|_| !rate.is_zero()) {
                bookings.entry(direction).or_default().insert(demand.slice.name.clone(), rate);
            }
        }
    }
    bookings
}

fn name(underlay: &Underlay<'_>, (index, from_a): Direction) -> Option<LinkDirection> {
    let link = underlay.link(index)?;
    let from = if from_a { &link.a } else { &link.b };
    Some(LinkDirection { link: link.name.clone(), from: from.node.clone() })
}

/// How many times its guarantee a slice needs, where.
struct Demand<'a> {
    slice: &'a SliceWish<'a>,
    links: BTreeMap<Direction, u64>,
    ports: BTreeMap<(&'a NodeName, &'a PortName), u64>,
}

impl<'a> Demand<'a> {
    fn of(slice: &'a SliceWish<'a>, routes: &Routes<'_>) -> Self {
        // Who can send over the link, and who can be reached over it.
        let mut hoses: BTreeMap<Direction, (BTreeSet<&NodeName>, BTreeSet<&NodeName>)> = BTreeMap::new();
        for (one, other) in slice.pairs().into_keys() {
            for (from, to) in [(one, other), (other, one)] {
                for hop in routes.get(&(from, to)).into_iter().flat_map(|route| &route.hops) {
                    let from_a = hop.near.node == hop.link.a.node;
                    let (sources, sinks) = hoses.entry((hop.index, from_a)).or_default();
                    sources.insert(from);
                    sinks.insert(to);
                }
            }
        }
        let sdps = |edges: &BTreeSet<&NodeName>| edges.iter().map(|edge| slice.sdps_on(edge)).sum::<u64>();
        let links = hoses.iter().map(|(direction, (sources, sinks))| (*direction, sdps(sources).min(sdps(sinks))));
        let mut ports: BTreeMap<_, u64> = BTreeMap::new();
        for sdp in slice.sdps.values().flatten() {
            *ports.entry((&sdp.edge, &sdp.port)).or_default() += 1;
        }
        Self { slice, links: links.collect(), ports }
    }

    fn guaranteed(&self) -> Rate {
        self.slice.derived.limits.guaranteed()
    }

    fn check(
        &self,
        underlay: &Underlay<'_>,
        links: &BTreeMap<Direction, Rate>,
        ports: &BTreeMap<(&NodeName, &PortName), Rate>,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        // Every link that is too full has the same cause: the tightest says what would fit on all of them.
        let tightest = self.links.iter().filter_map(|(direction, times)| {
            let link = underlay.link(direction.0)?;
            let left = link.capacity.saturating_sub(links.get(direction).copied().unwrap_or_default());
            Some((divided(left, *times), &link.name, left, *times))
        });
        if let Some((fits, link, left, times)) = tightest.min()
            && self.guaranteed() > fits
        {
            let reason = RefusalReason::LinkFull { asked: self.guaranteed(), times, link: link.clone(), left, fits };
            refusals.push(self.slice.refusal(self.slice.rate_path("guaranteed"), reason));
        }
        for ((edge, port), times) in &self.ports {
            let Some(rate) = underlay.port(edge, port).map(|view| view.port.rate) else { continue };
            let left = rate.saturating_sub(ports.get(&(*edge, *port)).copied().unwrap_or_default());
            let (fits, ceiling) = (divided(left, *times), self.slice.derived.limits.ceiling());
            if self.guaranteed() > fits {
                let (edge, port, times) = ((*edge).clone(), (*port).clone(), *times);
                let reason = RefusalReason::PortFull { asked: self.guaranteed(), times, edge, port, left, fits };
                refusals.push(self.slice.refusal(self.slice.rate_path("guaranteed"), reason));
            }
            if ceiling > rate {
                let reason =
                    RefusalReason::CeilingAbovePort { ceiling, edge: (*edge).clone(), port: (*port).clone(), rate };
                refusals.push(self.slice.refusal(self.slice.rate_path("ceiling"), reason));
            }
        }
        refusals
    }
}

fn divided(rate: Rate, times: u64) -> Rate {
    Rate::from_bits_per_second(rate.bits_per_second() / times.max(1))
}

/// What slices had in the plan before.
struct Before<'a> {
    links: BTreeMap<(&'a LinkName, &'a NodeName, &'a SliceName), Rate>,
    ports: BTreeMap<(&'a NodeName, &'a PortName, &'a SliceName), Rate>,
}

impl<'a> Before<'a> {
    fn of(parent: &'a Plan) -> Self {
        let links = parent.bookings.iter().flat_map(|(direction, slices)| {
            slices.iter().map(move |(slice, rate)| ((&direction.link, &direction.from, slice), *rate))
        });
        let mut ports: BTreeMap<_, Rate> = BTreeMap::new();
        for (edge, slice) in parent.programs.iter().flat_map(|(e, p)| p.content.slices.iter().map(move |s| (e, s))) {
            for circuit in &slice.circuits {
                let rate = ports.entry((edge, &circuit.port, &slice.slice)).or_default();
                *rate = rate.saturating_add(slice.limits.guaranteed());
            }
        }
        Self { links: links.collect(), ports }
    }

    /// Did the slice have at least as much everywhere?
    fn covers(&self, demand: &Demand<'_>, underlay: &Underlay<'_>) -> bool {
        let needs = |times: &u64| demand.guaranteed().saturating_mul(*times);
        let slice = demand.slice.name;
        demand.links.iter().all(|((index, from_a), times)| {
            let link = underlay.link(*index);
            let had = link.and_then(|link| {
                let from = if *from_a { &link.a.node } else { &link.b.node };
                self.links.get(&(&link.name, from, slice))
            });
            needs(times) <= had.copied().unwrap_or_default()
        }) && demand
            .ports
            .iter()
            .all(|((edge, port), times)| self.ports.get(&(*edge, *port, slice)).is_some_and(|had| needs(times) <= *had))
    }
}

/// Connection, delay, and packet size along every path of a slice.
pub(crate) fn walk(
    slice: &SliceWish<'_>,
    underlay: &Underlay<'_>,
    routes: &Routes<'_>,
    families: &BTreeMap<(&NodeName, &NodeName), Family>,
    refusals: &mut Vec<Refusal>,
) {
    let mut tightest: Option<TightPort<'_>> = access_ports(slice, underlay).min();
    for ((from, to), segment) in slice.pairs() {
        let Some(route) = routes.get(&(from, to)) else {
            let resource = ResourceId::MicroSegment(segment.clone());
            let reason = RefusalReason::NoPath { from: from.clone(), to: to.clone() };
            refusals.push(Refusal { resource, path: "spec.at".to_owned(), reason });
            continue;
        };
        if let Some(bound) = slice.derived.latency.filter(|bound| route.delay > *bound) {
            let (from, to, links) = (from.clone(), to.clone(), route.to_path().links);
            let reason = RefusalReason::PathTooSlow { from, to, links, delay: route.delay, bound };
            refusals.push(slice.refusal(slice.latency_path(), reason));
        }
    }
    for ((from, to), segment) in slice.pairs() {
        let Some(family) = families.get(&(from, to)) else { continue };
        for ends in [(from, to), (to, from)] {
            let Some(route) = routes.get(&ends) else { continue };
            if let Some(hop) = route.hops.first()
                && crate::underlay::address_of(hop.far, *family).is_none()
            {
                let (link, node, segment) = (hop.link.name.clone(), hop.far.node.clone(), segment.clone());
                let resource = ResourceId::MicroSegment(segment.clone());
                let reason = RefusalReason::NoNextHop { link, node, family: *family, segment };
                let refusal = Refusal { resource, path: "spec.at".to_owned(), reason };
                // Every path over the link says the same.
                if !refusals.contains(&refusal) {
                    refusals.push(refusal);
                }
            }
            tightest = tightest.into_iter().chain(route_ports(route, *family, underlay)).min();
        }
    }
    let packet_octets = slice.derived.packet_octets_max;
    if let Some(tight) = tightest
        && packet_octets > tight.fits_octets
    {
        let reason = RefusalReason::PacketTooLong {
            packet_octets,
            needed_octets: u32::from(packet_octets) + u32::from(tight.mtu - tight.fits_octets),
            node: tight.node.clone(),
            port: tight.port.clone(),
            mtu: tight.mtu,
            fits_octets: tight.fits_octets,
        };
        refusals.push(slice.refusal("spec.template", reason));
    }
}

/// The longest packet that a port carries; ordered by it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct TightPort<'a> {
    fits_octets: u16,
    node: &'a NodeName,
    port: &'a PortName,
    mtu: u16,
}

/// Towards devices there is no tunnel.
fn access_ports<'a>(slice: &SliceWish<'a>, underlay: &Underlay<'a>) -> impl Iterator<Item = TightPort<'a>> {
    slice.sdps.values().flatten().filter_map(|sdp| {
        let mtu = underlay.port(&sdp.edge, &sdp.port)?.port.mtu;
        Some(TightPort { fits_octets: mtu, node: &sdp.edge, port: &sdp.port, mtu })
    })
}

fn route_ports<'r>(
    route: &'r Route<'_>,
    family: Family,
    underlay: &'r Underlay<'_>,
) -> impl Iterator<Item = TightPort<'r>> {
    route.hops.iter().flat_map(|hop| [hop.near, hop.far]).filter_map(move |end| {
        let mtu = underlay.port(&end.node, &end.port)?.port.mtu;
        let fits_octets = mtu.saturating_sub(tunnel_octets(family));
        Some(TightPort { fits_octets, node: &end.node, port: &end.port, mtu })
    })
}

/// What VXLAN adds to a layer-3 packet (RFC 7348, section 5): outer IP, UDP, VXLAN, and the inner Ethernet header,
/// whose VLAN tag is taken off.
const fn tunnel_octets(family: Family) -> u16 {
    let ip = match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    };
    ip + 8 + 8 + 14
}
