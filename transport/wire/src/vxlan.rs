//! VXLAN (RFC 7348, section 5), and its group-policy extension (draft-smith-vxlan-group-policy-05).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-----+-+-----+-+-+---+-+-----+-------------------------------+
//! |G|R R R|I|R R R|R|D|R R|A|R R R|             Group             |
//! +-+-----+-+-----+-+-+---+-+-----+---------------+---------------+
//! |         VXLAN network identifier (VNI)        |   Reserved    |
//! +-----------------------------------------------+---------------+
//! ```

use crate::octets::{be16, be32, put};
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

    /// What the sender knows of the inner frame's source, where it says so with the G flag.
    #[inline]
    pub const fn group(&self) -> Option<Group> {
        if self.header[0] & FLAG_GROUP == 0 {
            return None;
        }
        let flags = self.header[GROUP_FLAGS];
        Some(Group {
            id: be16(self.header, GROUP),
            is_applied: flags & FLAG_APPLIED != 0,
            is_not_learned: flags & FLAG_DONT_LEARN != 0,
        })
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

/// The group-policy extension (draft-smith-vxlan-group-policy-05, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    /// The group of the inner frame's source.
    pub id: u16,
    /// A: policy has been applied to the frame, and is not to be applied again.
    pub is_applied: bool,
    /// D: the receiver is not to learn the source from the frame.
    pub is_not_learned: bool,
}

/// A header: the I flag, the VNI cut to 24 bits, the group if there is one, and zero in everything reserved.
pub fn emit(vni: u32, group: Option<Group>, out: &mut [u8; HEADER_OCTETS]) {
    let (flag, flags, id) = match group {
        None => (0, 0, 0),
        Some(group) => {
            let applied = if group.is_applied { FLAG_APPLIED } else { 0 };
            let not_learned = if group.is_not_learned { FLAG_DONT_LEARN } else { 0 };
            (FLAG_GROUP, applied | not_learned, group.id)
        }
    };
    put(out, 0, [FLAG_VNI | flag, flags]);
    put(out, GROUP, id.to_be_bytes());
    put(out, VNI, (vni << 8).to_be_bytes());
}

/// The length of a header.
pub const HEADER_OCTETS: usize = 8;
/// The UDP port (RFC 7348, section 8).
pub const PORT: u16 = 4789;
/// The least source port that a sender should use (RFC 7348, section 5).
pub const SOURCE_PORT_MIN: u16 = 49152;

const FLAG_VNI: u8 = 0x08;
const FLAG_GROUP: u8 = 0x80;
const FLAG_DONT_LEARN: u8 = 0x40;
const FLAG_APPLIED: u8 = 0x08;
const GROUP_FLAGS: usize = 1;
const GROUP: usize = 2;
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
        emit(123, None, &mut out);

        assert_eq!(out, golden);
        for length in 0..HEADER_OCTETS {
            assert!(Packet::new(&golden[..length]).is_err());
        }
    }

    #[test]
    fn a_group_reads_and_writes_both_ways() {
        // `VXLAN(flags=0x88, gpflags=0x48, gpid=0x1234, vni=0x010203)` of scapy 2.8, in which tshark 4.0 finds group
        // 4660, "don't learn" and "policy applied".
        let golden = [0x88, 0x48, 0x12, 0x34, 0x01, 0x02, 0x03, 0x00];
        let group = Group { id: 4660, is_applied: true, is_not_learned: true };
        let packet = Packet::new(&golden).unwrap();
        assert_eq!((packet.vni(), packet.group(), packet.flags()), (0x01_0203, Some(group), 0x8848));
        let mut out = [0xa5; HEADER_OCTETS];
        emit(0x01_0203, Some(group), &mut out);
        assert_eq!(out, golden);
        // Without the G flag, the group's place is a reserved field.
        assert_eq!(Packet::new(&[0x08, 0x48, 0x12, 0x34, 0x01, 0x02, 0x03, 0x00]).unwrap().group(), None);
        for length in 0..HEADER_OCTETS {
            assert_eq!(Packet::new(&golden[..length]).unwrap_err(), Layer::Vxlan.truncated(8, length));
        }
    }

    #[test]
    fn reserved_bits_are_ignored_and_the_i_flag_is_not() {
        assert_eq!(Packet::new(&[0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0xff]).unwrap().vni(), 1);
        assert!(Packet::new(&[0xf7, 0, 0, 0, 0, 0, 1, 0]).is_err());
    }

    proptest! {
        #[test]
        fn every_header_survives(vni in 0_u32..0x0100_0000, group: Option<(u16, bool, bool)>) {
            let group = group.map(|(id, is_applied, is_not_learned)| Group { id, is_applied, is_not_learned });
            let mut out = [0xa5; HEADER_OCTETS];
            emit(vni, group, &mut out);
            let packet = Packet::new(&out).unwrap();
            prop_assert_eq!((packet.vni(), packet.group()), (vni, group));
        }

        #[test]
        fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(packet) = Packet::new(&octets) {
                let _ = packet.group();
                prop_assert_eq!(packet.payload().len() + HEADER_OCTETS, octets.len());
            }
        }
    }
}
