//! Tunnels towards this edge: VXLAN packets of its segments.

use std::net::IpAddr;

use model::Mac;
use transport_wire::ethernet;
use transport_wire::flow::{Flow, Upper};
use transport_wire::nd::{Kind, Neighbour};
use transport_wire::{udp, vxlan};

use crate::drops::DropReason;
use crate::encap;
use crate::forward::{Discovery, Way, claimed, discovery};
use crate::frame::Frame;
use crate::pipeline::Pipeline;
use crate::session::{Slot, session_key};
use crate::tables::SliceSlot;

/// A frame out of a tunnel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    source: Mac,
    destination: Mac,
    slice: SliceSlot,
    /// The place of its segment.
    segment: u16,
    /// The place of the edge that sent it.
    remote: u16,
    /// The address that it is sent from, or that it answers for.
    claims: Option<IpAddr>,
    /// The session here that has the source address, or the claimed one, which none should.
    from: Option<Slot>,
    /// The session that it is for.
    to: Option<Slot>,
}

/// Why a packet of a tunnel goes no further, and the place of its segment if that is known.
type Refused = (Option<usize>, DropReason);

impl Pipeline {
    /// Takes the outer headers off a packet to the VXLAN port of this edge, whose outer addresses are checked to be its
    /// own, and looks at the inner frame.
    #[inline]
    pub(crate) fn open(
        &mut self,
        frame: &mut Frame,
        outer: &Flow,
        ends: (IpAddr, IpAddr),
        upper: Upper,
    ) -> Result<Opened, Refused> {
        let at = usize::from(upper.at);
        let octets = frame.octets().get(at..).unwrap_or_default();
        let payload_octets = udp_holds(octets, ends).map_err(|reason| (None, reason))?;
        let payload = octets.get(udp::HEADER_OCTETS..udp::HEADER_OCTETS + payload_octets).unwrap_or_default();
        let packet = vxlan::Packet::new(payload).map_err(|_| (None, DropReason::Malformed))?;
        let segment = self.tables.segment_of_vni(packet.vni()).ok_or((None, DropReason::UnknownVni))?;
        let here = &mut self.tables.segments[segment];
        let refused = |reason| (Some(segment), reason);
        if here.local != Some(ends.1) {
            return Err(refused(DropReason::NotForUs));
        }
        let remote = here.remote_at(ends.0).ok_or(refused(DropReason::UnknownRemote))?;
        frame.pull_front(at + udp::HEADER_OCTETS + vxlan::HEADER_OCTETS);
        frame.truncate(payload_octets - vxlan::HEADER_OCTETS);
        here.from_tunnels.count(frame.len());
        let flow = Flow::parse(frame.octets()).map_err(|_| refused(DropReason::Malformed))?;
        if usize::from(flow.network_at) != ethernet::HEADER_OCTETS {
            return Err(refused(DropReason::InnerTag));
        }
        if !flow.source.is_unicast() {
            return Err(refused(DropReason::SourceNotUnicast));
        }
        let (slice, Flow { source, destination, .. }) = (here.slice, flow);
        let claims = match discovery(&flow, frame) {
            Discovery::Neighbour(Neighbour { kind: Kind::Advertisement { .. }, target, .. }) => Some(target.into()),
            _ => claimed(&flow),
        };
        if !encap::propagate_congestion(frame, &flow, outer.traffic_class().unwrap_or(0) & 3) {
            return Err(refused(DropReason::Congestion));
        }
        #[allow(clippy::cast_possible_truncation, reason = "at most SEGMENTS_MAX")]
        let segment = segment as u16;
        Ok(Opened { source, destination, slice, segment, remote, claims, from: None, to: None })
    }

    /// Reads where [`Pipeline::find_ends`] and what comes after it will look, so that it is in the cache by then.
    #[inline]
    pub(crate) fn touch(&self, opened: &Opened) -> u64 {
        let segment = self.tables.segments[usize::from(opened.segment)].uid;
        opened.claims.map_or(0, |address| self.sessions.touch_owner(segment, address))
            ^ self.sessions.touch(session_key(opened.slice, opened.source))
            ^ self.sessions.touch(session_key(opened.slice, opened.destination))
            ^ self.touch_learned(segment, opened.source)
    }

    /// Finds the sessions of source and destination.
    #[inline]
    pub(crate) fn find_ends(&self, opened: &mut Opened) -> u64 {
        let segment = self.tables.segments[usize::from(opened.segment)].uid;
        let owner = opened.claims.and_then(|address| self.sessions.owner(segment, address));
        opened.from = self.sessions.find(session_key(opened.slice, opened.source)).or(owner);
        opened.to = self.sessions.find(session_key(opened.slice, opened.destination));
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
        self.learn(way.now, segment, opened.source, opened.remote);
        match opened.to {
            Some(to) if self.sessions.at(to).segment == self.tables.segments[segment].uid => {
                self.deliver(way, segment, to, None, frame);
            }
            Some(_) => self.drop(way, of_here, DropReason::CrossSegment, frame),
            None if opened.destination.is_unicast() => self.drop(way, of_here, DropReason::NoDestination, frame),
            None => {
                // A tunnel never leads into a tunnel: the frame ends with its copies. It was parsed before.
                if let Ok(flow) = Flow::parse(frame.octets()) {
                    self.flood_sessions(way, segment, &flow, None, &frame);
                }
                self.consume(way, frame);
            }
        }
    }
}

/// Does the UDP checksum hold? None is none over IPv4, and over IPv6 for VXLAN (RFC 6935, RFC 6936). Answers the octets
/// of the payload.
#[inline]
fn udp_holds(octets: &[u8], ends: (IpAddr, IpAddr)) -> Result<usize, DropReason> {
    let datagram = udp::Datagram::new(octets).map_err(|_| DropReason::Malformed)?;
    if datagram.checksum() != 0 && !datagram.checksum_holds(ends.0, ends.1) {
        return Err(DropReason::Checksum);
    }
    Ok(datagram.payload().len())
}
