//! How well the host's clock is set: as the kernel knows it from whoever disciplines it (chrony, ptp4l, ntpd).
#![allow(unsafe_code, reason = "adjtimex has no safe wrapper among our libraries")]

use std::mem::MaybeUninit;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use transport_dataplane::{Nanos, StampClock};

/// The clock of probes, whose zero is `epoch`. One that nobody sets is free.
pub(crate) fn read(epoch: Instant) -> StampClock {
    let Some(error) = error_max() else { return StampClock::FREE };
    let before = epoch.elapsed();
    let wall = SystemTime::now();
    let after = epoch.elapsed();
    let Ok(wall) = wall.duration_since(UNIX_EPOCH) else { return StampClock::FREE };
    // The wall was read somewhere between.
    let Some(zero) = wall.checked_sub(before) else { return StampClock::FREE };
    StampClock::synchronized(nanos(zero), Nanos(nanos(error.saturating_add(after.saturating_sub(before)))))
}

/// How far off UTC the clock may be, by the kernel's reckoning, which grows as long as nobody sets the clock anew; `None`
/// if nobody sets it.
fn error_max() -> Option<Duration> {
    // SAFETY: all fields are whole numbers, for which zeros are a value; `modes` of zero changes nothing.
    let mut found: libc::timex = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the kernel reads and writes one `timex`, which lives for as long as the call.
    let state = unsafe { libc::adjtimex(&raw mut found) };
    bound(state, found.status, found.maxerror)
}

/// What the kernel's answer says (adjtimex(2)): a state below `TIME_ERROR`, and the error in microseconds.
fn bound(state: i32, status: i32, error: i64) -> Option<Duration> {
    let is_set = (0..libc::TIME_ERROR).contains(&state) && status & libc::STA_UNSYNC == 0;
    u64::try_from(error).ok().filter(|_| is_set).map(Duration::from_micros)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_somebody_sets_has_a_bound() {
        let (pll, unsynchronized) = (libc::STA_PLL, libc::STA_UNSYNC);
        assert_eq!(bound(libc::TIME_OK, pll, 1_500), Some(Duration::from_micros(1_500)));
        // A leap second is announced: the clock is as good as before.
        assert_eq!(bound(libc::TIME_INS, pll, 20), Some(Duration::from_micros(20)));
        assert_eq!(bound(libc::TIME_ERROR, unsynchronized, 16_000_000), None);
        assert_eq!(bound(libc::TIME_OK, unsynchronized, 1_500), None);
        assert_eq!(bound(libc::TIME_ERROR, pll, 1_500), None);
        // Not allowed, or not known.
        assert_eq!(bound(-1, 0, 0), None);
        assert_eq!(bound(libc::TIME_OK, pll, -1), None);
    }

    #[test]
    fn the_kernels_answer_is_read_without_changing_anything() {
        let epoch = Instant::now();
        // Whether somebody sets this machine's clock is not known; two readings agree on it.
        assert_eq!(read(epoch) == StampClock::FREE, error_max().is_none());
    }
}
