//! Changes of a tree while frames are queued in it: nothing that is queued is lost, and a change costs the same whatever
//! the size of the tree.

use model::{Rate, RateLimits};

use super::calendar::{Inverse, Tag};
use super::pace::{Due, Pace, Tolerance};
use super::queue::{self, NONE};
use super::share::{LEAVING, LIVE, Offers, Share};
use super::spec::{
    CLASS_TABLES_MAX, CLASSES, ClassShape, ClassTable, LOW_LATENCY_CLASS, Parent, PortShape, SegmentShape, Shape,
    ShapeError,
};
use super::{CLASS_PLACES, Class, Codel, Own, Reserve, Segment, Shaper, Slice, Table, Totals};
use crate::meter::Nanos;

impl Shaper {
    /// Another rate or overhead of the port. Guarantees may exceed it from then on, if the link became slower; they then share
    /// it frame by frame.
    pub fn set_port(&mut self, port: &PortShape, now: Nanos) {
        let now = self.time.at(now);
        let pace = Pace::of(port.rate);
        self.port.due = self.port.due.repaced(now, self.port.pace, pace);
        self.port.pace = pace;
        self.port.tolerance = Tolerance::of(0, pace, port.credit);
        self.port.lateness = Tolerance::of(0, pace, port.lateness.max(port.credit));
        (self.port.rate, self.port.overhead) = (port.rate.bits_per_second(), u32::from(port.overhead_octets));
        self.port.credit = port.credit;
    }

    /// Makes or changes a class table. Segments that use it follow at once.
    pub fn set_classes(&mut self, table: u16, classes: &ClassTable) -> Result<(), ShapeError> {
        if table >= CLASS_TABLES_MAX {
            return Err(ShapeError::NoRoomForClasses { table });
        }
        classes.check()?;
        let at = usize::from(table);
        let nothing = Class::of(&ClassShape::default());
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, || Table {
                live: false,
                low_burst_octets: 0,
                classes: [nothing; CLASS_PLACES],
            });
        }
        let mut places = [nothing; CLASS_PLACES];
        for (place, class) in places.iter_mut().zip(&classes.classes) {
            *place = Class::of(class);
        }
        self.tables[at] = Table { live: true, low_burst_octets: classes.low_latency_burst_octets, classes: places };
        Ok(())
    }

    /// Makes or changes a slice.
    pub fn set_slice(&mut self, slice: u16, shape: &Shape, now: Nanos) -> Result<(), ShapeError> {
        let max = self.limits.slices;
        let place = self.slices.get_mut(usize::from(slice)).ok_or(ShapeError::NoRoomForSlice { slice, max })?;
        shape.check()?;
        let asked = shape.limits.guaranteed().bits_per_second();
        let others = self.port.guaranteed - place.guaranteed;
        fits(Parent::Port, asked, self.port.rate.saturating_sub(others))?;
        // What its segments were promised must still fit.
        fits(Parent::Slice(slice), place.promised, asked)?;
        let now = self.time.at(now);
        if place.share.is(LIVE) {
            place.share.reshape(shape, now);
        } else {
            *place = Slice { share: Share::new(shape, now, [0; 3]), totals: totals(), ..Slice::nobody(now) };
            place.offers = Offers::default();
        }
        (place.guaranteed, place.ceiling) = (asked, shape.limits.ceiling().bits_per_second());
        self.port.guaranteed = others + asked;
        self.wheel.disarm(self.limits.segments + u32::from(slice));
        self.settle_slice(u32::from(slice), now);
        Ok(())
    }

    /// Removes a slice that has no segments any more.
    pub fn remove_slice(&mut self, slice: u16) -> Result<(), ShapeError> {
        let place = self.slices.get_mut(usize::from(slice)).filter(|place| place.share.is(LIVE));
        let place = place.ok_or(ShapeError::UnknownSlice { slice })?;
        let (low, bulk) = place.offers.kinds();
        if place.segments != 0 || low || bulk {
            return Err(ShapeError::SliceInUse { slice, segments: place.segments });
        }
        self.port.guaranteed -= place.guaranteed;
        place.guaranteed = 0;
        place.share.state &= !LIVE;
        self.wheel.disarm(self.limits.segments + u32::from(slice));
        Ok(())
    }

    /// Makes or changes a segment. What is queued in it stays; what it owes of its old rate it owes in octets.
    pub fn set_segment(&mut self, segment: u32, shape: &SegmentShape, now: Nanos) -> Result<(), ShapeError> {
        self.check_segment(segment, shape)?;
        let now = self.time.at(now);
        let burst = self.tables[usize::from(shape.classes)].low_burst_octets;
        let slice = &mut self.slices[usize::from(shape.slice)];
        let place = &mut self.segments[segment as usize];
        let reserve = &mut self.reserves[segment as usize];
        let own = Own { slice: shape.slice, ..Own::NONE };
        if place.share.is(LIVE) {
            place.share.reshape(&shape.shape, now);
            self.port.forget(reserve);
        } else {
            *place = Segment { share: Share::new(&shape.shape, now, own), ..Segment::nobody(now) };
            *reserve = Reserve::NOTHING;
            slice.segments += 1;
            slice.offers.reserve(slice.segments as usize);
        }
        let asked = shape.shape.limits.guaranteed().bits_per_second();
        slice.promised = slice.promised - reserve.guaranteed + asked;
        reserve.reshape(shape.low_latency, burst, self.port.credit, now);
        (reserve.guaranteed, reserve.ceiling) = (asked, shape.shape.limits.ceiling().bits_per_second());
        self.port.reserve(reserve);
        place.table = shape.classes;
        place.share.own.bulk = if reserve.low_rate == 0 { u16::MAX } else { !(1 << LOW_LATENCY_CLASS) };
        // It may be due earlier than it was.
        self.wheel.disarm(segment);
        self.settle_segment(segment, now);
        self.settle_slice(u32::from(shape.slice), now);
        Ok(())
    }

    /// Removes a segment. What is queued in it is still sent, at its rate; nothing more is taken.
    pub fn remove_segment(&mut self, segment: u32) -> Result<(), ShapeError> {
        if !self.is_live(segment) {
            return Err(ShapeError::UnknownSegment { segment });
        }
        self.segments[segment as usize].share.state |= LEAVING;
        let now = self.time.now();
        self.settle_segment(segment, now);
        Ok(())
    }

    fn check_segment(&self, segment: u32, shape: &SegmentShape) -> Result<(), ShapeError> {
        let max = self.limits.segments;
        let place = self.segments.get(segment as usize).ok_or(ShapeError::NoRoomForSegment { segment, max })?;
        let slice = self.slices.get(usize::from(shape.slice)).filter(|slice| slice.share.is(LIVE));
        let slice = slice.ok_or(ShapeError::UnknownSlice { slice: shape.slice })?;
        if !self.tables.get(usize::from(shape.classes)).is_some_and(|table| table.live) {
            return Err(ShapeError::UnknownClasses { table: shape.classes });
        }
        shape.shape.check()?;
        if place.share.is(LEAVING) {
            return Err(ShapeError::Leaving { segment });
        }
        if place.share.is(LIVE) && place.share.own.slice != shape.slice {
            return Err(ShapeError::Moves { segment, slice: place.share.own.slice });
        }
        let guaranteed = shape.shape.limits.guaranteed();
        if shape.low_latency > guaranteed {
            return Err(ShapeError::LowLatencyAboveGuarantee { cap: shape.low_latency, guaranteed });
        }
        let others = slice.promised - self.reserves[segment as usize].guaranteed;
        let left = slice.guaranteed.saturating_sub(others);
        fits(Parent::Slice(shape.slice), guaranteed.bits_per_second(), left)
    }

    /// Forgets a segment that has nothing queued and stands nowhere.
    pub(super) fn forget(&mut self, segment: u32) {
        let place = &mut self.segments[segment as usize];
        let slice = &mut self.slices[usize::from(place.share.own.slice)];
        place.share.state = 0;
        for (class, number) in place.queues.iter_mut().enumerate() {
            let number = std::mem::replace(number, NONE);
            if self.queues.is(number, queue::owner(segment, class)) {
                self.queues.release(number, &mut slice.totals[class].counts);
            }
        }
        let reserve = &mut self.reserves[segment as usize];
        slice.promised -= reserve.guaranteed;
        slice.segments -= 1;
        self.port.forget(reserve);
        *reserve = Reserve::NOTHING;
        self.wheel.disarm(segment);
        self.unwatch(segment);
    }
}

impl super::Port {
    fn reserve(&mut self, reserve: &Reserve) {
        self.low_rate += reserve.low_rate;
        self.low_burst_octets += u64::from(reserve.low_burst_octets);
        self.low_queues += u32::from(reserve.low_rate != 0);
    }

    fn forget(&mut self, reserve: &Reserve) {
        self.low_rate -= reserve.low_rate;
        self.low_burst_octets -= u64::from(reserve.low_burst_octets);
        self.low_queues -= u32::from(reserve.low_rate != 0);
    }
}

impl Slice {
    pub(super) fn nobody(now: u64) -> Self {
        let mut share = Share::new(&NOBODY, now, [0; 3]);
        share.state = 0;
        let (offers, totals) = (Offers::default(), Box::default());
        Self { share, offers, totals, segments: 0, guaranteed: 0, ceiling: 0, promised: 0 }
    }
}

impl Own {
    const NONE: Self = Self { classes: 0, slice: 0, bulk: u16::MAX };
}

impl Segment {
    pub(super) fn nobody(now: u64) -> Self {
        let mut share = Share::new(&NOBODY, now, Own::NONE);
        share.state = 0;
        Self { share, queues: [NONE; CLASSES], table: 0, virtual_time: Tag::ZERO }
    }
}

impl Reserve {
    pub(super) const NOTHING: Self = Self {
        low: Due::ALWAYS,
        low_tolerance: Tolerance::NONE,
        low_pace: Pace::of(Rate::ZERO),
        low_rate: 0,
        low_burst_octets: 0,
        guaranteed: 0,
        ceiling: 0,
    };

    fn reshape(&mut self, cap: Rate, burst_octets: u32, credit: Nanos, now: u64) {
        let in_credit = u128::from(cap.bits_per_second()) * u128::from(credit.0) / 8_000_000_000;
        let burst_octets = burst_octets.max(u32::try_from(in_credit).unwrap_or(u32::MAX));
        let pace = Pace::of(cap);
        self.low = self.low.repaced(now, self.low_pace, pace);
        (self.low_pace, self.low_rate) = (pace, cap.bits_per_second());
        self.low_burst_octets = if cap.is_zero() { 0 } else { burst_octets };
        self.low_tolerance = Tolerance::of(burst_octets, pace, credit);
    }
}

impl Class {
    fn of(shape: &ClassShape) -> Self {
        Self {
            inverse: Inverse::of(u32::from(shape.weight)),
            weight: shape.weight,
            octets_max: shape.octets_max,
            time_max: shape.time_max.0,
            codel: shape.codel.unwrap_or(NO_CODEL),
        }
    }
}

fn fits(below: Parent, asked: u64, left: u64) -> Result<(), ShapeError> {
    if asked <= left {
        return Ok(());
    }
    let (asked, left) = (Rate::from_bits_per_second(asked), Rate::from_bits_per_second(left));
    Err(ShapeError::Oversubscribed { below, asked, left })
}

fn totals() -> Box<[Totals]> {
    vec![Totals::default(); CLASS_PLACES].into()
}

const NO_CODEL: Codel = Codel { target: Nanos(u64::MAX), interval: Nanos(u64::MAX) };
/// What stands where no slice or segment is.
const NOBODY: Shape = Shape { limits: nothing(), burst_octets: 0, weight: 1 };

const fn nothing() -> RateLimits {
    match RateLimits::new(Rate::ZERO, Rate::from_bits_per_second(1)) {
        Ok(limits) => limits,
        // 0 is not above 1.
        Err(_) => unreachable!(),
    }
}

const _: () = assert!(LOW_LATENCY_CLASS == 0);
