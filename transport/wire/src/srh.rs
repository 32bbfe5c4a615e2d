//! The segment routing header of IPv6 (RFC 8754, section 2): where a packet still has to go.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+---------------+---------------+
//! |  Next header  | Length / 8 -1 |Routing type: 4| Segments left |
//! +---------------+---------------+---------------+---------------+
//! |  Last entry   |     Flags     |              Tag              |
//! +---------------+---------------+-------------------------------+
//! |            Segment 0, the last of the path (16 octets)        |
//! +---------------------------------------------------------------+
//! |                               …                               |
//! +---------------------------------------------------------------+
//! |      Segment n-1, the first, but for the reduced form         |
//! +---------------------------------------------------------------+
//! |                  TLVs, up to the header's end                 |
//! +---------------------------------------------------------------+
//! ```
//!
//! In the reduced form (RFC 8754, section 4.1.1) the first segment stands in the destination address only, and segments
//! left is one more than the last entry. The HMAC TLV is read, but neither computed nor verified here.

use std::net::Ipv6Addr;

use crate::octets::{be16, put};
use crate::{Layer, Protocol, WireError};

mod tlv;

pub use tlv::{Hmac, Tlv, Tlvs};

/// A view of a segment routing header.
#[derive(Debug, Clone, Copy)]
pub struct Srh<'a> {
    fixed: &'a [u8; FIXED_OCTETS],
    segments: &'a [[u8; SEGMENT_OCTETS]],
    tlvs: &'a [u8],
}

impl<'a> Srh<'a> {
    /// From the header's first octet; what follows the header is not looked at. The type must be 4, the segment list
    /// must be inside the header, and segments left inside the list or, in the reduced form, one beyond it (RFC 8754,
    /// section 4.3.1.1). TLVs are only read by [`Srh::tlvs`]: a node that is not told to must ignore them (section 2.1).
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let srh = Self::new_cut(octets)?;
        let need = srh.header_octets();
        if need > octets.len() {
            return Err(Layer::Srh.truncated(need, octets.len()));
        }
        Ok(srh)
    }

    /// As [`Srh::new`], of a header whose TLVs need not be whole: where octets end, so do they. For captures.
    #[inline]
    pub fn new_cut(octets: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            octets.split_first_chunk::<FIXED_OCTETS>().ok_or(Layer::Srh.truncated(FIXED_OCTETS, octets.len()))?;
        if fixed[ROUTING_TYPE] != ROUTING_TYPE_SRH {
            return Err(Layer::Srh.value(ROUTING_TYPE, u32::from(fixed[ROUTING_TYPE]), u32::from(ROUTING_TYPE_SRH)));
        }
        let length = usize::from(fixed[LENGTH]) * 8;
        let (last, left) = (usize::from(fixed[LAST_ENTRY]), usize::from(fixed[SEGMENTS_LEFT]));
        let list_octets = (last + 1) * SEGMENT_OCTETS;
        if list_octets > length {
            return Err(Layer::Srh.length(LAST_ENTRY, last, 0, (length / SEGMENT_OCTETS).saturating_sub(1)));
        }
        if left > last + 1 {
            return Err(Layer::Srh.length(SEGMENTS_LEFT, left, 0, last + 1));
        }
        match rest[..length.min(rest.len())].split_at_checked(list_octets) {
            Some((list, tlvs)) => Ok(Self { fixed, segments: list.as_chunks().0, tlvs }),
            None => Err(Layer::Srh.truncated(FIXED_OCTETS + length, octets.len())),
        }
    }

    /// What follows the header.
    #[inline]
    pub const fn next_header(&self) -> Protocol {
        Protocol(self.fixed[0])
    }

    /// The whole header, in octets.
    #[inline]
    pub const fn header_octets(&self) -> usize {
        FIXED_OCTETS + self.fixed[LENGTH] as usize * 8
    }

    /// How many segments are still to be visited, without the one that the packet is on its way to.
    #[inline]
    pub const fn segments_left(&self) -> u8 {
        self.fixed[SEGMENTS_LEFT]
    }

    /// The index of the last element of the list.
    #[inline]
    pub const fn last_entry(&self) -> u8 {
        self.fixed[LAST_ENTRY]
    }

    /// Flags; none is defined (RFC 8754, section 8.2).
    #[inline]
    pub const fn flags(&self) -> u8 {
        self.fixed[FLAGS]
    }

    /// The tag, which marks packets of one class.
    #[inline]
    pub const fn tag(&self) -> u16 {
        be16(self.fixed, TAG)
    }

    /// An element of the list; element 0 is the last of the path.
    #[inline]
    pub const fn segment(&self, index: u8) -> Option<Ipv6Addr> {
        if (index as usize) < self.segments.len() {
            Some(Ipv6Addr::from_octets(self.segments[index as usize]))
        } else {
            None
        }
    }

    /// The list as it stands: the last segment of the path first.
    #[inline]
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Ipv6Addr> + ExactSizeIterator + use<'a> {
        self.segments.iter().map(|segment| Ipv6Addr::from_octets(*segment))
    }

    /// Where the path ends.
    #[inline]
    pub const fn last_segment(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.segments[0])
    }

    /// The segment that becomes active when the one that is has been reached; none if the path ends here.
    #[inline]
    pub const fn next_segment(&self) -> Option<Ipv6Addr> {
        match self.segments_left() {
            0 => None,
            left => self.segment(left - 1),
        }
    }

    /// What follows the list, as it stands.
    #[inline]
    pub const fn tlv_octets(&self) -> &'a [u8] {
        self.tlvs
    }

    /// The TLVs one by one; ends at the header's end or with an error.
    #[inline]
    pub const fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.tlvs, FIXED_OCTETS + self.segments.len() * SEGMENT_OCTETS)
    }
}

/// Takes one step along the path, in a header that [`Srh::new`] has accepted: segments left becomes one less, and the
/// answer is the segment that is active now, the new destination address (RFC 8986, section 4.1, S13 to S14). None, and
/// nothing has changed, if no segment is left.
#[inline]
pub fn advance(srh: &mut [u8]) -> Option<Ipv6Addr> {
    let left = srh.get(SEGMENTS_LEFT)?.checked_sub(1)?;
    let next = srh.get(FIXED_OCTETS + usize::from(left) * SEGMENT_OCTETS..)?.first_chunk().copied()?;
    srh[SEGMENTS_LEFT] = left;
    Some(Ipv6Addr::from_octets(next))
}

/// A header as a value, for a packet that starts on its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'s> {
    /// What follows.
    pub next_header: Protocol,
    /// Flags.
    pub flags: u8,
    /// The tag.
    pub tag: u16,
    /// The path in the order of travel. Its first segment is the packet's destination address.
    pub path: &'s [Ipv6Addr],
    /// Leaves the first segment out of the list. A path of one is written in full all the same: a list can't be empty.
    pub is_reduced: bool,
    /// TLVs; padding up to a multiple of eight octets is added.
    pub tlvs: &'s [Tlv<'s>],
}

impl Header<'_> {
    /// How long it will be; none for an empty path and for what is more than a header can hold.
    pub fn octets(&self) -> Option<usize> {
        let tlvs: usize = self.tlvs.iter().map(Tlv::octets).sum();
        let octets = FIXED_OCTETS + self.listed()?.len() * SEGMENT_OCTETS + tlvs.next_multiple_of(8);
        (octets <= HEADER_OCTETS_MAX).then_some(octets)
    }

    /// Writes it to the beginning of `out`. None if [`Header::octets`] is none or more than there is room for.
    pub fn emit<'o>(&self, out: &'o mut [u8]) -> Option<&'o [u8]> {
        let out = out.get_mut(..self.octets()?)?;
        let listed = self.listed()?;
        let length = u8::try_from(out.len() / 8 - 1).ok()?;
        let left = u8::try_from(self.path.len() - 1).ok()?;
        let last = u8::try_from(listed.len() - 1).ok()?;
        put(out, 0, [self.next_header.0, length, ROUTING_TYPE_SRH, left]);
        put(out, LAST_ENTRY, [last, self.flags]);
        put(out, TAG, self.tag.to_be_bytes());
        let (segments, tlvs) = out[FIXED_OCTETS..].split_at_mut(listed.len() * SEGMENT_OCTETS);
        for (place, segment) in segments.as_chunks_mut().0.iter_mut().zip(listed.iter().rev()) {
            *place = segment.octets();
        }
        tlv::emit(self.tlvs, tlvs);
        Some(out)
    }

    /// The segments that stand in the list.
    fn listed(&self) -> Option<&[Ipv6Addr]> {
        match self.path {
            [] => None,
            [_, rest @ ..] if self.is_reduced && !rest.is_empty() => Some(rest),
            path => Some(path),
        }
    }
}

/// What stands before the segment list.
pub const FIXED_OCTETS: usize = 8;
/// The length of a segment.
pub const SEGMENT_OCTETS: usize = 16;
/// The routing type of a segment routing header.
pub const ROUTING_TYPE_SRH: u8 = 4;
/// Where segments left stands: an ICMP parameter problem points there.
pub const SEGMENTS_LEFT: usize = 3;
/// The longest header: 256 units of eight octets.
pub const HEADER_OCTETS_MAX: usize = 2048;

const LENGTH: usize = 1;
const ROUTING_TYPE: usize = 2;
const LAST_ENTRY: usize = 4;
const FLAGS: usize = 5;
const TAG: usize = 6;

#[cfg(test)]
mod tests;
