//! Frames in and frames out.

use std::hint::black_box;

use super::codel;
use super::counts::QueueDrop;
use super::queue::{self, Cold};
use super::share::{LEAVING, LIVE, OFFERED, Tier};
use super::{Arrival, Codel, Departure, Departures, FRAME_OCTETS_MOST, Fate, Segment, Shaper};
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

    /// A frame of so many octets leaves by the port and past the tree: what the node itself has to say. It takes its time from the
    /// frames of the tree. More than [`PAST_NANOS_MAX`] of such frames in a row is more than the link carries, and not counted.
    pub fn charge(&mut self, now: Nanos, octets: u32) {
        let now = self.time.at(now);
        let octets = octets.saturating_add(self.port.overhead).clamp(1, FRAME_OCTETS_MOST);
        if self.port.due.nanos() <= now + PAST_NANOS_MAX {
            self.port.due.charge(now, octets, self.port.pace, self.port.tolerance);
        }
    }

    /// Takes out what is to be sent now, at most `budget` frames and as many as there is room for in `departures`, in
    /// the order in which it is to be sent; among it what is dropped instead.
    pub fn poll(&mut self, now: Nanos, budget: usize, departures: &mut Departures) {
        let now = self.time.at(now);
        self.wake(now);
        let end = departures.len().saturating_add(budget).min(departures.capacity());
        let mut ahead = 0;
        for _ in 0..STEPS_PER_POLL_MAX {
            if departures.len() >= end || self.port.due.nanos() > now {
                break;
            }
            if ahead <= departures.len() {
                ahead = departures.len() + self.touch_ahead();
            }
            let Some((slice, tier)) = self.port.offers.pop(&mut self.port.links) else { break };
            self.serve_slice(slice, tier, now, end.min(ahead), departures);
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
            let mut last = None;
            for who in woken {
                let slice = match who.checked_sub(self.limits.segments) {
                    None => {
                        self.settle_segment(*who, now);
                        u32::from(self.segments[*who as usize].share.own.slice)
                    }
                    Some(slice) => slice,
                };
                // A slice is looked at when all of its segments that come in a row have taken their places.
                if let Some(last) = last.replace(slice).filter(|last| *last != slice) {
                    self.settle_slice(last, now);
                }
            }
            if let Some(last) = last {
                self.settle_slice(last, now);
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
        let (mut numbers, mut seen) = ([0; AHEAD], 0);
        for (number, arrival) in numbers.iter_mut().zip(arrivals) {
            if let Some(segment) = self.segments.get(arrival.queue.segment as usize) {
                let number_of = segment.queues.get(usize::from(arrival.queue.class));
                (*number, seen) = (number_of.map_or(0, |number| *number), seen ^ segment.share.state);
            }
        }
        let touched = numbers.iter().zip(arrivals).map(|(number, arrival)| self.queues.touch(*number, arrival.handle));
        black_box(touched.fold(u32::from(seen), |seen, touched| seen ^ touched));
    }

    #[inline]
    fn touch_segment(&self, who: u32) -> u32 {
        self.segments.get(who as usize).map_or(0, |segment| u32::from(segment.share.state))
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
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
        let segment = &mut self.segments[who as usize];
        let (owner, slices) = (queue::owner(who, class), &mut self.slices);
        let taken = self.queues.take(owner, segment.share.own.slice, |slice, class, counts| {
            slices[usize::from(slice)].totals[class].counts.add(counts);
        });
        let number = taken.ok_or(QueueDrop::NoQueueState)?;
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
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    fn serve_slice(&mut self, who: u32, tier: Tier, now: u64, end: usize, departures: &mut Departures) {
        let slice = &mut self.slices[who as usize];
        slice.share.state &= !(tier as u8);
        if tier == Tier::Excess {
            self.port.offers.excess.reached(slice.share.tag);
        }
        let alone = self.port.offers.is_empty();
        for _ in 0..STEPS_PER_POLL_MAX {
            if !self.slices[who as usize].share.may(tier, now) {
                break;
            }
            let Some(low_waits) = self.serve_child(who, tier, now, departures) else { break };
            let low_first = low_waits && tier != Tier::Low;
            if !alone || low_first || departures.len() >= end || self.port.due.nanos() > now {
                break;
            }
        }
        self.settle_slice(who, now);
    }

    /// Reads what the next segments will need, all at once: the segment, the state of its first queue that has frames, the frame
    /// at its head. Answers how many frames it was for.
    #[inline]
    fn touch_ahead(&self) -> usize {
        let (mut slices, mut ahead, mut count) = ([0; AHEAD], [0; AHEAD], 0);
        let slices_count = self.port.offers.peek(&self.port.links, &mut slices);
        let each = AHEAD / slices_count.max(1);
        for slice in &slices[..slices_count] {
            let offers = &self.slices[*slice as usize].offers;
            count += offers.peek(&self.links, &mut ahead[count..count + each]);
        }
        let ahead = &mut ahead[..count];
        for at in &mut *ahead {
            *at = self.segments.get(*at as usize).map_or(0, Segment::first_queue);
        }
        for at in &mut *ahead {
            *at = self.queues.touch_head(*at);
        }
        black_box(ahead.iter().fold(0, |seen, head| seen ^ self.queues.touch_frame(*head)));
        count.max(1)
    }

    /// Serves a frame of a slice's segments; answers whether low latency waits then, or `None` if there was no frame.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    fn serve_child(&mut self, of: u32, tier: Tier, now: u64, departures: &mut Departures) -> Option<bool> {
        for _ in 0..STALE_PER_STEP_MAX {
            let slice = &mut self.slices[of as usize];
            let (who, child) = if tier == Tier::Low {
                (slice.offers.low.pop()?, Tier::Low)
            } else {
                slice.offers.pop_bulk(&mut self.links)?
            };
            let segment = &mut self.segments[who as usize];
            segment.share.state &= !(child as u8);
            if child == Tier::Excess {
                slice.offers.excess.reached(segment.share.tag);
            }
            let ready = segment.share.may(child, now)
                && if child == Tier::Low {
                    segment.kinds().0 && self.reserves[who as usize].low.nanos() <= now
                } else {
                    segment.bulk() != 0
                };
            if ready {
                self.serve_segment(who, (tier, child), now, departures);
                return Some(!self.slices[of as usize].offers.low.is_empty());
            }
            self.settle_segment(who, now);
        }
        None
    }

    /// Serves a frame of a segment that has one: `tier` is the order in which its slice is served, and its own.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    fn serve_segment(&mut self, who: u32, tier: (Tier, Tier), now: u64, departures: &mut Departures) {
        let Self { segments, slices, tables, queues, port, reserves, watched, .. } = self;
        let segment = &mut segments[who as usize];
        let slice = &mut slices[usize::from(segment.share.own.slice)];
        let table = &tables[usize::from(segment.share.own.table)];
        let class = if tier.1 == Tier::Low { 0 } else { segment.pick(queues, table) };
        let (number, shape) = (segment.queues[class], &table.classes[class]);
        let (head, queue) = queues.pop(number, shape.inverse);
        let sojourn = now.saturating_sub(head.at);
        if queue.frames == 0 {
            segment.share.own.classes &= !(1 << class);
        }
        let stands = codel::stands(&shape.codel, sojourn, queue.octets);
        let fate = if (stands || queue.stands) && tier.1 != Tier::Low {
            queue.stands = stands;
            manage(queues.cold_mut(number), &shape.codel, now, (stands, head.markable))
        } else {
            Fate::Send
        };
        departures.push(Departure { handle: head.handle, fate });
        if !matches!(fate, Fate::Drop(_)) {
            let queue = queues.get_mut(number);
            queue.count_sent(head.octets);
            if queue.watched != 0 {
                watched[usize::from(queue.watched) - 1].sojourns[class].count(sojourn);
            }
            slice.totals[class].sojourns.count(sojourn);
            if tier.1 == Tier::Low {
                let reserve = &mut reserves[who as usize];
                reserve.low.charge(now, head.octets, reserve.low_pace, reserve.low_tolerance);
            }
            segment.share.charge(tier.1, now, head.octets, port.pace);
            slice.share.charge(tier.0, now, head.octets, port.pace);
            port.due.charge(now, head.octets, port.pace, port.tolerance);
        }
        // Most stay where they are, behind the others.
        if tier.1 == Tier::Guaranteed && segment.bulk() != 0 && segment.share.may(Tier::Guaranteed, now) {
            segment.share.state |= Tier::Guaranteed as u8;
            slice.offers.guaranteed.push(who);
        } else {
            self.settle_segment(who, now);
        }
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

/// What becomes of the head of a queue that stands or did so lately.
#[cold]
fn manage(cold: &mut Cold, codel: &Codel, now: u64, (stands, markable): (bool, bool)) -> Fate {
    if !stands {
        cold.codel.rest();
        return Fate::Send;
    }
    if !cold.codel.acts(codel, now) {
        return Fate::Send;
    }
    if markable {
        cold.counts.marked += 1;
        return Fate::SendMarked;
    }
    cold.counts.count_drop(QueueDrop::Codel);
    Fate::Drop(QueueDrop::Codel)
}

/// A second.
const PAST_NANOS_MAX: u64 = 1_000_000_000;
/// So many segments or frames are read ahead of their turn.
const AHEAD: usize = 16;
/// More than a burst of frames, fewer than would hold up the worker.
const WAKES_PER_POLL_MAX: usize = 256;
const STEPS_PER_POLL_MAX: usize = 256;
/// Places that a segment has left meanwhile are passed over, but not without end.
const STALE_PER_STEP_MAX: usize = 64;
