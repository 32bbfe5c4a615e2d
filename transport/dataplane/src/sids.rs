//! The SIDs of this node (RFC 8986, section 3.1), found by destination address.
//!
//! The last 16 bits of a SID are its argument, and no part of what it is found by.

use std::net::Ipv6Addr;

use model::program::{Flavours, ServiceBehaviour};

use crate::table::{Table, mix};
use crate::tables::Hop;

/// What this node does with packets to its SIDs.
#[derive(Debug, Clone)]
pub(crate) struct Sids {
    places: Table<u16>,
    entries: Vec<SidEntry>,
}

/// A SID.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SidEntry {
    /// Without argument.
    sid: u128,
    pub(crate) action: SidAction,
}

/// What is done with a packet to a SID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SidAction {
    /// The path ends in a segment: its place, and what is in the packet.
    Segment(u16, ServiceBehaviour),
    /// End: on to the next SID, by this node's routes.
    End(Flavours),
    /// End.X: on to the next SID over this link.
    EndX(Flavours, Hop),
}

impl Default for Sids {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Sids {
    /// Room for so many.
    pub(crate) fn new(max: usize) -> Self {
        Self { places: Table::new(max), entries: Vec::with_capacity(max) }
    }

    /// Adds one; false if it is there, or shares the table's key with another.
    pub(crate) fn add(&mut self, sid: Ipv6Addr, action: SidAction) -> bool {
        let sid = without_argument(sid);
        let Ok(place) = u16::try_from(self.entries.len()) else { return false };
        self.entries.push(SidEntry { sid, action });
        matches!(self.places.insert(key(sid), place), Ok(None))
    }

    /// All of them, without argument.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ipv6Addr, SidAction)> {
        self.entries.iter().map(|entry| (Ipv6Addr::from_bits(entry.sid), entry.action))
    }

    /// What is done with a packet to an address, if that is a SID.
    #[inline]
    pub(crate) fn get(&self, address: Ipv6Addr) -> Option<SidAction> {
        if self.entries.is_empty() {
            return None;
        }
        let sid = without_argument(address);
        let entry = self.entries.get(usize::from(*self.places.get(key(sid))?))?;
        (entry.sid == sid).then_some(entry.action)
    }
}

/// The argument of a SID.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the last 16 bits are wanted")]
pub(crate) const fn argument(sid: Ipv6Addr) -> u16 {
    sid.to_bits() as u16
}

#[inline]
const fn without_argument(sid: Ipv6Addr) -> u128 {
    sid.to_bits() & !ARGUMENT
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves of the SID")]
const fn key(sid: u128) -> u64 {
    mix((sid >> 64) as u64, sid as u64) >> 1
}

const ARGUMENT: u128 = 0xffff;
