//! CoDel (RFC 8289): marks or drops the head of a queue that stands, ever sooner until it doesn't.

use super::spec::Codel;

/// What CoDel knows of a queue (RFC 8289, section 5.3).
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
pub(super) struct State {
    /// When the next one is due, while dropping.
    drop_next: u64,
    /// When the sojourn time will have been above the target for an interval, in units of 1,024 ns, or 0.
    first_above: u32,
    /// Acted on since dropping began.
    count: u16,
    /// What that was the last time.
    last_count: u16,
    dropping: bool,
}

impl State {
    /// Of a queue that has not been seen yet.
    pub(super) const NEW: Self = Self { drop_next: 0, first_above: 0, count: 0, last_count: 0, dropping: false };

    /// The queue doesn't stand, or not any more.
    pub(super) const fn rest(&mut self) {
        self.first_above = 0;
        self.dropping = false;
    }

    /// The queue stands: shall the frame at its head be marked or dropped?
    pub(super) fn acts(&mut self, codel: &Codel, now: u64) -> bool {
        let units = units(now);
        if self.first_above == 0 {
            self.first_above = units.wrapping_add(self::units(codel.interval.0)).max(1);
            return false;
        }
        if units.wrapping_sub(self.first_above).cast_signed() < 0 {
            return false;
        }
        if !self.dropping {
            self.dropping = true;
            // Soon after the last time the rate that helped then is taken up again (RFC 8289, section 5.5).
            let delta = self.count - self.last_count.min(self.count);
            let recently = now.saturating_sub(self.drop_next) < 16 * codel.interval.0;
            self.count = if delta > 1 && recently { delta } else { 1 };
            self.last_count = self.count;
            self.drop_next = control(now, codel, self.count);
            return true;
        }
        if now < self.drop_next {
            return false;
        }
        self.count = self.count.saturating_add(1);
        self.drop_next = control(self.drop_next, codel, self.count);
        true
    }
}

/// Does a queue stand whose head stayed for so long, with so many octets behind it? One of less than a frame doesn't, however
/// long that takes (RFC 8289, section 5.6).
#[inline]
pub(super) const fn stands(codel: &Codel, sojourn: u64, left: u32) -> bool {
    sojourn >= codel.target.0 && left != 0
}

/// The interval divided by the square root of the count, later (RFC 8289, section 5.4).
fn control(from: u64, codel: &Codel, count: u16) -> u64 {
    let root = (u64::from(count) << 32).isqrt();
    from.saturating_add((codel.interval.0 << 16) / root)
}

#[allow(clippy::cast_possible_truncation, reason = "wraps after 73 minutes; compared by difference")]
const fn units(nanos: u64) -> u32 {
    (nanos >> 10) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Nanos;

    /// The moments at which a queue that stands is acted on, beside the law of RFC 8289 in real numbers.
    #[test]
    fn a_standing_queue_is_acted_on_ever_sooner() {
        let codel = Codel { target: Nanos(5_000_000), interval: Nanos(100_000_000) };
        let (mut state, mut acted) = (State::NEW, Vec::new());
        let start = 1 << 43;
        for step in 0..20_000_u32 {
            let now = start + u64::from(step) * 100_000;
            if state.acts(&codel, now) {
                acted.push(f64::from(step) / 10.0);
            }
        }
        let mut due = 100.0;
        for (count, at) in (1..).zip(&acted) {
            assert!((at - due).abs() < 1.0, "{count}: {at} ms, due at {due} ms");
            due += 100.0 / f64::from(count).sqrt();
        }
        assert!(acted.len() > 20);
    }

    #[test]
    fn a_queue_that_drains_is_left_alone() {
        let codel = Codel { target: Nanos(5_000_000), interval: Nanos(100_000_000) };
        let mut state = State::NEW;
        for step in 0..10_000_u64 {
            // Below the target once in 90 ms.
            if step % 900 == 0 {
                state.rest();
            } else {
                assert!(!state.acts(&codel, (1 << 43) + step * 100_000));
            }
        }
        assert!(!stands(&codel, 4_999_999, 1) && !stands(&codel, 50_000_000, 0) && stands(&codel, 5_000_000, 1));
    }
}
