//! Frames that arrive.

use std::hint::black_box;

use super::counts::QueueDrop;
use super::queue::{self, Queues};
use super::serve::AHEAD;
use super::share::{GUARANTEED, LEAVING, LIVE, LOW};
use super::{Arrival, CLASS_PLACES, FRAME_OCTETS_MOST, Segment, Shaper, Slice, Watch};
use crate::frame::BURST_FRAMES_MAX;
use crate::meter::Nanos;

impl Shaper {
    /// Queues frames. Those that are not taken are told one by one, each with the reason, and stay with the caller.
    pub fn enqueue(&mut self, now: Nanos, arrivals: &[Arrival], mut refused: impl FnMut(u32, QueueDrop)) {
        let now = self.time.at(now);
        // What waited for the port may have been taken away since.
        self.port.is_behind &= !self.port.offers.is_empty();
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
            self.port.due.charge(now, octets, self.port.pace, self.port.tolerance());
        }
    }

    /// Reads what a chunk of arrivals will need, all at once, so that the cache misses of one frame do not wait for those of
    /// another.
    #[inline]
    pub(super) fn touch_arrivals(&self, arrivals: &[Arrival]) {
        let (mut numbers, mut seen) = ([0; BURST_FRAMES_MAX], 0);
        for (number, arrival) in numbers.iter_mut().zip(arrivals) {
            if let Some(segment) = self.segments.get(arrival.queue.segment as usize) {
                let number_of = segment.queues.get(usize::from(arrival.queue.class));
                (*number, seen) = (number_of.map_or(0, |number| *number), seen ^ segment.share.state);
            }
        }
        let touched = numbers.iter().zip(arrivals).map(|(number, arrival)| self.queues.touch(*number, arrival.handle));
        black_box(touched.fold(u32::from(seen), |seen, touched| seen ^ touched));
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
        let (queues, slices) = (&mut self.queues, &mut self.slices);
        let number = state_of(segment, (who, class), number, queues, slices, &self.watched);
        let number = number.ok_or(QueueDrop::NoQueueState)?;
        let shape = &self.tables[usize::from(segment.table)].classes[class % CLASS_PLACES];
        let first = self.queues.push(number, arrival, octets, now, (shape, segment.share.ceiling_pace))?;
        if let Some(queue) = first {
            queue.starts(segment.virtual_time, octets, shape);
            if segment.begins(class) {
                self.settle(who, now);
            }
        }
        Ok(())
    }

    /// Has a segment, and then its slice, take their places.
    #[inline(never)]
    fn settle(&mut self, who: u32, now: u64) {
        let Self { segments, slices, reserves, links, wheel, port, limits, .. } = self;
        let segment = &mut segments[who as usize];
        let number = segment.share.own.slice;
        let slice = &mut slices[usize::from(number)];
        segment.settle(who, now, reserves, &mut slice.offers, links, wheel);
        // Mostly the slice stands in its place already.
        if slice.share.is(LOW) || slice.share.is(GUARANTEED) && slice.offers.low.is_empty() {
            return;
        }
        slice.settle(u32::from(number), now, port, limits.segments, wheel);
    }
}

/// Where the state of a queue is: where it was last, or in a place that is vacant. `None`, if there is none.
#[inline(always)]
#[allow(clippy::inline_always, reason = "for each frame")]
pub(super) fn state_of(
    segment: &mut Segment,
    (who, class): (u32, usize),
    last: u32,
    queues: &mut Queues,
    slices: &mut [Slice],
    watched: &[Watch],
) -> Option<u32> {
    let owner = queue::owner(who, class);
    if queues.is(last, owner) { Some(last) } else { take(segment, owner, queues, slices, watched) }
}

/// State for a queue that has none; what its last owner counted is added to what its slice and class did.
#[inline(always)]
#[allow(clippy::inline_always, reason = "for every second frame where queues are many")]
fn take(
    segment: &mut Segment,
    owner: u32,
    queues: &mut Queues,
    slices: &mut [Slice],
    watched: &[Watch],
) -> Option<u32> {
    let (who, class) = queue::owned(owner);
    let (number, last) = queues.vacant()?;
    if let Some((slice, class)) = last {
        queues.give_up(number, &mut slices[usize::from(slice)].totals[class].counts);
    }
    segment.queues[class] = number;
    let queue = queues.begin(number, owner, segment.share.own.slice, segment.virtual_time);
    if !watched.is_empty() {
        queue.watched = place_of(watched, who);
    }
    Some(number)
}

/// One more than the place of a segment among those that are watched, or 0.
#[cold]
fn place_of(watched: &[Watch], who: u32) -> u8 {
    #[allow(clippy::cast_possible_truncation, reason = "at most WATCHED_SEGMENTS_MAX")]
    watched.iter().position(|watch| watch.segment == who).map_or(0, |place| place as u8 + 1)
}

/// A second.
const PAST_NANOS_MAX: u64 = 1_000_000_000;
