//! Where frames go in the end: to a session on this edge, into a tunnel, or into a drop counter.

use std::net::IpAddr;

use model::Mac;
use transport_wire::arp;
use transport_wire::ethernet::{self, EtherType};
use transport_wire::flow::{Flow, Network, Upper};
use transport_wire::icmp::Message;
use transport_wire::nd::{self, Kind, Neighbour};
use transport_wire::{Layer, Protocol, ipv6};

use crate::drops::DropReason;
use crate::encap::{Group, Inner, Mark, Payload};
use crate::frame::{Frame, FramePool};
use crate::meter::Nanos;
use crate::pipeline::Pipeline;
use crate::port::{Outputs, PortIndex};
use crate::session::{FLOOD_COPIES_MAX, Slot};
use crate::tables::CircuitIndex;
use crate::trees::{LINK_OCTETS, Waits};

/// Everything that a frame's way needs beside the pipeline itself.
pub(crate) struct Way<'a> {
    pub(crate) now: Nanos,
    /// Where the frame arrived.
    pub(crate) port: PortIndex,
    pub(crate) pool: &'a mut FramePool,
    pub(crate) out: &'a mut Outputs,
}

/// Who sends a frame of a segment, and how it is treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    /// The circuit that it came in by, if it came from a device.
    pub(crate) circuit: Option<CircuitIndex>,
    pub(crate) group: Group,
    pub(crate) mark: Mark,
    /// Can congestion be marked in it?
    pub(crate) is_markable: bool,
}

/// What became of a flood towards sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flooded {
    /// It was a question about the address of a session here; nobody else can answer.
    ToOwner,
    /// So many copies were made.
    Copies(usize),
}

impl Pipeline {
    /// Counts why a frame goes no further, and takes its buffer back.
    #[inline]
    pub(crate) fn drop(&mut self, way: &mut Way<'_>, segment: Option<usize>, reason: DropReason, frame: Frame) {
        self.count_drop(way.port, segment, reason);
        way.pool.give(frame);
    }

    #[inline]
    pub(crate) fn count_drop(&mut self, port: PortIndex, segment: Option<usize>, reason: DropReason) {
        self.counters[port.get()].drops.count(reason);
        if let Some(segment) = segment {
            self.tables.segments[segment].drop(port, reason);
        }
    }

    /// A frame was for the edge itself, or its copies have gone where they should.
    #[inline]
    pub(crate) fn consume(&mut self, way: &mut Way<'_>, frame: Frame) {
        way.pool.give(frame);
        self.consumed += 1;
    }

    /// A frame of the edge itself leaves by a port, past what waits there, and takes its time from it: such frames are few,
    /// and without them there would be no path.
    #[inline]
    pub(crate) fn send(&mut self, way: &mut Way<'_>, to: PortIndex, segment: Option<usize>, frame: Frame) {
        if !self.others.has_port(to) {
            return self.hand_sent(way, to, segment, frame);
        }
        let octets = frame.len();
        match way.out.push(to, frame) {
            Ok(()) => {
                self.counters[to.get()].sent.count(octets);
                let octets = u32::try_from(octets).unwrap_or(u32::MAX).saturating_add(LINK_OCTETS);
                self.trees[to.get()].shaper.charge(way.now, octets);
            }
            Err(frame) => self.drop(way, segment, DropReason::OutputFull, frame),
        }
    }

    /// A buffer for a frame that did not arrive. Without one, that is counted.
    pub(crate) fn buffer(&mut self, way: &mut Way<'_>, segment: Option<usize>) -> Option<Frame> {
        self.generated += 1;
        let frame = way.pool.take();
        if frame.is_none() {
            self.count_drop(way.port, segment, DropReason::NoBuffer);
        }
        frame
    }

    /// A copy of a frame, for a flood.
    pub(crate) fn copy(&mut self, way: &mut Way<'_>, segment: usize, frame: &Frame) -> Option<Frame> {
        let mut copy = self.buffer(way, Some(segment))?;
        copy.copy_from(frame.octets());
        Some(copy)
    }

    /// An untagged frame of a segment goes to a session of the same segment on this edge.
    #[inline]
    pub(crate) fn deliver(&mut self, way: &mut Way<'_>, segment: usize, to: Slot, from: Sender, frame: Frame) {
        let slice = self.tables.segments[segment].slice;
        let Some(at) = self.tables.circuit_of(slice, self.sessions.at(to).seat) else {
            return self.drop(way, Some(segment), DropReason::CircuitUnknown, frame);
        };
        self.deliver_at(way, segment, to, at, from, frame);
    }

    /// The same, to a session on this circuit.
    #[inline]
    pub(crate) fn deliver_at(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        to: Slot,
        at: CircuitIndex,
        from: Sender,
        frame: Frame,
    ) {
        let tables = &mut *self.tables;
        if from.circuit == Some(at) {
            return self.drop(way, Some(segment), DropReason::Hairpin, frame);
        }
        let octets = frame.len();
        let circuit = &mut tables.circuits[usize::from(at.0)];
        if circuit.leaf && from.group == Group::LEAF {
            return self.drop(way, Some(segment), DropReason::LeafToLeaf, frame);
        }
        if octets - ethernet::HEADER_OCTETS > usize::from(circuit.packet_octets_max) {
            return self.drop(way, Some(segment), DropReason::TooBig, frame);
        }
        // Both limits must have room before either is charged.
        let here = &mut tables.segments[segment];
        if !here.to_access.admits(way.now, octets) {
            return self.drop(way, Some(segment), DropReason::SegmentRateToAccess, frame);
        }
        if !circuit.to_access.admits(way.now, octets) {
            return self.drop(way, Some(segment), DropReason::SliceRateToAccess, frame);
        }
        if let Some(limit) = &circuit.session_to
            && !self.sessions.admits_to(to, limit, way.now, octets)
        {
            return self.drop(way, Some(segment), DropReason::SessionRateToAccess, frame);
        }
        here.to_access.charge(octets);
        circuit.to_access.charge(octets);
        self.sessions.count_to(to, octets);
        let (port, vlan) = (circuit.port, circuit.vlan);
        self.send_to_device(way, (port, vlan), segment, from, frame);
    }

    /// A frame without tag waits for its turn on a circuit.
    #[inline]
    pub(crate) fn send_to_device(
        &mut self,
        way: &mut Way<'_>,
        (port, vlan): (PortIndex, u16),
        segment: usize,
        from: Sender,
        mut frame: Frame,
    ) {
        let octets = frame.len();
        if vlan != 0 {
            push_tag(&mut frame, vlan);
        }
        let (front, is_markable) = (frame.len() - octets, from.is_markable);
        let waits = Waits { queue: self.tables.segments[segment].queue, class: from.mark.class, front, is_markable };
        self.queue(way, port, Some(segment), waits, frame);
    }

    /// A flooded frame goes to the sessions of its segment on this edge, one copy each with the session's own address as
    /// destination; the frame itself is left. A question about an address goes to its owner, and else to those only that
    /// might have it without its being bound. What a leaf sends to all is not for leaves.
    pub(crate) fn flood_sessions(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        flow: &Flow,
        from: Sender,
        frame: &Frame,
    ) -> Flooded {
        let here = &self.tables.segments[segment];
        let (uid, slice, members) = (here.uid, here.slice, here.members);
        let asked = asked_for(flow, frame);
        if let Some(owner) = asked.and_then(|address| self.sessions.owner(uid, address)) {
            if self.sessions.at(owner).mac() != flow.source {
                self.flood_copy(way, segment, owner, from, frame);
            }
            return Flooded::ToOwner;
        }
        // Where all sessions share the circuit that the frame came from, the access network has shown it to all of them.
        if from.circuit.is_some() && self.tables.circuits_of(slice).len() == 1 {
            return Flooded::Copies(0);
        }
        let (mut copies, mut seen, mut at) = (0, 0, None);
        while let Some(slot) = self.sessions.member(&members, at) {
            at = Some(slot);
            let session = self.sessions.at(slot);
            // Members without bound address come first.
            if matches!(asked, Some(IpAddr::V4(_))) && !session.is_open() {
                break;
            }
            seen += 1;
            if copies == FLOOD_COPIES_MAX || seen > FLOOD_MEMBERS_MAX {
                self.generated += 1;
                self.count_drop(way.port, Some(segment), DropReason::FloodLimit);
                break;
            }
            let can_have_it = !matches!(asked, Some(IpAddr::V6(_))) || session.is_open() || session.has_ipv6();
            let seat = self.tables.circuit_of(slice, session.seat);
            let has_seen_it = from.circuit.is_some() && seat == from.circuit;
            let are_leaves = from.group == Group::LEAF
                && seat.is_some_and(|circuit| self.tables.circuits[usize::from(circuit.0)].leaf);
            if can_have_it && !has_seen_it && !are_leaves && session.mac() != flow.source {
                copies += 1;
                self.flood_copy(way, segment, slot, from, frame);
            }
        }
        Flooded::Copies(copies)
    }

    fn flood_copy(&mut self, way: &mut Way<'_>, segment: usize, to: Slot, from: Sender, frame: &Frame) {
        if let Some(mut copy) = self.copy(way, segment, frame) {
            let mac = self.sessions.at(to).mac();
            copy.octets_mut()[..mac.0.len()].copy_from_slice(&mac.0);
            self.deliver(way, segment, to, from, copy);
        }
    }

    /// What a segment sends goes into the tunnel to another of its edges: a frame without tag, or an IP packet.
    #[inline]
    pub(crate) fn encapsulate(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        to: Towards,
        inner: Inner,
        mut frame: Frame,
    ) {
        let tables = &mut *self.tables;
        let here = &mut tables.segments[segment];
        let lane = here.remotes[to.remote].lane(&tables.probes);
        let path = &tables.paths[lane.path.place()];
        let Some(next_hop) = tables.neighbours[usize::from(path.neighbour)].mac else {
            return self.drop(way, Some(segment), DropReason::NeighbourUnresolved, frame);
        };
        if frame.len() > usize::from(lane.octets_max) {
            return self.drop(way, Some(segment), DropReason::TooBig, frame);
        }
        here.to_tunnels.count(frame.len());
        let encap = lane.encap(to.is_flood);
        let inner_octets = frame.len();
        encap.push(&mut frame, inner);
        path.link.push(&mut frame, next_hop, encap.outer.ethertype(), inner.mark);
        let port = path.port;
        // The header of a device's frame counts as its own even where it does not travel.
        let own_octets = match inner.payload {
            Payload::Ethernet => inner_octets,
            _ => inner_octets + ethernet::HEADER_OCTETS,
        };
        let front = frame.len().saturating_sub(own_octets);
        let waits = Waits { queue: here.queue, class: inner.mark.class, front, is_markable: inner.ecn != 0 };
        self.queue(way, port, Some(segment), waits, frame);
    }
}

/// To which other edge of a segment, by its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Towards {
    pub(crate) remote: usize,
    /// For all endpoints there, or for one of whom it is not known where it is.
    pub(crate) is_flood: bool,
}

/// The address that an ARP request or a neighbour solicitation asks for.
fn asked_for(flow: &Flow, frame: &Frame) -> Option<IpAddr> {
    match flow.network {
        Network::Arp { operation: arp::Operation::REQUEST, target, .. } => Some(target.into()),
        Network::Ipv6 { .. } => match discovery(flow, frame) {
            Discovery::Neighbour(Neighbour { kind: Kind::Solicitation, target, .. }) => Some(target.into()),
            _ => None,
        },
        _ => None,
    }
}

/// The address that a frame is sent from, by its own word.
#[inline]
pub(crate) const fn claimed(flow: &Flow) -> Option<IpAddr> {
    match flow.network {
        Network::Arp { sender, .. } => Some(IpAddr::V4(sender)),
        Network::Ipv4 { source, .. } => Some(IpAddr::V4(source)),
        Network::Ipv6 { source, .. } => Some(IpAddr::V6(source)),
        Network::Other => None,
    }
}

/// What a frame says in neighbour discovery (RFC 4861).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// Nothing.
    Silent,
    /// A solicitation or an advertisement.
    Neighbour(Neighbour),
    /// What only a router says: its advertisement, a redirect.
    Router,
    /// Something that contradicts itself, is cut short, or comes in fragments (RFC 6980, section 5).
    Unreadable,
}

/// Reads as far as the packet goes, and not into what the frame has behind it.
#[inline]
pub(crate) fn discovery(flow: &Flow, frame: &Frame) -> Discovery {
    match flow.network {
        Network::Ipv6 { upper, octets, .. } if upper.protocol == Protocol::ICMPV6 => icmpv6(flow, upper, octets, frame),
        _ => Discovery::Silent,
    }
}

#[cold]
fn icmpv6(flow: &Flow, upper: Upper, octets: u16, frame: &Frame) -> Discovery {
    let network_at = usize::from(flow.network_at);
    let packet = frame.octets().get(network_at..network_at + usize::from(octets));
    let message = packet.and_then(|packet| packet.get(usize::from(upper.at) - network_at..)).unwrap_or_default();
    let kind = message.first().copied();
    if upper.is_fragment {
        let ipv6 = packet.and_then(|packet| ipv6::Packet::new(packet).ok());
        let is_first = ipv6.and_then(|ipv6| ipv6.upper_layer().ok()).is_none_or(|upper| upper.fragment_offset == 0);
        let may_be = kind.is_none_or(|kind| nd::KINDS.contains(&kind));
        return if is_first && may_be { Discovery::Unreadable } else { Discovery::Silent };
    }
    if matches!(kind, Some(nd::ROUTER_ADVERTISEMENT | nd::REDIRECT)) {
        return Discovery::Router;
    }
    match Message::new(message, Layer::Icmpv6).map(|message| Neighbour::read(&message)) {
        Ok(None) => Discovery::Silent,
        Ok(Some(Ok(neighbour))) => Discovery::Neighbour(neighbour),
        Ok(Some(Err(_))) | Err(_) => Discovery::Unreadable,
    }
}

/// Takes the outer tag off a frame.
#[inline]
pub(crate) fn pull_tag(frame: &mut Frame) {
    frame.octets_mut().copy_within(..ADDRESSES_OCTETS, ethernet::TAG_OCTETS);
    frame.pull_front(ethernet::TAG_OCTETS);
}

/// Puts a tag in front of a frame's type.
#[inline]
pub(crate) fn push_tag(frame: &mut Frame, vlan: u16) {
    if frame.push_front(ethernet::TAG_OCTETS).is_none() {
        return;
    }
    let octets = frame.octets_mut();
    octets.copy_within(ethernet::TAG_OCTETS..ethernet::TAG_OCTETS + ADDRESSES_OCTETS, 0);
    octets[12..14].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
    octets[14..16].copy_from_slice(&vlan.to_be_bytes());
}

/// Destination and source.
const ADDRESSES_OCTETS: usize = 2 * size_of::<Mac>();
/// The most members of a segment that one flooded frame looks at.
const FLOOD_MEMBERS_MAX: usize = 4 * FLOOD_COPIES_MAX;
