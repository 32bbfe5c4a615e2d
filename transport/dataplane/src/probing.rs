//! Probes on their way: written, sent along their path, answered at the far end, and heard when they are back.
//!
//! A probe takes the way of the packets of its path: the same first hop, labels and SIDs, and at the end the far edge's
//! loopback in place of a segment. The far edge answers over the path that leads back, which has the same id there.

use std::net::IpAddr;

use transport_wire::flow::{Flow, Network};
use transport_wire::stamp::{self, Probe, Reply};
use transport_wire::{EtherType, Protocol, checksum, ipv4, ipv6, udp};

use crate::drops::DropReason;
use crate::encap::{Group, Inner, Mark, Payload};
use crate::forward::Way;
use crate::frame::{BURST_FRAMES_MAX, Frame, FramePool};
use crate::meter::Nanos;
use crate::path::Path;
use crate::pipeline::Pipeline;
use crate::port::Outputs;
use crate::probe::{PathIndex, reflect};

/// A packet of STAMP.
struct Packet {
    /// Source and destination port.
    ports: (u16, u16),
    octets: [u8; stamp::PACKET_OCTETS],
}

/// A packet of STAMP that has arrived.
struct Arrived {
    packet: Packet,
    from: IpAddr,
    /// What is left of its time to live.
    ttl: u8,
}

impl Pipeline {
    /// When the next probe is due, if paths are probed at all.
    pub fn next_probe(&self) -> Option<Nanos> {
        if self.others.place.is_first() { self.tables.probes.next_due() } else { None }
    }

    /// Sends probes that are due, so many at most that they fit the queue of a port; others stay due.
    pub fn probe(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        if !self.others.place.is_first() {
            return;
        }
        for _ in 0..BURST_FRAMES_MAX {
            let Some((path, probe)) = self.tables.probes.due(now, &self.clock) else { break };
            let mut octets = [0; stamp::PACKET_OCTETS];
            probe.emit(&mut octets);
            self.send_along(path, &Packet { ports: (SOURCE_PORT, stamp::PORT), octets }, now, pool, out);
        }
        self.tell_changed_paths();
    }

    /// What the others must know of paths at once.
    fn tell_changed_paths(&mut self) {
        if self.tables.probes.take_changed() {
            self.tell_paths();
        }
    }

    /// A packet to a loopback of ours that may be one of STAMP. If it is, it is dealt with; else it comes back.
    pub(crate) fn stamp(&mut self, way: &mut Way<'_>, flow: &Flow, frame: Frame) -> Option<Frame> {
        let Some(arrived) = read(flow, &frame) else { return Some(frame) };
        let found = match arrived.packet.ports {
            // A sender on a port of the system would make two reflectors answer one another for ever.
            (SENDER_PORT_MIN.., stamp::PORT) => self.answer_probe(way, &arrived),
            (stamp::PORT, SOURCE_PORT) => self.hear(way, &arrived),
            _ => return Some(frame),
        };
        match found {
            Ok(()) => self.consume(way, frame),
            Err(reason) => self.drop(way, None, reason, frame),
        }
        None
    }

    fn answer_probe(&mut self, way: &mut Way<'_>, arrived: &Arrived) -> Result<(), DropReason> {
        let probe = Probe::read(&arrived.packet.octets).map_err(|_| DropReason::UnknownRemote)?;
        let path = self.tables.probes.find(arrived.from, probe.session).ok_or(DropReason::UnknownRemote)?;
        if !self.tables.probes.admits(path, probe.sequence, way.now) {
            return Err(DropReason::ProbeRate);
        }
        let mut octets = [0; stamp::PACKET_OCTETS];
        reflect(&probe, arrived.ttl, way.now, way.now, &self.clock).emit(&mut octets);
        let packet = Packet { ports: (stamp::PORT, arrived.packet.ports.0), octets };
        self.send_along(path, &packet, way.now, way.pool, way.out);
        Ok(())
    }

    /// Of no path that leads there is as good as of no remote.
    fn hear(&mut self, way: &Way<'_>, arrived: &Arrived) -> Result<(), DropReason> {
        let reply = Reply::read(&arrived.packet.octets).map_err(|_| DropReason::UnknownRemote)?;
        let path = self.tables.probes.find(arrived.from, reply.probe.session).ok_or(DropReason::UnknownRemote)?;
        self.tables.probes.heard(path, &reply, way.now, &self.clock);
        self.tell_changed_paths();
        Ok(())
    }

    /// Sends a packet along a path. If the next hop is not known or no buffer is left it is not sent, which whoever waits
    /// for an answer will notice.
    fn send_along(&mut self, to: PathIndex, packet: &Packet, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        let Some(path) = self.tables.paths.get(to.place()) else { return };
        let (port, neighbour) = (path.port, usize::from(path.neighbour));
        let Some(next_hop) = self.tables.neighbours[neighbour].mac else { return };
        let mut way = Way { now, port, pool, out };
        let Some(mut frame) = self.buffer(&mut way, None) else { return };
        let path = &self.tables.paths[to.place()];
        if write(&mut frame, path, packet).is_none() {
            return self.drop(&mut way, None, DropReason::Malformed, frame);
        }
        path.link.push(&mut frame, next_hop, path.ethertype(), PROBE_MARK);
        self.send(&mut way, port, None, frame);
    }
}

impl Path {
    /// Of the packets that are for the far edge itself.
    fn ethertype(&self) -> EtherType {
        if self.program.local.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 }
    }
}

/// The packet of STAMP in a frame, if there is one whose checksum holds.
fn read(flow: &Flow, frame: &Frame) -> Option<Arrived> {
    let (Network::Ipv4 { upper, octets, .. } | Network::Ipv6 { upper, octets, .. }) = flow.network else { return None };
    let (source, destination) = flow.addresses()?;
    if upper.protocol != Protocol::UDP || upper.is_fragment {
        return None;
    }
    let network_at = usize::from(flow.network_at);
    let packet = frame.octets().get(usize::from(upper.at)..network_at + usize::from(octets))?;
    let datagram = udp::Datagram::new(packet).ok().filter(|datagram| datagram.checksum_holds(source, destination))?;
    let ttl_at = if source.is_ipv4() { ipv4::TTL } else { ipv6::HOP_LIMIT };
    Some(Arrived {
        packet: Packet { ports: upper.ports, octets: *datagram.payload().first_chunk()? },
        from: source,
        ttl: *frame.octets().get(network_at + ttl_at)?,
    })
}

/// Writes a packet up to its IP header.
fn write(frame: &mut Frame, path: &Path, packet: &Packet) -> Option<()> {
    let (local, remote) = (path.program.local, path.program.remote);
    frame.copy_from(&packet.octets);
    let octets = udp::HEADER_OCTETS + stamp::PACKET_OCTETS;
    let length = u16::try_from(octets).ok()?;
    let mut header = udp::Header { source_port: packet.ports.0, destination_port: packet.ports.1, length, checksum: 0 };
    header.emit(frame.push_array()?);
    let sum = checksum::Sum::new().pseudo(local, remote, Protocol::UDP.0, length).add(frame.octets());
    header.checksum = sum.udp_checksum();
    header.emit(frame.octets_mut().first_chunk_mut()?);
    if let (IpAddr::V4(source), IpAddr::V4(destination)) = (local, remote) {
        let header = ipv4::Header {
            traffic_class: PROBE_MARK.traffic_class(),
            total_octets: u16::try_from(ipv4::HEADER_OCTETS + octets).ok()?,
            identification: 0,
            dont_fragment: true,
            ttl: PROBE_HOPS,
            protocol: Protocol::UDP,
            source,
            destination,
        };
        header.emit(frame.push_array()?);
    } else {
        let inner = Inner { payload: Payload::Udp, hash: 0, ecn: 0, mark: PROBE_MARK, group: Group::ROOT };
        path.probe.as_ref()?.push(frame, inner);
    }
    Some(())
}

/// The lowest port of a sender that is answered (RFC 6335, section 6: those below are the system's).
const SENDER_PORT_MIN: u16 = 1_024;
/// Where answers to our probes are sent.
const SOURCE_PORT: u16 = 49_862;
/// Probes are not to be lost among what they measure.
const PROBE_MARK: Mark = Mark::NETWORK_CONTROL;
/// So that the far end sees how many hops there were (RFC 8762, section 4.2.1).
pub(crate) const PROBE_HOPS: u8 = u8::MAX;
