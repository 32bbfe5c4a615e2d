//! Layer-3 slices: the edge is the gateway of each circuit's subnet, and routes between subnets by the slice's own routes.
//!
//! ```text
//!   device ─ frame to the gateway ─ hop limit ─ slice's routes ─┬─ subnet here ─ session that has the address ─ circuit
//!                                                               └─ subnet elsewhere ─ tunnel of the segment
//! ```
//!
//! Two slices may use the same addresses: each has its routes. A packet stays in its segment as frames do: the far end of
//! a route is a session of the same segment that has the address bound, or nobody. Every edge has the same MAC address
//! towards devices, so a gateway is where the device is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::ArrayVec;
use model::{InterfaceAddress, Mac};
use transport_wire::ethernet::{self, EtherType};
use transport_wire::flow::{Flow, Network};
use transport_wire::icmp::error::{self, Cause, IcmpError};
use transport_wire::nd::{Kind, Neighbour};
use transport_wire::{Protocol, arp, ipv4, ipv6};

use crate::drops::DropReason;
use crate::encap::{Inner, Payload};
use crate::forward::{Discovery, Sender, Towards, Way, discovery};
use crate::frame::Frame;
use crate::neighbour::{answer_arp, answer_nd};
use crate::path::Carries;
use crate::pipeline::Pipeline;
use crate::session::Slot;
use crate::tables::{CircuitIndex, SliceSlot};
use crate::transit::{age_ipv4, age_ipv6};
use crate::underlay::reply;

/// Where a route of a slice leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// To a subnet of this circuit.
    Circuit(CircuitIndex),
    /// To another edge, by its number in the slice.
    Edge(u16),
}

/// Where a packet from a device of a layer-3 slice goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Routed {
    /// To the gateway, which answers it.
    Gateway,
    /// To a session on a circuit here.
    Here(Slot, CircuitIndex),
    /// To another edge of the segment.
    Remote(usize),
}

/// The gateway addresses of a circuit.
pub(crate) type Gateways = ArrayVec<InterfaceAddress, GATEWAYS_MAX>;

impl Pipeline {
    /// Where a device's packet goes. Nothing is changed yet.
    pub(crate) fn route(
        &self,
        segment: usize,
        circuit: CircuitIndex,
        flow: &Flow,
        frame: &Frame,
    ) -> Result<Routed, DropReason> {
        let gateways = &self.tables.circuits[usize::from(circuit.0)].gateways;
        let is_gateway = |address: IpAddr| gateways.iter().any(|gateway| gateway.address() == address);
        match flow.network {
            Network::Arp { operation: arp::Operation::REQUEST, target, .. } if is_gateway(target.into()) => {
                return Ok(Routed::Gateway);
            }
            Network::Arp { .. } | Network::Other => return Err(DropReason::NotGateway),
            Network::Ipv4 { .. } | Network::Ipv6 { .. } => {}
        }
        if let Discovery::Neighbour(said) = discovery(flow, frame) {
            let asks = said.kind == Kind::Solicitation && is_gateway(said.target.into());
            return if asks { Ok(Routed::Gateway) } else { Err(DropReason::NotGateway) };
        }
        if flow.destination != GATEWAY_MAC {
            return Err(DropReason::NotGateway);
        }
        let Some((_, to)) = flow.addresses() else { return Err(DropReason::NotGateway) };
        if is_gateway(to) {
            return Ok(Routed::Gateway);
        }
        match self.via(self.tables.segments[segment].slice, to) {
            None => Err(DropReason::NoRoute),
            Some(Via::Circuit(at)) => {
                let owner = self.sessions.owner(self.tables.segments[segment].uid, to);
                owner.map(|to| Routed::Here(to, at)).ok_or(DropReason::NoDestination)
            }
            Some(Via::Edge(edge)) => {
                let place = self.tables.segments[segment].edges.get(usize::from(edge)).copied().flatten();
                place.map(|place| Routed::Remote(usize::from(place))).ok_or(DropReason::NoDestination)
            }
        }
    }

    /// The longest of a slice's routes to an address. Link-local addresses and groups are for nobody behind a router.
    #[inline]
    fn via(&self, slice: SliceSlot, to: IpAddr) -> Option<Via> {
        let routes = self.tables.slices.get(usize::from(slice.0))?.as_ref()?.routes.as_ref()?;
        match to {
            IpAddr::V4(to) if is_routable_ipv4(to) => routes.lookup_ipv4(to),
            IpAddr::V6(to) if is_routable_ipv6(to) => routes.lookup_ipv6(to),
            _ => None,
        }
    }

    /// A device's packet, which has been charged, goes where [`Pipeline::route`] has found.
    pub(crate) fn forward_routed(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        routed: Routed,
        flow: &Flow,
        sender: Sender,
        mut frame: Frame,
    ) {
        if matches!(routed, Routed::Gateway) {
            return self.answer_gateway(way, segment, flow, sender, frame);
        }
        if let Routed::Remote(remote) = routed
            && let Some(mtu) = self.too_big(segment, remote, &frame)
        {
            return self.complain(way, segment, flow, sender, Cause::TooBig { mtu }, (DropReason::TooBig, frame));
        }
        if let Err(reason) = age(flow, &mut frame) {
            return match reason {
                DropReason::HopLimit => {
                    self.complain(way, segment, flow, sender, Cause::TimeExceeded { code: 0 }, (reason, frame));
                }
                _ => self.drop(way, Some(segment), reason, frame),
            };
        }
        match routed {
            Routed::Gateway => {}
            Routed::Here(to, at) => self.deliver_routed(way, segment, to, at, sender, frame),
            Routed::Remote(remote) => {
                let payload = match self.tables.segments[segment].remotes[remote].carries {
                    Carries::Frames => {
                        set_macs(&mut frame, GATEWAY_MAC);
                        Payload::Ethernet
                    }
                    Carries::Packets => {
                        frame.pull_front(ethernet::HEADER_OCTETS);
                        if flow.ethertype == EtherType::IPV4 { Payload::Ipv4 } else { Payload::Ipv6 }
                    }
                };
                let inner = Inner::new(flow, payload, sender.group, sender.mark);
                self.encapsulate(way, segment, Towards { remote, is_flood: false }, inner, frame);
            }
        }
    }

    /// How long a packet may be that goes to another edge, if this one is longer.
    fn too_big(&self, segment: usize, remote: usize, frame: &Frame) -> Option<u32> {
        let remote = &self.tables.segments[segment].remotes[remote];
        let max = remote.lane(&self.tables.probes).octets_max;
        let frame_header = ethernet::HEADER_OCTETS;
        let packet_max = match remote.carries {
            Carries::Frames => usize::from(max).saturating_sub(frame_header),
            Carries::Packets => usize::from(max),
        };
        (frame.len() - frame_header > packet_max).then(|| u32::try_from(packet_max).unwrap_or(u32::MAX))
    }

    /// A packet out of a tunnel: to the session that has the address that is sought, if that is on a subnet here. It never
    /// leads into another tunnel.
    pub(crate) fn arrive_routed(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        (seeks, to): (IpAddr, Option<Slot>),
        sender: Sender,
        mut frame: Frame,
    ) {
        let of_here = Some(segment);
        let Ok(flow) = Flow::parse(frame.octets()) else {
            return self.drop(way, of_here, DropReason::Malformed, frame);
        };
        let Some(Via::Circuit(at)) = self.via(self.tables.segments[segment].slice, seeks) else {
            return self.drop(way, of_here, DropReason::NoRoute, frame);
        };
        let Some(to) = to else {
            return self.drop(way, of_here, DropReason::NoDestination, frame);
        };
        if let Err(reason) = age(&flow, &mut frame) {
            return self.drop(way, of_here, reason, frame);
        }
        self.deliver_routed(way, segment, to, at, sender, frame);
    }

    fn deliver_routed(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        to: Slot,
        at: CircuitIndex,
        sender: Sender,
        mut frame: Frame,
    ) {
        let mac = self.sessions.at(to).mac();
        set_macs(&mut frame, mac);
        // Where it was heard, if it was: a subnet may be on more than one circuit.
        let heard = self.tables.heard_at(self.tables.segments[segment].slice, self.sessions.at(to).seat);
        self.deliver_at(way, segment, to, heard.unwrap_or(at), sender, frame);
    }

    /// What is for the gateway itself: questions for its MAC address, and echo.
    fn answer_gateway(&mut self, way: &mut Way<'_>, segment: usize, flow: &Flow, sender: Sender, mut frame: Frame) {
        let asker = flow.source;
        match flow.network {
            Network::Arp { sender, target, .. } => answer_arp(&mut frame, GATEWAY_MAC, target, (asker, sender)),
            Network::Ipv4 { source, .. } if !source.is_unspecified() => {
                if !reply(&mut frame, flow, GATEWAY_MAC) {
                    return self.drop(way, Some(segment), DropReason::NotServed, frame);
                }
            }
            Network::Ipv6 { source, .. } => match discovery(flow, &frame) {
                Discovery::Neighbour(Neighbour { target, .. }) => {
                    answer_nd(&mut frame, GATEWAY_MAC, target, (asker, source));
                }
                _ => {
                    if !reply(&mut frame, flow, GATEWAY_MAC) {
                        return self.drop(way, Some(segment), DropReason::NotServed, frame);
                    }
                }
            },
            Network::Ipv4 { .. } | Network::Other => {
                return self.drop(way, Some(segment), DropReason::NotServed, frame);
            }
        }
        self.back(way, segment, sender, frame);
    }

    /// Tells a sender why its packet goes no further, and drops that.
    pub(crate) fn complain(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        flow: &Flow,
        sender: Sender,
        cause: Cause,
        (reason, frame): (DropReason, Frame),
    ) {
        if let Some(circuit) = sender.circuit
            && let Some(source) = self.gateway_of(circuit, flow)
            && may_answer(flow, &frame, cause)
            && let Some(mut answer) = self.buffer(way, Some(segment))
        {
            if write_error(&mut answer, flow, &frame, source, cause).is_some() {
                self.back(way, segment, sender, answer);
            } else {
                self.drop(way, Some(segment), DropReason::Malformed, answer);
            }
        }
        self.drop(way, Some(segment), reason, frame);
    }

    /// The circuit's address of the packet's family: of the sender's subnet, if it has one there.
    fn gateway_of(&self, circuit: CircuitIndex, flow: &Flow) -> Option<IpAddr> {
        let (from, _) = flow.addresses()?;
        let gateways = &self.tables.circuits[usize::from(circuit.0)].gateways;
        let same_family = || gateways.iter().filter(|gateway| gateway.address().is_ipv4() == from.is_ipv4());
        let gateway = same_family().find(|gateway| gateway.is_on_link(from)).or_else(|| same_family().next());
        gateway.map(InterfaceAddress::address)
    }

    /// An answer of the edge goes back where the question came from, within the limits of that direction.
    fn back(&mut self, way: &mut Way<'_>, segment: usize, sender: Sender, frame: Frame) {
        let Some(at) = sender.circuit else { return self.consume(way, frame) };
        let octets = frame.len();
        let tables = &mut *self.tables;
        let (here, circuit) = (&mut tables.segments[segment].to_access, &mut tables.circuits[usize::from(at.0)]);
        if !here.admits(way.now, octets) {
            return self.drop(way, Some(segment), DropReason::SegmentRateToAccess, frame);
        }
        if !circuit.to_access.admits(way.now, octets) {
            return self.drop(way, Some(segment), DropReason::SliceRateToAccess, frame);
        }
        here.charge(octets);
        circuit.to_access.charge(octets);
        let circuit = (circuit.port, circuit.vlan);
        self.send_to_device(way, circuit, segment, Sender { is_markable: false, ..sender }, frame);
    }
}

/// Takes one hop from a packet.
#[inline]
fn age(flow: &Flow, frame: &mut Frame) -> Result<(), DropReason> {
    let packet = &mut frame.octets_mut()[usize::from(flow.network_at)..];
    if flow.ethertype == EtherType::IPV4 { age_ipv4(packet) } else { age_ipv6(packet) }
}

/// From the gateway to whom.
#[inline]
fn set_macs(frame: &mut Frame, to: Mac) {
    if let Some(addresses) = frame.octets_mut().first_chunk_mut::<12>() {
        addresses[..6].copy_from_slice(&to.0);
        addresses[6..].copy_from_slice(&GATEWAY_MAC.0);
    }
}

fn may_answer(flow: &Flow, frame: &Frame, cause: Cause) -> bool {
    let packet = &frame.octets()[usize::from(flow.network_at)..];
    let is_group_frame = !flow.destination.is_unicast();
    match flow.network {
        Network::Ipv4 { .. } => {
            ipv4::Packet::new(packet).is_ok_and(|packet| error::may_answer_ipv4(&packet, is_group_frame))
        }
        Network::Ipv6 { .. } => {
            ipv6::Packet::new(packet).is_ok_and(|packet| error::may_answer_ipv6(&packet, is_group_frame, cause))
        }
        Network::Arp { .. } | Network::Other => false,
    }
}

/// Writes the frame of an ICMP error about a packet.
fn write_error(answer: &mut Frame, flow: &Flow, frame: &Frame, source: IpAddr, cause: Cause) -> Option<()> {
    let (to, _) = flow.addresses()?;
    let packet = IcmpError { cause, packet: &frame.octets()[usize::from(flow.network_at)..] };
    let ethernet = ethernet::Header { destination: flow.source, source: GATEWAY_MAC, ethertype: flow.ethertype };
    let header_octets = if to.is_ipv4() { ipv4::HEADER_OCTETS } else { ipv6::HEADER_OCTETS };
    answer.set_len(ethernet::HEADER_OCTETS + header_octets + error::MESSAGE_OCTETS_MAX_IPV6);
    let (ethernet_header, rest) = answer.octets_mut().split_first_chunk_mut()?;
    ethernet.emit(ethernet_header);
    let message_octets = match (source, to) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let (header, rest) = rest.split_first_chunk_mut()?;
            let octets = packet.emit_ipv4(rest.first_chunk_mut()?).len();
            ipv4::Header {
                traffic_class: ERROR_CLASS,
                total_octets: u16::try_from(ipv4::HEADER_OCTETS + octets).ok()?,
                identification: 0,
                dont_fragment: false,
                ttl: ERROR_HOPS,
                protocol: Protocol::ICMP,
                source,
                destination,
            }
            .emit(header);
            octets
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let (header, rest) = rest.split_first_chunk_mut()?;
            let octets = packet.emit_ipv6(source, destination, rest.first_chunk_mut()?).len();
            ipv6::Header {
                traffic_class: ERROR_CLASS,
                flow_label: 0,
                payload_octets: u16::try_from(octets).ok()?,
                next_header: Protocol::ICMPV6,
                hop_limit: ERROR_HOPS,
                source,
                destination,
            }
            .emit(header);
            octets
        }
        _ => return None,
    };
    answer.truncate(ethernet::HEADER_OCTETS + header_octets + message_octets);
    Some(())
}

/// Is it an address that packets are routed to?
const fn is_routable_ipv4(address: Ipv4Addr) -> bool {
    !(address.is_multicast() || address.is_broadcast() || address.is_link_local() || address.is_loopback())
}

const fn is_routable_ipv6(address: Ipv6Addr) -> bool {
    !(address.is_multicast() || address.is_unicast_link_local() || address.is_loopback() || address.is_unspecified())
}

/// The MAC address of every gateway of every edge: locally administered.
pub const GATEWAY_MAC: Mac = Mac([0x02, 0x4d, 0x53, 0, 0, 1]);
/// The most gateway addresses of a circuit.
pub(crate) const GATEWAYS_MAX: usize = 8;
/// Network control (RFC 1812, section 4.3.2.5).
const ERROR_CLASS: u8 = 0xc0;
/// The time to live of an error.
const ERROR_HOPS: u8 = 64;
