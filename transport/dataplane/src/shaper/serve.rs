//! Frames that leave.

use std::hint::black_box;

use super::codel;
use super::pace::Pace;
use super::queue::Queues;
use super::share::{EXCESS, GUARANTEED, LEAVING, LOW, OFFERED, Offers};
use super::wheel::Wheel;
use super::{
    CLASS_PLACES, Class, Departure, Departures, Fate, Port, Reserve, Segment, Shaper, Slice, Table, Totals, Watch,
};
use crate::meter::Nanos;

impl Shaper {
    /// Takes out what is to be sent now, at most `budget` frames and as many as there is room for in `departures`, in
    /// the order in which it is to be sent; among it what is dropped instead.
    pub fn poll(&mut self, now: Nanos, budget: usize, departures: &mut Departures) {
        let now = self.time.at(now);
        self.wake(now);
        let end = departures.len().saturating_add(budget).min(departures.capacity());
        let tolerance = self.port.tolerance();
        let allowed = self.port.due.allows(now, self.port.pace, tolerance);
        let (mut sent, mut ahead) = (0, 0);
        for _ in 0..STEPS_PER_POLL_MAX {
            if sent >= allowed || departures.len() >= end {
                break;
            }
            if ahead == 0 {
                ahead = self.touch_ahead(end - departures.len());
            }
            let Some((slice, tier)) = self.port.offers.pop(&mut self.port.links) else { break };
            sent += self.serve_slice((slice, tier), now, (end, allowed - sent), &mut ahead, departures);
        }
        self.port.due.charge(now, sent, self.port.pace, tolerance);
        self.port.is_behind = !self.port.offers.is_empty();
    }

    /// Those whose moment has come take their places. Not all at once, if they are many: the others come with the next poll.
    #[inline]
    pub(super) fn wake(&mut self, now: u64) {
        if !self.wheel.is_due(now) {
            return;
        }
        for _ in 0..WAKES_PER_POLL_MAX / AHEAD {
            let mut woken = [0; AHEAD];
            let count = self.wheel.pop(now, &mut woken);
            let woken = &woken[..count];
            // All segments are read first, and then when the low latency is due of those that have some.
            let mut reserves = [0; AHEAD];
            for (reserve, who) in reserves.iter_mut().zip(woken) {
                *reserve = self.segments.get(*who as usize).filter(|segment| segment.kinds().0).map_or(0, |_| *who);
            }
            black_box(reserves[..count].iter().fold(0, |seen, who| seen ^ self.touch_reserve(*who)));
            let mut last = None;
            for who in woken {
                let slice = match who.checked_sub(self.limits.segments) {
                    None => self.settle_segment(*who, now),
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
            if !self.wheel.is_due(now) {
                break;
            }
        }
    }

    #[inline]
    fn touch_reserve(&self, who: u32) -> u64 {
        self.reserves.get(who as usize).map_or(0, |reserve| reserve.low.nanos())
    }

    /// Reads what the next segments will need, all at once: the segment, the state of its first queues that have frames, the
    /// frames at their heads. Answers how many turns it was for, at most so many.
    #[inline]
    fn touch_ahead(&self, most: usize) -> usize {
        let (mut slices, mut ahead, mut count) = ([0; AHEAD], [0; AHEAD], 0);
        let most = most.min(AHEAD);
        let slices_count = self.port.offers.peek(&self.port.links, &mut slices[..most]);
        let each = most / slices_count.max(1);
        for slice in &slices[..slices_count] {
            let offers = &self.slices[*slice as usize].offers;
            count += offers.peek(&self.links, &mut ahead[count..count + each]);
        }
        let mut queues = [[0; QUEUES_AHEAD]; AHEAD];
        let queues = &mut queues[..count];
        for (queues, who) in queues.iter_mut().zip(ahead) {
            *queues = self.segments.get(who as usize).map_or([0; QUEUES_AHEAD], Segment::first_queues);
        }
        let queues = queues.as_flattened_mut();
        for at in &mut *queues {
            *at = self.queues.touch_head(*at);
        }
        let mut seen = 0;
        for at in &*queues {
            seen ^= self.queues.touch_frame(*at);
        }
        black_box(seen);
        count.max(1)
    }

    /// Serves a slice that was taken from its place: a turn, or as many as are read ahead while no other slice waits. Answers the
    /// octets that were sent.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each turn")]
    fn serve_slice(
        &mut self,
        (who, tier): (u32, u8),
        now: u64,
        (end, allowed): (usize, u32),
        ahead: &mut usize,
        departures: &mut Departures,
    ) -> u32 {
        let Self { segments, slices, links, reserves, tables, queues, wheel, watched, port, .. } = self;
        let slice = &mut slices[who as usize];
        slice.share.state &= !tier;
        if tier == EXCESS {
            port.offers.excess.reached(slice.share.tag);
        }
        let turns = if port.offers.is_empty() { *ahead } else { 1 };
        let (mut sent, mut gone) = (0, None);
        if slice.share.may(tier, now) {
            let allowed = slice.share.allows(tier, now, port.pace).min(allowed);
            let (offers, port) = (&mut slice.offers, port.pace);
            // A slice that stands somewhere has them all.
            let Some(totals) = slice.totals.first_chunk_mut() else { return 0 };
            let mut run = Run {
                offers,
                totals,
                links,
                reserves,
                tables,
                queues,
                wheel,
                watched,
                departures,
                now,
                end,
                port,
                gone,
            };
            let spent = run.serve(segments, tier, turns, allowed);
            (sent, gone) = (spent.1, run.gone);
            *ahead -= spent.0;
        }
        slice.share.charge(tier, now, sent, port.pace);
        if let Some(gone) = gone {
            self.leave(gone);
        }
        self.settle_slice(who, now);
        sent
    }

    /// Has a segment take its places in its slice, whose number is answered.
    #[inline]
    pub(super) fn settle_segment(&mut self, who: u32, now: u64) -> u32 {
        let segment = &mut self.segments[who as usize];
        let slice = segment.share.own.slice;
        if segment.share.own.classes != 0 {
            let offers = &mut self.slices[usize::from(slice)].offers;
            segment.settle(who, now, &self.reserves, offers, &mut self.links, &mut self.wheel);
        } else if segment.share.is(LEAVING) {
            self.leave(who);
        }
        u32::from(slice)
    }

    /// Has a slice take its places below the port.
    #[inline]
    pub(super) fn settle_slice(&mut self, who: u32, now: u64) {
        let Self { slices, port, limits, wheel, .. } = self;
        slices[who as usize].settle(who, now, port, limits.segments, wheel);
    }

    /// The last frame of a segment that was removed is gone.
    #[cold]
    fn leave(&mut self, who: u32) {
        if self.segments[who as usize].share.state & OFFERED == 0 {
            self.forget(who);
        }
    }
}

/// What serving a slice works on, beside its segments.
struct Run<'a> {
    offers: &'a mut Offers,
    totals: &'a mut [Totals; CLASS_PLACES],
    links: &'a mut [u32],
    reserves: &'a mut [Reserve],
    tables: &'a [Table],
    queues: &'a mut Queues,
    wheel: &'a mut Wheel,
    watched: &'a mut [Watch],
    departures: &'a mut Departures,
    now: u64,
    /// No more departures than that.
    end: usize,
    /// The pace of the port.
    port: Pace,
    /// Who had its last frame sent and was removed, which ends it.
    gone: Option<u32>,
}

impl Run<'_> {
    /// Serves segments in their order, at most so many turns and until so many octets are sent, or low latency comes first again.
    /// Answers how many turns that took, and octets.
    fn serve(&mut self, segments: &mut [Segment], tier: u8, turns: usize, allowed: u32) -> (usize, u32) {
        let (mut taken, mut sent) = (0, 0);
        while taken < turns && sent < allowed && self.departures.len() < self.end && self.gone.is_none() {
            let low = !self.offers.low.is_empty();
            if low != (tier == LOW) || self.offers.is_empty() {
                break;
            }
            let left = (turns - taken, allowed - sent);
            let spent = if low {
                self.take_turns::<LOW>(segments, left)
            } else if !self.offers.guaranteed.is_empty() {
                self.take_turns::<GUARANTEED>(segments, left)
            } else {
                self.take_turns::<EXCESS>(segments, left)
            };
            (taken, sent) = (taken + spent.0, sent + spent.1);
        }
        (taken, sent)
    }

    /// Serves those that stand in one place, until one takes another place. Answers how many turns that took, and octets.
    #[inline(never)]
    fn take_turns<const TIER: u8>(&mut self, segments: &mut [Segment], (turns, allowed): (usize, u32)) -> (usize, u32) {
        let (mut sent, mut turn) = (0, 0);
        while turn < turns {
            turn += 1;
            let next = match TIER {
                LOW => self.offers.low.pop(),
                GUARANTEED => self.offers.guaranteed.pop(),
                _ => self.offers.excess.pop(self.links),
            };
            let Some(who) = next else { return (turn, sent) };
            let Some(segment) = segments.get_mut(who as usize) else { return (turn, sent) };
            segment.share.state &= !TIER;
            if TIER == EXCESS {
                self.offers.excess.reached(segment.share.tag);
            }
            sent += self.take_turn::<TIER>(segment, who, allowed - sent);
            // Most stay where they are, behind the others.
            if TIER == GUARANTEED && segment.bulk() != 0 && segment.share.may(GUARANTEED, self.now) {
                segment.share.state |= GUARANTEED;
                self.offers.guaranteed.push(who);
            } else if segment.share.own.classes != 0 {
                segment.settle(who, self.now, self.reserves, self.offers, self.links, self.wheel);
                if TIER != LOW && !self.offers.low.is_empty() || TIER == EXCESS && !self.offers.guaranteed.is_empty() {
                    return (turn, sent);
                }
            } else if segment.share.is(LEAVING) {
                self.gone = Some(who);
                return (turn, sent);
            }
            if sent >= allowed || self.departures.len() >= self.end {
                return (turn, sent);
            }
        }
        (turns, sent)
    }

    /// The turn of a segment is a frame, or several short ones, as far as they fit into a turn. Answers their octets.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    fn take_turn<const TIER: u8>(&mut self, segment: &mut Segment, who: u32, allowed: u32) -> u32 {
        let mut turn = 0;
        let tables: &[Table] = self.tables;
        let shapes = &tables[usize::from(segment.table)].classes;
        while segment.ready::<TIER>(self.now, who, self.reserves) {
            let Some(octets) = self.serve_segment::<TIER>(segment, who, shapes, turn) else { break };
            turn += octets;
            if turn >= allowed || self.departures.len() >= self.end {
                break;
            }
        }
        turn
    }

    /// Serves a frame of a segment that has one and may send it. Answers its octets, 0 if it is dropped, or `None` if the turn is
    /// too short for it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one caller, for each frame")]
    fn serve_segment<const TIER: u8>(
        &mut self,
        segment: &mut Segment,
        who: u32,
        shapes: &[Class; CLASS_PLACES],
        turn: u32,
    ) -> Option<u32> {
        let now = self.now;
        let (class, weights) = if TIER == LOW { (0, 0) } else { segment.pick(self.queues) };
        let number = segment.queues[class];
        let shape = &shapes[class % CLASS_PLACES];
        let (head, queue) = self.queues.pop(number, turn, shape, now)?;
        if TIER != LOW {
            segment.turned(weights, head.octets, queue.start);
        }
        if head.last {
            segment.share.own.classes &= !(1 << class);
        }
        self.totals[class % CLASS_PLACES].sojourns.count(head.sojourn);
        if queue.watched != 0 {
            self.watched[usize::from(queue.watched) - 1].sojourns[class].count(head.sojourn);
        }
        let stands = TIER != LOW && codel::stands(&shape.codel, head.sojourn, queue.octets);
        let mut fate = Fate::Send;
        if TIER != LOW && (stands || queue.stands) {
            fate = self.queues.manage(number, &shape.codel, now, &head, stands);
        }
        self.departures.push(Departure { handle: head.handle, fate });
        if matches!(fate, Fate::Drop(_)) {
            return Some(0);
        }
        if TIER == LOW {
            let reserve = &mut self.reserves[who as usize];
            reserve.low.charge(now, head.octets, reserve.low_pace, reserve.low_tolerance);
        }
        segment.share.charge(TIER, now, head.octets, self.port);
        Some(head.octets)
    }
}

impl Segment {
    /// Does it have what it was taken from its place for, and may send it?
    #[inline]
    fn ready<const TIER: u8>(&self, now: u64, who: u32, reserves: &[Reserve]) -> bool {
        self.share.may(TIER, now)
            && if TIER == LOW { self.kinds().0 && reserves[who as usize].low.nanos() <= now } else { self.bulk() != 0 }
    }

    /// Has one that has frames take its places among its siblings, or wait: what most do first.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "for each turn, and each segment that wakes")]
    pub(super) fn settle(
        &mut self,
        who: u32,
        now: u64,
        reserves: &[Reserve],
        offers: &mut Offers,
        links: &mut [u32],
        wheel: &mut Wheel,
    ) {
        if self.share.ceiling.nanos() > now {
            return wheel.arm(who, self.share.ceiling.nanos());
        }
        let low = self.kinds().0;
        if low || !self.share.may(GUARANTEED, now) {
            let due = if low { reserves[who as usize].low.nanos() } else { u64::MAX };
            return self.settle_due(who, now, due, offers, links, wheel);
        }
        if !self.share.is(GUARANTEED) {
            self.share.state |= GUARANTEED;
            offers.guaranteed.push(who);
        }
    }

    /// The same of one that has low latency, due at a moment, or may borrow.
    #[inline(never)]
    fn settle_due(&mut self, who: u32, now: u64, low: u64, offers: &mut Offers, links: &mut [u32], wheel: &mut Wheel) {
        let wake = if low > now { low } else { u64::MAX };
        let kinds = (low <= now, self.bulk() != 0);
        let wake = wake.min(self.share.offer(who, now, kinds, offers, links));
        if wake != u64::MAX {
            wheel.arm(who, wake);
        }
    }
}

impl Slice {
    /// Has it take its places below the port, or wait.
    #[inline]
    pub(super) fn settle(&mut self, who: u32, now: u64, port: &mut Port, segments: u32, wheel: &mut Wheel) {
        let wake = self.share.offer(who, now, self.offers.kinds(), &mut port.offers, &mut port.links);
        if wake != u64::MAX {
            wheel.arm(segments + who, wake);
        }
    }
}

/// So many segments or frames are read ahead of their turn.
pub(super) const AHEAD: usize = 16;
/// And so many queues of each of those segments: a turn of short frames is mostly of more than one.
pub(super) const QUEUES_AHEAD: usize = 2;
/// More than a burst of frames, fewer than would hold up the worker.
const WAKES_PER_POLL_MAX: usize = 256;
/// Places that a segment has left meanwhile are passed over, but not without end.
const STEPS_PER_POLL_MAX: usize = 256;
