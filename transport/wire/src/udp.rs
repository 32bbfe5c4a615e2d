//! UDP (RFC 768).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source port          |       Destination port        |
//! +-------------------------------+-------------------------------+
//! |            Length             |           Checksum            |
//! +-------------------------------+-------------------------------+
//! ```

use std::net::IpAddr;

use crate::checksum::Sum;
use crate::octets::{be16, put};
use crate::{Layer, Protocol, WireError};

/// A view of a datagram.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    header: &'a [u8; HEADER_OCTETS],
    payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The length must hold. What follows it is not the datagram's.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let datagram = Self::new_cut(octets)?;
        let length = usize::from(datagram.length());
        if length > octets.len() {
            return Err(Layer::Udp.length(LENGTH, length, HEADER_OCTETS, octets.len()));
        }
        Ok(datagram)
    }

    /// As [`Datagram::new`], of a datagram that need not be whole: where octets end before the length, so does the
    /// payload. For captures, for first fragments, and for what ICMP errors quote.
    #[inline]
    pub fn new_cut(octets: &'a [u8]) -> Result<Self, WireError> {
        let (header, rest) =
            octets.split_first_chunk::<HEADER_OCTETS>().ok_or(Layer::Udp.truncated(HEADER_OCTETS, octets.len()))?;
        let length = usize::from(be16(header, LENGTH));
        match length.checked_sub(HEADER_OCTETS) {
            Some(length) => Ok(Self { header, payload: &rest[..length.min(rest.len())] }),
            None => Err(Layer::Udp.length(LENGTH, length, HEADER_OCTETS, octets.len())),
        }
    }

    /// From which port.
    #[inline]
    pub const fn source_port(&self) -> u16 {
        be16(self.header, SOURCE_PORT)
    }

    /// To which port.
    #[inline]
    pub const fn destination_port(&self) -> u16 {
        be16(self.header, DESTINATION_PORT)
    }

    /// Header and payload, in octets.
    #[inline]
    pub const fn length(&self) -> u16 {
        be16(self.header, LENGTH)
    }

    /// The checksum, as it stands; 0 means that there is none.
    #[inline]
    pub const fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// Does the checksum hold between these addresses? One that is 0 does not.
    #[inline]
    pub fn checksum_holds(&self, source: IpAddr, destination: IpAddr) -> bool {
        let sum = Sum::new().pseudo(source, destination, Protocol::UDP.0, self.length());
        self.checksum() != 0 && sum.add(self.header).add(self.payload).folded() == 0xffff
    }

    /// What the datagram carries.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value; its checksum is written by whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// From which port.
    pub source_port: u16,
    /// To which port.
    pub destination_port: u16,
    /// Header and payload, in octets.
    pub length: u16,
    /// The checksum; 0 for none.
    pub checksum: u16,
}

impl Header {
    /// Of a datagram.
    pub const fn of(datagram: &Datagram<'_>) -> Self {
        Self {
            source_port: datagram.source_port(),
            destination_port: datagram.destination_port(),
            length: datagram.length(),
            checksum: datagram.checksum(),
        }
    }

    /// Its octets.
    pub fn emit(&self, out: &mut [u8; HEADER_OCTETS]) {
        put(out, SOURCE_PORT, self.source_port.to_be_bytes());
        put(out, DESTINATION_PORT, self.destination_port.to_be_bytes());
        put(out, LENGTH, self.length.to_be_bytes());
        put(out, CHECKSUM, self.checksum.to_be_bytes());
    }
}

/// The length of a header.
pub const HEADER_OCTETS: usize = 8;
/// Where the length stands.
pub const LENGTH: usize = 4;
/// Where the checksum stands.
pub const CHECKSUM: usize = 6;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// `IP(src="192.0.2.1", dst="192.0.2.2")/UDP(sport=7, dport=9)/b"hi!"` with the checksum summed by hand: f25a.
    const GOLDEN: [u8; 11] = [0, 7, 0, 9, 0, 11, 0xf2, 0x5a, b'h', b'i', b'!'];

    #[test]
    fn a_datagram_reads_and_writes_both_ways() {
        let datagram = Datagram::new(&GOLDEN).unwrap();
        let header = Header::of(&datagram);
        assert_eq!(header, Header { source_port: 7, destination_port: 9, length: 11, checksum: datagram.checksum() });
        assert_eq!(datagram.payload(), b"hi!");
        let mut out = [0xa5; HEADER_OCTETS];
        header.emit(&mut out);
        assert_eq!(out, GOLDEN[..8]);
    }

    #[test]
    fn the_checksum_covers_addresses_ports_and_payload() {
        let (source, destination) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut octets = GOLDEN;
        octets[6..8].fill(0);
        let sum = Sum::new().pseudo(source, destination, 17, 11).add(&octets).udp_checksum();
        octets[6..8].copy_from_slice(&sum.to_be_bytes());
        assert!(Datagram::new(&octets).unwrap().checksum_holds(source, destination));
        for at in 0..octets.len() {
            let mut broken = octets;
            broken[at] ^= 0x40;
            let holds = Datagram::new(&broken).is_ok_and(|d| d.checksum_holds(source, destination));
            assert!(!holds, "octet {at}");
        }
        assert!(!Datagram::new(&octets).unwrap().checksum_holds(destination, "192.0.2.9".parse().unwrap()));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for length in 0..GOLDEN.len() {
            assert!(Datagram::new(&GOLDEN[..length]).is_err());
        }
        for length in [0, 7, 12, 255] {
            let mut lie = GOLDEN;
            lie[5] = length;
            assert!(Datagram::new(&lie).is_err(), "{length}");
        }
    }
}
