//! What a node does for the packets of others: End and End.X (RFC 8986, sections 4.1, 4.2 and 4.16), label switching
//! (RFC 3031, section 3.10), and plain forwarding by its routes to loopbacks and locators.
//!
//! An edge has no such routes, so it passes nothing on; a core node has nothing else to do.

use std::net::Ipv6Addr;
use std::num::NonZeroU16;

use model::profile::QueueClass;
use model::program::{Flavours, OuterMark, TransitQueue};
use transport_wire::ethernet::{self, EtherType};
use transport_wire::flow::{Flow, Network};
use transport_wire::{Problem, Protocol, checksum, ipv4, ipv6, mpls, srh};

use crate::compile;
use crate::drops::DropReason;
use crate::forward::Way;
use crate::frame::Frame;
use crate::labels::LabelEntry;
use crate::pipeline::Pipeline;
use crate::route::Routes;
use crate::sids::SidAction;
use crate::tables::{Hop, Tables};
use crate::trees::Waits;
use crate::trees::shape::QueueNumber;

/// The way on of a packet that has been changed as it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    out: Hop,
    ethertype: EtherType,
}

impl Pipeline {
    /// Hands a packet to the next hop.
    #[inline]
    pub(crate) fn pass_on(&mut self, way: &mut Way<'_>, step: Step, mut frame: Frame) {
        let Hop { port, neighbour } = step.out;
        let Some(next_hop) = self.tables.neighbours[usize::from(neighbour)].mac else {
            return self.drop(way, None, DropReason::NeighbourUnresolved, frame);
        };
        if frame.len() - ethernet::HEADER_OCTETS > usize::from(self.tables.ports[port.get()].mtu) {
            return self.drop(way, None, DropReason::TooBig, frame);
        }
        let source = self.ports[port.get()].mac;
        if let Some(header) = frame.octets_mut().first_chunk_mut() {
            ethernet::Header { destination: next_hop, source, ethertype: step.ethertype }.emit(header);
        }
        match self.tables.transit_classes.of(step.ethertype, frame.octets()) {
            Some((class, is_markable)) => {
                let waits = Waits { queue: QueueNumber::REST, class, front: 0, is_markable };
                self.queue(way, port, None, waits, frame);
            }
            // The nodes' own: few, and without them there would be no path.
            None => self.send(way, port, None, frame),
        }
    }
}

/// In which queue a packet of others waits, by its outermost header.
#[derive(Debug, Clone)]
pub(crate) struct TransitClasses {
    by_code_point: [u8; 64],
    by_traffic_class: [u8; 8],
}

impl Default for TransitClasses {
    fn default() -> Self {
        let class = compile::class_number(QueueClass::BestEffort);
        Self { by_code_point: [class; 64], by_traffic_class: [class; 8] }
    }
}

impl TransitClasses {
    pub(crate) fn new(queues: &[TransitQueue]) -> Self {
        let mut classes = Self::default();
        for TransitQueue { outer, queue } in queues {
            let place = match outer {
                OuterMark::Dscp(dscp) => &mut classes.by_code_point[usize::from(dscp.get())],
                OuterMark::TrafficClass(class) => &mut classes.by_traffic_class[usize::from(class.get())],
            };
            *place = compile::class_number(*queue);
        }
        classes
    }

    /// The class of a frame, and whether congestion can be marked in its outermost header. `None`: it is network control
    /// (class selectors 6 and 7, RFC 2474, section 4.2.2.2), which no device can ask for.
    #[inline]
    fn of(&self, ethertype: EtherType, octets: &[u8]) -> Option<(u8, bool)> {
        let at = ethernet::HEADER_OCTETS;
        let Some(&[first, second, third]) = octets.get(at..).and_then(<[u8]>::first_chunk) else {
            return Some((self.by_code_point[0], false));
        };
        let class = match ethertype {
            EtherType::MPLS => {
                let class = usize::from(third >> 1 & 7);
                return (class < 6).then_some((self.by_traffic_class[class], false));
            }
            EtherType::IPV4 => second,
            _ => first << 4 | second >> 4,
        };
        let code_point = usize::from(class >> 2);
        (code_point < 48).then_some((self.by_code_point[code_point], class & 3 != 0))
    }
}

/// Does what this node's label on top of a packet says. `None`: it is not one that is switched.
#[inline]
pub(crate) fn switched(tables: &Tables, frame: &mut Frame) -> Option<Result<Step, DropReason>> {
    let octets = frame.octets().get(ethernet::HEADER_OCTETS..).unwrap_or_default();
    let Ok(stack) = mpls::Packet::new(octets) else { return Some(Err(DropReason::Malformed)) };
    let top = stack.top();
    let Some(LabelEntry::Switch { swap, out }) = tables.by_label.get(top.label().into()).copied() else { return None };
    if top.ttl() <= 1 {
        return Some(Err(DropReason::HopLimit));
    }
    let ttl = top.ttl() - 1;
    let ethertype = if let Some(label) = swap {
        let entry = top.with_label(label).with_ttl(ttl);
        frame.octets_mut()[ethernet::HEADER_OCTETS..][..mpls::ENTRY_OCTETS].copy_from_slice(&entry.octets());
        EtherType::MPLS
    } else {
        // What is below keeps its own time to live: the short pipe of RFC 3443, section 3.2.
        let below = match stack.payload().first() {
            _ if !top.is_bottom() => EtherType::MPLS,
            Some(octet) if octet >> 4 == 4 => EtherType::IPV4,
            Some(octet) if octet >> 4 == 6 => EtherType::IPV6,
            _ => return Some(Err(DropReason::InnerProtocol)),
        };
        frame.pull_front(mpls::ENTRY_OCTETS);
        below
    };
    Some(Ok(Step { out, ethertype }))
}

/// Takes a packet one hop further: by this node's SID if it is to one, else by its routes.
#[inline]
pub(crate) fn routed(tables: &Tables, frame: &mut Frame, flow: &Flow) -> Result<Step, DropReason> {
    let Some(routes) = tables.routes.as_ref().filter(|_| !is_of_link(flow)) else { return Err(DropReason::NotForUs) };
    match flow.network {
        Network::Ipv4 { destination, .. } => {
            let out = routes.lookup_ipv4(destination).ok_or(DropReason::NoRoute)?;
            age_ipv4(&mut frame.octets_mut()[usize::from(flow.network_at)..])?;
            Ok(Step { out, ethertype: EtherType::IPV4 })
        }
        Network::Ipv6 { destination, srh_at, .. } => match tables.sids.get(destination) {
            None => {
                let out = routes.lookup_ipv6(destination).ok_or(DropReason::NoRoute)?;
                age_ipv6(&mut frame.octets_mut()[usize::from(flow.network_at)..])?;
                Ok(Step { out, ethertype: EtherType::IPV6 })
            }
            Some(action) => End { tables, routes, network_at: usize::from(flow.network_at), srh_at }.run(frame, action),
        },
        Network::Arp { .. } | Network::Other => Err(DropReason::NotForUs),
    }
}

/// Is it for nobody to pass on: sent to all on a link (RFC 1812, section 5.3.4), or with an address that is good for a link
/// at most (RFC 4291, sections 2.5.2, 2.5.3 and 2.5.6)?
#[inline]
fn is_of_link(flow: &Flow) -> bool {
    let is_near = match flow.network {
        Network::Ipv6 { source, destination, .. } => is_near(source) || is_near(destination),
        _ => false,
    };
    is_near || !flow.destination.is_unicast()
}

/// Is it good for a link at most?
const fn is_near(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.is_unspecified() || address.is_loopback()
}

/// How many segments are left of a packet whose segment routing header begins there, from its IPv6 header on; none
/// without one.
#[inline]
pub(crate) fn segments_left(frame: &Frame, network_at: usize, srh_at: Option<NonZeroU16>) -> u8 {
    let at = srh_at.map(|at| network_at + usize::from(at.get()) + srh::SEGMENTS_LEFT);
    at.and_then(|at| frame.octets().get(at).copied()).unwrap_or(0)
}

/// A packet to a SID of this node on the way.
struct End<'a> {
    tables: &'a Tables,
    routes: &'a Routes<Hop>,
    network_at: usize,
    srh_at: Option<NonZeroU16>,
}

impl End<'_> {
    /// RFC 8986, section 4.1, S01 to S16, with 4.2 for End.X.
    fn run(mut self, frame: &mut Frame, mut action: SidAction) -> Result<Step, DropReason> {
        // Several SIDs of this node may stand one after another, each a step in the list.
        for _ in 0..=u8::MAX {
            let (flavours, link) = match action {
                SidAction::End(flavours) => (flavours, None),
                SidAction::EndX(flavours, out) => (flavours, Some(out)),
                SidAction::Segment(..) => return Err(DropReason::NotServed),
            };
            if segments_left(frame, self.network_at, self.srh_at) == 0 {
                return self.ultimate(frame, flavours, link);
            }
            let next = self.advance(frame)?;
            if flavours.psp && segments_left(frame, self.network_at, self.srh_at) == 0 {
                self.pop(frame)?;
                self.srh_at = None;
            }
            if let Some(out) = link {
                return Ok(Step { out, ethertype: EtherType::IPV6 });
            }
            let Some(own) = self.tables.sids.get(next) else {
                let out = self.routes.lookup_ipv6(next).ok_or(DropReason::NoRoute)?;
                return Ok(Step { out, ethertype: EtherType::IPV6 });
            };
            action = own;
        }
        Err(DropReason::HopLimit)
    }

    /// On to the next segment; answers it.
    fn advance(&self, frame: &mut Frame) -> Result<Ipv6Addr, DropReason> {
        let at = self.network_at + self.srh_at.map_or(0, |at| usize::from(at.get()));
        srh::Srh::new(&frame.octets()[at..]).map_err(|error| match error.problem {
            Problem::Length { .. } if error.offset == srh::SEGMENTS_LEFT => DropReason::SegmentsLeft,
            _ => DropReason::Malformed,
        })?;
        let octets = frame.octets_mut();
        age_ipv6(&mut octets[self.network_at..])?;
        let next = srh::advance(&mut octets[at..]).ok_or(DropReason::SegmentsLeft)?;
        let destination = self.network_at + ipv6::DESTINATION;
        octets[destination..destination + 16].copy_from_slice(&next.octets());
        Ok(next)
    }

    /// The segment list ends at this node's SID: what is inside goes on if the SID decapsulates (USD); a header that is
    /// only used up (USP) leaves a packet for this node itself, which serves none here.
    fn ultimate(&self, frame: &mut Frame, flavours: Flavours, link: Option<Hop>) -> Result<Step, DropReason> {
        if !flavours.usd {
            return Err(if flavours.usp { DropReason::NotServed } else { DropReason::SegmentsLeft });
        }
        let packet = ipv6::Packet::new(&frame.octets()[self.network_at..]).map_err(|_| DropReason::Malformed)?;
        let upper = packet.upper_layer().map_err(|_| DropReason::Malformed)?;
        if upper.is_fragment {
            return Err(DropReason::InnerProtocol);
        }
        let (inner_octets, protocol) = (upper.payload.len(), upper.protocol);
        let end = self.network_at + ipv6::HEADER_OCTETS + packet.payload().len();
        frame.truncate(end);
        frame.pull_front(end - inner_octets - ethernet::HEADER_OCTETS);
        let inner = &mut frame.octets_mut()[ethernet::HEADER_OCTETS..];
        let (to, ethertype) = match protocol {
            Protocol::IPV6 => {
                let packet = ipv6::Packet::new(inner).map_err(|_| DropReason::Malformed)?;
                let to = packet.destination();
                if [packet.source(), to].into_iter().any(is_near) {
                    return Err(DropReason::NotForUs);
                }
                age_ipv6(inner)?;
                (self.routes.lookup_ipv6(to), EtherType::IPV6)
            }
            Protocol::IPV4 => {
                let to = ipv4::Packet::new(inner).map_err(|_| DropReason::Malformed)?.destination();
                age_ipv4(inner)?;
                (self.routes.lookup_ipv4(to), EtherType::IPV4)
            }
            _ => return Err(DropReason::InnerProtocol),
        };
        Ok(Step { out: link.or(to).ok_or(DropReason::NoRoute)?, ethertype })
    }

    /// Takes the segment routing header out, which stands right behind the IPv6 header.
    fn pop(&self, frame: &mut Frame) -> Result<(), DropReason> {
        let ipv6_end = self.network_at + ipv6::HEADER_OCTETS;
        if self.srh_at.map(|at| usize::from(at.get())) != Some(ipv6::HEADER_OCTETS) {
            return Err(DropReason::Malformed);
        }
        let octets = frame.octets_mut();
        let header = srh::Srh::new(&octets[ipv6_end..]).map_err(|_| DropReason::Malformed)?;
        let (next, length) = (header.next_header().0, header.header_octets());
        let payload_at = self.network_at + ipv6::PAYLOAD_LENGTH;
        let payload = u16::from_be_bytes([octets[payload_at], octets[payload_at + 1]]);
        let payload = usize::from(payload).checked_sub(length).and_then(|octets| u16::try_from(octets).ok());
        octets[payload_at..payload_at + 2].copy_from_slice(&payload.ok_or(DropReason::Malformed)?.to_be_bytes());
        octets[self.network_at + ipv6::NEXT_HEADER] = next;
        octets.copy_within(..ipv6_end, length);
        frame.pull_front(length);
        Ok(())
    }
}

/// Takes one from the hop limit of a packet that is passed on.
#[inline]
pub(crate) fn age_ipv6(packet: &mut [u8]) -> Result<(), DropReason> {
    match packet.get_mut(ipv6::HOP_LIMIT) {
        Some(hops) if *hops > 1 => {
            *hops -= 1;
            Ok(())
        }
        _ => Err(DropReason::HopLimit),
    }
}

/// Takes one from the time to live of a packet that is passed on (RFC 1812, section 5.3.1), whose checksum must hold.
#[inline]
pub(crate) fn age_ipv4(packet: &mut [u8]) -> Result<(), DropReason> {
    if !ipv4::Packet::new(packet).is_ok_and(|packet| packet.checksum_holds()) {
        return Err(DropReason::Checksum);
    }
    let (ttl, protocol) = (packet[ipv4::TTL], packet[ipv4::TTL + 1]);
    if ttl <= 1 {
        return Err(DropReason::HopLimit);
    }
    let written = u16::from_be_bytes([packet[ipv4::CHECKSUM], packet[ipv4::CHECKSUM + 1]]);
    let word = |ttl| u16::from_be_bytes([ttl, protocol]);
    let sum = checksum::update(written, word(ttl), word(ttl - 1));
    packet[ipv4::TTL] = ttl - 1;
    packet[ipv4::CHECKSUM..ipv4::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}
