//! What several workers of one edge have read, together.

use super::{CircuitReading, MeterReading, PortReading, Pulse, Reading, SegmentReading};
use crate::counters::Traffic;
use crate::port::PortIndex;
use crate::workers::WorkerPlace;

impl Reading {
    /// What all workers of an edge have read, in the order of their places; `None` of none. What one of them alone knows is
    /// taken from that one: ports from their owners, paths from the first. Read while programs are exchanged, it is that of
    /// the first worker's, with what the others know of the same segments.
    pub fn of_workers(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next()?;
        let rest: Vec<Self> = parts.collect();
        let count = u8::try_from(1 + rest.len()).unwrap_or(u8::MAX);
        for (index, part) in (1..).zip(rest) {
            if let Some(place) = WorkerPlace::new(index, count) {
                whole.add(&part, place);
            }
        }
        Some(whole)
    }

    fn add(&mut self, part: &Self, place: WorkerPlace) {
        self.sessions += part.sessions;
        self.generated += part.generated;
        self.consumed += part.consumed;
        self.unlearned += part.unlearned;
        for (at, (port, more)) in (0..).zip(self.ports.iter_mut().zip(&part.ports)) {
            port.add(more, place.has_port(PortIndex(at)));
        }
        // Mostly they stand in the same place.
        for (at, slice) in part.slices.iter().enumerate() {
            let Some(place) = place_of(&self.slices, at, |known| known.slice == slice.slice) else { continue };
            let known = &mut self.slices[place];
            for circuit in &slice.circuits {
                if let Some(known) = known.circuits.iter_mut().find(|known| known.circuit.sdp == circuit.circuit.sdp) {
                    known.add(circuit);
                }
            }
        }
        for (at, segment) in part.segments.iter().enumerate() {
            if let Some(place) = place_of(&self.segments, at, |known| known.uid == segment.uid) {
                self.segments[place].add(segment);
            }
        }
    }
}

/// Where it is, looked for first where it should be.
fn place_of<T>(all: &[T], at: usize, is_it: impl Fn(&T) -> bool) -> Option<usize> {
    if all.get(at).is_some_and(&is_it) { Some(at) } else { all.iter().position(is_it) }
}

impl PortReading {
    fn add(&mut self, more: &Self, is_owner: bool) {
        self.received.add(more.received);
        self.sent.add(more.sent);
        self.drops.add(&more.drops);
        if is_owner {
            (self.waiting, self.rate, self.guaranteed) = (more.waiting, more.rate, more.guaranteed);
        }
    }
}

impl CircuitReading {
    fn add(&mut self, more: &Self) {
        self.from_access.add(&more.from_access);
        self.to_access.add(&more.to_access);
    }
}

impl SegmentReading {
    fn add(&mut self, more: &Self) {
        self.sessions += more.sessions;
        self.from_access.add(&more.from_access);
        self.to_access.add(&more.to_access);
        self.to_tunnels.add(more.to_tunnels);
        self.from_tunnels.add(more.from_tunnels);
        for (drops, more) in self.drops.iter_mut().zip(&more.drops) {
            drops.add(more);
        }
    }
}

impl MeterReading {
    const fn add(&mut self, more: &Self) {
        self.passed.add(more.passed);
        self.dropped += more.dropped;
    }
}

impl Traffic {
    const fn add(&mut self, more: Self) {
        self.frames += more.frames;
        self.octets += more.octets;
    }
}

impl Pulse {
    /// The pulse of all workers of an edge, in the order of their places; `None` of none.
    pub fn of_workers(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next()?;
        for part in parts {
            // Each session is counted by its own worker alone; a worker whose tables are others has none to add.
            let is_alike = part.generation == whole.generation && part.sessions.len() == whole.sessions.len();
            for (sessions, more) in whole.sessions.iter_mut().zip(part.sessions).filter(|_| is_alike) {
                *sessions += more;
            }
        }
        Some(whole)
    }
}
