//! What queues and ports do a second: the difference of two readings, over the time that the edge says lies between them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use api::v1;

use super::queues::{P99, percentile_bucket};

/// What happened between two readings, the busiest first. An edge whose clock has begun anew is left out until the next.
pub(super) fn between(before: &v1::ListQueuesResponse, after: &v1::ListQueuesResponse) -> v1::DataplaneRates {
    let ports_before: BTreeMap<_, _> = before.ports.iter().map(|port| (port_key(port), port)).collect();
    let queues_before: BTreeMap<_, _> = before.queues.iter().map(|queue| (queue_key(queue), queue)).collect();
    let intervals: BTreeMap<_, _> = after
        .ports
        .iter()
        .filter_map(|port| {
            let earlier = ports_before.get(&port_key(port))?;
            let nanoseconds = port.read_at_nanoseconds.checked_sub(earlier.read_at_nanoseconds)?;
            (nanoseconds > 0).then_some((port_key(port), Interval(nanoseconds)))
        })
        .collect();
    let mut ports: Vec<_> = after
        .ports
        .iter()
        .filter_map(|port| {
            let interval = intervals.get(&port_key(port))?;
            Some(port_rate(ports_before.get(&port_key(port))?, port, *interval))
        })
        .collect();
    // Of whole slices and their classes, how long frames stayed.
    let stays: BTreeMap<_, _> = after
        .queues
        .iter()
        .filter_map(|queue| {
            let earlier = queues_before.get(&queue_key(queue)).and_then(|queue| queue.sojourns.as_ref());
            Some((queue_key(queue), stay(earlier, queue.sojourns.as_ref()?)))
        })
        .collect();
    let mut queues: Vec<_> = after
        .queues
        .iter()
        .filter_map(|queue| {
            let interval = intervals.get(&(queue.edge.as_str(), queue.port.as_str()))?;
            let key = queue_key(queue);
            let p99 = stays.get(&key).or_else(|| stays.get(&QueueKey { segment: "", ..key })).copied().flatten();
            Some(queue_rate(queues_before.get(&key).copied(), queue, *interval, p99))
        })
        .collect();
    ports.sort_by(|one, other| {
        let key = |port: &v1::PortRate| (Reverse(port.sent_bits_per_second), Reverse(port.waiting_frames));
        key(one).cmp(&key(other))
    });
    queues.sort_by(|one, other| {
        let key = |queue: &v1::QueueRate| (Reverse(queue.sent_bits_per_second), Reverse(queue.waiting_octets));
        let dropped = other.dropped_frames_per_second.total_cmp(&one.dropped_frames_per_second);
        key(one).cmp(&key(other)).then(dropped)
    });
    v1::DataplaneRates { queues, ports, unreachable: after.unreachable.clone() }
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Interval(u64);

impl Interval {
    fn bits_a_second(self, octets: u64) -> u64 {
        let bits = u128::from(octets) * 8_000_000_000 / u128::from(self.0);
        u64::try_from(bits).unwrap_or(u64::MAX)
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    fn a_second(self, count: u64) -> f64 {
        count as f64 * 1e9 / self.0 as f64
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct QueueKey<'a> {
    edge: &'a str,
    port: &'a str,
    slice: &'a str,
    segment: &'a str,
    class: &'a str,
}

fn port_key(port: &v1::PortCounter) -> (&str, &str) {
    (&port.edge, &port.port)
}

fn queue_key(queue: &v1::QueueCounter) -> QueueKey<'_> {
    let v1::QueueCounter { edge, port, slice, segment, class, .. } = queue;
    QueueKey { edge, port, slice, segment, class }
}

/// How much more; what has begun anew has counted that since.
const fn more(before: u64, after: u64) -> u64 {
    if after >= before { after - before } else { after }
}

fn port_rate(before: &v1::PortCounter, after: &v1::PortCounter, interval: Interval) -> v1::PortRate {
    v1::PortRate {
        edge: after.edge.clone(),
        port: after.port.clone(),
        rate_bits_per_second: after.rate_bits_per_second,
        received_bits_per_second: interval.bits_a_second(more(before.received_octets, after.received_octets)),
        sent_bits_per_second: interval.bits_a_second(more(before.sent_octets, after.sent_octets)),
        sent_frames_per_second: interval.a_second(more(before.sent_frames, after.sent_frames)),
        waiting_frames: after.waiting_frames,
    }
}

fn queue_rate(
    before: Option<&v1::QueueCounter>,
    after: &v1::QueueCounter,
    interval: Interval,
    p99: Option<v1::SojournBucket>,
) -> v1::QueueRate {
    // A queue that was not there has counted from nothing.
    let none = v1::QueueCounter::default();
    let before = before.unwrap_or(&none);
    let dropped = |queue: &v1::QueueCounter| queue.dropped.iter().map(|drop| drop.frames).fold(0, u64::saturating_add);
    v1::QueueRate {
        edge: after.edge.clone(),
        port: after.port.clone(),
        slice: after.slice.clone(),
        segment: after.segment.clone(),
        class: after.class.clone(),
        sent_bits_per_second: interval.bits_a_second(more(before.sent_octets, after.sent_octets)),
        sent_frames_per_second: interval.a_second(more(before.sent_frames, after.sent_frames)),
        waiting_frames: after.waiting_frames,
        waiting_octets: after.waiting_octets,
        marked_frames_per_second: interval.a_second(more(before.marked_frames, after.marked_frames)),
        dropped_frames_per_second: interval.a_second(more(dropped(before), dropped(after))),
        p99,
    }
}

/// Where the 99th percentile lies of what was sent in between, with how much that was.
fn stay(before: Option<&v1::Sojourns>, after: &v1::Sojourns) -> Option<v1::SojournBucket> {
    let before: BTreeMap<u64, u64> = before
        .into_iter()
        .flat_map(|sojourns| &sojourns.buckets)
        .map(|bucket| (bucket.from_nanoseconds, bucket.frames))
        .collect();
    let buckets: Vec<_> = after
        .buckets
        .iter()
        .map(|bucket| {
            let earlier = before.get(&bucket.from_nanoseconds).copied().unwrap_or_default();
            v1::SojournBucket { frames: more(earlier, bucket.frames), ..*bucket }
        })
        .collect();
    let frames = buckets.iter().map(|bucket| bucket.frames).fold(0, u64::saturating_add);
    percentile_bucket(&buckets, P99).map(|bucket| v1::SojournBucket { frames, ..bucket })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: u64, sent: (u64, u64), buckets: &[(u64, u64)]) -> v1::ListQueuesResponse {
        let named = |segment: &str| v1::QueueCounter {
            edge: "edge-a".into(),
            port: "core0".into(),
            slice: "iot".into(),
            segment: segment.into(),
            class: "low-latency".into(),
            sent_frames: sent.0,
            sent_octets: sent.1,
            waiting_frames: 2,
            dropped: vec![v1::QueueDrop { reason: "queue-time".into(), frames: sent.0 / 10 }],
            ..v1::QueueCounter::default()
        };
        let bucket = |(from, frames): &(u64, u64)| v1::SojournBucket {
            from_nanoseconds: *from,
            below_nanoseconds: Some(from + 512),
            frames: *frames,
        };
        let sojourns = Some(v1::Sojourns { buckets: buckets.iter().map(bucket).collect() });
        let port = v1::PortCounter {
            edge: "edge-a".into(),
            port: "core0".into(),
            sent_octets: 2 * sent.1,
            read_at_nanoseconds: at,
            ..v1::PortCounter::default()
        };
        let queues = vec![v1::QueueCounter { sojourns, ..named("") }, named("metering")];
        v1::ListQueuesResponse { queues, ports: vec![port], unreachable: Vec::new() }
    }

    /// 1,000 frames of 125 octets in half a second are 2 Mbit/s. 990 of them stayed below 1,536 ns.
    #[test]
    fn a_rate_is_what_was_counted_over_the_time_between() {
        let before = reading(1_000_000_000, (500, 10_000), &[(1_024, 5), (2_048, 1_000)]);
        let after = reading(1_500_000_000, (1_500, 135_000), &[(1_024, 995), (2_048, 1_010)]);
        let rates = between(&before, &after);
        assert_eq!(rates.ports[0].sent_bits_per_second, 4_000_000);
        assert_eq!(rates.queues.len(), 2);
        for queue in &rates.queues {
            assert_eq!(queue.sent_bits_per_second, 2_000_000);
            assert!((queue.sent_frames_per_second - 2_000.0).abs() < 1e-6);
            assert!((queue.dropped_frames_per_second - 200.0).abs() < 1e-6);
            // The segment has no histogram of its own: that of its class in the slice stands for it.
            let p99 = v1::SojournBucket { from_nanoseconds: 1_024, below_nanoseconds: Some(1_536), frames: 1_000 };
            assert_eq!(queue.p99, Some(p99));
        }
    }

    #[test]
    fn an_edge_that_began_anew_has_no_rate_yet_and_a_queue_that_did_has_at_least_what_it_counted() {
        let (early, late) = (reading(5, (10, 1_000), &[]), reading(2_000_000_000, (100, 10_000), &[]));
        let anew = between(&late, &early);
        assert_eq!((anew.queues.len(), anew.ports.len()), (0, 0));
        // No time lies between: no rate, and no division by nothing.
        assert_eq!(between(&late, &late).queues, []);
        let again = reading(3_000_000_000, (10, 1_000), &[]);
        assert_eq!(between(&late, &again).queues[0].sent_bits_per_second, 8_000);
        let nothing = v1::ListQueuesResponse { ports: late.ports.clone(), ..v1::ListQueuesResponse::default() };
        assert_eq!(between(&nothing, &again).queues[0].sent_bits_per_second, 8_000);
        assert_eq!(between(&nothing, &again).queues[0].p99, None);
    }

    #[test]
    fn the_busiest_stand_first() {
        let queue = |class: &str, octets, waiting| v1::QueueCounter {
            class: class.into(),
            sent_octets: octets,
            waiting_octets: waiting,
            ..v1::QueueCounter::default()
        };
        let port = |at| v1::PortCounter { read_at_nanoseconds: at, ..v1::PortCounter::default() };
        let before = v1::ListQueuesResponse { ports: vec![port(1)], ..v1::ListQueuesResponse::default() };
        let queues = vec![queue("a", 1, 0), queue("b", 9, 0), queue("c", 1, 7)];
        let after = v1::ListQueuesResponse { ports: vec![port(8)], queues, unreachable: Vec::new() };
        let order: Vec<_> = between(&before, &after).queues.into_iter().map(|queue| queue.class).collect();
        assert_eq!(order, ["b", "c", "a"]);
    }
}
