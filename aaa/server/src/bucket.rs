//! A token bucket: so many requests a second, and as many at once.

use std::time::Duration;

/// Starts full. Counts in parts of a token, so that no rate is rounded.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    per_second: u32,
    /// In thousand-millionths of a token.
    level: u64,
    filled: Duration,
}

impl TokenBucket {
    pub(crate) fn new(per_second: u32, now: Duration) -> Self {
        Self { per_second, level: u64::from(per_second) * TOKEN, filled: now }
    }

    /// Takes one token, if there is one. A clock that stands still or goes back fills nothing.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.filled);
        self.filled = self.filled.max(now);
        let most = u128::from(self.per_second) * u128::from(TOKEN);
        let level = u128::from(self.level) + elapsed.as_nanos().saturating_mul(self.per_second.into());
        // The most is below 2^62, so that it fits.
        self.level = u64::try_from(level.min(most)).unwrap_or(u64::MAX);
        let has = self.level >= TOKEN;
        if has {
            self.level -= TOKEN;
        }
        has
    }
}

const TOKEN: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut TokenBucket, now: Duration, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(bucket.take(now))).sum()
    }

    #[test]
    fn a_burst_is_one_second_s_worth_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::new(10, Duration::ZERO);
        assert_eq!(taken(&mut bucket, Duration::ZERO, 100), 10);
        assert_eq!(taken(&mut bucket, Duration::from_millis(99), 100), 0);
        assert_eq!(taken(&mut bucket, Duration::from_millis(100), 100), 1);
        assert_eq!(taken(&mut bucket, Duration::from_millis(550), 100), 4);
        assert_eq!(taken(&mut bucket, Duration::from_hours(1), 100), 10);
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing() {
        let mut bucket = TokenBucket::new(1, Duration::from_secs(10));
        assert!(bucket.take(Duration::from_secs(10)));
        assert!(!bucket.take(Duration::ZERO));
        assert!(!bucket.take(Duration::from_secs(10)));
        assert!(bucket.take(Duration::from_secs(11)));
    }

    #[test]
    fn the_largest_rate_and_the_longest_wait_do_not_overflow() {
        let mut bucket = TokenBucket::new(u32::MAX, Duration::ZERO);
        assert!(bucket.take(Duration::MAX));
        assert!(bucket.take(Duration::MAX));
    }
}
