//! The numbers by which sessions and addresses are found.

use std::net::IpAddr;

use model::Mac;

use crate::table::mix;
use crate::tables::{SegmentUid, SliceSlot};

/// Slice and MAC address in one number: 15 bits and 48.
#[inline]
pub(crate) const fn session_key(slice: SliceSlot, mac: Mac) -> u64 {
    (slice.0 as u64) << 48 | mac_bits(mac)
}

/// A MAC address as a number of 48 bits.
#[inline]
pub(crate) const fn mac_bits(mac: Mac) -> u64 {
    let mut octets = [0; 8];
    octets.split_at_mut(2).1.copy_from_slice(&mac.0);
    u64::from_be_bytes(octets)
}

/// The MAC address in a session's key.
#[inline]
pub(super) const fn mac_of(key: u64) -> Mac {
    let mut mac = [0; 6];
    mac.copy_from_slice(key.to_be_bytes().split_at(2).1);
    Mac(mac)
}

/// Spreads segments and IP addresses; whoever finds a session by it compares both.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves of the address")]
pub(super) const fn address_key(segment: SegmentUid, address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => (segment.0 as u64) << 32 | address.to_bits() as u64,
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            mix(mix(segment.0 as u64, (bits >> 64) as u64), bits as u64)
        }
    }
}

/// The key of no session: keys have 63 bits.
pub(super) const NONE: u64 = u64::MAX;
