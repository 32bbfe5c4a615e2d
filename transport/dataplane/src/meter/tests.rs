use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const FRAME: usize = 1_514;

fn meter(rate: u64, now: u64) -> Meter {
    Meter::new(Rate::from_bits_per_second(rate), FRAME, Nanos(now))
}

/// Offers frames until one does not pass; answers the octets that passed.
fn empty(meter: &mut Meter, now: u64, octets: usize) -> u64 {
    let mut passed = 0;
    while meter.has(Nanos(now), octets) {
        meter.take(octets);
        passed += octets as u64;
    }
    passed
}

/// Offers frames at twice the rate for a time; answers the octets that passed after the bucket was first empty.
fn run(rate: u64, octets: usize, seconds: u64) -> u64 {
    let mut meter = meter(rate, 0);
    empty(&mut meter, 0, octets);
    let gap = (octets as u64 * 8 * SECOND / (2 * rate)).max(1);
    let (mut passed, mut now) = (0, 0);
    // The last offer comes at the very end.
    while now < seconds * SECOND {
        now = (now + gap).min(seconds * SECOND);
        if meter.has(Nanos(now), octets) {
            meter.take(octets);
            passed += octets as u64;
        }
    }
    passed
}

#[test]
fn over_1_s_60_s_and_10_000_s_the_rate_holds_within_one_frame() {
    for (rate, octets, seconds) in [
        (1_000_000, 58, 1),
        (1_000_000, 1_514, 1),
        (1_000_003, 554, 60),
        (20_000_000, 1_514, 60),
        (999_999_937, 1_514, 1),
        (64_000, 64, 10_000),
        (7_919, 1_514, 10_000),
        (3, 64, 100_000),
    ] {
        let passed = run(rate, octets, seconds);
        let due = rate * seconds / 8;
        assert!(passed.abs_diff(due) <= octets as u64, "{rate} bit/s, {octets} octets: {passed} of {due}");
    }
}

#[test]
fn a_bucket_holds_10_ms_or_four_of_the_longest_frames() {
    // 100 Mbit/s for 10 ms are 125,000 octets.
    assert_eq!(meter(100_000_000, 0).depth_octets(), 125_000);
    assert_eq!(meter(1, 0).depth_octets(), 4 * 1_514);
    assert_eq!(Meter::new(Rate::from_bits_per_second(1), 9_014, Nanos(0)).depth_octets(), 4 * 9_014);
    // Above 1 Tbit/s all rates are one: 10 ms of it are 1.25 Goctets.
    assert_eq!(meter(u64::MAX, 0).depth_octets(), 1_250_000_000);
}

#[test]
fn a_clock_that_stands_still_grants_nothing() {
    let mut meter = meter(1_000_000, 5);
    assert_eq!(empty(&mut meter, 5, 100), 6_056 / 100 * 100);
    assert!(!meter.has(Nanos(5), 100));
}

#[test]
fn asking_takes_nothing() {
    let mut meter = meter(1_000_000, 0);
    for _ in 0..1_000 {
        assert!(meter.has(Nanos(0), 6_056));
    }
    assert!(!meter.has(Nanos(0), 6_057));
}

#[test]
fn a_clock_that_is_set_back_an_hour_does_not_stop_the_traffic() {
    let mut meter = meter(8_000_000, 7_200 * SECOND);
    empty(&mut meter, 7_200 * SECOND, 1_000);
    assert!(!meter.has(Nanos(3_600 * SECOND), 1_000));
    assert!(meter.has(Nanos(3_600 * SECOND + 1_000_000), 1_000), "1 ms at 8 Mbit/s is 1,000 octets");
}

#[test]
fn a_long_silence_fills_the_bucket_and_no_more() {
    let mut meter = meter(u64::MAX, 0);
    meter.take(1_000_000);
    assert!(meter.has(Nanos(u64::MAX), 1_250_000_000));
    assert!(!meter.has(Nanos(u64::MAX), 1_250_000_001));
}

#[test]
fn a_new_rate_takes_over_what_is_in_the_bucket() {
    // 80 Mbit/s: 100,000 octets when full. It is emptied; 1 ms later there are 10,000.
    let mut old = meter(80_000_000, 0);
    old.take(100_000);
    let mut same = old.reshaped(&meter(80_000_000, 1_000_000));
    assert!(same.has(Nanos(1_000_000), 10_000) && !same.has(Nanos(1_000_000), 10_001));
    // At 8 Mbit/s 10,000 fit, and the next ms brings 1,000 of which none fits.
    let mut slower = old.reshaped(&meter(8_000_000, 1_000_000));
    assert!(slower.has(Nanos(1_000_000), 10_000) && !slower.has(Nanos(1_000_000), 10_001));
    assert!(!slower.has(Nanos(2_000_000), 10_001));
    // A larger bucket is not filled by being larger.
    let mut faster = old.reshaped(&meter(800_000_000, 1_000_000));
    assert!(faster.has(Nanos(1_000_000), 10_000) && !faster.has(Nanos(1_000_000), 10_001));
}

proptest! {
    /// Whatever the steps of the clock, no more passes than the time that truly went by allows.
    #[test]
    fn jitter_grants_nothing(
        steps in proptest::collection::vec(-500_000_i64..600_000, 1..400),
        rate in 1_000_u64..1_000_000_000,
        octets in 64_usize..1_514,
    ) {
        let start = 10 * SECOND;
        let mut meter = meter(rate, start);
        let depth = u128::from(meter.depth_octets()) + 1;
        let (mut now, mut furthest, mut passed) = (start, start, 0_u64);
        for step in steps {
            now = now.saturating_add_signed(step).max(furthest.saturating_sub(900_000_000));
            furthest = furthest.max(now);
            if meter.has(Nanos(now), octets) {
                meter.take(octets);
                passed += octets as u64;
            }
        }
        let allowed = u128::from(furthest - start) * u128::from(rate) / 8 / u128::from(SECOND) + depth;
        prop_assert!(u128::from(passed) <= allowed, "{passed} of {allowed}");
    }

    /// Nothing is lost by asking often: in small steps as much is granted as in one.
    #[test]
    fn small_steps_lose_nothing(steps in proptest::collection::vec(0_u64..50_000, 1..400), rate in 1_u64..10_000_000) {
        let mut often = meter(rate, 0);
        often.take(6_056);
        let mut once = often;
        let mut now = 0;
        for step in steps {
            now += step;
            often.has(Nanos(now), 64);
        }
        once.has(Nanos(now), 64);
        prop_assert_eq!(often.tokens, once.tokens);
    }
}
