//! Several workers on one edge: each owns some of the ports and some of the slices, and hands over what is another's.
//!
//! ```text
//!   port ─ its worker: whose slice? ─▶ the slice's worker: all that one worker alone does ─▶ the port's worker: tree ─ port
//! ```
//!
//! Every worker has tables of its own, and sessions, limits and learned devices of its own slices alone: what is known of a
//! slice is known in one place, and no memory is written by two. What has to be known by all, which next hops answer and
//! which paths work, is found by the first worker and told to the others. A tree has one owner, too, so rates hold at a
//! port as with one worker. A slice that leaves by ports of several workers has its ceilings once, but what one of them has
//! sent is heard by the others a moment later: as much more may leave in that moment, and is owed then.
//!
//! Which worker is whose follows from numbers: ports from their places, slices from their slots. Frames of one flow always take
//! the same way, so they stay in their order.

use std::collections::VecDeque;

use model::{Generation, Mac};
use transport_wire::flow::{Flow, Network};
use transport_wire::{EtherType, Protocol, mpls, vxlan};

use crate::drops::DropReason;
use crate::forward::Way;
use crate::frame::{BURST_FRAMES_MAX, Burst, Frame, FramePool};
use crate::labels::LabelEntry;
use crate::meter::Nanos;
use crate::neighbour::NextHop;
use crate::pipeline::Pipeline;
use crate::port::{Outputs, PortIndex, PortSet};
use crate::session::SessionKey;
use crate::sids::SidAction;
use crate::tables::{PortRole, SegmentUid, SliceSlot, Tables};
use crate::trees::Waits;
use crate::trees::shape::QueueNumber;

/// Which of an edge's workers one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerPlace {
    index: u8,
    count: u8,
}

/// What one worker hands to another.
#[derive(Debug)]
pub struct Handover(Part);

#[derive(Debug)]
enum Part {
    /// A frame that arrived, of a slice of the other.
    Arrived { port: PortIndex, frame: Frame },
    /// A frame that is finished and waits for its turn at a port of the other.
    Leaves { to: PortIndex, from: PortIndex, waits: Waits, wire: u16, frame: Frame },
    /// A frame of the edge itself, which leaves by a port of the other.
    Sent { to: PortIndex, from: PortIndex, frame: Frame },
    /// What a slice has sent by another port counts for its ceilings at this one.
    Spent { port: PortIndex, queue: QueueNumber, octets: u32 },
    /// Where a next hop is.
    NextHop(NextHop, Option<Mac>),
    /// Which of 64 paths are not down, by their places in the tables of a generation.
    Paths { generation: Generation, word: u16, usable: u64 },
    /// A buffer for one that was handed over.
    Buffer(Frame),
}

/// What a worker knows of the others.
#[derive(Debug)]
pub(crate) struct Others {
    pub(crate) place: WorkerPlace,
    own_ports: PortSet,
    /// By worker, for the host to take away.
    outboxes: Vec<VecDeque<Handover>>,
    /// By worker, how many of its buffers are here.
    owed: Vec<usize>,
    /// By worker, how many of our buffers are there, or on their way.
    lent: Vec<usize>,
    /// An eighth of how many that may be.
    lent_eighth: usize,
}

/// How much of what may be lent to a worker a frame may make use of, in eighths: what nobody has answered for leaves room for
/// what is finished, and both for what keeps paths alive.
#[derive(Debug, Clone, Copy)]
enum Claim {
    /// As it arrived, for a slice.
    Arrived = 4,
    /// Of a proven sender, finished.
    Leaves = 7,
    /// Of the edge itself, or for it.
    Edge = 8,
}

impl WorkerPlace {
    /// The only one.
    pub const ALONE: Self = Self { index: 0, count: 1 };

    /// One of so many, at most [`WORKERS_MAX`]; `None` if there is no such place.
    pub const fn new(index: u8, count: u8) -> Option<Self> {
        if index < count && count as usize <= WORKERS_MAX { Some(Self { index, count }) } else { None }
    }

    /// Its number, from 0.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// How many there are.
    pub const fn count(self) -> usize {
        self.count as usize
    }

    /// The number of the worker that owns a port.
    pub const fn of_port(self, port: PortIndex) -> usize {
        port.get() % self.count()
    }

    pub(crate) const fn of_slice(self, slice: SliceSlot) -> usize {
        slice.0 as usize % self.count()
    }

    pub(crate) const fn is_first(self) -> bool {
        self.index == 0
    }

    pub(crate) const fn has_port(self, port: PortIndex) -> bool {
        self.of_port(port) == self.index()
    }
}

impl Tables {
    /// The number of the worker that owns each segment, of so many as the place says.
    pub fn owners(&self, place: WorkerPlace) -> impl Iterator<Item = (SegmentUid, usize)> {
        self.segments.iter().map(move |segment| (segment.uid, place.of_slice(segment.slice)))
    }
}

impl SessionKey {
    /// The number of the worker that has the session, of so many as the place says.
    pub const fn owner(&self, place: WorkerPlace) -> usize {
        place.of_slice(self.slice)
    }
}

impl Others {
    pub(crate) fn new(place: WorkerPlace, ports: usize) -> Self {
        let mut own_ports = PortSet::default();
        for port in (0_u8..).map(PortIndex).take(ports).filter(|port| place.has_port(*port)) {
            own_ports.insert(port);
        }
        let count = place.count();
        let outbox = |at| VecDeque::with_capacity(if at == place.index() { 0 } else { OUTBOX_MAX });
        let outboxes = (0..count).map(outbox).collect();
        let lent_eighth = LENT_MAX / count.saturating_sub(1).max(1) / Claim::Edge as usize;
        Self { place, own_ports, outboxes, owed: vec![0; count], lent: vec![0; count], lent_eighth }
    }

    #[inline]
    pub(crate) const fn has_port(&self, port: PortIndex) -> bool {
        self.own_ports.contains(port)
    }

    /// Hands a frame over; gives it back if the other does not keep up. No more of our buffers are lent than a port leaves to
    /// spare, so whoever stands still takes none from slices that are ours.
    #[inline]
    fn hand(&mut self, to: usize, claim: Claim, frame: Frame, part: impl FnOnce(Frame) -> Part) -> Result<(), Frame> {
        let most = self.lent_eighth * claim as usize;
        match (self.outboxes.get_mut(to), self.lent.get_mut(to)) {
            (Some(outbox), Some(lent)) if *lent < most && outbox.len() < OUTBOX_MAX => {
                *lent += 1;
                outbox.push_back(Handover(part(frame)));
                Ok(())
            }
            _ => Err(frame),
        }
    }

    /// Tells something that is told again, or may be missed.
    fn tell(&mut self, to: usize, part: Part) {
        if let Some(outbox) = self.outboxes.get_mut(to).filter(|outbox| outbox.len() < OUTBOX_MAX) {
            outbox.push_back(Handover(part));
        }
    }

    fn tell_all(&mut self, part: impl Fn() -> Part) {
        let place = self.place;
        for to in (0..place.count()).filter(|to| *to != place.index()) {
            self.tell(to, part());
        }
    }

    /// A slice has sent so much by a port of ours, which counts at a port of another worker. If that one stands still until
    /// [`OUTBOX_MAX`] wait for it, its ceilings hear nothing of it.
    #[inline]
    pub(crate) fn spent(&mut self, port: PortIndex, queue: QueueNumber, octets: u32) {
        let to = self.place.of_port(port);
        let untold = self.outboxes.get_mut(to).into_iter().flat_map(|outbox| outbox.iter_mut().rev().take(SUMS_MAX));
        for handover in untold {
            if let Part::Spent { port: of_port, queue: of_queue, octets: before } = &mut handover.0
                && (*of_port, *of_queue) == (port, queue)
            {
                *before = before.saturating_add(octets);
                return;
            }
        }
        self.tell(to, Part::Spent { port, queue, octets });
    }
}

impl Pipeline {
    /// What is to be handed to another worker, in this order; the host takes it away.
    pub fn handovers(&mut self, to: usize) -> Option<&mut VecDeque<Handover>> {
        self.others.outboxes.get_mut(to)
    }

    /// Takes what another worker has handed over, and sends what is due.
    pub fn take_over(
        &mut self,
        now: Nanos,
        from: usize,
        handovers: impl Iterator<Item = Handover>,
        pool: &mut FramePool,
        out: &mut Outputs,
    ) {
        let mut burst = Burst::new();
        let mut arrived_at = PortIndex(0);
        for Handover(part) in handovers {
            let brings_buffer = matches!(part, Part::Arrived { .. } | Part::Leaves { .. } | Part::Sent { .. });
            if let Some(owed) = self.others.owed.get_mut(from).filter(|_| brings_buffer) {
                *owed += 1;
            }
            match part {
                Part::Arrived { port, frame } => {
                    if port != arrived_at || burst.is_full() {
                        self.work(&mut Way { now, port: arrived_at, pool, out }, &mut burst);
                        arrived_at = port;
                    }
                    burst.push(frame);
                }
                Part::Leaves { to, from, waits, wire, frame } => {
                    self.park(&mut Way { now, port: from, pool, out }, to, waits, wire, frame);
                }
                Part::Sent { to, from, frame } => self.send(&mut Way { now, port: from, pool, out }, to, None, frame),
                Part::Spent { port, queue, octets } => self.charge_ceilings(now, port, queue, octets),
                Part::NextHop(next_hop, mac) => self.believe_next_hop(&next_hop, mac),
                Part::Paths { generation, word, usable } if generation == self.tables.generation => {
                    self.tables.probes.believe(word.into(), usable);
                }
                Part::Paths { .. } => {}
                Part::Buffer(frame) => {
                    if let Some(lent) = self.others.lent.get_mut(from) {
                        *lent = lent.saturating_sub(1);
                    }
                    pool.give(frame);
                }
            }
        }
        self.work(&mut Way { now, port: arrived_at, pool, out }, &mut burst);
        self.depart(now, pool, out);
    }

    /// Gives back as many buffers as came, as far as there are some to spare.
    #[inline]
    pub(crate) fn repay(&mut self, pool: &mut FramePool) {
        for (owed, outbox) in self.others.owed.iter_mut().zip(&mut self.others.outboxes) {
            while *owed > 0 && pool.left() > BUFFERS_KEPT && outbox.len() < OUTBOX_MAX {
                let Some(buffer) = pool.take() else { break };
                outbox.push_back(Handover(Part::Buffer(buffer)));
                *owed -= 1;
            }
        }
    }

    /// Hands over those frames of a burst that are of other workers' slices; ours are left.
    pub(crate) fn spread(&mut self, way: &mut Way<'_>, burst: &mut Burst) {
        let mut own = Burst::new();
        for frame in burst.drain(..) {
            let (worker, claim) = self.worker_of(way.port, &frame);
            if worker == self.others.place.index() {
                own.push(frame);
                continue;
            }
            let port = way.port;
            if let Err(frame) = self.others.hand(worker, claim, frame, |frame| Part::Arrived { port, frame }) {
                self.drop(way, None, DropReason::WorkerFull, frame);
            }
        }
        *burst = own;
    }

    /// Hands over a frame that leaves by a port of another worker.
    pub(crate) fn hand_leaving(
        &mut self,
        way: &mut Way<'_>,
        to: PortIndex,
        segment: Option<usize>,
        (waits, wire): (Waits, u16),
        frame: Frame,
    ) {
        let (worker, from) = (self.others.place.of_port(to), way.port);
        let part = |frame| Part::Leaves { to, from, waits, wire, frame };
        if let Err(frame) = self.others.hand(worker, Claim::Leaves, frame, part) {
            self.drop(way, segment, DropReason::WorkerFull, frame);
        }
    }

    /// Hands over a frame of the edge itself that leaves by a port of another worker.
    pub(crate) fn hand_sent(&mut self, way: &mut Way<'_>, to: PortIndex, segment: Option<usize>, frame: Frame) {
        let (worker, from) = (self.others.place.of_port(to), way.port);
        if let Err(frame) = self.others.hand(worker, Claim::Edge, frame, |frame| Part::Sent { to, from, frame }) {
            self.drop(way, segment, DropReason::WorkerFull, frame);
        }
    }

    /// Tells the others where all next hops are and which paths work: what they have missed, they know then.
    pub(crate) fn tell_others(&mut self) {
        if self.others.place.count() == 1 || !self.others.place.is_first() {
            return;
        }
        for neighbour in &self.tables.neighbours {
            self.others.tell_all(|| Part::NextHop(neighbour.next_hop(), neighbour.mac));
        }
        self.tell_paths();
    }

    /// Tells the others of one next hop.
    pub(crate) fn tell_next_hop(&mut self, at: usize) {
        if let Some(neighbour) = self.tables.neighbours.get(at) {
            self.others.tell_all(|| Part::NextHop(neighbour.next_hop(), neighbour.mac));
        }
    }

    /// Tells the others which paths work.
    pub(crate) fn tell_paths(&mut self) {
        let generation = self.tables.generation;
        for (word, usable) in (0..).zip(self.tables.probes.words()) {
            self.others.tell_all(|| Part::Paths { generation, word, usable: *usable });
        }
    }

    fn believe_next_hop(&mut self, next_hop: &NextHop, mac: Option<Mac>) {
        let mut known = self.tables.neighbours.iter_mut();
        if let Some(neighbour) = known.find(|known| known.next_hop() == *next_hop) {
            neighbour.believe(mac);
        }
    }

    /// Whose a frame is that arrives at a port of ours: of its slice's worker, if it is of a slice; of the first one's, if it
    /// is for the edge itself; else ours. No more than a hint: who gets it looks at all of it.
    #[inline]
    fn worker_of(&self, port: PortIndex, frame: &Frame) -> (usize, Claim) {
        let place = self.others.place;
        let slice = match self.tables.role(port) {
            PortRole::Unused => None,
            PortRole::Access => Flow::parse(frame.octets()).ok().and_then(|flow| {
                let circuit = self.tables.circuit(port, flow.tag.map_or(0, transport_wire::ethernet::Tci::vlan))?;
                Some(self.tables.circuits[usize::from(circuit.0)].slice)
            }),
            PortRole::Core => match self.inside(port, frame) {
                Inside::Slice(segment) => self.tables.segments.get(segment).map(|segment| segment.slice),
                Inside::Edge => return (0, Claim::Edge),
                Inside::Others => None,
            },
        };
        (slice.map_or(place.index(), |slice| place.of_slice(slice)), Claim::Arrived)
    }

    /// Where a packet from the underlay leads.
    fn inside(&self, port: PortIndex, frame: &Frame) -> Inside {
        let Ok(flow) = Flow::parse(frame.octets()) else { return Inside::Others };
        if flow.ethertype == EtherType::MPLS {
            return self.by_label(frame.octets().get(usize::from(flow.network_at)..).unwrap_or_default());
        }
        let (Network::Ipv4 { upper, .. } | Network::Ipv6 { upper, .. }) = flow.network else { return Inside::Edge };
        let Some((_, to)) = flow.addresses() else { return Inside::Edge };
        if self.tables.loopbacks.contains(&to) && upper.protocol == Protocol::UDP && !upper.is_fragment {
            let payload = usize::from(upper.at) + transport_wire::udp::HEADER_OCTETS;
            let payload = frame.octets().get(payload..).unwrap_or_default();
            return match upper.ports.1 {
                vxlan::PORT => self.by_vni(payload),
                mpls::UDP_PORT => self.by_label(payload),
                _ => Inside::Edge,
            };
        }
        if let Network::Ipv6 { destination, .. } = flow.network
            && let Some(SidAction::Segment(segment, _)) = self.tables.sids.get(destination)
        {
            return Inside::Slice(segment.into());
        }
        let is_for_edge = self.tables.loopbacks.contains(&to)
            || to.is_multicast()
            || self.tables.ports[port.get()].addresses.iter().any(|own| own.address() == to);
        if is_for_edge { Inside::Edge } else { Inside::Others }
    }

    fn by_vni(&self, payload: &[u8]) -> Inside {
        let segment = vxlan::Packet::new(payload).ok().and_then(|packet| self.tables.segment_of_vni(packet.vni()));
        segment.map_or(Inside::Others, Inside::Slice)
    }

    fn by_label(&self, stack: &[u8]) -> Inside {
        let top = mpls::Packet::new(stack).ok().map(|stack| stack.top().label());
        match top.and_then(|top| self.tables.by_label.get(top.into())) {
            Some(LabelEntry::Segment(wire)) => Inside::Slice(wire.segment.into()),
            _ => Inside::Others,
        }
    }
}

/// Where a packet from the underlay leads.
enum Inside {
    /// To a segment, by its place.
    Slice(usize),
    /// To the edge itself.
    Edge,
    /// To nobody here, or to a node further on.
    Others,
}

/// The most workers of an edge.
pub const WORKERS_MAX: usize = 8;
/// How much waits for another worker at most.
const OUTBOX_MAX: usize = 4_096;
/// So many of a worker's buffers are lent to all others together: fewer than it has for one port beyond what may wait there.
pub const LENT_MAX: usize = 896;
/// Among so many of the last things that were told is it looked whether a sum can be added to.
const SUMS_MAX: usize = 8;
/// Buffers that are not given back: a burst, and a copy of each of its frames.
const BUFFERS_KEPT: usize = 2 * BURST_FRAMES_MAX;

const _: () = assert!(size_of::<Handover>() <= 64, "a cache line");
