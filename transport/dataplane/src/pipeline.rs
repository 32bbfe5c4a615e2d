//! The pipeline: tables, sessions and counters, and what its owner does with them between two bursts.
//!
//! Frames from devices are the business of `access`, frames from the underlay that of `underlay` and `tunnel`; the ways
//! that both take in the end are in `forward`.

use std::net::IpAddr;
use std::ops::Range;

use crate::counters::Traffic;
use crate::drops::{DropReason, Drops};
use crate::forward::Way;
use crate::frame::{Burst, FramePool};
use crate::meter::Nanos;
use crate::neighbour::KernelPort;
use crate::port::{Outputs, PortIndex, PortSpec};
use crate::probe::StampClock;
use crate::session::{BindError, Binding, SessionCounters, SessionKey, Sessions, Slot, session_key};
use crate::table::Table;
use crate::tables::{PortRole, Tables};
use crate::trees::Tree;
use crate::underlay::{REMOTE_MACS_MAX, RemoteMac};
use crate::workers::{Others, WorkerPlace};

/// What a pipeline is made for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its ports, in the order of their indices.
    pub ports: Vec<PortSpec>,
    /// How many sessions it has room for, [`SESSIONS_MAX`](crate::SESSIONS_MAX) at most.
    pub sessions_max: usize,
    /// How many frames may wait at each port.
    pub queued_frames_max: u32,
    /// Which of the edge's workers it is of.
    pub worker: WorkerPlace,
    /// How its clock is to that of the world, until [`Pipeline::set_clock`] says otherwise.
    pub clock: StampClock,
}

/// The packet path of one worker, for all of an edge or for its part of it.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) ports: Vec<PortSpec>,
    pub(crate) clock: StampClock,
    pub(crate) tables: Box<Tables>,
    pub(crate) sessions: Sessions,
    pub(crate) remote_macs: Table<RemoteMac>,
    pub(crate) counters: Vec<PortCounters>,
    /// Frames that did not arrive at a port: copies, questions.
    pub(crate) generated: u64,
    /// Frames that were for the edge itself, or whose copies have all gone their way.
    pub(crate) consumed: u64,
    /// Remote devices that were not remembered for want of room.
    pub(crate) unlearned: u64,
    /// Where forgetting remote devices goes on.
    pub(crate) swept: usize,
    /// By port, what its kernel says, if it has said anything.
    pub(crate) kernels: Vec<Option<Box<KernelPort>>>,
    /// By port, how what leaves there is scheduled.
    pub(crate) trees: Vec<Tree>,
    pub(crate) others: Others,
}

/// What a port has seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct PortCounters {
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
    /// By the port on which the packet arrived.
    pub(crate) drops: Drops,
}

impl Pipeline {
    /// A pipeline that forwards nothing yet.
    pub fn new(config: Config) -> Self {
        let ports = config.ports.len();
        Self {
            tables: Box::new(Tables::empty(ports)),
            sessions: Sessions::new(config.sessions_max),
            remote_macs: Table::new(REMOTE_MACS_MAX),
            counters: vec![PortCounters::default(); ports],
            generated: 0,
            consumed: 0,
            unlearned: 0,
            swept: 0,
            kernels: (0..ports).map(|_| None).collect(),
            trees: (0_u8..)
                .map(PortIndex)
                .take(ports)
                .map(
                    |port| {
                        if config.worker.has_port(port) { Tree::new(config.queued_frames_max) } else { Tree::none() }
                    },
                )
                .collect(),
            others: Others::new(config.worker, ports),
            ports: config.ports,
            clock: config.clock,
        }
    }

    /// Asks from now on for the next hops that other tables need and these do not, so that they are known before a packet
    /// needs them. Answers their places, for [`knows`](Self::knows). Allocates, so it is for between bursts.
    pub fn introduce(&mut self, next: &Tables) -> Range<usize> {
        let known = &mut self.tables.neighbours;
        let before = known.len();
        for wanted in &next.neighbours {
            if !known.iter().any(|neighbour| neighbour.is_same_as(wanted)) {
                let mut wanted = *wanted;
                wanted.follow(self.kernels.get(wanted.port.get()).and_then(Option::as_deref));
                known.push(wanted);
            }
        }
        before..known.len()
    }

    /// Believes from now on what the kernel of a port says of its addresses and next hops. Answers what it said before, for
    /// the caller to free.
    pub fn follow_kernel(&mut self, said: Box<KernelPort>) -> Option<Box<KernelPort>> {
        let port = said.port;
        for neighbour in self.tables.neighbours.iter_mut().filter(|neighbour| neighbour.port == port) {
            neighbour.follow(Some(&said));
        }
        match self.kernels.get_mut(port.get()) {
            Some(kernel) => kernel.replace(said),
            None => Some(said),
        }
    }

    /// Has the port's kernel this address, so that it is the kernel that answers for it?
    pub(crate) fn is_of_kernel(&self, port: PortIndex, address: IpAddr) -> bool {
        let kernel = self.kernels.get(port.get()).and_then(Option::as_ref);
        kernel.is_some_and(|kernel| kernel.addresses.contains(&address))
    }

    /// Have all of these next hops answered?
    pub fn knows(&self, introduced: Range<usize>) -> bool {
        self.tables.neighbours.get(introduced).is_none_or(|all| all.iter().all(|neighbour| neighbour.mac.is_some()))
    }

    /// Runs other tables from now on. Meters, counters, members and resolved neighbours of what stays are carried over.
    /// Answers the tables that ran before, for the caller to free. Sessions of segments that have gone forward nothing
    /// any more; the caller unbinds them. What is to change about how frames are scheduled follows with
    /// [`reshape`](Self::reshape).
    pub fn swap(&mut self, mut tables: Box<Tables>) -> Box<Tables> {
        tables.carry_over(&mut self.tables);
        for neighbour in &mut tables.neighbours {
            neighbour.follow(self.kernels.get(neighbour.port.get()).and_then(Option::as_deref));
        }
        let before = std::mem::replace(&mut self.tables, tables);
        self.begin_reshaping();
        before
    }

    /// Has probes measured by the clock as it was read now; to be called about once a second.
    pub fn set_clock(&mut self, clock: StampClock) {
        self.clock = self.clock.refreshed(clock);
    }

    /// Takes a burst that arrived at a port, and sends what is due. Afterwards the burst is empty: each frame is in an
    /// output queue, waits for its turn, or is back in the pool.
    pub fn process(&mut self, now: Nanos, port: PortIndex, burst: &mut Burst, pool: &mut FramePool, out: &mut Outputs) {
        let Some(counters) = self.counters.get_mut(port.get()) else {
            burst.drain(..).for_each(|frame| pool.give(frame));
            return;
        };
        for frame in burst.iter() {
            counters.received.count(frame.len());
        }
        let mut way = Way { now, port, pool, out };
        if self.others.place != WorkerPlace::ALONE {
            self.spread(&mut way, burst);
        }
        self.work(&mut way, burst);
        self.depart(now, pool, out);
    }

    /// What arrived at a port, and is ours to work on.
    pub(crate) fn work(&mut self, way: &mut Way<'_>, burst: &mut Burst) {
        match self.tables.role(way.port) {
            PortRole::Access => self.access(way, burst),
            PortRole::Core => self.underlay(way, burst),
            PortRole::Unused => {
                for frame in burst.drain(..) {
                    self.drop(way, None, DropReason::PortUnused, frame);
                }
            }
        }
    }

    /// Does what is due without a packet: asks for next hops, and forgets a part of the remote devices that have long
    /// been silent. To be called about ten times a second.
    pub fn tick(&mut self, now: Nanos, pool: &mut FramePool, out: &mut Outputs) {
        self.forget(now);
        self.retry_reshaping();
        self.repay(pool);
        if !self.others.place.is_first() {
            return;
        }
        self.tell_others();
        for at in 0..self.tables.neighbours.len() {
            let neighbour = &mut self.tables.neighbours[at];
            if !neighbour.is_due(now) {
                continue;
            }
            let port = neighbour.port;
            let mut way = Way { now, port, pool, out };
            let Some(mut frame) = self.buffer(&mut way, None) else { continue };
            self.tables.neighbours[at].ask(&mut frame, self.ports[port.get()].mac);
            self.send(&mut way, port, None, frame);
        }
    }

    /// Binds an endpoint to a segment: from now on its frames are forwarded there. An endpoint that is bound there already
    /// is bound anew and keeps its counters; one that is bound in another segment of the slice stays where it is, so that
    /// no segment can take endpoints from another.
    pub fn bind(&mut self, binding: &Binding) -> Result<SessionKey, BindError> {
        binding.check()?;
        let place = self.tables.segment_of_uid(binding.segment).ok_or(BindError::UnknownSegment)?;
        let segment = &self.tables.segments[place];
        let slice = segment.slice;
        let key = session_key(slice, binding.mac);
        let slot = self.sessions.find(key);
        let stays = slot.is_some_and(|slot| self.sessions.at(slot).segment == binding.segment);
        let is_elsewhere = |slot| self.tables.segment_of_uid(self.sessions.at(slot).segment).is_some();
        if !stays && slot.is_some_and(is_elsewhere) {
            return Err(BindError::InOtherSegment);
        }
        if !stays && segment.members.count >= segment.sessions_max {
            return Err(BindError::SegmentFull { max: segment.sessions_max });
        }
        if let Some(address) = self.sessions.conflict(binding, slot) {
            return Err(BindError::AddressInUse { address });
        }
        let kept = slot.filter(|_| stays).map_or_else(SessionCounters::default, |slot| self.sessions.counters(slot));
        let slot = match slot {
            Some(slot) => {
                self.leave(slot);
                slot
            }
            None => self.sessions.add(key).ok_or(BindError::EdgeFull { max: self.sessions.max() })?,
        };
        self.sessions.join(slot, binding, kept, &mut self.tables.segments[place].members);
        Ok(SessionKey { slice, segment: binding.segment, mac: binding.mac })
    }

    /// Unbinds: the endpoint's frames are dropped from now on, but for those that wait in a queue already. Answers what it had
    /// sent and received; `None` if the key names no session any more.
    pub fn unbind(&mut self, key: &SessionKey) -> Option<SessionCounters> {
        let slot = self.find(key)?;
        let counters = self.sessions.counters(slot);
        self.leave(slot);
        self.sessions.remove(slot);
        Some(counters)
    }

    /// What a session has sent and received; `None` if the key names no session any more.
    pub fn session(&self, key: &SessionKey) -> Option<SessionCounters> {
        self.find(key).map(|slot| self.sessions.counters(slot))
    }

    fn find(&self, key: &SessionKey) -> Option<Slot> {
        let slot = self.sessions.find(session_key(key.slice, key.mac))?;
        (self.sessions.at(slot).segment == key.segment).then_some(slot)
    }

    fn leave(&mut self, slot: Slot) {
        let segment = self.tables.segment_of_uid(self.sessions.at(slot).segment);
        let members = segment.map(|at| &mut self.tables.segments[at].members);
        self.sessions.leave(slot, members);
    }
}
