//! Frames in and frames out.

use std::hint::black_box;

use super::calendar::Tag;
use super::codel;
use super::counts::QueueDrop;
use super::queue;
use super::share::{LEAVING, LIVE, LOW_FIRST, OFFERED, Tier};
use super::{Arrival, CLASSES, Departure, Departures, FRAME_OCTETS_MOST, Fate, Segment, Shaper};
use crate::meter::Nanos;

impl Shaper {
    /// Queues frames. Those that are not taken are told one by one, each with the reason, and stay with the caller.
    pub fn enqueue(&mut self, now: Nanos, arrivals: &[Arrival], mut refused: impl FnMut(u32, QueueDrop)) {
        let now = self.time.at(now);
        for arrivals in arrivals.chunks(AHEAD) {
            self.touch_arrivals(arrivals);
            for arrival in arrivals {
                if let Err(reason) = self.enqueue_one(now, arrival) {
                    self.refused[reason as usize] += 1;
                    refused(arrival.handle, reason);
                }
            }
        }
    }

    /// Takes out what is to be sent now, at most `budget` frames and as many as there is room for in `departures`, in
    /// the order in which it is to be sent; among it what is dropped instead.
    pub fn poll(&mut self, now: Nanos, budget: usize, departures: &mut Departures) {
        let now = self.time.at(now);
        self.wake(now);
        let end = departures.len().saturating_add(budget).min(departures.capacity());
        for _ in 0..STEPS_PER_POLL_MAX {
            if departures.len() >= end || self.port.due.nanos() > now {
                break;
            }
            let Some((slice, tier)) = self.port.offers.pop(&mut self.port.links) else { break };
            self.serve_slice(slice, tier, now, end, departures);
        }
    }

    /// Those whose moment has come take their places. Not all at once, if they are many: the others come with the next poll.
    #[inline]
    fn wake(&mut self, now: u64) {
        if !self.wheel.is_due(now) {
            return;
        }
        for _ in 0..WAKES_PER_POLL_MAX / AHEAD {
            let (mut woken, mut count) = ([0; AHEAD], 0);
            for place in &mut woken {
                let Some(who) = self.wheel.pop(now) else { break };
                *place = who;
                count += 1;
            }
            let woken = &woken[..count];
            black_box(woken.iter().fold(0, |seen, who| seen ^ self.touch_segment(*who)));
            for who in woken {
                match who.checked_sub(self.limits.segments) {
                    None => self.settle(*who, now),
                    Some(slice) => self.settle_slice(slice, now),
                }
            }
            if count < AHEAD {
                break;
            }
        }
    }

    /// Reads what a chunk of arrivals will need, all at once, so that the cache misses of one frame do not wait for those of
    /// another.
    #[inline]
    fn touch_arrivals(&self, arrivals: &[Arrival]) {
        let mut numbers = [0; AHEAD];
        for (number, arrival) in numbers.iter_mut().zip(arrivals) {
            if let Some(segment) = self.segments.get(arrival.queue.segment as usize) {
                *number = segment.queues.get(usize::from(arrival.queue.class)).map_or(0, |number| *number);
            }
        }
        let touched = numbers.iter().zip(arrivals).map(|(number, arrival)| self.queues.touch(*number, arrival.handle));
        black_box(touched.fold(0, |seen, touched| seen ^ touched));
    }

    #[inline]
    fn touch_segment(&self, who: u32) -> u32 {
        self.segments.get(who as usize).map_or(0, |segment| u32::from(segment.share.state))
    }

    #[inline]
    fn enqueue_one(&mut self, now: u64, arrival: &Arrival) -> Result<(), QueueDrop> {
        let (who, class) = (arrival.queue.segment, usize::from(arrival.queue.class));
        let Some(segment) = self.segments.get_mut(who as usize) else { return Err(QueueDrop::UnknownQueue) };
        let (Some(number), LIVE) = (segment.queues.get(class).copied(), segment.share.state & (LIVE | LEAVING)) else {
            return Err(QueueDrop::UnknownQueue);
        };
        let octets = (u32::from(arrival.octets) + self.port.overhead).max(1);
        if octets > FRAME_OCTETS_MOST {
            return Err(QueueDrop::TooLong);
        }
        let number = if self.queues.is(number, queue::owner(who, class)) { number } else { self.take(who, class)? };
        let segment = &mut self.segments[who as usize];
        let shape = &self.tables[usize::from(segment.share.own.table)].classes[class];
        match self.queues.push(number, arrival, octets, now, (shape, segment.share.ceiling_pace)) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(reason) => {
                self.queues.cold_mut(number).counts.count_drop(reason);
                return Err(reason);
            }
        }
        let queue = self.queues.get_mut(number);
        queue.start = queue.finish.resumed(segment.virtual_time);
        queue.finish = queue.start.after(octets, shape.inverse);
        let before = segment.kinds();
        segment.share.own.classes |= 1 << class;
        if segment.kinds() != before {
            self.settle(who, now);
        }
        Ok(())
    }

    /// State for a queue that has none.
    #[inline(never)]
    fn take(&mut self, who: u32, class: usize) -> Result<u32, QueueDrop> {
        let (slices, segments) = (&mut self.slices, &self.segments);
        let taken = self.queues.take(queue::owner(who, class), |owner, counts| {
            let (segment, class) = queue::owned(owner);
            let slice = segments[segment as usize].share.own.slice;
            slices[usize::from(slice)].totals[class].counts.add(counts);
        });
        let number = taken.ok_or(QueueDrop::NoQueueState)?;
        let segment = &mut self.segments[who as usize];
        segment.queues[class] = number;
        let queue = self.queues.get_mut(number);
        queue.finish = segment.virtual_time;
        if let Some(place) = self.watched.iter().position(|watch| watch.segment == who) {
            #[allow(clippy::cast_possible_truncation, reason = "at most WATCHED_SEGMENTS_MAX")]
            let watched = place as u8 + 1;
            queue.watched = watched;
        }
        Ok(number)
    }

    /// Serves a slice that was taken from its place: a frame, or as many as it may send while no other slice waits.
    #[inline]
    fn serve_slice(&mut self, who: u32, tier: Tier, now: u64, end: usize, departures: &mut Departures) {
        let slice = &mut self.slices[who as usize];
        slice.share.state &= !(tier as u8);
        if tier == Tier::Excess {
            self.port.offers.excess.reached(slice.share.tag);
        }
        let alone = self.port.offers.is_empty();
        let mut left = 0;
        for _ in 0..STEPS_PER_POLL_MAX {
            if !self.slices[who as usize].share.may(tier, now) {
                break;
            }
            if left == 0 && alone {
                left = AHEAD;
                self.touch_ahead(who, tier);
            }
            let Some(octets) = self.serve_child(who, tier, now, departures) else { break };
            left = left.saturating_sub(1);
            let slice = &mut self.slices[who as usize];
            slice.share.charge(tier, now, octets);
            self.port.due.charge(now, octets, self.port.pace, self.port.tolerance);
            let low_waits = tier != Tier::Low && !slice.offers.low.is_empty();
            if !alone || low_waits || departures.len() >= end || self.port.due.nanos() > now {
                break;
            }
        }
        self.settle_slice(who, now);
    }

    /// Reads what the next segments of a slice will need, all at once.
    #[inline(never)]
    fn touch_ahead(&self, slice: u32, tier: Tier) {
        let offers = &self.slices[slice as usize].offers;
        let mut ahead = [0; AHEAD];
        let count = offers.peek(tier, &self.links, &mut ahead);
        let (mut numbers, mut found) = ([0; 2 * AHEAD], 0);
        for who in &ahead[..count] {
            let segment = &self.segments[*who as usize];
            let mut classes = segment.share.own.classes;
            while let (true, Some(number)) = (classes != 0, numbers.get_mut(found)) {
                *number = segment.queues.get(classes.trailing_zeros() as usize).map_or(0, |number| *number);
                classes &= classes - 1;
                found += 1;
            }
        }
        let mut seen = 0;
        for number in &mut numbers[..found] {
            *number = self.queues.touch_head(*number);
        }
        for head in &numbers[..found] {
            seen ^= self.queues.touch(0, *head);
        }
        black_box(seen);
    }

    /// Serves a frame of a slice's segments; answers its octets, 0 if it was dropped, `None` if there was none.
    #[inline]
    fn serve_child(&mut self, slice: u32, tier: Tier, now: u64, departures: &mut Departures) -> Option<u32> {
        for _ in 0..STALE_PER_STEP_MAX {
            let slice = &mut self.slices[slice as usize];
            let (who, tier) = if tier == Tier::Low {
                (slice.offers.low.pop()?, Tier::Low)
            } else {
                slice.offers.pop_bulk(&mut self.links)?
            };
            let segment = &mut self.segments[who as usize];
            segment.share.state &= !(tier as u8);
            if tier == Tier::Excess {
                slice.offers.excess.reached(segment.share.tag);
            }
            let has = segment.kinds();
            let ready = if tier == Tier::Low { has.0 && self.reserves[who as usize].low.nanos() <= now } else { has.1 };
            if ready && segment.share.may(tier, now) {
                return Some(self.serve_segment(who, tier, now, departures));
            }
            self.settle_segment(who, now);
        }
        None
    }

    /// Serves a frame of a segment that has one in that order; answers its octets, or 0 if it was dropped.
    #[inline]
    fn serve_segment(&mut self, who: u32, tier: Tier, now: u64, departures: &mut Departures) -> u32 {
        let class = if tier == Tier::Low { 0 } else { self.pick(who) };
        let segment = &mut self.segments[who as usize];
        let own = segment.share.own;
        let number = segment.queues[class];
        let shape = &self.tables[usize::from(own.table)].classes[class];
        let (head, queue) = self.queues.pop(number, shape.inverse);
        let sojourn = now.saturating_sub(head.at);
        if queue.frames == 0 {
            segment.share.own.classes &= !(1 << class);
        }
        let mut fate = Fate::Send;
        if tier != Tier::Low && (queue.stands || codel::stands(&shape.codel, sojourn, queue.octets)) {
            let stands = codel::stands(&shape.codel, sojourn, queue.octets);
            queue.stands = stands;
            fate = self.manage(number, (who, class), now, (stands, head.markable));
        }
        departures.push(Departure { handle: head.handle, fate });
        let mut sent = 0;
        if !matches!(fate, Fate::Drop(_)) {
            sent = head.octets;
            let queue = self.queues.get_mut(number);
            queue.count_sent(sent);
            let watched = usize::from(queue.watched);
            if watched != 0 {
                self.watched[watched - 1].sojourns[class].count(sojourn);
            }
            self.slices[usize::from(own.slice)].totals[class].sojourns.count(sojourn);
            self.segments[who as usize].share.charge(tier, now, sent);
            if tier == Tier::Low {
                let reserve = &mut self.reserves[who as usize];
                reserve.low.charge(now, sent, reserve.low_pace, reserve.low_tolerance);
            }
        }
        self.settle_segment(who, now);
        sent
    }

    /// What becomes of the head of a queue that stands or did so lately.
    #[cold]
    fn manage(&mut self, number: u32, at: (u32, usize), now: u64, (stands, markable): (bool, bool)) -> Fate {
        let cold = self.queues.cold_mut(number);
        if !stands {
            cold.codel.rest();
            return Fate::Send;
        }
        let own = self.segments[at.0 as usize].share.own;
        if !cold.codel.acts(&self.tables[usize::from(own.table)].classes[at.1].codel, now) {
            return Fate::Send;
        }
        if markable {
            cold.counts.marked += 1;
            return Fate::SendMarked;
        }
        cold.counts.count_drop(QueueDrop::Codel);
        Fate::Drop(QueueDrop::Codel)
    }

    /// The class whose turn it is, of a segment that has bulk.
    #[inline]
    fn pick(&mut self, who: u32) -> usize {
        let segment = &mut self.segments[who as usize];
        let bulk = segment.bulk();
        if bulk & (bulk - 1) != 0 {
            return self.pick_of_several(who, bulk);
        }
        let class = bulk.trailing_zeros() as usize;
        segment.virtual_time = self.queues.get(segment.queues[class]).finish;
        class
    }

    /// Of those whose turn has begun in virtual time, the one that would finish first (worst-case fair weighted fair queueing,
    /// Bennett and Zhang, 1996).
    #[inline]
    fn pick_of_several(&mut self, who: u32, bulk: u16) -> usize {
        let segment = &mut self.segments[who as usize];
        let classes = &self.tables[usize::from(segment.share.own.table)].classes;
        let now = segment.virtual_time;
        // The best of those that have started, and of the others the one that starts first.
        let (mut weights, mut started, mut later) = (0, (Tag::ZERO, CLASSES), (Tag::ZERO, CLASSES));
        let mut left = bulk;
        while left != 0 {
            let class = left.trailing_zeros() as usize;
            left &= left - 1;
            let queue = self.queues.get(segment.queues[class]);
            weights += classes[class].weight;
            if queue.start.is_after(now) {
                if later.1 == CLASSES || later.0.is_after(queue.start) {
                    later = (queue.start, class);
                }
            } else if started.1 == CLASSES || started.0.is_after(queue.finish) {
                started = (queue.finish, class);
            }
        }
        let (start, class) = if started.1 == CLASSES { later } else { (now, started.1) };
        let octets = self.queues.head_octets(segment.queues[class]);
        segment.virtual_time = start.passed(octets, weights);
        class
    }

    /// Has a segment, and then its slice, take their places.
    #[inline(never)]
    fn settle(&mut self, who: u32, now: u64) {
        let slice = self.segments[who as usize].share.own.slice;
        self.settle_segment(who, now);
        self.settle_slice(u32::from(slice), now);
    }

    /// Has a segment take its places in its slice.
    #[inline]
    pub(super) fn settle_segment(&mut self, who: u32, now: u64) {
        let segment = &mut self.segments[who as usize];
        let (mut low, bulk) = segment.kinds();
        if !(low || bulk) {
            if segment.share.is(LEAVING) {
                self.leave(who);
            }
            return;
        }
        let mut wake = u64::MAX;
        if low {
            let due = self.reserves[who as usize].low.nanos();
            if due > now {
                (low, wake) = (false, due);
            }
        }
        let offers = &mut self.slices[usize::from(segment.share.own.slice)].offers;
        wake = wake.min(segment.share.offer(who, now, (low, bulk), offers, &mut self.links));
        if wake != u64::MAX {
            self.wheel.arm(who, wake);
        }
    }

    /// Has a slice take its places below the port.
    #[inline]
    pub(super) fn settle_slice(&mut self, who: u32, now: u64) {
        let slice = &mut self.slices[who as usize];
        let kinds = slice.offers.kinds();
        let wake = slice.share.offer(who, now, kinds, &mut self.port.offers, &mut self.port.links);
        if wake != u64::MAX {
            self.wheel.arm(self.limits.segments + who, wake);
        }
    }

    /// The last frame of a segment that was removed is gone.
    #[cold]
    fn leave(&mut self, who: u32) {
        if self.segments[who as usize].share.state & OFFERED == 0 {
            self.forget(who);
        }
    }
}

impl Segment {
    /// Does it have low latency, and bulk?
    #[inline]
    fn kinds(&self) -> (bool, bool) {
        let bulk = self.bulk();
        (bulk != self.share.own.classes, bulk != 0)
    }

    /// The classes of its bulk that have frames.
    #[inline]
    fn bulk(&self) -> u16 {
        self.share.own.classes & !u16::from(self.share.is(LOW_FIRST))
    }
}

/// So many segments or frames are read ahead of their turn.
const AHEAD: usize = 16;
/// More than a burst of frames, fewer than would hold up the worker.
const WAKES_PER_POLL_MAX: usize = 256;
const STEPS_PER_POLL_MAX: usize = 256;
/// Places that a segment has left meanwhile are passed over, but not without end.
const STALE_PER_STEP_MAX: usize = 64;
