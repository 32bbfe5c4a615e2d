//! One direction of a cable: frames on the way, in the order in which they were sent.

use std::collections::VecDeque;

use transport_dataplane::Nanos;

use super::Chance;

/// Frames on the way from one port to another.
#[derive(Debug)]
pub(super) struct Cable {
    /// The place of the node at its end, and of the port there.
    pub(super) to: (usize, usize),
    delay: Nanos,
    on_the_way: VecDeque<(Nanos, Vec<u8>)>,
}

impl Cable {
    pub(super) const fn new(to: (usize, usize), delay: Nanos) -> Self {
        Self { to, delay, on_the_way: VecDeque::new() }
    }

    /// A frame sets out. It takes up to an eighth longer than the cable is long, and overtakes none.
    pub(super) fn send(&mut self, now: Nanos, frame: Vec<u8>, chance: &mut Chance) {
        let due = now.0 + self.delay.0 + chance.below(self.delay.0 / 8);
        let due = self.on_the_way.back().map_or(due, |(last, _)| due.max(last.0));
        self.on_the_way.push_back((Nanos(due), frame));
    }

    /// The next frame that has arrived.
    pub(super) fn receive(&mut self, now: Nanos) -> Option<Vec<u8>> {
        let has_arrived = self.on_the_way.front().is_some_and(|(due, _)| *due <= now);
        if has_arrived { self.on_the_way.pop_front().map(|(_, frame)| frame) } else { None }
    }

    /// What is on the way is lost.
    pub(super) fn cut(&mut self) {
        self.on_the_way.clear();
    }
}
