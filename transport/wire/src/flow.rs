//! One pass over a frame: all that the packet path asks of it.
//!
//! A layer-2 service carries what it can't read, so an unknown EtherType or upper layer is no error. A frame whose own
//! header, tag, ARP, IPv4 or IPv6 header contradicts itself is one, and the packet path drops it by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use model::Mac;

use crate::ethernet::{self, Frame, TAGS_MAX, Tag, Tci};
use crate::octets::be16;
use crate::{EtherType, Protocol, WireError, arp, ipv4, ipv6};

/// What a frame says.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// The outer tag, if there is one.
    pub tag: Option<Tci>,
    /// What follows the tags.
    pub ethertype: EtherType,
    /// Where that begins, from the start of the frame.
    pub network_at: u16,
    /// What it is.
    pub network: Network,
}

/// What an Ethernet frame carries.
#[derive(Debug, Clone, Copy)]
pub enum Network {
    /// ARP for IPv4.
    Arp {
        /// What it wants.
        operation: arp::Operation,
        /// Who sends it, by its own word.
        sender_mac: Mac,
        /// The address that the sender claims.
        sender: Ipv4Addr,
        /// The address that it is about.
        target: Ipv4Addr,
    },
    /// IPv4.
    Ipv4 {
        /// From whom.
        source: Ipv4Addr,
        /// To whom.
        destination: Ipv4Addr,
        /// DSCP and ECN.
        traffic_class: u8,
        /// Length of header and payload, in octets.
        octets: u16,
        /// What it carries.
        upper: Upper,
    },
    /// IPv6.
    Ipv6 {
        /// From whom.
        source: Ipv6Addr,
        /// To whom.
        destination: Ipv6Addr,
        /// DSCP and ECN.
        traffic_class: u8,
        /// Length of header and payload, in octets.
        octets: u16,
        /// Where the segment routing header begins, from the start of the IPv6 header.
        srh_at: Option<NonZeroU16>,
        /// What it carries.
        upper: Upper,
    },
    /// Anything else.
    Other,
}

/// What an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper {
    /// What it is.
    pub protocol: Protocol,
    /// Where it begins, from the start of the frame.
    pub at: u16,
    /// Source and destination port of TCP and UDP; 0 for others, for all fragments, and where they are cut off.
    pub ports: (u16, u16),
    /// The packet is a fragment.
    pub is_fragment: bool,
}

impl Flow {
    /// Reads a frame.
    #[inline]
    pub fn parse(octets: &[u8]) -> Result<Self, WireError> {
        let frame = Frame::new(octets)?;
        let (mut ethertype, mut payload, mut tag) = (frame.ethertype(), frame.payload(), None);
        for _ in 0..TAGS_MAX {
            if !ethertype.is_tag() {
                break;
            }
            let inner = Tag::new(payload)?;
            tag = tag.or(Some(inner.tci()));
            (ethertype, payload) = (inner.ethertype(), inner.payload());
        }
        let network_at = octets.len() - payload.len();
        let network = match ethertype {
            EtherType::IPV4 => Network::ipv4(payload, network_at)?,
            EtherType::IPV6 => Network::ipv6(payload, network_at)?,
            EtherType::ARP => Network::arp(payload)?,
            _ => Network::Other,
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most 14 + 2 * 4")]
        let network_at = network_at as u16;
        Ok(Self { destination: frame.destination(), source: frame.source(), tag, ethertype, network_at, network })
    }

    /// Spreads flows: packets of one flow have one value, and flows seldom share one. It is good for choosing among
    /// paths, not against an attacker who chooses flows.
    #[inline]
    pub fn hash(&self) -> u32 {
        let mixed = match self.network {
            Network::Ipv4 { source, destination, upper, .. } => {
                let addresses = u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits());
                mix(addresses, upper.bits())
            }
            Network::Ipv6 { source, destination, upper, .. } => {
                let (s, d) = (source.to_bits(), destination.to_bits());
                mix(mix(high(s) ^ low(d), low(s) ^ high(d).rotate_left(32)), upper.bits())
            }
            Network::Arp { .. } | Network::Other => {
                let (s, d) = (self.source.0, self.destination.0);
                let source = u64::from_be_bytes([0, 0, s[0], s[1], s[2], s[3], s[4], s[5]]);
                let destination = u64::from_be_bytes([0, 0, d[0], d[1], d[2], d[3], d[4], d[5]]);
                mix(source, destination << 16 | u64::from(self.ethertype.0))
            }
        };
        high32(mixed)
    }

    /// The UDP source port of a tunnel that carries this flow: 49152 to 65535 (RFC 7348, section 5).
    #[inline]
    pub fn tunnel_port(&self) -> u16 {
        #[allow(clippy::cast_possible_truncation, reason = "14 bits are kept")]
        let spread = (self.hash() >> 18) as u16;
        crate::vxlan::SOURCE_PORT_MIN | spread
    }

    /// Becomes what the frame says once its outer tag has been taken off; the same if it has none.
    #[inline]
    pub const fn take_tag(&mut self) {
        if self.tag.take().is_some() {
            self.network_at -= TAG_OCTETS;
            if let Network::Ipv4 { upper, .. } | Network::Ipv6 { upper, .. } = &mut self.network {
                upper.at -= TAG_OCTETS;
            }
        }
    }

    /// DSCP and ECN of an IP packet.
    #[inline]
    pub const fn traffic_class(&self) -> Option<u8> {
        match self.network {
            Network::Ipv4 { traffic_class, .. } | Network::Ipv6 { traffic_class, .. } => Some(traffic_class),
            Network::Arp { .. } | Network::Other => None,
        }
    }

    /// Source and destination of an IP packet.
    pub const fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self.network {
            Network::Ipv4 { source, destination, .. } => Some((IpAddr::V4(source), IpAddr::V4(destination))),
            Network::Ipv6 { source, destination, .. } => Some((IpAddr::V6(source), IpAddr::V6(destination))),
            Network::Arp { .. } | Network::Other => None,
        }
    }
}

impl Network {
    #[inline]
    fn arp(payload: &[u8]) -> Result<Self, WireError> {
        let packet = arp::Packet::new(payload)?;
        Ok(Self::Arp {
            operation: packet.operation(),
            sender_mac: packet.sender_mac(),
            sender: packet.sender_address(),
            target: packet.target_address(),
        })
    }

    #[inline]
    fn ipv4(payload: &[u8], at: usize) -> Result<Self, WireError> {
        let packet = ipv4::Packet::new(payload)?;
        Ok(Self::Ipv4 {
            source: packet.source(),
            destination: packet.destination(),
            traffic_class: packet.traffic_class(),
            octets: packet.total_octets(),
            upper: Upper::new(packet.protocol(), packet.payload(), at + packet.header_octets(), packet.is_fragment()),
        })
    }

    #[inline]
    fn ipv6(payload: &[u8], at: usize) -> Result<Self, WireError> {
        let packet = ipv6::Packet::new(payload)?;
        let upper = packet.upper_layer()?;
        let upper_at = at + ipv6::HEADER_OCTETS + packet.payload().len() - upper.payload.len();
        Ok(Self::Ipv6 {
            source: packet.source(),
            destination: packet.destination(),
            traffic_class: packet.traffic_class(),
            #[allow(clippy::cast_possible_truncation, reason = "only a jumbogram is longer, and it was refused")]
            octets: packet.payload_octets().saturating_add(ipv6::HEADER_OCTETS as u16),
            srh_at: upper.srh_at,
            upper: Upper::new(upper.protocol, upper.payload, upper_at, upper.is_fragment),
        })
    }
}

impl Upper {
    #[inline]
    fn new(protocol: Protocol, payload: &[u8], at: usize, is_fragment: bool) -> Self {
        let has_ports = matches!(protocol, Protocol::TCP | Protocol::UDP) && !is_fragment && payload.len() >= 4;
        let ports = if has_ports { (be16(payload, 0), be16(payload, 2)) } else { (0, 0) };
        #[allow(clippy::cast_possible_truncation, reason = "inside an IP packet, which is at most 65,575 octets long")]
        let at = at as u16;
        Self { protocol, at, ports, is_fragment }
    }

    #[inline]
    const fn bits(self) -> u64 {
        (self.ports.0 as u64) << 32 | (self.ports.1 as u64) << 16 | self.protocol.0 as u64
    }
}

/// A folded multiplication: every bit of the inputs reaches every bit of the result.
#[inline]
const fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ 0x9e37_79b9_7f4a_7c15) as u128 * (b ^ 0xd1b5_4a32_d192_ed03) as u128;
    high(product) ^ low(product)
}

#[inline]
const fn high(x: u128) -> u64 {
    (x >> 64) as u64
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
const fn low(x: u128) -> u64 {
    x as u64
}

#[inline]
const fn high32(x: u64) -> u32 {
    (x >> 32) as u32
}

#[allow(clippy::cast_possible_truncation, reason = "4")]
const TAG_OCTETS: u16 = ethernet::TAG_OCTETS as u16;

const _: () = assert!(ethernet::HEADER_OCTETS + TAGS_MAX * ethernet::TAG_OCTETS < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Layer, Problem};

    /// Ethernet, VLAN 110, IPv4, UDP 1000 to 2000, no payload.
    fn frame() -> Vec<u8> {
        let mut ip = [0xa5; ipv4::HEADER_OCTETS];
        ipv4::Header {
            traffic_class: 0xb8,
            total_octets: 28,
            identification: 0,
            dont_fragment: true,
            ttl: 64,
            protocol: Protocol::UDP,
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(192, 0, 2, 2),
        }
        .emit(&mut ip);
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 110, 8, 0][..], &ip, &[0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0]]
            .concat()
    }

    #[test]
    fn without_its_tag_a_frame_says_the_same_four_octets_earlier() {
        let tagged = frame();
        let untagged = [&tagged[..12], &tagged[16..]].concat();
        let expected = format!("{:?}", Flow::parse(&untagged).unwrap());
        for frame in [tagged, untagged] {
            let mut flow = Flow::parse(&frame).unwrap();
            flow.take_tag();
            assert_eq!(format!("{flow:?}"), expected);
        }
    }

    #[test]
    fn one_pass_finds_every_layer() {
        let flow = Flow::parse(&frame()).unwrap();
        assert_eq!(flow.tag.map(Tci::vlan), Some(110));
        assert_eq!((flow.ethertype, flow.network_at), (EtherType::IPV4, 18));
        let Network::Ipv4 { source, traffic_class, octets, upper, .. } = flow.network else {
            panic!("{flow:?}");
        };
        assert_eq!((source, traffic_class, octets), (Ipv4Addr::new(192, 0, 2, 1), 0xb8, 28));
        assert_eq!(upper, Upper { protocol: Protocol::UDP, at: 38, ports: (1000, 2000), is_fragment: false });
    }

    #[test]
    fn a_segment_routing_header_is_found() {
        // tcpdump, tests/ipv6-srh-ipproto-ether.pcap, up to the inner Ethernet header; tagged with VLAN 110.
        let outer = [
            0xd6, 0x67, 0x19, 0x4e, 0x0f, 0x4f, 0xbe, 0xf5, 0x06, 0x09, 0x44, 0x74, 0x81, 0, 0, 110, 0x86, 0xdd, 0x60,
            0x0d, 0xe0, 0x27, 0x00, 0x26, 0x2b, 0x3f, 0x00, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00,
            0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x8f, 0x02, 0x04, 0, 0, 0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x1e, 0x1d, 0xdf, 0xcd, 0x54, 0x7a, 0xae, 0x64, 0x42, 0x3b, 0x5b, 0x9a, 0x86,
            0xdd,
        ];
        let mut flow = Flow::parse(&outer).unwrap();
        for upper_at in [82, 78] {
            let Network::Ipv6 { srh_at: Some(srh_at), upper, .. } = flow.network else { panic!("{flow:?}") };
            assert_eq!((srh_at.get(), upper.at, upper.protocol), (40, upper_at, Protocol::ETHERNET));
            flow.take_tag();
        }
    }

    #[test]
    fn what_an_l2_service_carries_unread_is_no_error() {
        let flow = Flow::parse(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xcc, 1, 2, 3]).unwrap();
        assert!(matches!(flow.network, Network::Other));
        // Three tags: the third is carried unread.
        let deep = [&frame()[..12], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0]].concat();
        let flow = Flow::parse(&deep).unwrap();
        assert_eq!((flow.tag.map(Tci::vlan), flow.ethertype), (Some(1), EtherType::VLAN));
    }

    #[test]
    fn a_frame_cut_anywhere_is_refused_in_the_layer_that_was_cut() {
        let frame = frame();
        for length in 0..frame.len() {
            let layer = Flow::parse(&frame[..length]).unwrap_err().layer;
            let expected = match length {
                0..14 => Layer::Ethernet,
                14..18 => Layer::Vlan,
                _ => Layer::Ipv4,
            };
            assert_eq!(layer, expected, "{length}");
        }
        let mut lie = frame;
        lie[18] = 0x41;
        assert!(matches!(Flow::parse(&lie).unwrap_err().problem, Problem::Length { .. }));
    }

    #[test]
    fn the_tunnel_port_spreads_over_its_whole_range() {
        let mut ports = std::collections::HashSet::new();
        for port in 0..10_000_u16 {
            let mut frame = frame();
            frame[38..40].copy_from_slice(&port.to_be_bytes());
            let tunnel_port = Flow::parse(&frame).unwrap().tunnel_port();
            assert!(tunnel_port >= 49152);
            ports.insert(tunnel_port);
        }
        // 10,000 balls thrown at random into 16,384 bins take 16384 * (1 - e^(-10000/16384)) = 7,486 of them.
        assert!(ports.len() > 7_300, "{}", ports.len());
    }

    proptest! {
        #[test]
        fn random_octets_never_panic(mut octets in proptest::collection::vec(any::<u8>(), 0..200), kind in prop::sample::select(vec![0x0800_u16, 0x86dd, 0x0806, 0x8100, 0x88a8])) {
            if octets.len() > 14 {
                octets[12..14].copy_from_slice(&kind.to_be_bytes());
            }
            if let Ok(flow) = Flow::parse(&octets) {
                prop_assert!(usize::from(flow.network_at) <= octets.len());
                let _ = flow.hash();
            }
        }

        #[test]
        fn a_mutated_frame_never_panics(at in 0_usize..46, value: u8) {
            let mut frame = frame();
            frame[at] = value;
            let _ = Flow::parse(&frame);
        }
    }
}
