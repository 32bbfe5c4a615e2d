//! Outer headers: IPv4 or IPv6 with UDP, or IPv6 with a segment routing header.
//!
//! Over IPv6 the UDP checksum is computed, since receivers drop a checksum of 0 unless they are told otherwise (RFC 6935,
//! section 5; RFC 7510, section 3); over IPv4 it is 0, as RFC 7348 asks and RFC 7510 allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Sid;
use model::resource::Srh;
use transport_wire::checksum::{self, Sum};
use transport_wire::ethernet::EtherType;
use transport_wire::{Protocol, ipv4, ipv6, srh, udp, vxlan};

use super::{HOP_LIMIT, Inner, Payload, put};
use crate::frame::Frame;

/// An outer header, written as far as it does not depend on the packet.
#[derive(Debug, Clone)]
pub(crate) enum Outer {
    /// Labels follow the link's header at once.
    None,
    /// IPv4 and UDP.
    Ipv4 { octets: [u8; IPV4_OCTETS] },
    /// IPv6 and UDP, with the sum of what the UDP checksum covers and never changes: addresses, protocol, port.
    Ipv6 { octets: [u8; IPV6_OCTETS], sum: Sum },
    /// IPv6, and a segment routing header if the path has more than one segment or the list is to be whole.
    Srv6 { octets: Box<[u8]>, argument: Argument },
}

/// Where the last segment stands, whose argument is the sender's group; nowhere if the far end reads none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument {
    in_address: bool,
    in_list: bool,
}

impl Argument {
    /// Does the sender's group travel with a packet?
    pub(crate) const fn has_group(self) -> bool {
        self.in_address || self.in_list
    }
}

impl Outer {
    /// From one end to a UDP port of the other; `None` if they are not of one family.
    pub(crate) fn udp(local: IpAddr, remote: IpAddr, port: u16) -> Option<Self> {
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => Self::ipv4((local, remote), port),
            (IpAddr::V6(local), IpAddr::V6(remote)) => Self::ipv6((local, remote), port),
            _ => None,
        }
    }

    fn ipv4(ends: (Ipv4Addr, Ipv4Addr), port: u16) -> Option<Self> {
        let mut octets = [0; IPV4_OCTETS];
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
        header.emit(octets.first_chunk_mut()?);
        emit_udp(&mut octets[ipv4::HEADER_OCTETS..], port)?;
        Some(Self::Ipv4 { octets })
    }

    fn ipv6(ends: (Ipv6Addr, Ipv6Addr), port: u16) -> Option<Self> {
        let mut octets = [0; IPV6_OCTETS];
        emit_ipv6(&mut octets, Protocol::UDP, ends, HOP_LIMIT)?;
        emit_udp(&mut octets[ipv6::HEADER_OCTETS..], port)?;
        let sum = Sum::new().pseudo_ipv6(ends.0, ends.1, Protocol::UDP.0, 0).add_u16(port);
        Some(Self::Ipv6 { octets, sum })
    }

    /// From one end along a path to the SID that stands for the segment at the other: H.Encaps, H.Encaps.L2 and their
    /// reduced forms (RFC 8986, sections 5.1 to 5.4). `None` for more than [`SIDS_MAX`] SIDs.
    pub(crate) fn srv6(local: Ipv6Addr, path: &[Sid], service: Sid, srh: Srh, group: bool) -> Option<Self> {
        let path: Vec<Ipv6Addr> = path.iter().chain([&service]).map(|sid| sid.get()).collect();
        Self::along(local, &path, srh, group, HOP_LIMIT)
    }

    /// From one end along a path to an address at its end, which has so many hops left at first.
    pub(crate) fn along(local: Ipv6Addr, path: &[Ipv6Addr], srh: Srh, group: bool, hops: u8) -> Option<Self> {
        let first = *path.first().filter(|_| path.len() <= SIDS_MAX)?;
        let is_reduced = srh.is_reduced();
        let header = srh::Header { next_header: Protocol(0), flags: 0, tag: 0, path, is_reduced, tlvs: &[] };
        // Reduced, one segment needs no header of its own (RFC 8986, section 5.2).
        let has_list = path.len() > 1 || !is_reduced;
        let srh_octets = if has_list { header.octets()? } else { 0 };
        let mut octets = vec![0; ipv6::HEADER_OCTETS + srh_octets];
        let next = if has_list { Protocol::ROUTING } else { Protocol(0) };
        emit_ipv6(&mut octets, next, (local, first), hops)?;
        if has_list {
            header.emit(&mut octets[ipv6::HEADER_OCTETS..])?;
        }
        // The last segment is the first of the list, and the destination if it is the only one.
        let argument = Argument { in_address: group && path.len() == 1, in_list: group && has_list };
        Some(Self::Srv6 { octets: octets.into(), argument })
    }

    /// Its length.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Ipv4 { .. } => IPV4_OCTETS,
            Self::Ipv6 { .. } => IPV6_OCTETS,
            Self::Srv6 { octets, .. } => octets.len(),
        }
    }

    /// Reads where it begins, so that it is in the cache when a packet needs it.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        match self {
            Self::Srv6 { octets, .. } => octets.first().map_or(0, |first| (*first).into()),
            Self::None => 0,
            Self::Ipv4 { .. } | Self::Ipv6 { .. } => 1,
        }
    }

    /// What the link's header says of it.
    #[inline]
    pub(crate) const fn ethertype(&self) -> EtherType {
        match self {
            Self::None => EtherType::MPLS,
            Self::Ipv4 { .. } => EtherType::IPV4,
            Self::Ipv6 { .. } | Self::Srv6 { .. } => EtherType::IPV6,
        }
    }

    /// Puts it in front; with it the packet fits the path's MTU, which is less than 65,536 octets.
    #[inline]
    pub(crate) fn push(&self, frame: &mut Frame, inner: Inner) {
        #[allow(clippy::cast_possible_truncation, reason = "bounded by the MTU, which has 16 bits")]
        let octets_inside = frame.len() as u16;
        match self {
            Self::None => {}
            Self::Ipv4 { octets } => {
                let Some(out) = frame.push_array::<IPV4_OCTETS>() else { return };
                *out = *octets;
                let total = octets_inside + IPV4_OCTETS_U16;
                let traffic_class = inner.traffic_class();
                let written = u16::from_be_bytes([octets[ipv4::CHECKSUM], octets[ipv4::CHECKSUM + 1]]);
                // Both words were 0 but for version and header length when the checksum was written (RFC 1624).
                let sum = checksum::update(checksum::update(written, 0, total), 0, u16::from(traffic_class));
                out[1] = traffic_class;
                put(out, ipv4::TOTAL_LENGTH, total.to_be_bytes());
                put(out, ipv4::CHECKSUM, sum.to_be_bytes());
                put_udp(out, inner.tunnel_port(), octets_inside + UDP_OCTETS_U16, 0);
            }
            Self::Ipv6 { octets, sum } => {
                let (udp_octets, source_port) = (octets_inside + UDP_OCTETS_U16, inner.tunnel_port());
                // The length stands in the pseudo header and in the UDP header.
                let sum = sum.add_u16(udp_octets).add_u16(udp_octets).add_u16(source_port);
                let checksum = sum.add(frame.octets()).udp_checksum();
                let Some(out) = frame.push_array::<IPV6_OCTETS>() else { return };
                *out = *octets;
                put(out, 0, ipv6::first_word(inner.traffic_class(), inner.hash));
                put(out, ipv6::PAYLOAD_LENGTH, udp_octets.to_be_bytes());
                put_udp(out, source_port, udp_octets, checksum);
            }
            Self::Srv6 { octets, argument } => {
                let Some(out) = frame.push_front(octets.len()) else { return };
                out.copy_from_slice(octets);
                #[allow(clippy::cast_possible_truncation, reason = "at most OUTER_OCTETS_MAX")]
                let payload = octets_inside + (octets.len() - ipv6::HEADER_OCTETS) as u16;
                put(out, 0, ipv6::first_word(inner.traffic_class(), inner.hash));
                put(out, ipv6::PAYLOAD_LENGTH, payload.to_be_bytes());
                let has_srh = octets.len() > ipv6::HEADER_OCTETS;
                let next = if has_srh { ipv6::HEADER_OCTETS } else { ipv6::NEXT_HEADER };
                out[next] = inner.payload.next_header().0;
                if argument.in_list {
                    put(out, SRH_FIRST_END - 2, inner.group.0.to_be_bytes());
                }
                if argument.in_address {
                    put(out, ipv6::HEADER_OCTETS - 2, inner.group.0.to_be_bytes());
                }
            }
        }
    }
}

impl Inner {
    /// That of an outer IP header.
    #[inline]
    const fn traffic_class(self) -> u8 {
        self.mark.ip | self.ecn
    }

    /// The UDP source port of a tunnel that carries it: 49152 to 65535 (RFC 7348, section 5; RFC 7510, section 3).
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "14 bits are kept")]
    const fn tunnel_port(self) -> u16 {
        vxlan::SOURCE_PORT_MIN | (self.hash >> 18) as u16
    }
}

impl Payload {
    /// What SRv6 calls it.
    #[inline]
    const fn next_header(self) -> Protocol {
        match self {
            Self::Ethernet => Protocol::ETHERNET,
            Self::Ipv4 => Protocol::IPV4,
            Self::Ipv6 => Protocol::IPV6,
            Self::Udp => Protocol::UDP,
        }
    }
}

fn emit_ipv6(out: &mut [u8], next_header: Protocol, ends: (Ipv6Addr, Ipv6Addr), hop_limit: u8) -> Option<()> {
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_octets: 0,
        next_header,
        hop_limit,
        source: ends.0,
        destination: ends.1,
    };
    header.emit(out.first_chunk_mut()?);
    Some(())
}

fn emit_udp(out: &mut [u8], port: u16) -> Option<()> {
    let header = udp::Header { source_port: 0, destination_port: port, length: 0, checksum: 0 };
    header.emit(out.first_chunk_mut()?);
    Some(())
}

#[inline]
fn put_udp<const N: usize>(out: &mut [u8; N], source_port: u16, octets: u16, checksum: u16) {
    let at = N - udp::HEADER_OCTETS;
    put(out, at, source_port.to_be_bytes());
    put(out, at + udp::LENGTH, octets.to_be_bytes());
    put(out, at + udp::CHECKSUM, checksum.to_be_bytes());
}

/// The most segments of a path, the service's among them.
pub(crate) const SIDS_MAX: usize = 9;
/// Of a whole list. No label stands in front of it, and no shim behind.
pub(super) const SRV6_OCTETS_MAX: usize = ipv6::HEADER_OCTETS + srh::FIXED_OCTETS + SIDS_MAX * srh::SEGMENT_OCTETS;
pub(super) const UDP_OCTETS_MAX: usize = IPV6_OCTETS;
const IPV4_OCTETS: usize = ipv4::HEADER_OCTETS + udp::HEADER_OCTETS;
const IPV6_OCTETS: usize = ipv6::HEADER_OCTETS + udp::HEADER_OCTETS;
#[allow(clippy::cast_possible_truncation, reason = "28")]
const IPV4_OCTETS_U16: u16 = IPV4_OCTETS as u16;
#[allow(clippy::cast_possible_truncation, reason = "8")]
const UDP_OCTETS_U16: u16 = udp::HEADER_OCTETS as u16;
/// Where the first element of a segment list ends.
const SRH_FIRST_END: usize = ipv6::HEADER_OCTETS + srh::FIXED_OCTETS + srh::SEGMENT_OCTETS;
