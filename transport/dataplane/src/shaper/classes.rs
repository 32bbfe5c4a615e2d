//! The classes of a segment: low latency or bulk, and which of the bulk is next.

use super::queue::Queues;
use super::share::LOW_FIRST;
use super::{Segment, Table};

impl Segment {
    /// Does it have low latency, and bulk?
    #[inline]
    pub(super) fn kinds(&self) -> (bool, bool) {
        let bulk = self.bulk();
        (bulk != self.share.own.classes, bulk != 0)
    }

    /// The classes of its bulk that have frames.
    #[inline]
    pub(super) fn bulk(&self) -> u16 {
        self.share.own.classes & !u16::from(self.share.is(LOW_FIRST))
    }

    /// Where the state of its first queue is that has frames.
    #[inline]
    pub(super) fn first_queue(&self) -> u32 {
        self.queues.get(self.share.own.classes.trailing_zeros() as usize).map_or(0, |number| *number)
    }

    /// The class whose turn it is, if there is bulk.
    #[inline]
    pub(super) fn pick(&mut self, queues: &Queues, table: &Table) -> usize {
        let bulk = self.bulk();
        if bulk & bulk.wrapping_sub(1) != 0 {
            return self.pick_of_several(bulk, queues, table);
        }
        let class = bulk.trailing_zeros() as usize;
        self.virtual_time = queues.get(self.queues[class]).finish;
        class
    }

    /// Of those whose turn has begun in virtual time, the one that would finish first (worst-case fair weighted fair queueing,
    /// Bennett and Zhang, 1996).
    #[inline]
    fn pick_of_several(&mut self, bulk: u16, queues: &Queues, table: &Table) -> usize {
        let now = self.virtual_time;
        let (mut weights, mut best, mut left) = (0, i64::MAX, bulk);
        while left != 0 {
            let class = left.trailing_zeros() as usize;
            left &= left - 1;
            let queue = queues.get(self.queues[class]);
            weights += table.classes[class].weight;
            let start = queue.start.since(now);
            // Those that have not started come after all that have, by their start. A class takes the place of the lowest bits.
            let order = if start > 0 { start | NOT_STARTED } else { queue.finish.since(now) };
            #[allow(clippy::cast_possible_wrap, reason = "less than 16")]
            let order = order & !15 | class as i64;
            best = best.min(order);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked")]
        let class = (best & 15) as usize;
        let start = if best >= NOT_STARTED { queues.get(self.queues[class]).start } else { now };
        let octets = queues.head_octets(self.queues[class]);
        self.virtual_time = start.passed(octets, weights);
        class
    }
}

/// Above every difference between tags.
const NOT_STARTED: i64 = 1 << 62;
