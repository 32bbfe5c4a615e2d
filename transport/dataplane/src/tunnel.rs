//! Tunnels towards this edge: VXLAN and labels in UDP, labels, and SRv6 packets to a segment's SID.
//!
//! Whatever the transport, an opened tunnel says in which segment a packet is, which edge sent it, and in which group its
//! sender is; what is inside is then looked at in the same way.

use std::net::IpAddr;

use model::Mac;
use model::program::ServiceBehaviour;
use model::resource::Service;
use transport_wire::ethernet::{self, EtherType};
use transport_wire::flow::{Flow, Network, Upper};
use transport_wire::nd::{Kind, Neighbour};
use transport_wire::{Protocol, mpls, pseudowire, udp, vxlan};

use crate::drops::DropReason;
use crate::encap::{self, GROUP_LABELS, Group, Payload};
use crate::forward::{Discovery, Sender, Way, claimed, discovery};
use crate::frame::Frame;
use crate::l3::GATEWAY_MAC;
use crate::labels::{LabelEntry, Wire};
use crate::pipeline::Pipeline;
use crate::session::{Slot, session_key};
use crate::sids;
use crate::tables::SliceSlot;
use crate::transit;

/// A frame out of a tunnel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    source: Mac,
    slice: SliceSlot,
    /// For whom it is.
    seeks: Seeks,
    /// The place of its segment.
    segment: u16,
    /// The place of the edge that sent it.
    remote: u16,
    /// Of its sender.
    sender: Sender,
    /// May it be remembered behind which edge the sender is?
    is_learned: bool,
    /// The address that it is sent from, or that it answers for.
    claims: Option<IpAddr>,
    /// The session here that has the source address, or the claimed one, which none should.
    from: Option<Slot>,
    /// The session that it is for.
    to: Option<Slot>,
}

/// For whom a packet out of a tunnel is.
#[derive(Debug, Clone, Copy)]
enum Seeks {
    /// Of a layer-2 slice.
    Mac(Mac),
    /// Of a layer-3 slice.
    Address(IpAddr),
}

/// What a tunnel says of the packet in it.
#[derive(Debug, Clone, Copy)]
struct Inside {
    /// The place of its segment.
    segment: usize,
    /// The place of the edge that sent it.
    remote: u16,
    group: Group,
    /// Where it begins, from the start of the frame, and how long it is at most.
    at: usize,
    octets_max: usize,
    payload: Payload,
    /// For this endpoint, whatever the packet says (End.DX4, End.DX6).
    endpoint: Option<IpAddr>,
    /// May it be remembered behind which edge the sender is?
    is_learned: bool,
}

/// Why a packet of a tunnel goes no further, and the place of its segment if that is known.
type Refused = (Option<usize>, DropReason);

impl Pipeline {
    /// Opens a packet to a UDP port of this edge that is a tunnel's, whose outer addresses are checked to be its own.
    #[inline]
    pub(crate) fn open_udp(
        &mut self,
        frame: &mut Frame,
        outer: &Flow,
        ends: (IpAddr, IpAddr),
        upper: Upper,
    ) -> Result<Opened, Refused> {
        let at = usize::from(upper.at);
        let octets = frame.octets().get(at..).unwrap_or_default();
        let payload_octets = udp_holds(octets, ends, upper.ports.1).map_err(|reason| (None, reason))?;
        let payload_at = at + udp::HEADER_OCTETS;
        let payload = octets.get(udp::HEADER_OCTETS..udp::HEADER_OCTETS + payload_octets).unwrap_or_default();
        let inside = if upper.ports.1 == vxlan::PORT {
            self.vxlan(payload, payload_at, ends.0)?
        } else {
            let inside = self.labelled(payload, payload_at)?;
            let here = &self.tables.segments[inside.segment];
            // Over IP the sender has an address, and it must be that of the edge which the label was given to.
            if here.remotes[usize::from(inside.remote)].address != ends.0 {
                return Err((Some(inside.segment), DropReason::UnknownRemote));
            }
            inside
        };
        self.inspect(frame, inside, outer.traffic_class().unwrap_or(0) & 3)
    }

    /// Opens a packet whose top label stands for a segment.
    #[inline]
    pub(crate) fn open_labels(&mut self, frame: &mut Frame) -> Result<Opened, Refused> {
        let octets = frame.octets().get(ethernet::HEADER_OCTETS..).unwrap_or_default();
        let inside = self.labelled(octets, ethernet::HEADER_OCTETS)?;
        self.inspect(frame, inside, 0)
    }

    /// Opens a packet to a SID of a segment: the last of its path, with the right thing in it.
    #[inline]
    pub(crate) fn open_srv6(
        &mut self,
        frame: &mut Frame,
        outer: &Flow,
        segment: u16,
        behaviour: ServiceBehaviour,
    ) -> Result<Opened, Refused> {
        let segment = usize::from(segment);
        let refused = |reason| (Some(segment), reason);
        let Network::Ipv6 { source, destination, octets, srh_at, upper, .. } = outer.network else {
            return Err(refused(DropReason::Malformed));
        };
        if transit::segments_left(frame, usize::from(outer.network_at), srh_at) != 0 {
            return Err(refused(DropReason::SegmentsLeft));
        }
        let payload = match (behaviour, upper.protocol) {
            _ if upper.is_fragment => None,
            (ServiceBehaviour::Dx2 | ServiceBehaviour::Dt2u | ServiceBehaviour::Dt2m, Protocol::ETHERNET) => {
                Some(Payload::Ethernet)
            }
            (ServiceBehaviour::Dx4(_) | ServiceBehaviour::Dt4 | ServiceBehaviour::Dt46, Protocol::IPV4) => {
                Some(Payload::Ipv4)
            }
            (ServiceBehaviour::Dx6(_) | ServiceBehaviour::Dt6 | ServiceBehaviour::Dt46, Protocol::IPV6) => {
                Some(Payload::Ipv6)
            }
            _ => None,
        };
        let payload = payload.ok_or(refused(DropReason::InnerProtocol))?;
        let remote = self.tables.segments[segment].remote_at(source.into());
        let remote = remote.ok_or(refused(DropReason::UnknownRemote))?;
        let at = usize::from(upper.at);
        let octets_max = (usize::from(outer.network_at) + usize::from(octets)).saturating_sub(at);
        let argument = sids::argument(destination);
        let group = self.tables.segments[segment].remotes[usize::from(remote)].group(argument);
        let group = group.ok_or(refused(DropReason::UnknownGroup))?;
        let endpoint = match behaviour {
            ServiceBehaviour::Dx4(endpoint) => Some(endpoint.into()),
            ServiceBehaviour::Dx6(endpoint) => Some(endpoint.into()),
            _ => None,
        };
        let inside = Inside { segment, remote, group, at, octets_max, payload, endpoint, is_learned: true };
        self.inspect(frame, inside, outer.traffic_class().unwrap_or(0) & 3)
    }

    #[inline]
    fn vxlan(&self, octets: &[u8], at: usize, from: IpAddr) -> Result<Inside, Refused> {
        let packet = vxlan::Packet::new(octets).map_err(|_| (None, DropReason::Malformed))?;
        let segment = self.tables.segment_of_vni(packet.vni()).ok_or((None, DropReason::UnknownVni))?;
        let here = &self.tables.segments[segment];
        let remote = here.remote_at(from).ok_or((Some(segment), DropReason::UnknownRemote))?;
        let said = packet.group();
        // Linux says nothing of group 0.
        let group = here.remotes[usize::from(remote)].group(said.map_or(0, |group| group.id));
        let group = group.ok_or((Some(segment), DropReason::UnknownGroup))?;
        let is_learned = !said.is_some_and(|group| group.is_not_learned);
        let (at, octets_max) = (at + vxlan::HEADER_OCTETS, octets.len() - vxlan::HEADER_OCTETS);
        Ok(Inside { segment, remote, group, at, octets_max, payload: Payload::Ethernet, endpoint: None, is_learned })
    }

    /// A stack of labels that ends in a segment: the service's, and below it the group's and the flow's.
    #[inline]
    fn labelled(&self, octets: &[u8], at: usize) -> Result<Inside, Refused> {
        let stack = mpls::Packet::new(octets).map_err(|_| (None, DropReason::Malformed))?;
        let top = stack.top().label();
        let Some(LabelEntry::Segment(wire)) = self.tables.by_label.get(top.into()) else {
            let reserved = mpls::is_reserved(top);
            return Err((None, if reserved { DropReason::ReservedLabel } else { DropReason::UnknownLabel }));
        };
        let segment = usize::from(wire.segment);
        let refused = |reason| (Some(segment), reason);
        let group = group_of(&stack, *wire).ok_or(refused(DropReason::Malformed))?;
        let here = &self.tables.segments[segment];
        let group = here.remotes[usize::from(wire.remote)].group(group).ok_or(refused(DropReason::UnknownGroup))?;
        let (at, payload) = (at + stack.stack_octets(), stack.payload());
        // What a datagram ends with is the end of the frame; without one, that is the end of all.
        let octets_max = payload.len();
        let is_layer_3 = here.service == Service::L3;
        let (payload, skip) = match (is_layer_3, payload.first().map_or(0, |octet| octet >> 4)) {
            (true, 4) => (Payload::Ipv4, 0),
            (true, 6) => (Payload::Ipv6, 0),
            (true, _) => return Err(refused(DropReason::InnerProtocol)),
            (false, _) if wire.control_word => {
                pseudowire::Packet::new(payload).map_err(|_| refused(DropReason::InnerProtocol))?;
                (Payload::Ethernet, pseudowire::CONTROL_WORD_OCTETS)
            }
            (false, _) => (Payload::Ethernet, 0),
        };
        let octets_max = octets_max - skip;
        let (remote, at) = (wire.remote, at + skip);
        Ok(Inside { segment, remote, group, at, octets_max, payload, endpoint: None, is_learned: true })
    }

    /// Takes everything off that is in front of the inner packet, and looks at that.
    #[inline]
    fn inspect(&mut self, frame: &mut Frame, inside: Inside, outer_ecn: u8) -> Result<Opened, Refused> {
        let Inside { segment, remote, group, at, octets_max, payload, endpoint, is_learned } = inside;
        let here = &mut self.tables.segments[segment];
        let refused = |reason| (Some(segment), reason);
        frame.pull_front(at);
        frame.truncate(octets_max);
        here.from_tunnels.count(frame.len());
        let is_routed = here.service == Service::L3;
        if payload != Payload::Ethernet {
            // A packet without its frame gets the header that it would have had.
            let ethertype = if payload == Payload::Ipv4 { EtherType::IPV4 } else { EtherType::IPV6 };
            let header = ethernet::Header { destination: GATEWAY_MAC, source: GATEWAY_MAC, ethertype };
            header.emit(frame.push_array().ok_or(refused(DropReason::Malformed))?);
        }
        let flow = Flow::parse(frame.octets()).map_err(|_| refused(DropReason::Malformed))?;
        if usize::from(flow.network_at) != ethernet::HEADER_OCTETS {
            return Err(refused(DropReason::InnerTag));
        }
        if !flow.source.is_unicast() {
            return Err(refused(DropReason::SourceNotUnicast));
        }
        let (slice, Flow { source, destination, .. }) = (here.slice, flow);
        let seeks = match (is_routed, flow.addresses()) {
            (false, _) => Seeks::Mac(destination),
            (true, Some((_, to))) => Seeks::Address(endpoint.unwrap_or(to)),
            (true, None) => return Err(refused(DropReason::InnerProtocol)),
        };
        let claims = match discovery(&flow, frame) {
            Discovery::Neighbour(Neighbour { kind: Kind::Advertisement { .. }, target, .. }) => Some(target.into()),
            // As for devices here: nobody in a segment is a router.
            Discovery::Router => return Err(refused(DropReason::RouterMessage)),
            Discovery::Unreadable => return Err(refused(DropReason::Malformed)),
            Discovery::Neighbour(_) | Discovery::Silent => claimed(&flow),
        };
        if !encap::propagate_congestion(frame, &flow, outer_ecn) {
            return Err(refused(DropReason::Congestion));
        }
        let is_markable = flow.traffic_class().is_some_and(|class| class & 3 != 0);
        let sender = Sender { circuit: None, group, mark: here.marks.of(&flow, frame.octets()), is_markable };
        #[allow(clippy::cast_possible_truncation, reason = "at most SEGMENTS_MAX")]
        let segment = segment as u16;
        Ok(Opened { source, slice, seeks, segment, remote, sender, is_learned, claims, from: None, to: None })
    }

    /// Reads where [`Pipeline::find_ends`] and what comes after it will look, so that it is in the cache by then.
    #[inline]
    pub(crate) fn touch(&self, opened: &Opened) -> u64 {
        let segment = self.tables.segments[usize::from(opened.segment)].uid;
        opened.claims.map_or(0, |address| self.sessions.touch_owner(segment, address))
            ^ match opened.seeks {
                Seeks::Mac(to) => {
                    self.sessions.touch(session_key(opened.slice, opened.source))
                        ^ self.sessions.touch(session_key(opened.slice, to))
                        ^ self.touch_learned(segment, opened.source)
                }
                Seeks::Address(to) => self.sessions.touch_owner(segment, to),
            }
    }

    /// Finds the sessions of source and destination.
    #[inline]
    pub(crate) fn find_ends(&self, opened: &mut Opened) -> u64 {
        let segment = self.tables.segments[usize::from(opened.segment)].uid;
        let owner = opened.claims.and_then(|address| self.sessions.owner(segment, address));
        (opened.from, opened.to) = match opened.seeks {
            Seeks::Mac(to) => {
                let from = self.sessions.find(session_key(opened.slice, opened.source));
                (from.or(owner), self.sessions.find(session_key(opened.slice, to)))
            }
            Seeks::Address(to) => (owner, self.sessions.owner(segment, to)),
        };
        opened.to.map_or(0, |to| self.sessions.touch_to(to))
    }

    /// A frame out of a tunnel goes to the sessions of its segment.
    #[inline]
    pub(crate) fn arrive(&mut self, way: &mut Way<'_>, opened: &Opened, frame: Frame) {
        let segment = usize::from(opened.segment);
        let of_here = Some(segment);
        if opened.from.is_some() {
            return self.drop(way, of_here, DropReason::SourceIsLocal, frame);
        }
        let to_mac = match opened.seeks {
            Seeks::Mac(to) => to,
            Seeks::Address(to) => return self.arrive_routed(way, segment, (to, opened.to), opened.sender, frame),
        };
        if opened.is_learned && self.tables.segments[segment].service == Service::L2Multipoint {
            self.learn(way.now, segment, opened.source, opened.remote);
        }
        match opened.to {
            Some(to) if self.sessions.at(to).segment == self.tables.segments[segment].uid => {
                self.deliver(way, segment, to, opened.sender, frame);
            }
            Some(_) => self.drop(way, of_here, DropReason::CrossSegment, frame),
            None if to_mac.is_unicast() => self.drop(way, of_here, DropReason::NoDestination, frame),
            None => {
                // A tunnel never leads into a tunnel: the frame ends with its copies. It was parsed before.
                if let Ok(flow) = Flow::parse(frame.octets()) {
                    self.flood_sessions(way, segment, &flow, opened.sender, &frame);
                }
                self.consume(way, frame);
            }
        }
    }
}

/// Does the UDP checksum hold? None is none over IPv4, and over IPv6 for VXLAN (RFC 6935, RFC 6936), but not for labels
/// (RFC 7510, section 3.1). Answers the octets of the payload.
#[inline]
fn udp_holds(octets: &[u8], ends: (IpAddr, IpAddr), port: u16) -> Result<usize, DropReason> {
    let datagram = udp::Datagram::new(octets).map_err(|_| DropReason::Malformed)?;
    let is_absent = datagram.checksum() == 0 && (ends.0.is_ipv4() || port == vxlan::PORT);
    if !is_absent && !datagram.checksum_holds(ends.0, ends.1) {
        return Err(DropReason::Checksum);
    }
    Ok(datagram.payload().len())
}

/// The group that a label below the service's stands for; 0 if none was agreed. `None`: the stack is not as it was agreed.
#[inline]
fn group_of(stack: &mpls::Packet<'_>, wire: Wire) -> Option<u16> {
    let mut below = stack.entries().skip(1);
    let group = match wire.group.then(|| below.next()) {
        None => 0,
        Some(entry) => u16::try_from(entry?.label().checked_sub(GROUP_LABELS)?).ok()?,
    };
    let flows = below.count();
    (flows == usize::from(wire.flow)).then_some(group)
}
