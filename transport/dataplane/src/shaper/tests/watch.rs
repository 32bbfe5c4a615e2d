//! Checks who left against what was allowed, by sums over all intervals and not by a clock that moves along.

use std::collections::BTreeMap;

use super::bed::Left;

/// In any interval, those of one kind together sent no more than rate times time, and `slack` octets: checked for all
/// pairs of departures at once by the running minimum of what is left over.
pub(super) fn ceiling<K: Ord + std::fmt::Debug>(
    left: &[Left],
    kind: impl Fn(&Left) -> Option<K>,
    limit: impl Fn(&K) -> (u64, u64),
) {
    // Sum of bits times 10^9 before, least of (sum - rate * time) so far.
    let mut sums: BTreeMap<K, (i128, i128)> = BTreeMap::new();
    for one in left.iter().filter(|one| one.is_sent()) {
        let Some(key) = kind(one) else { continue };
        let (rate, slack) = limit(&key);
        let line = i128::from(rate) * i128::from(one.at);
        let (sum, least) = sums.entry(key).or_insert((0, i128::MAX));
        *least = (*least).min(*sum - line);
        *sum += i128::from(one.octets) * 8_000_000_000;
        let over = *sum - line - *least - i128::from(slack) * 8_000_000_000;
        assert!(over <= 0, "{one:?}: {} octets too much", over / 8_000_000_000);
    }
}
