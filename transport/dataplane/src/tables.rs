//! What a program turns into: tables that are looked at for each packet.
//!
//! A [`Tables`] is whole. The pipeline owns the one that it runs, counters and meters included, and exchanges it for
//! another between two bursts.

use std::mem::offset_of;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use arrayvec::ArrayVec;
use model::resource::{SegmentId, Service};
use model::{Digest, Generation, InterfaceAddress, Prefix, RateLimits, SdpName, SliceName};

use crate::compile::{ADDRESSES_MAX, LOOPBACKS_MAX, PORTS_MAX};
use crate::counters::Traffic;
use crate::drops::{DropReason, Drops};
use crate::encap::Marks;
use crate::l3::{Gateways, Via};
use crate::labels::LabelEntry;
use crate::meter::{Meter, Nanos};
use crate::neighbour::{Neighbour, NextHop};
use crate::path::{Path, Remote};
use crate::port::{PortIndex, PortSet};
use crate::probe::Paths;
use crate::route::Routes;
use crate::session::{Members, Seat};
use crate::shaper::RATE_MAX;
use crate::sids::Sids;
use crate::table::Table;
use crate::transit::TransitClasses;
use crate::trees::shape::{QueueNumber, TreeShape};

/// Names a segment on this edge; never used twice, so that a session can't end up in a segment that came later.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentUid(pub u32);

/// Names an SDP of a slice on this edge; kept while it stays, never used twice.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SdpUid(pub(crate) u32);

/// The place of a slice; kept while the slice stays.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SliceSlot(pub(crate) u16);

/// The place of an attachment circuit in its tables; other tables have it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CircuitIndex(pub(crate) u16);

/// Compiled tables.
#[derive(Debug, Clone)]
pub struct Tables {
    pub(crate) generation: Generation,
    pub(crate) digest: Digest,
    pub(crate) ports: ArrayVec<PortTable, PORTS_MAX>,
    pub(crate) circuits: Vec<Circuit>,
    /// By slot; a slot of a slice that has gone is empty.
    pub(crate) slices: Vec<Option<Slice>>,
    pub(crate) segments: Vec<Segment>,
    /// Places in `segments` by VNI.
    pub(crate) by_vni: Table<u16>,
    /// What is done with packets to this node's SIDs.
    pub(crate) sids: Sids,
    /// What is done with packets by their top label.
    pub(crate) by_label: Table<LabelEntry>,
    /// To other edges.
    pub(crate) paths: Vec<Path>,
    /// What is known of each path, by the same place.
    pub(crate) probes: Paths,
    /// To loopbacks and locators, for the packets of others.
    pub(crate) routes: Option<Routes<Hop>>,
    /// Their prefixes, by address, then by length; for whoever reads them, not for packets.
    pub(crate) route_prefixes: Box<[Prefix]>,
    /// How many devices behind other edges each segment may always remember.
    pub(crate) remote_macs_share: u32,
    /// Places in `segments` by their numbers in trees.
    pub(crate) by_queue: Vec<Option<u16>>,
    /// In which queue what passes through waits.
    pub(crate) transit_classes: TransitClasses,
    /// Places in `segments` by uid, sorted.
    pub(crate) by_uid: Vec<(SegmentUid, u16)>,
    /// Places in `circuits` by uid, sorted.
    pub(crate) by_sdp: Vec<(SdpUid, u16)>,
    pub(crate) loopbacks: ArrayVec<IpAddr, LOOPBACKS_MAX>,
    pub(crate) neighbours: Vec<Neighbour>,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortRole {
    /// Nothing, in this program.
    Unused,
    /// Devices.
    Access,
    /// The underlay.
    Core,
}

/// Where a packet of others leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) port: PortIndex,
    /// The place of the next hop in `neighbours`.
    pub(crate) neighbour: u16,
}

/// A port.
#[derive(Debug, Clone)]
pub(crate) struct PortTable {
    pub(crate) role: PortRole,
    /// Circuits by VLAN, if it has one; place 0 is "untagged".
    pub(crate) by_vlan: Option<Box<[Option<CircuitIndex>; VLANS]>>,
    /// Its own addresses, if it faces the underlay.
    pub(crate) addresses: ArrayVec<InterfaceAddress, ADDRESSES_MAX>,
    /// The longest layer-3 packet that it carries, if it faces the underlay.
    pub(crate) mtu: u16,
    /// How what leaves by it is scheduled.
    pub(crate) tree: TreeShape,
}

/// An attachment circuit, which is where an SDP of a slice is.
#[derive(Debug, Clone)]
pub(crate) struct Circuit {
    pub(crate) uid: SdpUid,
    pub(crate) sdp: Arc<SdpName>,
    pub(crate) port: PortIndex,
    /// 0: untagged.
    pub(crate) vlan: u16,
    pub(crate) slice: SliceSlot,
    /// Its endpoints can't reach those of other leaves.
    pub(crate) leaf: bool,
    /// Of a layer-3 slice: the edge's own addresses there.
    pub(crate) gateways: Gateways,
    /// The longest layer-3 packet of a device.
    pub(crate) packet_octets_max: u16,
    pub(crate) from_access: MeteredTraffic,
    pub(crate) to_access: MeteredTraffic,
    /// What each session may send and receive.
    pub(crate) session_from: Option<Meter>,
    pub(crate) session_to: Option<Meter>,
}

/// A slice.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) name: Arc<SliceName>,
    pub(crate) limits: RateLimits,
    /// Its places in `circuits`.
    pub(crate) circuits: Range<u16>,
    /// Of a layer-3 slice: its subnets.
    pub(crate) routes: Option<Routes<Via>>,
}

/// A micro-segment. What a packet needs stands in front, in a cache line for both ways and one for each.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(crate) struct Segment {
    pub(crate) uid: SegmentUid,
    /// Its number in trees.
    pub(crate) queue: QueueNumber,
    /// Counts the changes of what its waiting frames are known by on the wire: its VNI, its circuits. Those from before such a
    /// change are not sent after it, when the number or the VLAN may be another's.
    pub(crate) wire: u16,
    pub(crate) slice: SliceSlot,
    /// Counts the changes of `remotes`, so that what was learned about their places is not believed after one.
    pub(crate) epoch: u32,
    /// Those of its slice.
    pub(crate) marks: Arc<Marks>,
    /// Sorted by address.
    pub(crate) remotes: Box<[Remote]>,
    pub(crate) to_tunnels: Traffic,
    pub(crate) service: Service,
    /// The ports by which its slice leaves towards other edges.
    pub(crate) exits: PortSet,
    pub(crate) from_access: MeteredTraffic,
    pub(crate) to_access: MeteredTraffic,
    pub(crate) from_tunnels: Traffic,
    pub(crate) vni: u32,
    /// Devices behind other edges that are remembered.
    pub(crate) learned: u32,
    pub(crate) sessions_max: u32,
    pub(crate) members: Members,
    /// Of a layer-3 slice: the places of its other edges in `remotes`, by their number in the slice.
    pub(crate) edges: Vec<Option<u16>>,
    /// By port on which the packet arrived.
    pub(crate) drops: Box<[Drops; PORTS_MAX]>,
    pub(crate) id: Arc<SegmentId>,
    pub(crate) limits: RateLimits,
}

/// A rate limit and what it let pass: one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct MeteredTraffic {
    pub(crate) meter: Meter,
    /// Is what is above the limit dropped here? Else a tree holds it.
    is_policed: bool,
    pub(crate) passed: Traffic,
    pub(crate) dropped: u64,
}

impl MeteredTraffic {
    pub(crate) fn new(limits: RateLimits, packet_octets_max: u16, now: Nanos) -> Self {
        let frame_octets_max = usize::from(packet_octets_max) + transport_wire::ethernet::HEADER_OCTETS;
        let meter = Meter::new(limits.ceiling(), frame_octets_max, now);
        Self { meter, is_policed: true, passed: Traffic::default(), dropped: 0 }
    }

    /// Dropped here, or left to a tree?
    pub(crate) const fn policed(self, is_policed: bool) -> Self {
        Self { is_policed, ..self }
    }

    /// Is what is above the limit dropped here?
    pub(crate) const fn is_policed(&self) -> bool {
        self.is_policed
    }

    /// Is there room for a frame? If not, that is counted.
    #[inline]
    pub(crate) fn admits(&mut self, now: Nanos, octets: usize) -> bool {
        let admits = !self.is_policed || self.meter.has(now, octets);
        self.dropped += u64::from(!admits);
        admits
    }

    /// Is there room for a copy of a frame? Copies are dropped above the limit wherever it is held, lest they be made in
    /// vain. If not, that is counted.
    pub(crate) fn admits_copy(&mut self, now: Nanos, octets: usize) -> bool {
        let admits = self.meter.has(now, octets);
        self.dropped += u64::from(!admits);
        admits
    }

    /// Charges a frame that there is room for.
    #[inline]
    pub(crate) const fn charge(&mut self, octets: usize) {
        self.meter.take(octets);
        self.passed.count(octets);
    }

    /// Takes over what an older one has counted and what is in its bucket.
    fn carry_over(&mut self, old: &Self) {
        *self = Self { meter: old.meter.reshaped(&self.meter), is_policed: self.is_policed, ..*old };
    }
}

impl Tables {
    /// Nothing: every port is unused.
    pub fn empty(ports: usize) -> Self {
        let tree = || TreeShape::none(RATE_MAX);
        let unused =
            || PortTable { role: PortRole::Unused, by_vlan: None, addresses: ArrayVec::new(), mtu: 0, tree: tree() };
        Self {
            generation: Generation::NONE,
            digest: Digest::from_bytes([0; 32]),
            ports: (0..ports.min(PORTS_MAX)).map(|_| unused()).collect(),
            circuits: Vec::new(),
            slices: Vec::new(),
            segments: Vec::new(),
            by_vni: Table::new(0),
            sids: Sids::default(),
            by_label: Table::new(0),
            paths: Vec::new(),
            probes: Paths::default(),
            routes: None,
            route_prefixes: Box::default(),
            remote_macs_share: 0,
            by_queue: Vec::new(),
            transit_classes: TransitClasses::default(),
            by_uid: Vec::new(),
            by_sdp: Vec::new(),
            loopbacks: ArrayVec::new(),
            neighbours: Vec::new(),
        }
    }

    /// The next hops that they need.
    pub fn next_hops(&self) -> impl Iterator<Item = NextHop> {
        self.neighbours.iter().map(Neighbour::next_hop)
    }

    /// The own addresses of a port towards the underlay.
    pub fn addresses(&self, port: PortIndex) -> impl Iterator<Item = IpAddr> {
        let own = self.ports.get(port.get()).into_iter().flat_map(|port| &port.addresses);
        own.map(InterfaceAddress::address)
    }

    /// The generation of the program that they were compiled from.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The digest of the program that they were compiled from.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    #[inline]
    pub(crate) fn role(&self, port: PortIndex) -> PortRole {
        self.ports.get(port.get()).map_or(PortRole::Unused, |port| port.role)
    }

    /// The circuit of a VLAN on a port; 0 is "untagged".
    #[inline]
    pub(crate) fn circuit(&self, port: PortIndex, vlan: u16) -> Option<CircuitIndex> {
        self.ports.get(port.get())?.by_vlan.as_ref()?[usize::from(vlan) % VLANS]
    }

    /// The circuit by which a device of a slice is reached: where it was last heard, as long as that is one of the slice;
    /// else the slice's circuit, if it has just one.
    #[inline]
    pub(crate) fn circuit_of(&self, slice: SliceSlot, seat: Option<Seat>) -> Option<CircuitIndex> {
        self.heard_at(slice, seat).or_else(|| {
            let circuits = self.circuits_of(slice);
            (circuits.len() == 1).then_some(CircuitIndex(circuits.start))
        })
    }

    /// Where a device of a slice was last heard, as long as that is a circuit of the slice.
    #[inline]
    pub(crate) fn heard_at(&self, slice: SliceSlot, seat: Option<Seat>) -> Option<CircuitIndex> {
        let Seat { port, vlan } = seat?;
        self.circuit(port, vlan).filter(|circuit| self.circuits[usize::from(circuit.0)].slice == slice)
    }

    /// May a session that was heard at one seat be heard at another? Not as long as the first is a circuit of its slice:
    /// there is no handover, and whoever could move a session could have its frames.
    #[inline]
    pub(crate) fn may_sit(&self, slice: SliceSlot, before: Option<Seat>, now: Seat) -> bool {
        match before {
            Some(seat) if seat != now => {
                let circuit = self.circuit(seat.port, seat.vlan);
                circuit.is_none_or(|at| self.circuits[usize::from(at.0)].slice != slice)
            }
            _ => true,
        }
    }

    /// Where the circuits of a slice stand.
    pub(crate) fn circuits_of(&self, slice: SliceSlot) -> Range<u16> {
        self.slices.get(usize::from(slice.0)).and_then(Option::as_ref).map_or(0..0, |slice| slice.circuits.clone())
    }

    /// Where devices of a slice are heard, in the order of its circuits.
    fn seats(&self, slice: SliceSlot) -> impl Iterator<Item = (PortIndex, u16)> {
        let circuits = self.circuits_of(slice);
        self.circuits[usize::from(circuits.start)..usize::from(circuits.end)].iter().map(|at| (at.port, at.vlan))
    }

    #[inline]
    pub(crate) fn segment_of_vni(&self, vni: u32) -> Option<usize> {
        self.by_vni.get(u64::from(vni)).map(|at| usize::from(*at))
    }

    /// The place of a segment; `hint` is where it was last found.
    #[inline]
    pub(crate) fn segment_at(&self, hint: u16, uid: SegmentUid) -> Option<usize> {
        match self.segments.get(usize::from(hint)) {
            Some(segment) if segment.uid == uid => Some(usize::from(hint)),
            _ => self.segment_of_uid(uid),
        }
    }

    /// The ports that share the ceilings of what waits in a queue, from when its segment's [`wire`](Segment::wire) was this, or
    /// from another worker's tables, which are ahead of these; `None`, if it is nobody's any more.
    #[inline]
    pub(crate) fn exits(&self, queue: QueueNumber, wire: u16) -> Option<PortSet> {
        if queue == QueueNumber::REST {
            return Some(PortSet::default());
        }
        let segment = &self.segments[self.segment_of_queue(queue)?];
        (segment.wire.wrapping_sub(wire).cast_signed() <= 0).then_some(segment.exits)
    }

    /// The place of the segment with this number in trees.
    pub(crate) fn segment_of_queue(&self, queue: QueueNumber) -> Option<usize> {
        let at = self.by_queue.get(queue.slot()?).copied().flatten()?;
        Some(usize::from(at))
    }

    pub(crate) fn segment_of_uid(&self, uid: SegmentUid) -> Option<usize> {
        let at = self.by_uid.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
        Some(usize::from(self.by_uid[at].1))
    }

    /// Takes over meters, counters, members and resolved neighbours from the tables that ran before, where the segment,
    /// the SDP and the neighbour are the same. Allocates nothing.
    pub(crate) fn carry_over(&mut self, old: &mut Self) {
        for at in 0..self.segments.len() {
            let segment = &self.segments[at];
            if let Some(before) = old.segment_of_uid(segment.uid) {
                let same = segment.vni == old.segments[before].vni
                    && self.seats(segment.slice).eq(old.seats(old.segments[before].slice));
                let segment = &mut self.segments[at];
                segment.carry_over(&mut old.segments[before]);
                segment.wire = old.segments[before].wire.wrapping_add(u16::from(!same));
            }
        }
        for circuit in &mut self.circuits {
            if let Ok(at) = old.by_sdp.binary_search_by_key(&circuit.uid, |(uid, _)| *uid) {
                let before = &old.circuits[usize::from(old.by_sdp[at].1)];
                circuit.from_access.carry_over(&before.from_access);
                circuit.to_access.carry_over(&before.to_access);
            }
        }
        self.probes.carry_over(&mut old.probes);
        for neighbour in &mut self.neighbours {
            if let Some(before) = old.neighbours.iter().find(|before| before.is_same_as(neighbour)) {
                *neighbour = *before;
            }
        }
    }
}

impl Segment {
    fn carry_over(&mut self, before: &mut Self) {
        self.from_access.carry_over(&before.from_access);
        self.to_access.carry_over(&before.to_access);
        self.to_tunnels = before.to_tunnels;
        self.from_tunnels = before.from_tunnels;
        self.members = before.members;
        self.learned = before.learned;
        std::mem::swap(&mut self.drops, &mut before.drops);
        let same =
            self.remotes.iter().map(|remote| remote.address).eq(before.remotes.iter().map(|remote| remote.address));
        self.epoch = before.epoch.wrapping_add(u32::from(!same));
    }

    #[inline]
    pub(crate) fn drop(&mut self, port: PortIndex, reason: DropReason) {
        if let Some(drops) = self.drops.get_mut(port.get()) {
            drops.count(reason);
        }
    }

    /// Reads what a frame from a device will need here, so that it is in the cache by then.
    #[inline]
    pub(crate) const fn touch_from(&self) -> u64 {
        self.uid.0 as u64 ^ self.from_access.passed.frames ^ self.to_tunnels.frames
    }

    /// The remote of a tunnel's source address.
    #[inline]
    pub(crate) fn remote_at(&self, address: IpAddr) -> Option<u16> {
        let at = self.remotes.binary_search_by(|remote| remote.address.cmp(&address)).ok()?;
        u16::try_from(at).ok()
    }
}

/// One for each VLAN identifier, whose 0 is "untagged".
const VLANS: usize = 4_096;

const _: () = assert!(
    offset_of!(Segment, from_access) == 64 && offset_of!(Segment, to_access) == 128,
    "what a packet needs of its segment is in two lines"
);
