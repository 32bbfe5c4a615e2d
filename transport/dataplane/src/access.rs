//! Frames from devices: who sends, may it, to whom.

use std::net::Ipv4Addr;

use arrayvec::ArrayVec;
use model::Mac;
use model::resource::Service;
use transport_wire::ethernet::{self, Tci};
use transport_wire::flow::{Flow, Network};
use transport_wire::icmp::error::Cause;
use transport_wire::nd::Kind;

use crate::drops::DropReason;
use crate::encap::{Group, Inner, Payload};
use crate::forward::{Discovery, Flooded, Sender, Towards, Way, claimed, discovery, pull_tag};
use crate::frame::{BURST_FRAMES_MAX, Burst, Frame};
use crate::l3::Routed;
use crate::meter::Nanos;
use crate::path::Remote;
use crate::pipeline::Pipeline;
use crate::session::{Seat, Sessions, Slot, session_key};
use crate::tables::{CircuitIndex, Segment, SliceSlot};

/// A frame from an attachment circuit, or why it goes no further.
type Arrival = Result<Arrived, DropReason>;

/// A frame from an attachment circuit.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    flow: Flow,
    circuit: CircuitIndex,
    slice: SliceSlot,
    /// The sender's session.
    from: Option<Slot>,
    /// The session that it is for, if there is one on this edge.
    to: Option<Slot>,
    /// Else the other edge behind which that device is, by its place, if that is known.
    remote: Option<usize>,
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy)]
enum Destination {
    /// To a session on this edge.
    Here(Slot),
    /// To one other edge.
    Remote(usize),
    /// To every other edge, and to sessions here if it is for a group.
    Flood,
    /// Where the routes of a layer-3 slice lead.
    Routed(Routed),
}

impl Pipeline {
    /// A burst, in phases, so that the cache misses of its frames overlap: all are parsed and their circuits found; all
    /// sessions; what is read first of their segments; the other edges that they are for; then each frame goes its way.
    pub(crate) fn access(&mut self, way: &mut Way<'_>, burst: &mut Burst) {
        let mut arrivals: ArrayVec<Arrival, BURST_FRAMES_MAX> = ArrayVec::new();
        let mut touched = 0;
        for frame in burst.iter() {
            let arrival = self.arrival(way, frame);
            if let Ok(arrived) = &arrival {
                touched ^= self.sessions.touch(session_key(arrived.slice, arrived.flow.source));
                touched ^= self.sessions.touch(session_key(arrived.slice, arrived.flow.destination));
            }
            arrivals.push(arrival);
        }
        for arrived in arrivals.iter_mut().flatten() {
            arrived.from = self.sessions.find(session_key(arrived.slice, arrived.flow.source));
            arrived.to = self.sessions.find(session_key(arrived.slice, arrived.flow.destination));
        }
        for arrived in arrivals.iter().flatten() {
            touched ^= match (arrived.from, arrived.to) {
                (_, Some(to)) => self.sessions.touch_to(to),
                (Some(from), None) => self.touch_learned(self.sessions.at(from).segment, arrived.flow.destination),
                (None, None) => 0,
            };
            touched ^= arrived.from.map_or(0, |from| self.touch_segment(from, arrived.circuit));
        }
        for arrived in arrivals.iter_mut().flatten() {
            touched ^= self.find_remote(way.now, arrived);
        }
        std::hint::black_box(touched);
        for (frame, arrival) in burst.drain(..).zip(&mut arrivals) {
            match arrival {
                Ok(arrived) => self.forward(way, arrived, frame),
                Err(reason) => self.drop(way, None, *reason, frame),
            }
        }
    }

    /// Reads what a frame of this session will need of its segment, and of its rate if it is held to one.
    #[inline]
    fn touch_segment(&self, from: Slot, circuit: CircuitIndex) -> u64 {
        let segment = self.tables.segments.get(usize::from(self.sessions.at(from).place));
        let is_held = self.tables.circuits[usize::from(circuit.0)].session_from.is_some();
        segment.map_or(0, Segment::touch_from) ^ if is_held { self.sessions.touch_rates(from) } else { 0 }
    }

    /// Looks up behind which edge the device is that a frame is for, and reads what a packet to there will need.
    #[inline]
    fn find_remote(&self, now: Nanos, arrived: &mut Arrived) -> u64 {
        let (Some(from), None) = (arrived.from, arrived.to) else { return 0 };
        let session = self.sessions.at(from);
        let Some(segment) = self.tables.segment_at(session.place, session.segment) else { return 0 };
        arrived.remote = match self.tables.segments[segment].service {
            // Its packets go by their addresses, and not by those of their frames.
            Service::L3 => None,
            Service::L2PointToPoint => Some(0),
            Service::L2Multipoint => self.learned(now, segment, arrived.flow.destination),
        };
        let remote = arrived.remote.and_then(|remote| self.tables.segments[segment].remotes.get(remote));
        remote.map_or(0, Remote::touch)
    }

    #[inline]
    fn arrival(&self, way: &Way<'_>, frame: &Frame) -> Arrival {
        let flow = Flow::parse(frame.octets()).map_err(|_| DropReason::Malformed)?;
        let vlan = flow.tag.map_or(0, Tci::vlan);
        let circuit = self.tables.circuit(way.port, vlan).ok_or(DropReason::NoCircuit)?;
        if !flow.source.is_unicast() {
            return Err(DropReason::SourceNotUnicast);
        }
        let slice = self.tables.circuits[usize::from(circuit.0)].slice;
        Ok(Arrived { flow, circuit, slice, from: None, to: None, remote: None })
    }

    #[inline]
    fn forward(&mut self, way: &mut Way<'_>, arrived: &mut Arrived, mut frame: Frame) {
        let Arrived { flow, circuit, slice, from, to, remote } = arrived;
        let (circuit, from, to, remote) = (*circuit, *from, *to, *remote);
        let Some(from) = from else {
            return self.drop(way, None, DropReason::Unauthenticated, frame);
        };
        let session = self.sessions.at(from);
        // A session whose segment has gone is none.
        let Some(segment) = self.tables.segment_at(session.place, session.segment) else {
            return self.drop(way, None, DropReason::Unauthenticated, frame);
        };
        let seat = Seat { port: way.port, vlan: flow.tag.map_or(0, Tci::vlan) };
        if !self.tables.may_sit(*slice, session.seat, seat) {
            return self.drop(way, Some(segment), DropReason::OtherCircuit, frame);
        }
        if let Err(reason) = admissible(&self.sessions, from, flow, &frame) {
            return self.drop(way, Some(segment), reason, frame);
        }
        #[allow(clippy::cast_possible_truncation, reason = "at most SEGMENTS_MAX")]
        let place = segment as u16;
        let session = self.sessions.at_mut(from);
        (session.seat, session.place) = (Some(seat), place);
        // The tag may be what says how it is treated.
        let mark = self.tables.segments[segment].marks.of(flow, frame.octets());
        if flow.tag.is_some() {
            pull_tag(&mut frame);
            flow.take_tag();
        }
        let packet_octets_max = self.tables.circuits[usize::from(circuit.0)].packet_octets_max;
        let longest = ethernet::HEADER_OCTETS + usize::from(packet_octets_max);
        let is_routed = self.tables.segments[segment].service == Service::L3;
        let is_too_big = frame.len() > longest;
        if is_too_big && !is_routed {
            return self.drop(way, Some(segment), DropReason::TooBig, frame);
        }
        // One that is too long for a layer-3 slice is answered, and what it costs is that.
        let octets = frame.len().min(longest);
        let destination = if is_routed {
            // A router knows its hosts by their addresses.
            let is_open = self.sessions.at(from).is_open();
            let routed =
                if is_open { Err(DropReason::SourceAddress) } else { self.route(segment, circuit, flow, &frame) };
            routed.map(Destination::Routed)
        } else {
            self.destination(segment, (to, remote), flow.destination)
        };
        let destination = match destination {
            Ok(destination) => destination,
            Err(reason) => return self.drop(way, Some(segment), reason, frame),
        };
        // All limits must have room before any is charged: what the segment's limit stops must not cost the slice.
        let tables = &mut *self.tables;
        let (here, there) = (&mut tables.segments[segment].from_access, &mut tables.circuits[usize::from(circuit.0)]);
        if !here.admits(way.now, octets) {
            return self.drop(way, Some(segment), DropReason::SegmentRateFromAccess, frame);
        }
        if !there.from_access.admits(way.now, octets) {
            return self.drop(way, Some(segment), DropReason::SliceRateFromAccess, frame);
        }
        if let Some(limit) = &there.session_from
            && !self.sessions.admits_from(from, limit, way.now, octets)
        {
            return self.drop(way, Some(segment), DropReason::SessionRateFromAccess, frame);
        }
        here.charge(octets);
        there.from_access.charge(octets);
        self.sessions.at_mut(from).from.count(octets);
        let group = Group::of(there.leaf);
        let is_markable = flow.traffic_class().is_some_and(|class| class & 3 != 0);
        let sender = Sender { circuit: Some(circuit), group, mark, is_markable };
        match destination {
            Destination::Here(to) => self.deliver(way, segment, to, sender, frame),
            Destination::Remote(remote) => {
                let inner = Inner::new(flow, Payload::Ethernet, group, mark);
                self.encapsulate(way, segment, Towards { remote, is_flood: false }, inner, frame);
            }
            Destination::Flood => self.flood(way, segment, (circuit, from), flow, sender, frame),
            Destination::Routed(_) if is_too_big => {
                let mtu = packet_octets_max.into();
                self.complain(way, segment, flow, sender, Cause::TooBig { mtu }, (DropReason::TooBig, frame));
            }
            Destination::Routed(routed) => self.forward_routed(way, segment, routed, flow, sender, frame),
        }
    }

    #[inline]
    fn destination(
        &self,
        segment: usize,
        (session, remote): (Option<Slot>, Option<usize>),
        to: Mac,
    ) -> Result<Destination, DropReason> {
        let here = &self.tables.segments[segment];
        if let Some(slot) = session {
            let same = self.sessions.at(slot).segment == here.uid;
            return if same { Ok(Destination::Here(slot)) } else { Err(DropReason::CrossSegment) };
        }
        if !to.is_unicast() {
            return Ok(Destination::Flood);
        }
        match remote.filter(|remote| *remote < here.remotes.len()) {
            Some(remote) => Ok(Destination::Remote(remote)),
            None if here.remotes.is_empty() => Err(DropReason::NoDestination),
            None => Ok(Destination::Flood),
        }
    }

    /// Head-end replication: a copy for each other edge, and for sessions here if the frame is for a group. Each copy to
    /// another edge is charged to the limits, so that a flood takes no more of the underlay than they say.
    fn flood(
        &mut self,
        way: &mut Way<'_>,
        segment: usize,
        (circuit, from): (CircuitIndex, Slot),
        flow: &Flow,
        sender: Sender,
        frame: Frame,
    ) {
        let inner = Inner::new(flow, Payload::Ethernet, sender.group, sender.mark);
        let here = if flow.destination.is_unicast() {
            Flooded::Copies(0)
        } else {
            self.flood_sessions(way, segment, flow, sender, &frame)
        };
        let remotes = match here {
            Flooded::ToOwner => 0,
            Flooded::Copies(_) => self.tables.segments[segment].remotes.len(),
        };
        for remote in 1..remotes {
            // The first one has been charged.
            if !self.admit_copy(way, segment, circuit, from, frame.len()) {
                break;
            }
            if let Some(copy) = self.copy(way, segment, &frame) {
                self.encapsulate(way, segment, Towards { remote, is_flood: true }, inner, copy);
            }
        }
        match here {
            // The frame itself needs no copy.
            _ if remotes > 0 => {
                self.encapsulate(way, segment, Towards { remote: 0, is_flood: true }, inner, frame);
            }
            Flooded::Copies(0) => self.drop(way, Some(segment), DropReason::NoDestination, frame),
            Flooded::Copies(_) | Flooded::ToOwner => self.consume(way, frame),
        }
    }

    /// Is there room in the limits for one more copy of a frame? If so, it is charged; if not, that is its end.
    fn admit_copy(
        &mut self,
        way: &Way<'_>,
        segment: usize,
        circuit: CircuitIndex,
        session: Slot,
        octets: usize,
    ) -> bool {
        let tables = &mut *self.tables;
        let (here, there) = (&mut tables.segments[segment].from_access, usize::from(circuit.0));
        let reason = if !here.admits_copy(way.now, octets) {
            DropReason::SegmentRateFromAccess
        } else if !tables.circuits[there].from_access.admits_copy(way.now, octets) {
            DropReason::SliceRateFromAccess
        } else if let Some(limit) = &tables.circuits[there].session_from
            && !self.sessions.admits_from(session, limit, way.now, octets)
        {
            DropReason::SessionRateFromAccess
        } else {
            let here = &mut tables.segments[segment].from_access;
            // The frame itself was counted, and a copy is none.
            here.meter.take(octets);
            tables.circuits[there].from_access.meter.take(octets);
            return true;
        };
        self.generated += 1;
        self.count_drop(way.port, Some(segment), reason);
        false
    }
}

/// What a sender may send at all.
#[inline]
fn admissible(sessions: &Sessions, from: Slot, flow: &Flow, frame: &Frame) -> Result<(), DropReason> {
    let session = sessions.at(from);
    let honest = match flow.network {
        Network::Arp { sender_mac, sender, .. } => {
            sender_mac == flow.source && session.may_claim_ipv4(sender) && !is_group(sender)
        }
        Network::Ipv4 { source, .. } => session.may_use_ipv4(source) && !is_group(source),
        Network::Ipv6 { source, .. } => session.may_use_ipv6(source) && !source.is_multicast(),
        // One that is bound to addresses speaks IP, lest it say in another way what it may not say in IP.
        Network::Other if session.is_open() => true,
        Network::Other if flow.ethertype.is_tag() => return Err(DropReason::InnerTag),
        Network::Other => return Err(not_ip(flow)),
    };
    // What is bound to somebody is not free for those who are bound to nothing.
    let taken = |address| sessions.is_taken(session.segment, address, from);
    if !honest || session.is_open() && claimed(flow).is_some_and(taken) {
        return Err(DropReason::SourceAddress);
    }
    match discovery(flow, frame) {
        Discovery::Silent => {}
        Discovery::Router => return Err(DropReason::RouterMessage),
        Discovery::Unreadable => return Err(DropReason::Malformed),
        // Nobody may answer for an IPv6 address that is not its own.
        Discovery::Neighbour(said) => {
            let claims = matches!(said.kind, Kind::Advertisement { .. });
            if claims && (!session.may_claim_ipv6(said.target) || session.is_open() && taken(said.target.into())) {
                return Err(DropReason::SourceAddress);
            }
        }
    }
    if is_link_local_group(flow) {
        return Err(DropReason::LinkLocalGroup);
    }
    if usize::from(flow.network_at) > ethernet::HEADER_OCTETS + ethernet::TAG_OCTETS || flow.ethertype.is_tag() {
        return Err(DropReason::InnerTag);
    }
    Ok(())
}

/// Why what is not IP is dropped.
fn not_ip(flow: &Flow) -> DropReason {
    if is_link_local_group(flow) { DropReason::LinkLocalGroup } else { DropReason::NotIp }
}

#[inline]
fn is_link_local_group(flow: &Flow) -> bool {
    flow.destination.0[..5] == LINK_LOCAL_GROUP && flow.destination.0[5] < 0x10
}

#[inline]
const fn is_group(address: Ipv4Addr) -> bool {
    address.is_multicast() || address.is_broadcast()
}

/// 01-80-C2-00-00-00 to -0F (IEEE 802.1D, table 7-10).
const LINK_LOCAL_GROUP: [u8; 5] = [0x01, 0x80, 0xc2, 0, 0];
