//! IPv6 (RFC 8200): the fixed header, and a bounded walk over extension headers.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+---------------+---------------------------------------+
//! |Version| Traffic class |              Flow label               |
//! +-------+---------------+-------+---------------+---------------+
//! |        Payload length         |  Next header  |   Hop limit   |
//! +-------------------------------+---------------+---------------+
//! |                    Source address (16 octets)                 |
//! +---------------------------------------------------------------+
//! |                 Destination address (16 octets)               |
//! +---------------------------------------------------------------+
//! ```

use std::net::Ipv6Addr;
use std::num::NonZeroU16;

use crate::octets::{at, be16, be32, put};
use crate::srh::ROUTING_TYPE_SRH;
use crate::{Layer, Problem, Protocol, WireError};

/// A view of an IPv6 packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_OCTETS],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Version and payload length must hold. What follows the payload is padding. A payload length of 0 with hop-by-hop
    /// options is a jumbogram (RFC 2675) and is refused by name.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let packet = Self::new_cut(octets)?;
        let length = usize::from(packet.payload_octets());
        if length > packet.payload.len() {
            return Err(Layer::Ipv6.length(PAYLOAD_LENGTH, length, 0, packet.payload.len()));
        }
        Ok(packet)
    }

    /// As [`Packet::new`], of a packet that need not be whole: where octets end before the payload length, so does the
    /// payload. For captures, and for what ICMP errors quote.
    #[inline]
    pub fn new_cut(octets: &'a [u8]) -> Result<Self, WireError> {
        let (header, rest) =
            octets.split_first_chunk::<HEADER_OCTETS>().ok_or(Layer::Ipv6.truncated(HEADER_OCTETS, octets.len()))?;
        let version = header[0] >> 4;
        if version != 6 {
            return Err(Layer::Ipv6.value(0, u32::from(version), 6));
        }
        let length = usize::from(be16(header, PAYLOAD_LENGTH));
        if length == 0 && header[NEXT_HEADER] == Protocol::HOP_BY_HOP.0 {
            return Err(WireError { layer: Layer::Ipv6, offset: PAYLOAD_LENGTH, problem: Problem::Jumbo });
        }
        Ok(Self { header, payload: &rest[..length.min(rest.len())] })
    }

    /// DSCP and ECN, as they stand.
    #[inline]
    pub const fn traffic_class(&self) -> u8 {
        self.header[0] << 4 | self.header[1] >> 4
    }

    /// Differentiated services code point.
    #[inline]
    pub const fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// Explicit congestion notification (RFC 3168).
    #[inline]
    pub const fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// The flow label (RFC 6437).
    #[inline]
    pub const fn flow_label(&self) -> u32 {
        be32(self.header, 0) & 0x000f_ffff
    }

    /// Everything after the fixed header, in octets.
    #[inline]
    pub const fn payload_octets(&self) -> u16 {
        be16(self.header, PAYLOAD_LENGTH)
    }

    /// What follows the fixed header.
    #[inline]
    pub const fn next_header(&self) -> Protocol {
        Protocol(self.header[NEXT_HEADER])
    }

    /// Hop limit.
    #[inline]
    pub const fn hop_limit(&self) -> u8 {
        self.header[HOP_LIMIT]
    }

    /// From whom.
    #[inline]
    pub const fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(at(self.header, SOURCE))
    }

    /// To whom.
    #[inline]
    pub const fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(at(self.header, DESTINATION))
    }

    /// What follows the fixed header, extension headers included.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Walks over the extension headers to the upper layer. A packet in the packet (IPv4, IPv6, Ethernet) is an upper
    /// layer: its own headers are not walked.
    #[inline]
    pub fn upper_layer(&self) -> Result<UpperLayer<'a>, WireError> {
        let found = UpperLayer {
            protocol: self.next_header(),
            payload: self.payload,
            is_fragment: false,
            fragment_offset: 0,
            srh_at: None,
        };
        if found.protocol.is_extension() { self.walk(found) } else { Ok(found) }
    }

    /// Apart from [`Packet::upper_layer`], so that packets without extension headers, most of all, don't carry its weight.
    #[inline(never)]
    fn walk(&self, mut found: UpperLayer<'a>) -> Result<UpperLayer<'a>, WireError> {
        let mut extensions = self.extensions();
        while let Some(extension) = extensions.next() {
            let extension = extension?;
            found.protocol = extension.next_header;
            found.payload = extensions.rest;
            // Behind a fragment header a routing header is for whom the packet is for when it is whole again.
            if extension.is_srh() && found.srh_at.is_none() && !found.is_fragment {
                #[allow(clippy::cast_possible_truncation, reason = "inside the payload, and not its last octets")]
                let at = (extensions.at - extension.octets.len()) as u16;
                found.srh_at = NonZeroU16::new(at);
            }
            if let Some(fragment) = extension.fragment() {
                found.is_fragment = fragment.more || fragment.offset != 0;
                found.fragment_offset = fragment.offset;
            }
        }
        Ok(found)
    }

    /// The extension headers one by one; ends at the upper layer, in a fragment but the first at the fragment header,
    /// or with an error.
    #[inline]
    pub const fn extensions(&self) -> Extensions<'a> {
        Extensions { next: Some(self.next_header()), rest: self.payload, at: HEADER_OCTETS, count: 0 }
    }
}

/// What the extension headers lead to.
#[derive(Debug, Clone, Copy)]
pub struct UpperLayer<'a> {
    /// What it is.
    pub protocol: Protocol,
    /// Its octets; of a fragment but the first, they are from the middle of it.
    pub payload: &'a [u8],
    /// The packet is a fragment.
    pub is_fragment: bool,
    /// Where the payload stood before fragmentation, in units of eight octets.
    pub fragment_offset: u16,
    /// Where the first segment routing header begins, from the start of the packet: one that a node on the path reads.
    pub srh_at: Option<NonZeroU16>,
}

/// One extension header.
#[derive(Debug, Clone, Copy)]
pub struct Extension<'a> {
    /// What it is.
    pub kind: Protocol,
    /// What follows it.
    pub next_header: Protocol,
    /// All of it, from its next header field on.
    pub octets: &'a [u8],
}

impl Extension<'_> {
    /// Is it a segment routing header (RFC 8754)?
    #[inline]
    pub const fn is_srh(&self) -> bool {
        matches!((self.kind, self.octets), (Protocol::ROUTING, [_, _, ROUTING_TYPE_SRH, ..]))
    }

    /// What a fragment header says.
    #[inline]
    pub fn fragment(&self) -> Option<Fragment> {
        (self.kind == Protocol::FRAGMENT).then(|| {
            let field = be16(self.octets, 2);
            Fragment { offset: field >> 3, more: field & 1 != 0, identification: be32(self.octets, 4) }
        })
    }
}

/// Where a fragment belongs (RFC 8200, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Where the payload stood before fragmentation, in units of eight octets.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// The same in all fragments of a packet.
    pub identification: u32,
}

/// A walk over extension headers; at most [`EXTENSIONS_MAX`].
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    next: Option<Protocol>,
    rest: &'a [u8],
    /// Where `rest` begins, from the start of the packet.
    at: usize,
    count: usize,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.next?;
        let octets = match kind {
            Protocol::HOP_BY_HOP | Protocol::ROUTING | Protocol::DESTINATION_OPTIONS => {
                self.rest.get(1).map(|units| usize::from(*units) * 8 + 8)
            }
            Protocol::FRAGMENT => Some(8),
            // RFC 4302, section 2.2: in units of four octets, less two.
            Protocol::AUTHENTICATION => self.rest.get(1).map(|units| usize::from(*units) * 4 + 8),
            _ => return None,
        };
        self.next = None;
        if self.count == EXTENSIONS_MAX {
            let problem = Problem::TooMany { max: EXTENSIONS_MAX };
            return Some(Err(WireError { layer: Layer::Ipv6, offset: self.at, problem }));
        }
        let octets = octets.unwrap_or(8);
        let Some((header, rest)) = self.rest.split_at_checked(octets) else {
            return Some(Err(Layer::Ipv6.truncated(self.at + octets, self.at + self.rest.len())));
        };
        let next_header = Protocol(header[0]);
        let extension = Extension { kind, next_header, octets: header };
        // Behind the header of a later fragment there is no header, but the middle of something.
        self.next = if extension.fragment().is_none_or(|f| f.offset == 0) { Some(next_header) } else { None };
        self.rest = rest;
        self.at += octets;
        self.count += 1;
        Some(Ok(extension))
    }
}

/// A fixed header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Everything after the fixed header, in octets.
    pub payload_octets: u16,
    /// What follows.
    pub next_header: Protocol,
    /// Hop limit.
    pub hop_limit: u8,
    /// From whom.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
}

impl Header {
    /// Of a packet.
    pub const fn of(packet: &Packet<'_>) -> Self {
        Self {
            traffic_class: packet.traffic_class(),
            flow_label: packet.flow_label(),
            payload_octets: packet.payload_octets(),
            next_header: packet.next_header(),
            hop_limit: packet.hop_limit(),
            source: packet.source(),
            destination: packet.destination(),
        }
    }

    /// Its octets.
    pub fn emit(&self, out: &mut [u8; HEADER_OCTETS]) {
        put(out, 0, first_word(self.traffic_class, self.flow_label));
        put(out, PAYLOAD_LENGTH, self.payload_octets.to_be_bytes());
        put(out, NEXT_HEADER, [self.next_header.0, self.hop_limit]);
        put(out, SOURCE, self.source.octets());
        put(out, DESTINATION, self.destination.octets());
    }
}

/// Version, traffic class and flow label: the first four octets.
#[inline]
pub const fn first_word(traffic_class: u8, flow_label: u32) -> [u8; 4] {
    (0x6000_0000 | (traffic_class as u32) << 20 | (flow_label & 0x000f_ffff)).to_be_bytes()
}

/// The length of the fixed header.
pub const HEADER_OCTETS: usize = 40;
/// Where the payload length stands.
pub const PAYLOAD_LENGTH: usize = 4;
/// Where the next header stands.
pub const NEXT_HEADER: usize = 6;
/// Where the hop limit stands.
pub const HOP_LIMIT: usize = 7;
/// Where the destination stands.
pub const DESTINATION: usize = 24;
/// How many extension headers are read.
pub const EXTENSIONS_MAX: usize = 8;

const SOURCE: usize = 8;

#[cfg(test)]
mod tests;
