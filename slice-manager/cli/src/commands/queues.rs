//! What waits at the ports of edges: a row for each queue.

use api::v1;
use api::v1::dataplane_service_client::DataplaneServiceClient;
use model::{NodeName, SegmentName, SliceName};

use super::Context;
use super::readings::{away, narrow};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn list(
    context: Context<'_>,
    edge: Option<&NodeName>,
    slice: Option<&SliceName>,
    segment: Option<&SegmentName>,
) -> Result<(), Error> {
    let mut client =
        DataplaneServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let request = v1::ListQueuesRequest { edge: narrow(edge), slice: narrow(slice), segment: narrow(segment) };
    let answer = client.list_queues(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, text)?;
    away(context.err, &answer.unreachable)
}

fn text(answer: &v1::ListQueuesResponse) -> String {
    let ports = answer.ports.iter().map(|port| {
        [
            port.edge.clone(),
            port.port.clone(),
            port.rate_bits_per_second.map_or_else(|| "not known".to_owned(), table::rate),
            table::rate(port.guaranteed_bits_per_second),
            port.waiting_frames.to_string(),
            port.sent_frames.to_string(),
            port.sent_octets.to_string(),
        ]
    });
    let header = ["edge", "port", "rate", "guaranteed", "waiting", "sent frames", "sent octets"];
    let text = table::table(&header, ports);
    let queues = answer.queues.iter().map(|queue| {
        let p99 = queue.sojourns.as_ref().map(|sojourns| percentile(&sojourns.buckets, P99));
        [
            queue.edge.clone(),
            queue.port.clone(),
            of(queue),
            queue.class.clone(),
            format!("{} ({} B)", queue.waiting_frames, queue.waiting_octets),
            queue.sent_frames.to_string(),
            queue.sent_octets.to_string(),
            queue.marked_frames.to_string(),
            dropped(queue),
            p99.map_or_else(|| UNWATCHED.to_owned(), |p99| p99.map(Stay::text).unwrap_or_default()),
        ]
    });
    let header =
        ["edge", "port", "of", "class", "waiting", "sent frames", "sent octets", "marked", "dropped", "99th stay"];
    let text = text + &table::part("queues", &table::table(&header, queues));
    if answer.queues.iter().all(|queue| queue.sojourns.is_some()) {
        return text;
    }
    text + "\n"
        + UNWATCHED
        + ": how long frames stay is told of whole slices, and of a micro-segment from when it is asked for by \
            --slice and --segment\n"
}

/// Whose queue it is: a micro-segment's, all of a slice's together, or nobody's.
pub(super) fn of(queue: &v1::QueueCounter) -> String {
    match (queue.slice.as_str(), queue.segment.as_str()) {
        ("", _) => "no slice".to_owned(),
        (slice, "") => format!("{slice} (all)"),
        (slice, segment) => format!("{slice}/{segment}"),
    }
}

fn dropped(queue: &v1::QueueCounter) -> String {
    let reasons = queue.dropped.iter().map(|drop| format!("{} {}", drop.frames, drop.reason));
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() { "0".to_owned() } else { reasons.join(", ") }
}

/// A time that so many thousandths of frames did not reach; the bucket tells it no better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stay {
    Below(u64),
    /// The last bucket has no end.
    AtLeast(u64),
}

impl Stay {
    pub(super) fn of(bucket: &v1::SojournBucket) -> Self {
        bucket.below_nanoseconds.map_or(Self::AtLeast(bucket.from_nanoseconds), Self::Below)
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Below(nanoseconds) => format!("< {}", table::measured(nanoseconds)),
            Self::AtLeast(nanoseconds) => format!(">= {}", table::measured(nanoseconds)),
        }
    }
}

fn percentile(buckets: &[v1::SojournBucket], permille: u64) -> Option<Stay> {
    percentile_bucket(buckets, permille).as_ref().map(Stay::of)
}

/// The bucket in which a histogram's percentile lies; `None` if nothing was counted.
pub(super) fn percentile_bucket(buckets: &[v1::SojournBucket], permille: u64) -> Option<v1::SojournBucket> {
    let all: u128 = buckets.iter().map(|bucket| u128::from(bucket.frames)).sum();
    let wanted = (all * u128::from(permille)).div_ceil(1_000).max(1);
    let mut seen = 0;
    let mut buckets = buckets.iter();
    let bucket = buckets.find(|bucket| {
        seen += u128::from(bucket.frames);
        seen >= wanted
    });
    bucket.copied()
}

/// Nothing is told of how long frames stay in a queue.
const UNWATCHED: &str = "not watched";
pub(super) const P99: u64 = 990;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_where_so_many_have_been_counted() {
        let bucket =
            |from, below, frames| v1::SojournBucket { from_nanoseconds: from, below_nanoseconds: below, frames };
        assert_eq!(percentile(&[], P99), None);
        let buckets = [bucket(0, Some(1_024), 980), bucket(2_048, Some(3_072), 10), bucket(805_306_368, None, 10)];
        assert_eq!(percentile(&buckets, 980), Some(Stay::Below(1_024)));
        assert_eq!(percentile(&buckets, 981), Some(Stay::Below(3_072)));
        assert_eq!(percentile(&buckets, 990), Some(Stay::Below(3_072)));
        assert_eq!(percentile(&buckets, 991), Some(Stay::AtLeast(805_306_368)));
        let many = [bucket(0, Some(1_024), u64::MAX), bucket(1_024, Some(1_536), u64::MAX)];
        assert_eq!(percentile(&many, 501), Some(Stay::Below(1_536)));
    }

    #[test]
    fn a_stay_says_what_is_known_of_it() {
        assert_eq!([Stay::Below(1_536), Stay::AtLeast(805_306_368)].map(Stay::text), ["< 1.5 us", ">= 805.31 ms"]);
    }
}
