//! VXLAN (RFC 7348, section 5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-+-----+-----------------------------------------------+
//! |R R R R|I|R R R|                   Reserved                    |
//! +-------+-+-----+-------------------------------+---------------+
//! |         VXLAN network identifier (VNI)        |   Reserved    |
//! +-----------------------------------------------+---------------+
//! ```

use crate::octets::{be32, put};
use crate::{Layer, WireError};

/// A view of a VXLAN packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_OCTETS],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The I flag must be set; what is reserved is ignored.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        match octets.split_first_chunk::<HEADER_OCTETS>() {
            Some((header, _)) if header[0] & FLAG_VNI == 0 => {
                Err(Layer::Vxlan.value(0, u32::from(header[0]), u32::from(FLAG_VNI)))
            }
            Some((header, payload)) => Ok(Self { header, payload }),
            None => Err(Layer::Vxlan.truncated(HEADER_OCTETS, octets.len())),
        }
    }

    /// Flags and the reserved bits after them, as they stand.
    #[inline]
    pub const fn flags(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// The VNI, 24 bits.
    #[inline]
    pub const fn vni(&self) -> u32 {
        be32(self.header, VNI) >> 8
    }

    /// The inner Ethernet frame.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header: the I flag, the VNI cut to 24 bits, and zero in everything reserved.
pub fn emit(vni: u32, out: &mut [u8; HEADER_OCTETS]) {
    put(out, 0, [FLAG_VNI, 0, 0, 0]);
    put(out, VNI, (vni << 8).to_be_bytes());
}

/// The length of a header.
pub const HEADER_OCTETS: usize = 8;
/// The UDP port (RFC 7348, section 8).
pub const PORT: u16 = 4789;
/// The least source port that a sender should use (RFC 7348, section 5).
pub const SOURCE_PORT_MIN: u16 = 49152;

const FLAG_VNI: u8 = 0x08;
const VNI: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_reads_and_writes_both_ways() {
        // VNI 123 as in RFC 7348's figure 1 with its bits filled in.
        let golden = [0x08, 0, 0, 0, 0, 0, 0x7b, 0];
        assert_eq!(Packet::new(&golden).unwrap().vni(), 123);
        let mut out = [0xa5; HEADER_OCTETS];
        emit(123, &mut out);
        assert_eq!(out, golden);
        for length in 0..HEADER_OCTETS {
            assert!(Packet::new(&golden[..length]).is_err());
        }
    }

    #[test]
    fn reserved_bits_are_ignored_and_the_i_flag_is_not() {
        assert_eq!(Packet::new(&[0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0xff]).unwrap().vni(), 1);
        assert!(Packet::new(&[0xf7, 0, 0, 0, 0, 0, 1, 0]).is_err());
    }

    proptest! {
        #[test]
        fn every_vni_survives(vni in 0_u32..0x0100_0000) {
            let mut out = [0xa5; HEADER_OCTETS];
            emit(vni, &mut out);
            prop_assert_eq!(Packet::new(&out).unwrap().vni(), vni);
        }
    }
}
