//! ICMP for IPv4 (RFC 792) and for IPv6 (RFC 4443): type, code, and the identifier and sequence number of an echo.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |     Code      |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |    Identifier (echo)          |    Sequence number (echo)     |
//! +-------------------------------+-------------------------------+
//! ```

pub mod error;

use std::net::Ipv6Addr;

use crate::checksum::Sum;
use crate::octets::be16;
use crate::{Layer, Protocol, WireError};

/// A view of an ICMP message of either version.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    header: &'a [u8; HEADER_OCTETS],
    rest: &'a [u8],
    octets: &'a [u8],
}

impl<'a> Message<'a> {
    /// Type, code and checksum must be there. `layer` says for whom: [`Layer::Icmp`] or [`Layer::Icmpv6`].
    #[inline]
    pub fn new(octets: &'a [u8], layer: Layer) -> Result<Self, WireError> {
        match octets.split_first_chunk() {
            Some((header, rest)) => Ok(Self { header, rest, octets }),
            None => Err(layer.truncated(HEADER_OCTETS, octets.len())),
        }
    }

    /// The type.
    #[inline]
    pub const fn kind(&self) -> u8 {
        self.header[0]
    }

    /// The code.
    #[inline]
    pub const fn code(&self) -> u8 {
        self.header[1]
    }

    /// The checksum, as it stands.
    #[inline]
    pub const fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// Does the checksum of ICMP for IPv4 hold?
    pub fn checksum_holds(&self) -> bool {
        Sum::new().add(self.octets).folded() == 0xffff
    }

    /// Does the checksum of ICMP for IPv6 hold between these addresses?
    pub fn checksum_holds_ipv6(&self, source: Ipv6Addr, destination: Ipv6Addr) -> bool {
        let length = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        let sum = Sum::new().pseudo_ipv6(source, destination, Protocol::ICMPV6.0, length);
        sum.add(self.octets).folded() == 0xffff
    }

    /// Identifier and sequence number, if there is room for them.
    pub fn echo(&self) -> Option<(u16, u16)> {
        (self.rest.len() >= 4).then(|| (be16(self.rest, 0), be16(self.rest, 2)))
    }

    /// What follows the checksum.
    #[inline]
    pub const fn body(&self) -> &'a [u8] {
        self.rest
    }
}

/// The length of what every message has.
pub const HEADER_OCTETS: usize = 4;
/// Where the checksum stands.
pub const CHECKSUM: usize = 2;
/// Echo reply and echo request of ICMP for IPv4.
pub const ECHO: (u8, u8) = (0, 8);
/// Echo reply and echo request of ICMP for IPv6.
pub const ECHO_IPV6: (u8, u8) = (129, 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_reads_as_it_stands() {
        // Type 8, code 0, identifier 1, sequence number 2; the checksum is the complement of 0800 + 0001 + 0002.
        let octets = [8, 0, 0xf7, 0xfc, 0, 1, 0, 2];
        let message = Message::new(&octets, Layer::Icmp).unwrap();
        assert!(message.checksum_holds());
        assert_eq!((message.kind(), message.code(), message.echo()), (8, 0, Some((1, 2))));
        for length in 0..HEADER_OCTETS {
            assert!(Message::new(&octets[..length], Layer::Icmp).is_err());
        }
        assert_eq!(Message::new(&octets[..7], Layer::Icmp).unwrap().echo(), None);
    }
}
