//! TCP (RFC 9293): as much of the header as classification and decoding need.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source port          |       Destination port        |
//! +-------------------------------+-------------------------------+
//! |                        Sequence number                        |
//! +---------------------------------------------------------------+
//! |                     Acknowledgment number                     |
//! +-------+-------+---------------+-------------------------------+
//! | Offset| Rsrvd |     Flags     |            Window             |
//! +-------+-------+---------------+-------------------------------+
//! |            Checksum           |        Urgent pointer         |
//! +-------------------------------+-------------------------------+
//! ```

use std::net::IpAddr;

use crate::checksum::Sum;
use crate::octets::{be16, be32};
use crate::{Layer, Protocol, WireError};

/// A view of a segment.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    header: &'a [u8; HEADER_OCTETS],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The data offset must hold.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let segment = Self::new_cut(octets)?;
        if segment.header_octets() > octets.len() {
            return Err(Layer::Tcp.length(OFFSET, segment.header_octets(), HEADER_OCTETS, octets.len()));
        }
        Ok(segment)
    }

    /// As [`Segment::new`], of a segment whose options need not be whole. For captures, for first fragments, and for
    /// what ICMP errors quote.
    #[inline]
    pub fn new_cut(octets: &'a [u8]) -> Result<Self, WireError> {
        let (header, rest) =
            octets.split_first_chunk::<HEADER_OCTETS>().ok_or(Layer::Tcp.truncated(HEADER_OCTETS, octets.len()))?;
        let length = usize::from(header[OFFSET] >> 4) * 4;
        match length.checked_sub(HEADER_OCTETS) {
            Some(options) => {
                let (options, payload) = rest.split_at(options.min(rest.len()));
                Ok(Self { header, options, payload })
            }
            None => Err(Layer::Tcp.length(OFFSET, length, HEADER_OCTETS, octets.len())),
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

    /// Sequence number.
    pub const fn sequence(&self) -> u32 {
        be32(self.header, SEQUENCE)
    }

    /// Acknowledgment number.
    pub const fn acknowledgment(&self) -> u32 {
        be32(self.header, ACKNOWLEDGMENT)
    }

    /// Header and options, in octets.
    pub const fn header_octets(&self) -> usize {
        (self.header[OFFSET] >> 4) as usize * 4
    }

    /// The control bits: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN, from the most significant.
    pub const fn flags(&self) -> u8 {
        self.header[FLAGS]
    }

    /// The four reserved bits.
    pub const fn reserved(&self) -> u8 {
        self.header[OFFSET] & 0x0f
    }

    /// The window, as it stands.
    pub const fn window(&self) -> u16 {
        be16(self.header, WINDOW)
    }

    /// The checksum, as it stands.
    pub const fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// Does the checksum hold between these addresses? Over a segment that was cut, it does not.
    pub fn checksum_holds(&self, source: IpAddr, destination: IpAddr) -> bool {
        let Ok(length) = u16::try_from(self.header_octets() + self.payload.len()) else { return false };
        let sum = Sum::new().pseudo(source, destination, Protocol::TCP.0, length);
        sum.add(self.header).add(self.options).add(self.payload).folded() == 0xffff
    }

    /// Where urgent data end, from the sequence number on; it counts where the URG bit is set.
    pub const fn urgent_pointer(&self) -> u16 {
        be16(self.header, URGENT)
    }

    /// Options, as they stand.
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// What the segment carries.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The length of a header without options.
pub const HEADER_OCTETS: usize = 20;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const OFFSET: usize = 12;
const FLAGS: usize = 13;
const WINDOW: usize = 14;
const CHECKSUM: usize = 16;
const URGENT: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN with a maximum segment size option: RFC 9293, section 3.1, filled by hand.
    const SYN: [u8; 24] = [
        0xc0, 0x00, 0x01, 0xbb, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0xab, 0xcd, 0, 0, 2, 4, 5,
        0xb4,
    ];

    #[test]
    fn a_segment_reads_as_it_stands() {
        let segment = Segment::new(&SYN).unwrap();
        assert_eq!((segment.source_port(), segment.destination_port()), (49152, 443));
        assert_eq!((segment.sequence(), segment.flags(), segment.window()), (0x1234_5678, 2, 0xffff));
        assert_eq!((segment.header_octets(), segment.payload().len(), segment.checksum()), (24, 0, 0xabcd));
    }

    #[test]
    fn offsets_that_lie_are_refused() {
        for length in 0..SYN.len() {
            assert!(Segment::new(&SYN[..length]).is_err());
        }
        for offset in [0x00, 0x40, 0x70, 0xf0] {
            let mut lie = SYN;
            lie[12] = offset;
            assert!(Segment::new(&lie).is_err(), "{offset:#x}");
        }
    }
}
