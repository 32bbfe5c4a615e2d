//! Delays and how they vary, in constant memory.

use crate::meter::Nanos;

/// Delays that were measured: least, mean and greatest, and a histogram from which percentiles are read.
///
/// The buckets are linear up to 16 µs and from there 16 to each doubling, up to 17 s: as in an HDR histogram, what is read
/// from it is off by a part of the value, whatever that is.
#[derive(Debug, Clone)]
pub struct Delays {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    buckets: [u32; BUCKETS],
}

impl Delays {
    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The least.
    pub fn min(&self) -> Option<Nanos> {
        (self.count > 0).then_some(Nanos(self.min))
    }

    /// The greatest.
    pub fn max(&self) -> Option<Nanos> {
        (self.count > 0).then_some(Nanos(self.max))
    }

    /// The mean, rounded down.
    pub fn mean(&self) -> Option<Nanos> {
        self.sum.checked_div(self.count).map(Nanos)
    }

    /// What so many of a million were not above: 990,000 for the 99th percentile. Never less than it was, and at most a
    /// sixteenth and 1,024 ns more. Less the [minimum](Self::min), it is a percentile of the packet delay variation (RFC
    /// 5481, section 4.2).
    pub fn percentile(&self, of_million: u32) -> Option<Nanos> {
        let rank = (u128::from(self.count) * u128::from(of_million.min(MILLION))).div_ceil(u128::from(MILLION));
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += u128::from(*count);
            seen >= rank.max(1)
        })?;
        // The last bucket has no end of its own.
        Some(Nanos(if at == BUCKETS - 1 { self.max } else { end(at).min(self.max) }))
    }

    pub(super) fn record(&mut self, delay: Nanos) {
        self.count += 1;
        // 2^64 ns are 584 years.
        self.sum = self.sum.saturating_add(delay.0);
        self.min = self.min.min(delay.0);
        self.max = self.max.max(delay.0);
        let bucket = &mut self.buckets[bucket(delay.0)];
        *bucket = bucket.saturating_add(1);
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: u64::MAX, max: 0, buckets: [0; BUCKETS] }
    }
}

/// Jitter: how much the spacing of packets changes on the way, as RTP smooths it (RFC 3550, section 6.4.1).
///
/// It is the difference of two differences, each taken by one clock, so the clocks of the two ends need not agree.
#[derive(Debug, Default, Clone, Copy)]
pub struct Jitter {
    /// Of the packet before: arrival less departure, with what the clocks differ by.
    transit: Option<u64>,
    /// In sixteenths of a nanosecond.
    sixteenths: u64,
}

impl Jitter {
    /// The jitter.
    pub const fn get(self) -> Nanos {
        Nanos(self.sixteenths >> 4)
    }

    /// Another packet, in order of arrival. No packet is on its way for longer than `longest`, so a greater difference is
    /// a clock that was set.
    pub(super) fn record(&mut self, departed: u64, arrived: u64, longest: u64) {
        let transit = arrived.wrapping_sub(departed);
        let before = self.transit.replace(transit);
        let difference = before.map(|before| transit.wrapping_sub(before).cast_signed().unsigned_abs());
        if let Some(difference) = difference.filter(|difference| *difference <= longest) {
            // RFC 3550, appendix A.8: the division rounds to the nearest.
            self.sixteenths = self.sixteenths + difference - ((self.sixteenths + 8) >> 4);
        }
    }
}

/// The bucket of a delay.
const fn bucket(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    if units < SUB_BUCKETS {
        #[allow(clippy::cast_possible_truncation, reason = "less than 16")]
        return units as usize;
    }
    let doublings = units.ilog2() - SUB_BUCKETS.ilog2();
    #[allow(clippy::cast_possible_truncation, reason = "less than 1,000")]
    let at = (doublings as u64 * SUB_BUCKETS + (units >> doublings)) as usize;
    if at < BUCKETS { at } else { BUCKETS - 1 }
}

/// The greatest delay of a bucket.
const fn end(bucket: usize) -> u64 {
    let (row, column) = (bucket as u64 / SUB_BUCKETS, bucket as u64 % SUB_BUCKETS);
    let units = if row == 0 { column + 1 } else { (SUB_BUCKETS + column + 1) << (row - 1) };
    (units << UNIT_BITS) - 1
}

const MILLION: u32 = 1_000_000;
/// The finest that is told apart: 1,024 ns.
const UNIT_BITS: u32 = 10;
/// Buckets for each doubling.
const SUB_BUCKETS: u64 = 16;
/// Up to 2^24 units, which is 17 s.
const BUCKETS: usize = 336;

const _: () = assert!(bucket((1 << (24 + UNIT_BITS)) - 1) == BUCKETS - 1);
const _: () = assert!(end(BUCKETS - 1) == (1 << (24 + UNIT_BITS)) - 1);

#[cfg(test)]
mod tests;
