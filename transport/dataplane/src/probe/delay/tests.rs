use proptest::prelude::*;

use super::*;

#[test]
fn each_bucket_ends_where_the_next_begins() {
    assert_eq!(bucket(0), 0);
    for at in 0..BUCKETS {
        assert_eq!(bucket(end(at)), at);
        assert_eq!(bucket(end(at) + 1), (at + 1).min(BUCKETS - 1));
    }
    assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    // The bounds that the type's documentation states: 16 µs and 17 s.
    assert_eq!(end(15), 16 * 1_024 - 1);
    assert_eq!(end(BUCKETS - 1), 17_179_869_183);
}

#[test]
fn nothing_is_said_of_no_delays() {
    let none = Delays::default();
    assert_eq!((none.min(), none.mean(), none.max(), none.percentile(500_000)), (None, None, None, None));
}

#[test]
fn a_single_delay_is_all_percentiles() {
    let mut one = Delays::default();
    one.record(Nanos(3_141_592));
    for of_million in [0, 1, 500_000, 999_999, MILLION, u32::MAX] {
        assert_eq!(one.percentile(of_million), Some(Nanos(3_141_592)));
    }
    one.record(Nanos(60_000_000_000));
    assert_eq!(one.percentile(MILLION), Some(Nanos(60_000_000_000)), "beyond the last bucket");
}

/// Of every magnitude.
fn delay() -> impl Strategy<Value = u64> {
    (0_u32..=34).prop_flat_map(|bits| 0..1_u64 << bits)
}

proptest! {
    #[test]
    fn percentiles_are_those_of_the_sorted_delays(
        mut delays in proptest::collection::vec(delay(), 1..500),
        of_million in prop_oneof![Just(500_000), Just(990_000), Just(999_000), 0_u32..=MILLION],
    ) {
        let mut measured = Delays::default();
        for delay in &delays {
            measured.record(Nanos(*delay));
        }
        let sum: u64 = delays.iter().sum();
        delays.sort_unstable();
        prop_assert_eq!(measured.count(), delays.len() as u64);
        prop_assert_eq!(measured.min(), delays.first().copied().map(Nanos));
        prop_assert_eq!(measured.max(), delays.last().copied().map(Nanos));
        prop_assert_eq!(measured.mean(), Some(Nanos(sum / delays.len() as u64)));
        // The nearest rank: the smallest delay that so many are not above.
        let rank = (delays.len() * of_million as usize).div_ceil(1_000_000).max(1);
        let exact = delays[rank - 1];
        let found = measured.percentile(of_million).unwrap().0;
        prop_assert!(exact <= found && found <= exact + exact / 16 + 1_024, "{found} of {exact}");
    }

    /// Against RFC 3550, section 6.4.1 as it stands there, with fractions. Ours rounds each step to a sixteenth, of which
    /// fifteen sixteenths remain in the next: half a nanosecond in all, and one when it is read.
    #[test]
    #[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
    fn jitter_is_that_of_rfc_3550(
        spaced in proptest::collection::vec((0_u64..20_000_000, 0_u64..5_000_000), 1..300),
        offset in any::<u64>(),
    ) {
        let (mut ours, mut far) = (Jitter::default(), Jitter::default());
        let (mut departed, mut expected) = (0_u64, 0_f64);
        let mut before: Option<(u64, u64)> = None;
        for (space, delay) in spaced {
            departed += space;
            let arrived = departed + delay;
            ours.record(departed, arrived, 5_000_000);
            far.record(departed, arrived.wrapping_add(offset), 5_000_000);
            if let Some((departed_before, arrived_before)) = before {
                let difference = (arrived as f64 - arrived_before as f64) - (departed as f64 - departed_before as f64);
                expected += (difference.abs() - expected) / 16.0;
            }
            before = Some((departed, arrived));
            prop_assert!((ours.get().0 as f64 - expected).abs() <= 1.5, "{:?} of {expected}", ours.get());
            prop_assert_eq!(far.get(), ours.get(), "whatever the clocks differ by");
        }
    }
}

#[test]
fn a_clock_that_is_set_is_no_jitter() {
    let mut jitter = Jitter::default();
    for packet in 0..100_u64 {
        // An hour forward after fifty packets, then a day back after another twenty.
        let far_clock = match packet {
            0..50 => 90_000_000_000_000,
            50..70 => 93_600_000_000_000,
            _ => 7_200_000_000_000,
        };
        let departed = packet * 10_000_000;
        jitter.record(departed, far_clock + departed + packet % 2 * 1_000, 40_000_000);
    }
    // The delay alternates by 1 µs.
    assert!((900..=1_000).contains(&jitter.get().0), "{:?}", jitter.get());
}
