//! Sessions: which endpoint belongs to which segment.
//!
//! A session is bound by the edge when an AAA has authenticated an endpoint, and the packet path forwards for that
//! endpoint only from then on. It is found by slice and MAC address: one device may have a session in each of several
//! slices, and one in each slice.
//!
//! ```text
//!   slice, MAC ─ hash ─▶ index: 8 octets an entry, 8 entries a cache line ─▶ session: one cache line
//! ```
//!
//! The index is never more than half full, and an entry carries 32 bits of the hash, so a sender without session costs one
//! cache line and one with a session costs two. Everything is allocated at the start.

mod index;
mod key;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Mac;

use crate::counters::Traffic;
use crate::meter::{Meter, Nanos};
use crate::port::PortIndex;
use crate::tables::{SegmentUid, SliceSlot};

use index::Index;
pub(crate) use key::{mac_bits, session_key};

/// What the edge asks to be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The segment, as the compiler knows it.
    pub segment: SegmentUid,
    /// The endpoint.
    pub mac: Mac,
    /// The only IPv4 address that it may use; with none of either family, it may use any.
    pub ipv4: Option<Ipv4Addr>,
    /// The only IPv6 address that it may use, beside link-local ones.
    pub ipv6: Option<Ipv6Addr>,
}

/// Names a session that was bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    pub(crate) slice: SliceSlot,
    pub(crate) segment: SegmentUid,
    pub(crate) mac: Mac,
}

/// Why a session is not bound. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The tables that run have no such segment.
    #[error("the segment does not run here")]
    UnknownSegment,
    /// The MAC address is a group address or all zeros.
    #[error("{0} is not the address of one station")]
    NotUnicast(Mac),
    /// The IP address is unspecified, a group address or the broadcast address.
    #[error("{0} is not an address that a host can have")]
    NotHostAddress(IpAddr),
    /// The endpoint has a session in another segment of the slice, which must end first.
    #[error("the endpoint has a session in another segment of the slice")]
    InOtherSegment,
    /// The segment has as many sessions as its profile allows.
    #[error("the segment has {max} sessions, as many as it may have here")]
    SegmentFull {
        /// The most.
        max: u32,
    },
    /// The edge has as many sessions as it has room for.
    #[error("the edge has {max} sessions, as many as it has room for")]
    EdgeFull {
        /// The most.
        max: usize,
    },
    /// Another session of the segment is bound to the address.
    #[error("{address} is bound to another endpoint of the segment")]
    AddressInUse {
        /// The address.
        address: IpAddr,
    },
}

/// What a session has sent and received.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SessionCounters {
    /// From the device.
    pub from: Traffic,
    /// To the device.
    pub to: Traffic,
}

/// The place of a session; good until the next `bind` or `unbind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// The attachment circuit where a device is heard, as the wire has it: it means the same in any tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) port: PortIndex,
    /// 0: untagged.
    pub(crate) vlan: u16,
}

/// A session: one cache line. What was sent to it is counted beside, so that receiving touches no second one.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Session {
    key: u64,
    pub(crate) segment: SegmentUid,
    /// 0: not bound.
    ipv4: u32,
    /// 0: not bound.
    ipv6: u128,
    /// Where the segment stood when it was last looked up.
    pub(crate) place: u16,
    pub(crate) seat: Option<Seat>,
    /// Neighbours in the segment's list; `next` leads through the free ones, too.
    next: u32,
    previous: u32,
    pub(crate) from: Traffic,
}

/// The sessions of a segment, as a list: first those without bound address, then those with one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members {
    first: u32,
    last: u32,
    pub(crate) count: u32,
}

/// The meters of a session: one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Rates {
    from: Meter,
    to: Meter,
}

/// All sessions of an edge.
#[derive(Debug)]
pub(crate) struct Sessions {
    index: Index,
    slots: Vec<Session>,
    /// What was sent to each.
    to: Vec<Traffic>,
    /// What each may send and receive; looked at only where a slice limits its sessions.
    rates: Vec<Rates>,
    /// Who has a bound address, by segment and address.
    by_address: Index,
    free: u32,
    len: usize,
}

impl Session {
    /// Is it bound to no address?
    #[inline]
    pub(crate) const fn is_open(&self) -> bool {
        self.ipv4 == 0 && self.ipv6 == 0
    }

    /// Is it bound to an IPv6 address?
    #[inline]
    pub(crate) const fn has_ipv6(&self) -> bool {
        self.ipv6 != 0
    }

    /// Its MAC address.
    #[inline]
    pub(crate) const fn mac(&self) -> Mac {
        key::mac_of(self.key)
    }

    /// May it send from this IPv4 address?
    #[inline]
    pub(crate) const fn may_use_ipv4(&self, address: Ipv4Addr) -> bool {
        self.is_open() || self.ipv4 != 0 && self.ipv4 == address.to_bits()
    }

    /// May it claim this IPv4 address by ARP? A probe (RFC 5227, section 2.1.1) claims none.
    #[inline]
    pub(crate) const fn may_claim_ipv4(&self, address: Ipv4Addr) -> bool {
        self.may_use_ipv4(address) || self.ipv4 != 0 && address.to_bits() == 0
    }

    /// May it send from this IPv6 address? Neighbour discovery needs link-local addresses and none at all (RFC 4862).
    #[inline]
    pub(crate) const fn may_use_ipv6(&self, address: Ipv6Addr) -> bool {
        self.may_claim_ipv6(address) || self.has_ipv6() && address.is_unspecified()
    }

    /// May it claim this IPv6 address by a neighbour advertisement?
    #[inline]
    pub(crate) const fn may_claim_ipv6(&self, address: Ipv6Addr) -> bool {
        self.is_open() || self.has_ipv6() && (self.ipv6 == address.to_bits() || address.is_unicast_link_local())
    }

    const fn is_bound_to(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4 != 0 && self.ipv4 == address.to_bits(),
            IpAddr::V6(address) => self.ipv6 != 0 && self.ipv6 == address.to_bits(),
        }
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let ipv4 = (self.ipv4 != 0).then(|| Ipv4Addr::from_bits(self.ipv4).into());
        let ipv6 = (self.ipv6 != 0).then(|| Ipv6Addr::from_bits(self.ipv6).into());
        [ipv4, ipv6].into_iter().flatten()
    }
}

impl Rates {
    const NONE: Self = Self { from: Meter::NONE, to: Meter::NONE };
}

#[inline]
fn admits(meter: &mut Meter, limit: &Meter, now: Nanos, octets: usize) -> bool {
    meter.follow(limit, now);
    let admits = meter.has(now, octets);
    if admits {
        meter.take(octets);
    }
    admits
}

impl Sessions {
    /// Room for so many, [`SESSIONS_MAX`] at most.
    pub(crate) fn new(max: usize) -> Self {
        let max = max.min(SESSIONS_MAX);
        #[allow(clippy::cast_possible_truncation, reason = "at most SESSIONS_MAX")]
        let max_u32 = max as u32;
        let free = |at: u32| Session {
            key: key::NONE,
            segment: SegmentUid::default(),
            ipv4: 0,
            ipv6: 0,
            place: 0,
            seat: None,
            next: if at + 1 < max_u32 { at + 1 } else { END },
            previous: END,
            from: Traffic::default(),
        };
        Self {
            index: Index::new(max),
            slots: (0..max_u32).map(free).collect(),
            to: vec![Traffic::default(); max],
            rates: vec![Rates::NONE; max],
            by_address: Index::new(2 * max),
            free: if max == 0 { END } else { 0 },
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many there is room for.
    pub(crate) const fn max(&self) -> usize {
        self.slots.len()
    }

    /// Reads where a search begins, so that the search finds it in the cache.
    #[inline]
    pub(crate) fn touch(&self, key: u64) -> u64 {
        self.index.touch(key)
    }

    /// Where a session is.
    #[inline]
    pub(crate) fn find(&self, key: u64) -> Option<Slot> {
        self.index.find(key, |slot| self.slots[slot as usize].key == key).map(Slot)
    }

    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> &Session {
        &self.slots[slot.0 as usize]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Session {
        &mut self.slots[slot.0 as usize]
    }

    /// Is there room for a frame from a session within this limit? If so, it is charged.
    #[inline]
    pub(crate) fn admits_from(&mut self, slot: Slot, limit: &Meter, now: Nanos, octets: usize) -> bool {
        admits(&mut self.rates[slot.0 as usize].from, limit, now, octets)
    }

    /// The same for a frame to a session.
    #[inline]
    pub(crate) fn admits_to(&mut self, slot: Slot, limit: &Meter, now: Nanos, octets: usize) -> bool {
        admits(&mut self.rates[slot.0 as usize].to, limit, now, octets)
    }

    /// Reads the meters of a session, so that they are in the cache when a frame needs them.
    #[inline]
    pub(crate) fn touch_rates(&self, slot: Slot) -> u64 {
        self.rates[slot.0 as usize].from.touch()
    }

    /// Counts a frame to a session.
    #[inline]
    pub(crate) fn count_to(&mut self, slot: Slot, octets: usize) {
        self.to[slot.0 as usize].count(octets);
    }

    /// Reads the counter that [`Sessions::count_to`] will change, so that it is in the cache by then.
    #[inline]
    pub(crate) fn touch_to(&self, slot: Slot) -> u64 {
        self.to[slot.0 as usize].frames
    }

    pub(crate) fn counters(&self, slot: Slot) -> SessionCounters {
        SessionCounters { from: self.at(slot).from, to: self.to[slot.0 as usize] }
    }

    /// Reads where [`Sessions::owner`] begins, so that it finds it in the cache.
    #[inline]
    pub(crate) fn touch_owner(&self, segment: SegmentUid, address: IpAddr) -> u64 {
        self.by_address.touch(key::address_key(segment, address))
    }

    /// Who has an address bound in a segment.
    #[inline]
    pub(crate) fn owner(&self, segment: SegmentUid, address: IpAddr) -> Option<Slot> {
        let is_it = |slot: u32| {
            let session = &self.slots[slot as usize];
            session.segment == segment && session.is_bound_to(address)
        };
        self.by_address.find(key::address_key(segment, address), is_it).map(Slot)
    }

    /// Is an address bound to somebody else of a segment?
    #[inline]
    pub(crate) fn is_taken(&self, segment: SegmentUid, address: IpAddr, from: Slot) -> bool {
        self.owner(segment, address).is_some_and(|owner| owner != from)
    }

    /// Would this binding take an address from somebody else?
    pub(crate) fn conflict(&self, binding: &Binding, slot: Option<Slot>) -> Option<IpAddr> {
        binding.addresses().find(|address| {
            let owner = self.owner(binding.segment, *address);
            owner.is_some() && owner != slot
        })
    }

    /// A place for a new session, which is in no segment yet; `None` if there is no room.
    pub(crate) fn add(&mut self, key: u64) -> Option<Slot> {
        let slot = Slot(self.free);
        let session = self.slots.get_mut(self.free as usize)?;
        self.free = session.next;
        *session = Session { key, next: END, previous: END, seat: None, ..*session };
        self.rates[slot.0 as usize] = Rates::NONE;
        self.index.insert(key, slot.0);
        self.len += 1;
        Some(slot)
    }

    /// Puts a session that is in no segment into one, with what it is bound to and what it has counted there. Where it
    /// sits is for its next frame to tell.
    pub(crate) fn join(&mut self, slot: Slot, binding: &Binding, counters: SessionCounters, members: &mut Members) {
        self.set_addresses(slot, binding);
        let is_open = self.at(slot).is_open();
        let (next, previous) = if is_open { (members.first, END) } else { (END, members.last) };
        let session = self.at_mut(slot);
        (session.next, session.previous, session.seat) = (next, previous, None);
        session.from = counters.from;
        self.to[slot.0 as usize] = counters.to;
        *self.link(next, |session| &mut session.previous, &mut members.last) = slot.0;
        *self.link(previous, |session| &mut session.next, &mut members.first) = slot.0;
        members.count += 1;
    }

    /// Takes a session out of its segment. Of a segment that runs no more there are no members left to keep.
    pub(crate) fn leave(&mut self, slot: Slot, members: Option<&mut Members>) {
        self.forget_addresses(slot);
        let Session { next, previous, .. } = *self.at(slot);
        let mut gone = Members::default();
        let members = members.unwrap_or(&mut gone);
        *self.link(next, |session| &mut session.previous, &mut members.last) = previous;
        *self.link(previous, |session| &mut session.next, &mut members.first) = next;
        members.count = members.count.saturating_sub(1);
        let session = self.at_mut(slot);
        (session.next, session.previous, session.segment) = (END, END, SegmentUid::default());
    }

    /// Takes out a session that has left its segment.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let key = self.at(slot).key;
        self.index.remove(key, slot.0);
        let free = self.free;
        let session = self.at_mut(slot);
        (session.key, session.next) = (key::NONE, free);
        self.free = slot.0;
        self.len -= 1;
    }

    /// The first session of a segment, or the one after another.
    #[inline]
    pub(crate) fn member(&self, members: &Members, after: Option<Slot>) -> Option<Slot> {
        let at = after.map_or(members.first, |slot| self.at(slot).next);
        (at != END).then_some(Slot(at))
    }

    fn set_addresses(&mut self, slot: Slot, binding: &Binding) {
        let session = self.at_mut(slot);
        session.segment = binding.segment;
        session.ipv4 = binding.ipv4.map_or(0, Ipv4Addr::to_bits);
        session.ipv6 = binding.ipv6.map_or(0, Ipv6Addr::to_bits);
        for address in binding.addresses() {
            self.by_address.insert(key::address_key(binding.segment, address), slot.0);
        }
    }

    fn forget_addresses(&mut self, slot: Slot) {
        let session = *self.at(slot);
        for address in session.addresses() {
            self.by_address.remove(key::address_key(session.segment, address), slot.0);
        }
    }

    /// What points to the neighbour's side of a link: the neighbour, or the end of the list.
    fn link<'a>(
        &'a mut self,
        neighbour: u32,
        side: impl FnOnce(&'a mut Session) -> &'a mut u32,
        end: &'a mut u32,
    ) -> &'a mut u32 {
        match self.slots.get_mut(neighbour as usize) {
            Some(session) => side(session),
            None => end,
        }
    }
}

impl Binding {
    /// The addresses that it is for.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.ipv4.map(IpAddr::V4), self.ipv6.map(IpAddr::V6)].into_iter().flatten()
    }

    /// Is it for one station, at addresses that a host can have? The unspecified address in a session would mean "any".
    pub(crate) fn check(&self) -> Result<(), BindError> {
        if !self.mac.is_unicast() {
            return Err(BindError::NotUnicast(self.mac));
        }
        match self.addresses().find(|address| !is_host(*address)) {
            Some(address) => Err(BindError::NotHostAddress(address)),
            None => Ok(()),
        }
    }
}

impl Default for Members {
    fn default() -> Self {
        Self { first: END, last: END, count: 0 }
    }
}

/// Can a host have this address?
pub(crate) const fn is_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || is_broadcast)
}

/// The most sessions of one edge, whatever it is configured for.
pub const SESSIONS_MAX: usize = 1_000_000;
/// The most copies that are made of one flooded frame towards access ports, and towards other edges.
pub const FLOOD_COPIES_MAX: usize = 64;
/// No session.
const END: u32 = u32::MAX;

const _: () = assert!(size_of::<Session>() == 64);
const _: () = assert!(SESSIONS_MAX < END as usize);

#[cfg(test)]
mod tests;
