//! Frames that need not wait.
//!
//! While nobody waits for the port, a frame whose segment, slice and port may send now leaves with the next poll, whatever
//! the others of its burst are. It is told at once: it pays what it would have paid and is counted as it would have been, and
//! neither takes a place among its siblings nor gives one up. Bursts with low latency in them are left to the poll, which puts
//! that first, and so are queues for whose state another would have to give up its own.

use arrayvec::ArrayVec;

use super::arrive;
use super::queue;
use super::share::{EXCESS, GUARANTEED, LEAVING, LIVE, Share};
use super::{Arrival, CLASS_PLACES, Departure, Departures, FRAME_OCTETS_MOST, Fate, LOW_LATENCY_CLASS, Shaper};
use crate::frame::BURST_FRAMES_MAX;
use crate::meter::Nanos;

impl Shaper {
    /// Takes out of a burst what may be sent at once, at most `budget` frames and as many as there is room for in `departures`.
    /// What is left is to be [queued](Self::enqueue) next. No handle may be in the burst twice.
    pub fn pass(
        &mut self,
        now: Nanos,
        arrivals: &mut ArrayVec<Arrival, BURST_FRAMES_MAX>,
        budget: usize,
        departures: &mut Departures,
    ) {
        let now = self.time.at(now);
        self.wake(now);
        if !self.port.offers.is_empty() || self.wheel.is_due(now) {
            return;
        }
        self.touch_arrivals(arrivals);
        if arrivals.iter().any(|arrival| self.is_low(arrival)) {
            return;
        }
        let end = departures.len().saturating_add(budget).min(departures.capacity());
        // Clocks only go on, and places for state only become fewer, so that a frame can't pass one of its queue that could not.
        arrivals.retain(|arrival| {
            let passes = departures.len() < end && self.pass_one(now, arrival);
            if passes {
                departures.push(Departure { handle: arrival.handle, fate: Fate::Send });
            }
            !passes
        });
    }

    /// Has it low latency?
    #[inline]
    fn is_low(&self, arrival: &Arrival) -> bool {
        let segment = || self.segments.get(arrival.queue.segment as usize);
        arrival.queue.class == LOW_LATENCY_CLASS
            && segment().is_some_and(|segment| segment.share.own.bulk & 1 << LOW_LATENCY_CLASS == 0)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    fn pass_one(&mut self, now: u64, arrival: &Arrival) -> bool {
        let Self { segments, slices, tables, queues, watched, port, .. } = self;
        let (who, class) = (arrival.queue.segment, usize::from(arrival.queue.class));
        let Some(segment) = segments.get_mut(who as usize) else { return false };
        let (Some(number), LIVE) = (segment.queues.get(class).copied(), segment.share.state & (LIVE | LEAVING)) else {
            return false;
        };
        let above = usize::from(segment.share.own.slice);
        if segment.share.own.classes != 0 || !slices[above].offers.is_empty() || port.due.nanos() > now {
            return false;
        }
        let (Some(tier_above), Some(tier)) = (slices[above].share.tier(now), segment.share.tier(now)) else {
            return false;
        };
        let octets = (u32::from(arrival.octets) + port.overhead).max(1);
        if octets > FRAME_OCTETS_MOST {
            return false;
        }
        let shape = &tables[usize::from(segment.table)].classes[class % CLASS_PLACES];
        if !queues.is(number, queue::owner(who, class)) && !queues.has_fresh() {
            return false;
        }
        let Some(number) = arrive::state_of(segment, (who, class), number, queues, slices, watched) else {
            return false;
        };
        let Some(queue) = queues.pass(number, arrival.handle, octets) else { return false };
        queue.starts(segment.virtual_time, octets, shape);
        queue.start = queue.finish;
        segment.virtual_time = queue.finish;
        let slice = &mut slices[above];
        slice.totals[class % CLASS_PLACES].sojourns.count(0);
        if queue.watched != 0 {
            watched[usize::from(queue.watched) - 1].sojourns[class].count(0);
        }
        if tier_above == EXCESS {
            slice.share.tag = port.offers.excess.pass(slice.share.tag);
        }
        if tier == EXCESS {
            segment.share.tag = slice.offers.excess.pass(segment.share.tag);
        }
        port.due.charge(now, octets, port.pace, port.tolerance);
        slice.share.charge(tier_above, now, octets, port.pace);
        segment.share.charge(tier, now, octets, port.pace);
        true
    }
}

impl<T> Share<T> {
    /// As what it would be served now, if at all.
    #[inline]
    fn tier(&self, now: u64) -> Option<u8> {
        [GUARANTEED, EXCESS].into_iter().find(|tier| self.may(*tier, now))
    }
}
