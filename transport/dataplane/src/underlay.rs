//! Frames from the underlay: tunnels, what an edge answers by itself (ARP, neighbour discovery, echo), and what it learns.

use std::net::{IpAddr, Ipv6Addr};

use arrayvec::ArrayVec;
use model::Mac;
use transport_wire::checksum;
use transport_wire::flow::{Flow, Network, Upper};
use transport_wire::icmp::{self, Message};
use transport_wire::nd::{Kind, Neighbour};
use transport_wire::{EtherType, Layer, Protocol, arp, ipv4, mpls, vxlan};

use crate::drops::DropReason;
use crate::forward::Way;
use crate::frame::{BURST_FRAMES_MAX, Burst, Frame};
use crate::meter::Nanos;
use crate::neighbour::{self, BROADCAST};
use crate::pipeline::Pipeline;
use crate::session::mac_bits;
use crate::sids::SidAction;
use crate::tables::SegmentUid;
use crate::transit::{self, Step};
use crate::tunnel::Opened;

/// Behind which edge of its segment a MAC address was last seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RemoteMac {
    segment: SegmentUid,
    epoch: u32,
    remote: u16,
    seen: Nanos,
}

impl RemoteMac {
    /// Was it seen lately? A clock that stepped back makes it so.
    pub(crate) const fn is_fresh(&self, now: Nanos) -> bool {
        now.0.saturating_sub(self.seen.0) < REMOTE_MAC_AGE.0
    }
}

/// A frame from the underlay after the first look.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    /// Out of a tunnel: the inner frame.
    Tunnel(Opened),
    /// Anything else that is for us.
    Plain,
    /// For others: where it goes, once it has been changed as it must.
    Transit(Step),
    /// Why it goes no further, and the place of its segment if that is known.
    Refused(Option<usize>, DropReason),
}

impl From<Result<Opened, (Option<usize>, DropReason)>> for Arrival {
    #[inline]
    fn from(opened: Result<Opened, (Option<usize>, DropReason)>) -> Self {
        match opened {
            Ok(opened) => Self::Tunnel(opened),
            Err((segment, reason)) => Self::Refused(segment, reason),
        }
    }
}

/// A message of neighbour discovery, and what it came with.
#[derive(Debug, Clone, Copy)]
struct Heard {
    said: Neighbour,
    source: Mac,
    ends: (Ipv6Addr, Ipv6Addr),
}

impl Pipeline {
    /// A burst, in phases: all frames are parsed and tunnels opened; the sessions of what is in them are found, so that
    /// their cache misses overlap; then each frame goes its way.
    pub(crate) fn underlay(&mut self, way: &mut Way<'_>, burst: &mut Burst) {
        let mut arrivals: ArrayVec<Arrival, BURST_FRAMES_MAX> = ArrayVec::new();
        let mut touched = 0;
        for frame in burst.iter_mut() {
            let arrival = self.look(way, frame);
            if let Arrival::Tunnel(opened) = &arrival {
                touched ^= self.touch(opened);
            }
            arrivals.push(arrival);
        }
        for arrival in &mut arrivals {
            if let Arrival::Tunnel(opened) = arrival {
                touched ^= self.find_ends(opened);
            }
        }
        std::hint::black_box(touched);
        for (frame, arrival) in burst.drain(..).zip(&arrivals) {
            match arrival {
                Arrival::Tunnel(opened) => self.arrive(way, opened, frame),
                Arrival::Plain => self.receive(way, frame),
                Arrival::Transit(step) => self.pass_on(way, *step, frame),
                Arrival::Refused(segment, reason) => self.drop(way, *segment, *reason, frame),
            }
        }
    }

    /// The first look at a frame. Of a tunnel's packet, the inner frame is left.
    #[inline]
    fn look(&mut self, way: &Way<'_>, frame: &mut Frame) -> Arrival {
        let Ok(flow) = Flow::parse(frame.octets()) else {
            return Arrival::Refused(None, DropReason::Malformed);
        };
        if flow.ethertype == EtherType::MPLS {
            return self.look_labels(way, frame, &flow);
        }
        let to = flow.destination;
        let is_for_us = to == self.ports[way.port.get()].mac || to == BROADCAST || to.0[..2] == GROUP_IPV6;
        if !is_for_us || flow.tag.is_some() {
            return Arrival::Refused(None, DropReason::NotForUs);
        }
        let Some(ends) = flow.addresses() else { return Arrival::Plain };
        let (Network::Ipv4 { upper, .. } | Network::Ipv6 { upper, .. }) = flow.network else {
            return Arrival::Plain;
        };
        if upper.protocol == Protocol::ICMPV6 && ends.1.is_multicast() {
            // Neighbours ask all who might have an address.
            return Arrival::Plain;
        }
        let is_loopback = self.tables.loopbacks.contains(&ends.1);
        if !is_loopback && !self.is_of_port(way, ends.1) {
            return self.look_further(frame, &flow);
        }
        if let Network::Ipv6 { srh_at: Some(at), .. } = flow.network
            && transit::segments_left(frame, usize::from(flow.network_at), Some(at)) != 0
        {
            // The address is no SID (RFC 8754, section 4.3.3).
            return Arrival::Refused(None, DropReason::SegmentsLeft);
        }
        if ends.0.is_ipv4()
            && !ipv4::Packet::new(&frame.octets()[usize::from(flow.network_at)..]).is_ok_and(|p| p.checksum_holds())
        {
            return Arrival::Refused(None, DropReason::Checksum);
        }
        let is_tunnel = matches!(upper.ports.1, vxlan::PORT | mpls::UDP_PORT) && is_loopback && !upper.is_fragment;
        if upper.protocol != Protocol::UDP || !is_tunnel {
            return Arrival::Plain;
        }
        self.open_udp(frame, &flow, ends, upper).into()
    }

    /// Labels: those of a segment end here, others are for us to switch.
    #[inline]
    fn look_labels(&mut self, way: &Way<'_>, frame: &mut Frame, flow: &Flow) -> Arrival {
        if flow.destination != self.ports[way.port.get()].mac || flow.tag.is_some() {
            return Arrival::Refused(None, DropReason::NotForUs);
        }
        match transit::switched(&self.tables, frame) {
            Some(Ok(switch)) => Arrival::Transit(switch),
            Some(Err(reason)) => Arrival::Refused(None, reason),
            None => self.open_labels(frame).into(),
        }
    }

    /// A packet to none of our addresses: to one of our SIDs, or for us to pass on.
    #[inline]
    fn look_further(&mut self, frame: &mut Frame, flow: &Flow) -> Arrival {
        if let Network::Ipv6 { destination, .. } = flow.network
            && let Some(SidAction::Segment(segment, behaviour)) = self.tables.sids.get(destination)
        {
            return self.open_srv6(frame, flow, segment, behaviour).into();
        }
        match transit::routed(&self.tables, frame, flow) {
            Ok(step) => Arrival::Transit(step),
            Err(reason) => Arrival::Refused(None, reason),
        }
    }

    /// A frame that is not a tunnel's.
    fn receive(&mut self, way: &mut Way<'_>, frame: Frame) {
        // It was parsed before; such frames are few.
        let Ok(flow) = &Flow::parse(frame.octets()) else {
            return self.drop(way, None, DropReason::Malformed, frame);
        };
        let Some(frame) = self.stamp(way, flow, frame) else { return };
        match flow.network {
            Network::Arp { .. } => self.arp(way, flow, frame),
            Network::Ipv4 { source, destination, .. } => {
                self.echo(way, frame, flow, (source.into(), destination.into()));
            }
            Network::Ipv6 { source, destination, upper, .. } => {
                match heard(flow, &frame, (source, destination), upper) {
                    Some(heard) => self.neighbour_discovery(way, frame, &heard),
                    None => self.echo(way, frame, flow, (source.into(), destination.into())),
                }
            }
            Network::Other => self.drop(way, None, DropReason::NotServed, frame),
        }
    }

    /// Is it an address of this port?
    fn is_of_port(&self, way: &Way<'_>, address: IpAddr) -> bool {
        self.tables.ports[way.port.get()].addresses.iter().any(|own| own.address() == address)
    }

    fn arp(&mut self, way: &mut Way<'_>, flow: &Flow, mut frame: Frame) {
        let Network::Arp { operation, sender_mac, sender, target, .. } = flow.network else {
            return self.drop(way, None, DropReason::NotServed, frame);
        };
        if !self.is_of_port(way, target.into()) {
            return self.drop(way, None, DropReason::NotForUs, frame);
        }
        if self.is_of_kernel(way.port, target.into()) {
            return self.consume(way, frame);
        }
        self.heard(way, sender.into(), sender_mac);
        if operation == arp::Operation::REQUEST {
            neighbour::answer_arp(&mut frame, self.ports[way.port.get()].mac, target, (sender_mac, sender));
            self.answer(way, frame);
        } else {
            self.consume(way, frame);
        }
    }

    /// What an edge serves beside tunnels: echo.
    fn echo(&mut self, way: &mut Way<'_>, mut frame: Frame, flow: &Flow, ends: (IpAddr, IpAddr)) {
        let mac = self.ports[way.port.get()].mac;
        if !self.tables.loopbacks.contains(&ends.1) && !self.is_of_port(way, ends.1) {
            self.drop(way, None, DropReason::NotForUs, frame);
        } else if self.is_of_kernel(way.port, ends.1) {
            self.consume(way, frame);
        } else if reply(&mut frame, flow, mac) {
            self.answer(way, frame);
        } else {
            self.drop(way, None, DropReason::NotServed, frame);
        }
    }

    fn neighbour_discovery(&mut self, way: &mut Way<'_>, mut frame: Frame, heard: &Heard) {
        let Heard { said, source, ends } = *heard;
        match said.kind {
            Kind::Solicitation if self.is_of_kernel(way.port, said.target.into()) => self.consume(way, frame),
            Kind::Solicitation if self.is_of_port(way, said.target.into()) => {
                // One that is asked whether it is still there need not be told where the asker is.
                let asker = said.link_layer.unwrap_or(source);
                self.heard(way, ends.0.into(), asker);
                let mac = self.ports[way.port.get()].mac;
                neighbour::answer_nd(&mut frame, mac, said.target, (asker, ends.0));
                self.answer(way, frame);
            }
            Kind::Advertisement { .. } => {
                self.heard(way, said.target.into(), said.link_layer.unwrap_or(source));
                self.consume(way, frame);
            }
            Kind::Solicitation => self.drop(way, None, DropReason::NotForUs, frame),
        }
    }

    /// A neighbour has said where it is; those that no tunnel needs are not kept.
    fn heard(&mut self, way: &Way<'_>, address: IpAddr, mac: Mac) {
        let port = way.port;
        let mut known = self.tables.neighbours.iter_mut().enumerate();
        if let Some((at, neighbour)) = known.find(|(_, n)| n.port == port && n.address == address)
            && mac.is_unicast()
        {
            let before = neighbour.mac;
            neighbour.heard(mac, way.now);
            if neighbour.mac != before {
                self.tell_next_hop(at);
            }
        }
    }

    /// The frame has become an answer and leaves where it came from.
    fn answer(&mut self, way: &mut Way<'_>, frame: Frame) {
        let port = way.port;
        self.send(way, port, None, frame);
    }

    /// Learns behind which edge a device is. Beyond the limits nothing new is learned; the device is then reached by
    /// flooding. Half of the table is shared out evenly among the segments, so that none can take the room of others;
    /// from the other half each may take more, up to its limit.
    #[inline]
    pub(crate) fn learn(&mut self, now: Nanos, segment: usize, mac: Mac, remote: u16) {
        let Self { tables, remote_macs, .. } = self;
        let here = &mut tables.segments[segment];
        let entry = RemoteMac { segment: here.uid, epoch: here.epoch, remote, seen: now };
        let key = remote_key(here.uid, mac);
        let has_room = here.learned < tables.remote_macs_share
            || here.learned < REMOTE_MACS_PER_SEGMENT_MAX && remote_macs.len() < REMOTE_MACS_MAX / 2;
        let learned = if has_room { remote_macs.insert(key, entry) } else { remote_macs.replace(key, entry) };
        match learned {
            Ok(Some(before)) if before.segment == here.uid => {}
            Ok(before) => {
                here.learned += 1;
                // Of another segment whose key is the same: that one has one less.
                if let Some(other) = before.and_then(|before| tables.segment_of_uid(before.segment)) {
                    let learned = &mut tables.segments[other].learned;
                    *learned = learned.saturating_sub(1);
                }
            }
            Err(_) => self.unlearned += 1,
        }
    }

    /// Forgets a part of the devices that have long been silent, and those of segments that have gone.
    pub(crate) fn forget(&mut self, now: Nanos) {
        let Self { tables, remote_macs, swept, .. } = self;
        *swept = remote_macs.sweep(*swept, SWEEP_SLOTS, |device| {
            let segment = tables.segment_of_uid(device.segment);
            let stays = segment.is_some() && device.is_fresh(now);
            if let Some(segment) = segment.filter(|_| !stays) {
                let learned = &mut tables.segments[segment].learned;
                *learned = learned.saturating_sub(1);
            }
            stays
        });
    }

    /// Behind which edge a device is, if that was learned and is not too old.
    #[inline]
    pub(crate) fn learned(&self, now: Nanos, segment: usize, mac: Mac) -> Option<usize> {
        let here = &self.tables.segments[segment];
        let entry = self.remote_macs.get(remote_key(here.uid, mac))?;
        let is_it = entry.segment == here.uid && entry.epoch == here.epoch && entry.is_fresh(now);
        is_it.then_some(usize::from(entry.remote))
    }

    /// Reads where [`Pipeline::learned`] will look, so that it is in the cache by then.
    #[inline]
    pub(crate) fn touch_learned(&self, segment: SegmentUid, mac: Mac) -> u64 {
        self.remote_macs.touch(remote_key(segment, mac))
    }
}

/// Turns an echo request into its reply, in place (RFC 1122, section 3.2.2.6; RFC 4443, section 4.2), from a MAC
/// address of ours. False: it is none.
pub(crate) fn reply(frame: &mut Frame, flow: &Flow, mac: Mac) -> bool {
    let (Network::Ipv4 { upper, .. } | Network::Ipv6 { upper, .. }) = flow.network else { return false };
    let is_ipv4 = flow.ethertype == EtherType::IPV4;
    let (at, network_at) = (usize::from(upper.at), usize::from(flow.network_at));
    let (layer, protocol, (reply, request)) = if is_ipv4 {
        (Layer::Icmp, Protocol::ICMP, icmp::ECHO)
    } else {
        (Layer::Icmpv6, Protocol::ICMPV6, icmp::ECHO_IPV6)
    };
    let octets = frame.octets_mut();
    let Some(body) = octets.get(at..) else { return false };
    let Ok(message) = Message::new(body, layer) else { return false };
    if upper.is_fragment || upper.protocol != protocol || message.kind() != request || message.code() != 0 {
        return false;
    }
    let word = |kind: u8| u16::from_be_bytes([kind, 0]);
    let sum = checksum::update(message.checksum(), word(request), word(reply));
    octets[at] = reply;
    octets[at + icmp::CHECKSUM..at + icmp::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    // Addresses change places, which leaves every checksum as it is.
    let (addresses, width) = if is_ipv4 { (network_at + 12, 4) } else { (network_at + 8, 16) };
    let (source, destination) = octets[addresses..addresses + 2 * width].split_at_mut(width);
    source.swap_with_slice(destination);
    octets.copy_within(6..12, 0);
    octets[6..12].copy_from_slice(&mac.0);
    true
}

/// The neighbour message in a packet that no router can have passed on (RFC 4861, section 7.1).
fn heard(flow: &Flow, frame: &Frame, ends: (Ipv6Addr, Ipv6Addr), upper: Upper) -> Option<Heard> {
    if upper.protocol != Protocol::ICMPV6 || upper.is_fragment {
        return None;
    }
    let octets = frame.octets();
    let hop_limit = octets.get(usize::from(flow.network_at) + HOP_LIMIT_AT)?;
    let message = Message::new(octets.get(usize::from(upper.at)..)?, Layer::Icmpv6).ok()?;
    let said = Neighbour::read(&message)?.ok()?;
    let holds = *hop_limit == u8::MAX && message.checksum_holds_ipv6(ends.0, ends.1);
    holds.then_some(Heard { said, source: flow.source, ends })
}

/// Segment and MAC address in one number; the uid is cut to 15 bits and compared in full.
#[inline]
const fn remote_key(segment: SegmentUid, mac: Mac) -> u64 {
    (segment.0 as u64 & 0x7fff) << 48 | mac_bits(mac)
}

/// How MAC addresses of IPv6 groups begin (RFC 2464, section 7).
const GROUP_IPV6: [u8; 2] = [0x33, 0x33];

/// How many devices behind other edges are remembered.
pub const REMOTE_MACS_MAX: usize = 65_536;
/// How many of them in one segment, so that none can take the room of all.
pub const REMOTE_MACS_PER_SEGMENT_MAX: u32 = 16_384;
/// Slots of the table of remote devices that one tick looks at: all of them in 13 s.
const SWEEP_SLOTS: usize = 1_024;
/// For how long.
pub const REMOTE_MAC_AGE: Nanos = Nanos(300_000_000_000);
/// Where the hop limit stands in an IPv6 header.
const HOP_LIMIT_AT: usize = 7;
