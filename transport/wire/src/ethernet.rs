//! Ethernet II and 802.1Q.
//!
//! ```text
//!  0               6               12       14
//! +---------------+---------------+--------+-----------
//! |  destination  |    source     |  type  |  payload
//! +---------------+---------------+--------+-----------
//!                                 12       14       16       18
//!                                 +--------+--------+--------+-----------
//!              tagged:            |  TPID  |  TCI   |  type  |  payload
//!                                 +--------+--------+--------+-----------
//!                                  TCI: PCP (3) | DEI (1) | VID (12)
//! ```

use model::Mac;

use crate::octets::{at, be16, put};
use crate::{Layer, WireError};

/// What an Ethernet payload is (IEEE 802 numbers). Unknown ones survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// 802.1Q customer tag.
    pub const VLAN: Self = Self(0x8100);
    /// 802.1ad service tag.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// MPLS (RFC 5332: unicast, or multicast with a label of the receiver's).
    pub const MPLS: Self = Self(0x8847);
    /// MPLS multicast, with a label that the sender has chosen (RFC 5332).
    pub const MPLS_MULTICAST: Self = Self(0x8848);
    /// EAP over LAN (IEEE 802.1X).
    pub const EAPOL: Self = Self(0x888e);

    /// Does a tag follow?
    #[inline]
    pub const fn is_tag(self) -> bool {
        matches!(self, Self::VLAN | Self::SERVICE_VLAN)
    }

    /// Below 1536 the field is the length of an 802.3 frame, not a type.
    #[inline]
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

/// A view of an Ethernet frame, without its frame check sequence.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    header: &'a [u8; HEADER_OCTETS],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The header must be whole.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        match octets.split_first_chunk() {
            Some((header, rest)) => Ok(Self { header, rest }),
            None => Err(Layer::Ethernet.truncated(HEADER_OCTETS, octets.len())),
        }
    }

    /// To whom.
    #[inline]
    pub const fn destination(&self) -> Mac {
        Mac(at(self.header, DESTINATION))
    }

    /// From whom.
    #[inline]
    pub const fn source(&self) -> Mac {
        Mac(at(self.header, SOURCE))
    }

    /// What follows: a tag or a payload.
    #[inline]
    pub const fn ethertype(&self) -> EtherType {
        EtherType(be16(self.header, TYPE))
    }

    /// What follows the type.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

/// A view of an 802.1Q tag: what stands behind its TPID.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a> {
    header: &'a [u8; TAG_OCTETS],
    rest: &'a [u8],
}

impl<'a> Tag<'a> {
    /// From what follows the TPID.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        match octets.split_first_chunk() {
            Some((header, rest)) => Ok(Self { header, rest }),
            None => Err(Layer::Vlan.truncated(TAG_OCTETS, octets.len())),
        }
    }

    /// Priority code point, drop eligible indicator and VLAN identifier, as they stand.
    #[inline]
    pub const fn tci(&self) -> Tci {
        Tci(be16(self.header, 0))
    }

    /// What follows: another tag or a payload.
    #[inline]
    pub const fn ethertype(&self) -> EtherType {
        EtherType(be16(self.header, 2))
    }

    /// What follows the type.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

/// Tag control information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tci(pub u16);

impl Tci {
    /// From its parts, each cut to its width.
    pub const fn new(priority: u8, drop_eligible: bool, vlan: u16) -> Self {
        Self(((priority as u16 & 7) << 13) | ((drop_eligible as u16) << 12) | (vlan & 0x0fff))
    }

    /// The VLAN identifier; 0 means that the tag carries a priority only.
    #[inline]
    pub const fn vlan(self) -> u16 {
        self.0 & 0x0fff
    }

    /// The priority code point.
    #[inline]
    pub const fn priority(self) -> u8 {
        (self.0 >> 13) as u8
    }

    /// May be dropped first.
    #[inline]
    pub const fn drop_eligible(self) -> bool {
        self.0 & 0x1000 != 0
    }
}

/// An Ethernet header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// To whom.
    pub destination: Mac,
    /// From whom.
    pub source: Mac,
    /// What the payload is.
    pub ethertype: EtherType,
}

impl Header {
    /// Of a frame.
    pub const fn of(frame: &Frame<'_>) -> Self {
        Self { destination: frame.destination(), source: frame.source(), ethertype: frame.ethertype() }
    }

    /// Its octets.
    #[inline]
    pub fn emit(&self, out: &mut [u8; HEADER_OCTETS]) {
        put(out, DESTINATION, self.destination.0);
        put(out, SOURCE, self.source.0);
        put(out, TYPE, self.ethertype.0.to_be_bytes());
    }
}

/// The length of an Ethernet header.
pub const HEADER_OCTETS: usize = 14;
/// The length of a tag: its TPID stands in the type field before it.
pub const TAG_OCTETS: usize = 4;
/// How many tags are read.
pub const TAGS_MAX: usize = 2;

const DESTINATION: usize = 0;
const SOURCE: usize = 6;
const TYPE: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    /// IEEE 802.1Q tag with PCP 5, DEI 0, VID 110 = 0xa06e; type IPv4.
    const TAGGED: [u8; 18] = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x81, 0x00, 0xa0, 0x6e, 0x08, 0x00];

    #[test]
    fn a_tagged_frame_reads_as_it_was_written() {
        let frame = Frame::new(&TAGGED).unwrap();
        assert_eq!(frame.destination(), Mac([2, 0, 0, 0, 0, 1]));
        assert_eq!(frame.source(), Mac([2, 0, 0, 0, 0, 2]));
        assert_eq!(frame.ethertype(), EtherType::VLAN);
        let tag = Tag::new(frame.payload()).unwrap();
        assert_eq!((tag.tci().vlan(), tag.tci().priority(), tag.tci().drop_eligible()), (110, 5, false));
        assert_eq!(tag.tci(), Tci::new(5, false, 110));
        assert_eq!(tag.ethertype(), EtherType::IPV4);
        let mut out = [0xa5; HEADER_OCTETS];
        Header::of(&frame).emit(&mut out);
        assert_eq!(out, TAGGED[..14]);
    }

    #[test]
    fn a_frame_cut_anywhere_in_its_header_is_refused() {
        for length in 0..HEADER_OCTETS {
            let error = Frame::new(&TAGGED[..length]).unwrap_err();
            assert_eq!(error.problem, Problem::Truncated { need: 14, have: length });
        }
        for length in 0..TAG_OCTETS {
            assert!(Tag::new(&TAGGED[14..14 + length]).is_err());
        }
    }
}
