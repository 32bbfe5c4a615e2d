//! Encapsulation: VXLAN over IPv6 or IPv4 (RFC 7348, section 5).
//!
//! ```text
//!  0          14              34 (54)    42 (62)    50 (70)
//! +----------+---------------+----------+----------+------------------------
//! | Ethernet | IPv4 (IPv6)   |   UDP    |  VXLAN   | the device's frame …
//! +----------+---------------+----------+----------+------------------------
//! ```
//!
//! All that does not change from packet to packet is written once, when tables are compiled; a packet costs a copy of it
//! and a few fields. Over IPv6 the UDP checksum is computed, since receivers drop a checksum of 0 unless they are told
//! otherwise (RFC 6935, section 5); over IPv4 it is 0, as RFC 7348 asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{Dscp, Mac, Vni};
use transport_wire::checksum::{self, Sum};
use transport_wire::ethernet::{self, EtherType};
use transport_wire::flow::Flow;
use transport_wire::{Protocol, ipv4, ipv6, udp, vxlan};

use crate::frame::Frame;

/// The outer headers of a tunnel, written as far as they don't depend on the packet.
#[derive(Debug, Clone)]
pub(crate) enum Header {
    /// Over IPv4.
    Ipv4 { octets: [u8; IPV4_OCTETS], dscp: Dscp },
    /// Over IPv6, with the sum of what the UDP checksum covers and never changes: addresses, protocol, port, VXLAN.
    Ipv6 { octets: [u8; IPV6_OCTETS], dscp: Dscp, sum: Sum },
}

impl Header {
    /// From one end to the other; `None` if they are not of one family.
    pub(crate) fn new(source_mac: Mac, local: IpAddr, remote: IpAddr, vni: Vni, dscp: Dscp) -> Option<Self> {
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => Self::ipv4(source_mac, (local, remote), vni, dscp),
            (IpAddr::V6(local), IpAddr::V6(remote)) => Self::ipv6(source_mac, (local, remote), vni, dscp),
            _ => None,
        }
    }

    fn ipv4(source: Mac, ends: (Ipv4Addr, Ipv4Addr), vni: Vni, dscp: Dscp) -> Option<Self> {
        let mut octets = [0; IPV4_OCTETS];
        emit_ends(&mut octets, source, EtherType::IPV4, vni)?;
        let header = ipv4::Header {
            traffic_class: 0,
            total_octets: 0,
            identification: 0,
            // The underlay's MTU was planned for; a router that can't carry it must not hide that.
            dont_fragment: true,
            ttl: HOP_LIMIT,
            protocol: Protocol::UDP,
            source: ends.0,
            destination: ends.1,
        };
        header.emit(octets[IP..].first_chunk_mut()?);
        Some(Self::Ipv4 { octets, dscp })
    }

    fn ipv6(source: Mac, ends: (Ipv6Addr, Ipv6Addr), vni: Vni, dscp: Dscp) -> Option<Self> {
        let mut octets = [0; IPV6_OCTETS];
        emit_ends(&mut octets, source, EtherType::IPV6, vni)?;
        let header = ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_octets: 0,
            next_header: Protocol::UDP,
            hop_limit: HOP_LIMIT,
            source: ends.0,
            destination: ends.1,
        };
        header.emit(octets[IP..].first_chunk_mut()?);
        let pseudo = Sum::new().pseudo_ipv6(ends.0, ends.1, Protocol::UDP.0, 0);
        let sum = pseudo.add_u16(vxlan::PORT).add(&octets[IPV6_OCTETS - vxlan::HEADER_OCTETS..]);
        Some(Self::Ipv6 { octets, dscp, sum })
    }

    /// How much longer a frame becomes.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Ipv4 { .. } => IPV4_OCTETS,
            Self::Ipv6 { .. } => IPV6_OCTETS,
        }
    }

    /// Puts the outer headers in front of an inner frame without tag. The frame has room for them, and the whole fits
    /// the core port's MTU, which is less than 65,536 octets. Outside, the class is the slice's, and ECN is what the
    /// inner packet has (RFC 6040, section 4.1, normal mode).
    #[inline]
    pub(crate) fn push(&self, frame: &mut Frame, next_hop: Mac, flow: &Flow) {
        let ecn = flow.traffic_class().unwrap_or(0) & 3;
        let hash = flow.hash();
        #[allow(clippy::cast_possible_truncation, reason = "bounded by the MTU, which has 16 bits")]
        let udp_octets = (udp::HEADER_OCTETS + vxlan::HEADER_OCTETS + frame.len()) as u16;
        let source_port = flow.tunnel_port();
        match self {
            Self::Ipv4 { octets, dscp } => {
                let Some(out) = frame.push_array::<IPV4_OCTETS>() else { return };
                *out = *octets;
                put(out, 0, next_hop.0);
                let total = udp_octets + IPV4_HEADER_OCTETS;
                let traffic_class = dscp.get() << 2 | ecn;
                let written = u16::from_be_bytes([octets[IP + ipv4::CHECKSUM], octets[IP + ipv4::CHECKSUM + 1]]);
                // Both words were 0 but for version and header length when the checksum was written (RFC 1624).
                let sum = checksum::update(checksum::update(written, 0, total), 0, u16::from(traffic_class));
                out[IP + 1] = traffic_class;
                put(out, IP + ipv4::TOTAL_LENGTH, total.to_be_bytes());
                put(out, IP + ipv4::CHECKSUM, sum.to_be_bytes());
                put_udp(out, source_port, udp_octets, 0);
            }
            Self::Ipv6 { octets, dscp, sum } => {
                // The length stands in the pseudo header and in the UDP header.
                let sum = sum.add_u16(udp_octets).add_u16(udp_octets).add_u16(source_port);
                let checksum = sum.add(frame.octets()).udp_checksum();
                let Some(out) = frame.push_array::<IPV6_OCTETS>() else { return };
                *out = *octets;
                put(out, 0, next_hop.0);
                put(out, IP, ipv6::first_word(dscp.get() << 2 | ecn, hash));
                put(out, IP + ipv6::PAYLOAD_LENGTH, udp_octets.to_be_bytes());
                put_udp(out, source_port, udp_octets, checksum);
            }
        }
    }
}

/// Writes what stands before and behind the IP header.
fn emit_ends<const N: usize>(out: &mut [u8; N], source: Mac, ethertype: EtherType, vni: Vni) -> Option<()> {
    ethernet::Header { destination: Mac([0; 6]), source, ethertype }.emit(out.first_chunk_mut()?);
    let udp = udp::Header { source_port: 0, destination_port: vxlan::PORT, length: 0, checksum: 0 };
    udp.emit(out[N - vxlan::HEADER_OCTETS - udp::HEADER_OCTETS..].first_chunk_mut()?);
    vxlan::emit(vni.get(), None, out[N - vxlan::HEADER_OCTETS..].first_chunk_mut()?);
    Some(())
}

#[inline]
fn put_udp<const N: usize>(out: &mut [u8; N], source_port: u16, octets: u16, checksum: u16) {
    let at = N - vxlan::HEADER_OCTETS - udp::HEADER_OCTETS;
    put(out, at, source_port.to_be_bytes());
    put(out, at + udp::LENGTH, octets.to_be_bytes());
    put(out, at + udp::CHECKSUM, checksum.to_be_bytes());
}

#[inline]
fn put<const N: usize>(out: &mut [u8], at: usize, octets: [u8; N]) {
    out[at..at + N].copy_from_slice(&octets);
}

/// Marks congestion in an inner packet as the outer header has it (RFC 6040, section 4.2). False: it can't be marked and
/// must be dropped.
#[inline]
pub(crate) fn propagate_congestion(frame: &mut Frame, flow: &Flow, outer_ecn: u8) -> bool {
    const NOT_ECT: u8 = 0;
    const ECT_1: u8 = 1;
    const ECT_0: u8 = 2;
    const CE: u8 = 3;
    let Some(traffic_class) = flow.traffic_class() else {
        // Not IP: nothing to mark, and a mark means a loss.
        return outer_ecn != CE;
    };
    let marked = match (traffic_class & 3, outer_ecn) {
        (NOT_ECT, CE) => return false,
        (ECT_0 | ECT_1, CE) => CE,
        (ECT_0, ECT_1) => ECT_1,
        _ => return true,
    };
    let at = usize::from(flow.network_at);
    let new = traffic_class & !3 | marked;
    let octets = frame.octets_mut();
    if flow.ethertype == EtherType::IPV4 {
        let (old_word, new_word) =
            (u16::from_be_bytes([octets[at], traffic_class]), u16::from_be_bytes([octets[at], new]));
        let place = at + ipv4::CHECKSUM;
        let sum = checksum::update(u16::from_be_bytes([octets[place], octets[place + 1]]), old_word, new_word);
        octets[at + 1] = new;
        octets[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    } else {
        octets[at] = octets[at] & 0xf0 | new >> 4;
        octets[at + 1] = octets[at + 1] & 0x0f | new << 4;
    }
    true
}

/// Where the IP header stands.
const IP: usize = ethernet::HEADER_OCTETS;
const UDP_VXLAN_OCTETS: usize = udp::HEADER_OCTETS + vxlan::HEADER_OCTETS;
const IPV4_OCTETS: usize = ethernet::HEADER_OCTETS + ipv4::HEADER_OCTETS + UDP_VXLAN_OCTETS;
const IPV6_OCTETS: usize = ethernet::HEADER_OCTETS + ipv6::HEADER_OCTETS + UDP_VXLAN_OCTETS;
const IPV4_HEADER_OCTETS: u16 = 20;
/// The hop limit of a new packet (RFC 1700).
const HOP_LIMIT: u8 = 64;

const _: () = assert!(IPV4_OCTETS == 50 && IPV6_OCTETS == 70 && IPV6_OCTETS <= crate::frame::HEADROOM_OCTETS);
const _: () = assert!(IPV4_HEADER_OCTETS as usize == ipv4::HEADER_OCTETS);

#[cfg(test)]
mod tests;
