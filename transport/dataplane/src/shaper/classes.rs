//! The classes of a segment: low latency or bulk, and which of the bulk is next.

use super::Segment;
use super::calendar::{INVERSES, Tag};
use super::queue::Queues;
use super::serve::QUEUES_AHEAD;

impl Segment {
    /// Does it have low latency, and bulk?
    #[inline]
    pub(super) const fn kinds(&self) -> (bool, bool) {
        (self.share.own.classes & !self.share.own.bulk != 0, self.bulk() != 0)
    }

    /// The classes of its bulk that have frames.
    #[inline]
    pub(super) const fn bulk(&self) -> u16 {
        self.share.own.classes & self.share.own.bulk
    }

    /// A class has frames that had none. Was it the first one of its kind, low latency or bulk?
    #[inline]
    pub(super) const fn begins(&mut self, class: usize) -> bool {
        let (before, bit, bulk) = (self.share.own.classes, 1 << class, self.share.own.bulk);
        self.share.own.classes = before | bit;
        before & if bulk & bit == 0 { !bulk } else { bulk } == 0
    }

    /// Where the state of its first queues is that have frames.
    #[inline]
    pub(super) fn first_queues(&self) -> [u32; QUEUES_AHEAD] {
        let mut left = self.share.own.classes;
        [(); QUEUES_AHEAD].map(|()| {
            let class = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            self.queues.get(class).map_or(0, |number| *number)
        })
    }

    /// The class whose turn it is, if there is bulk; and the weights of all that have a turn, or 0 if there is one only.
    #[inline]
    pub(super) fn pick(&mut self, queues: &Queues) -> (usize, u32) {
        let bulk = self.bulk();
        if bulk & bulk.wrapping_sub(1) == 0 {
            return (bulk.trailing_zeros() as usize, 0);
        }
        self.pick_of_several(bulk, queues)
    }

    /// Of those whose turn has begun in virtual time, the one that would finish first (worst-case fair weighted fair queueing,
    /// Bennett and Zhang, 1996).
    #[inline]
    fn pick_of_several(&mut self, bulk: u16, queues: &Queues) -> (usize, u32) {
        let now = self.virtual_time;
        let (mut weights, mut best, mut left) = (0, i64::MAX, u32::from(bulk));
        while left != 0 {
            let class = left.trailing_zeros() as usize;
            left &= left - 1;
            let queue = queues.get(self.queues[class]);
            weights += u32::from(queue.weight);
            let (start, finish) = (queue.start.since(now), queue.finish.since(now));
            // Those that have not started come after all that have, by their start. A class takes the place of the lowest bits.
            let order = if start > 0 { start | NOT_STARTED } else { finish };
            #[allow(clippy::cast_possible_wrap, reason = "less than 16")]
            let order = order & !15 | class as i64;
            best = best.min(order);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked")]
        let class = (best & 15) as usize;
        if best >= NOT_STARTED {
            self.virtual_time = queues.get(self.queues[class]).start;
        }
        (class, weights)
    }

    /// Virtual time goes on by a frame of a class that was [picked](Self::pick) and finished at a tag.
    #[inline]
    pub(super) fn turned(&mut self, weights: u32, octets: u32, finished: Tag) {
        self.virtual_time = match INVERSES.get(weights as usize) {
            Some(inverse) if weights != 0 => self.virtual_time.after(octets, *inverse),
            _ => finished,
        };
    }
}

/// Above every difference between tags.
const NOT_STARTED: i64 = 1 << 62;
