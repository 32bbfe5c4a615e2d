//! Tunnels towards this edge: VXLAN packets of its segments.

use std::net::IpAddr;

use transport_wire::ethernet;
use transport_wire::flow::{Flow, Upper};
use transport_wire::{udp, vxlan};

use crate::drops::DropReason;
use crate::encap;
use crate::forward::Way;
use crate::frame::Frame;
use crate::pipeline::Pipeline;
use crate::session::{Slot, session_key};

/// Why a packet of a tunnel goes no further, and the place of its segment if that is known.
type Refused = (Option<usize>, DropReason);

impl Pipeline {
    /// A packet to the VXLAN port of this edge, whose outer addresses are checked to be its own.
    pub(crate) fn tunnel(
        &mut self,
        way: &mut Way<'_>,
        mut frame: Frame,
        outer: &Flow,
        ends: (IpAddr, IpAddr),
        upper: Upper,
    ) {
        let (segment, remote) = match self.open(&mut frame, ends, upper) {
            Ok(opened) => opened,
            Err((segment, reason)) => return self.drop(way, segment, reason, frame),
        };
        let octets = frame.len();
        self.tables.segments[segment].from_tunnels.count(octets);
        let (flow, to) = match self.inner(segment, &mut frame, outer) {
            Ok(inner) => inner,
            Err(reason) => return self.drop(way, Some(segment), reason, frame),
        };
        self.learn(way.now, segment, flow.source, remote);
        let Some(to) = to else {
            if flow.destination.is_unicast() {
                return self.drop(way, Some(segment), DropReason::NoDestination, frame);
            }
            // A tunnel never leads into a tunnel: the frame ends with its copies.
            self.flood_sessions(way, segment, &flow, None, &frame);
            return self.consume(way, frame);
        };
        if self.sessions.at(to).segment == self.tables.segments[segment].uid {
            self.deliver(way, segment, to, None, frame);
        } else {
            self.drop(way, Some(segment), DropReason::CrossSegment, frame);
        }
    }

    /// Takes the outer headers off. Answers the segment, and the edge that sent the packet.
    #[inline]
    fn open(&self, frame: &mut Frame, ends: (IpAddr, IpAddr), upper: Upper) -> Result<(usize, u16), Refused> {
        let at = usize::from(upper.at);
        let octets = frame.octets().get(at..).unwrap_or_default();
        let payload_octets = udp_holds(octets, ends).map_err(|reason| (None, reason))?;
        let payload = octets.get(udp::HEADER_OCTETS..udp::HEADER_OCTETS + payload_octets).unwrap_or_default();
        let packet = vxlan::Packet::new(payload).map_err(|_| (None, DropReason::Malformed))?;
        let segment = self.tables.segment_of_vni(packet.vni()).ok_or((None, DropReason::UnknownVni))?;
        let here = &self.tables.segments[segment];
        let of_here = Some(segment);
        if here.local != Some(ends.1) {
            return Err((of_here, DropReason::NotForUs));
        }
        let remote = here.remote_at(ends.0).ok_or((of_here, DropReason::UnknownRemote))?;
        frame.pull_front(at + udp::HEADER_OCTETS + vxlan::HEADER_OCTETS);
        frame.truncate(payload_octets - vxlan::HEADER_OCTETS);
        Ok((segment, remote))
    }

    /// Looks at the inner frame. Answers what it says, and the session of the slice that it is for.
    #[inline]
    fn inner(&self, segment: usize, frame: &mut Frame, outer: &Flow) -> Result<(Flow, Option<Slot>), DropReason> {
        let flow = Flow::parse(frame.octets()).map_err(|_| DropReason::Malformed)?;
        if usize::from(flow.network_at) != ethernet::HEADER_OCTETS {
            return Err(DropReason::InnerTag);
        }
        if !flow.source.is_unicast() {
            return Err(DropReason::SourceNotUnicast);
        }
        let slice = self.tables.segments[segment].slice;
        if self.sessions.find(session_key(slice, flow.source)).is_some() {
            return Err(DropReason::SourceIsLocal);
        }
        let ecn = outer.traffic_class().unwrap_or(0) & 3;
        if !encap::propagate_congestion(frame, &flow, ecn) {
            return Err(DropReason::Congestion);
        }
        Ok((flow, self.sessions.find(session_key(slice, flow.destination))))
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
