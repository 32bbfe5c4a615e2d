//! IPv4 (RFC 791).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+-----------+---+-------------------------------+
//! |Version|  IHL  |   DSCP    |ECN|         Total length          |
//! +-------+-------+-----------+---+-----+-------------------------+
//! |        Identification         |Flags|     Fragment offset     |
//! +---------------+---------------+-----+-------------------------+
//! |      TTL      |   Protocol    |        Header checksum        |
//! +---------------+---------------+-------------------------------+
//! |                         Source address                        |
//! +---------------------------------------------------------------+
//! |                      Destination address                      |
//! +---------------------------------------------------------------+
//! ```

use std::net::Ipv4Addr;

use crate::checksum::Sum;
use crate::octets::{at, be16, put};
use crate::{Layer, WireError};

/// What an IP payload is (IANA protocol numbers). Unknown ones survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Hop-by-hop options of IPv6.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// IPv4 in IP (RFC 2003, RFC 2473).
    pub const IPV4: Self = Self(4);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 in IP (RFC 2473, RFC 4213).
    pub const IPV6: Self = Self(41);
    /// Routing header of IPv6.
    pub const ROUTING: Self = Self(43);
    /// Fragment header of IPv6.
    pub const FRAGMENT: Self = Self(44);
    /// Authentication header.
    pub const AUTHENTICATION: Self = Self(51);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows.
    pub const NONE: Self = Self(59);
    /// Destination options of IPv6.
    pub const DESTINATION_OPTIONS: Self = Self(60);
    /// Ethernet in IP (RFC 8986, section 10.1).
    pub const ETHERNET: Self = Self(143);

    /// Is it a header of IPv6 that another follows (RFC 8200, section 4; RFC 4302)?
    #[inline]
    pub const fn is_extension(self) -> bool {
        matches!(
            self,
            Self::HOP_BY_HOP | Self::ROUTING | Self::FRAGMENT | Self::AUTHENTICATION | Self::DESTINATION_OPTIONS
        )
    }
}

/// A view of an IPv4 packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_OCTETS],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Version, header length and total length must hold; the checksum is left to [`Packet::checksum_holds`]. What
    /// follows the total length is padding.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let packet = Self::new_cut(octets)?;
        let total = usize::from(packet.total_octets());
        if total > octets.len() {
            return Err(Layer::Ipv4.length(TOTAL_LENGTH, total, packet.header_octets(), octets.len()));
        }
        Ok(packet)
    }

    /// As [`Packet::new`], of a packet that need not be whole: where octets end before the total length, so does the
    /// payload. For captures, and for what ICMP errors quote.
    #[inline]
    pub fn new_cut(octets: &'a [u8]) -> Result<Self, WireError> {
        let (header, _) =
            octets.split_first_chunk::<HEADER_OCTETS>().ok_or(Layer::Ipv4.truncated(HEADER_OCTETS, octets.len()))?;
        let version = header[0] >> 4;
        if version != 4 {
            return Err(Layer::Ipv4.value(0, u32::from(version), 4));
        }
        let header_octets = usize::from(header[0] & 0x0f) * 4;
        if header_octets < HEADER_OCTETS || header_octets > octets.len() {
            return Err(Layer::Ipv4.length(0, header_octets, HEADER_OCTETS, octets.len()));
        }
        let total = usize::from(be16(header, TOTAL_LENGTH));
        if total < header_octets {
            return Err(Layer::Ipv4.length(TOTAL_LENGTH, total, header_octets, octets.len()));
        }
        let options = &octets[HEADER_OCTETS..header_octets];
        Ok(Self { header, options, payload: &octets[header_octets..total.min(octets.len())] })
    }

    /// Does the header's checksum hold?
    #[inline]
    pub fn checksum_holds(&self) -> bool {
        Sum::new().add(self.header).add(self.options).folded() == 0xffff
    }

    /// [`Packet::checksum_holds`], as an error.
    #[inline]
    pub fn check(&self) -> Result<(), WireError> {
        if self.checksum_holds() { Ok(()) } else { Err(Layer::Ipv4.checksum(CHECKSUM)) }
    }

    /// Header and options, in octets.
    #[inline]
    pub const fn header_octets(&self) -> usize {
        HEADER_OCTETS + self.options.len()
    }

    /// Everything, in octets.
    #[inline]
    pub const fn total_octets(&self) -> u16 {
        be16(self.header, TOTAL_LENGTH)
    }

    /// DSCP and ECN, as they stand.
    #[inline]
    pub const fn traffic_class(&self) -> u8 {
        self.header[1]
    }

    /// Differentiated services code point.
    #[inline]
    pub const fn dscp(&self) -> u8 {
        self.header[1] >> 2
    }

    /// Explicit congestion notification (RFC 3168).
    #[inline]
    pub const fn ecn(&self) -> u8 {
        self.header[1] & 3
    }

    /// Identification.
    #[inline]
    pub const fn identification(&self) -> u16 {
        be16(self.header, IDENTIFICATION)
    }

    /// Must not be fragmented.
    #[inline]
    pub const fn dont_fragment(&self) -> bool {
        self.header[FRAGMENT] & 0x40 != 0
    }

    /// More fragments follow.
    #[inline]
    pub const fn more_fragments(&self) -> bool {
        self.header[FRAGMENT] & 0x20 != 0
    }

    /// Where the payload stood before fragmentation, in units of eight octets.
    #[inline]
    pub const fn fragment_offset(&self) -> u16 {
        be16(self.header, FRAGMENT) & 0x1fff
    }

    /// Is it a part of a packet?
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        be16(self.header, FRAGMENT) & 0x3fff != 0
    }

    /// Time to live.
    #[inline]
    pub const fn ttl(&self) -> u8 {
        self.header[TTL]
    }

    /// What the payload is.
    #[inline]
    pub const fn protocol(&self) -> Protocol {
        Protocol(self.header[PROTOCOL])
    }

    /// The header's checksum, as it stands.
    #[inline]
    pub const fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// From whom.
    #[inline]
    pub const fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(at(self.header, SOURCE))
    }

    /// To whom.
    #[inline]
    pub const fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_octets(at(self.header, DESTINATION))
    }

    /// Options, as they stand.
    #[inline]
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// What follows the header, without padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// An IPv4 header without options, as a value. Its checksum is computed when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Header and payload, in octets.
    pub total_octets: u16,
    /// Identification.
    pub identification: u16,
    /// Must not be fragmented.
    pub dont_fragment: bool,
    /// Time to live.
    pub ttl: u8,
    /// What the payload is.
    pub protocol: Protocol,
    /// From whom.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
}

impl Header {
    /// Of a packet; its options and its place among fragments are not in it.
    pub const fn of(packet: &Packet<'_>) -> Self {
        Self {
            traffic_class: packet.traffic_class(),
            total_octets: packet.total_octets(),
            identification: packet.identification(),
            dont_fragment: packet.dont_fragment(),
            ttl: packet.ttl(),
            protocol: packet.protocol(),
            source: packet.source(),
            destination: packet.destination(),
        }
    }

    /// Its octets, with the checksum.
    pub fn emit(&self, out: &mut [u8; HEADER_OCTETS]) {
        put(out, 0, [0x45, self.traffic_class]);
        put(out, TOTAL_LENGTH, self.total_octets.to_be_bytes());
        put(out, IDENTIFICATION, self.identification.to_be_bytes());
        put(out, FRAGMENT, [u8::from(self.dont_fragment) << 6, 0]);
        put(out, TTL, [self.ttl, self.protocol.0, 0, 0]);
        put(out, SOURCE, self.source.octets());
        put(out, DESTINATION, self.destination.octets());
        let checksum = Sum::new().add(out).checksum();
        put(out, CHECKSUM, checksum.to_be_bytes());
    }
}

/// The length of a header without options.
pub const HEADER_OCTETS: usize = 20;
/// Where the total length stands.
pub const TOTAL_LENGTH: usize = 2;
/// Where the time to live stands.
pub const TTL: usize = 8;
/// Where the header's checksum stands.
pub const CHECKSUM: usize = 10;

const IDENTIFICATION: usize = 4;
const FRAGMENT: usize = 6;
const PROTOCOL: usize = 9;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Problem;

    /// The header that is worked out in the Wikipedia article "Internet checksum" (checksum b861), with its payload of
    /// 95 octets cut down to none: total length 20, so the checksum is b861 + (0x73 - 0x14) = b8c0.
    const GOLDEN: [u8; 20] = [
        0x45, 0x00, 0x00, 0x14, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0xc0, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
        0x00, 0xc7,
    ];

    #[test]
    fn a_header_reads_and_writes_both_ways() {
        let packet = Packet::new(&GOLDEN).unwrap();
        assert!(packet.checksum_holds());
        let header = Header::of(&packet);
        assert_eq!(header.source, Ipv4Addr::new(192, 168, 0, 1));
        assert_eq!(header.destination, Ipv4Addr::new(192, 168, 0, 199));
        assert_eq!((header.ttl, header.protocol, header.dont_fragment), (64, Protocol::UDP, true));
        let mut out = [0xa5; HEADER_OCTETS];
        header.emit(&mut out);
        assert_eq!(out, GOLDEN);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for length in 0..GOLDEN.len() {
            assert!(Packet::new(&GOLDEN[..length]).is_err());
        }
        let refused = |place: usize, value: u8| {
            let mut packet = GOLDEN;
            packet[place] = value;
            Packet::new(&packet).unwrap_err().problem
        };
        assert!(matches!(refused(0, 0x44), Problem::Length { found: 16, .. }));
        assert!(matches!(refused(0, 0x4f), Problem::Length { found: 60, .. }));
        assert!(matches!(refused(0, 0x65), Problem::Value { found: 6, expected: 4 }));
        assert!(matches!(refused(3, 19), Problem::Length { found: 19, .. }));
        assert!(matches!(refused(3, 21), Problem::Length { found: 21, .. }));
    }

    proptest! {
        #[test]
        fn every_header_survives(tc: u8, id: u16, df: bool, ttl: u8, protocol: u8, source: [u8; 4], destination: [u8; 4]) {
            let header = Header {
                traffic_class: tc, total_octets: 20, identification: id, dont_fragment: df, ttl,
                protocol: Protocol(protocol), source: source.into(), destination: destination.into(),
            };
            let mut out = [0xa5; HEADER_OCTETS];
            header.emit(&mut out);
            let packet = Packet::new(&out).unwrap();
            prop_assert!(packet.checksum_holds());
            prop_assert_eq!(Header::of(&packet), header);
        }

        #[test]
        fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::new(&octets) {
                prop_assert!(packet.header_octets() + packet.payload().len() <= octets.len());
            }
        }
    }
}
