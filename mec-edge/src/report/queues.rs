//! What an edge tells of its queues: port by port, so that packets go on in between.

use api::v1;
use model::PortName;
use model::profile::QueueClass;
use transport_dataplane::{
    Backlog, DropReason, Nanos, PortIndex, PortReading, QueueCounts, QueueDrop, QueuesReading, RATE_MAX, Sojourns,
};

use crate::control::Site;
use crate::worker::WorkerGone;

/// Ports, and the queues of each: of whole slices first, then of segments, in order.
pub(crate) async fn queues(site: &Site) -> Result<v1::Reading, WorkerGone> {
    let mut gathered = v1::Reading::default();
    let edge = site.name.as_str();
    for (at, (port, _)) in (0..).zip(&site.ports) {
        let Some((now, reading)) = site.workers.queues(PortIndex(at)).await? else { continue };
        gathered.ports.push(port_row(edge, port, now, &reading.port));
        gathered.queues.extend(rows(edge, port, &reading));
    }
    Ok(gathered)
}

fn port_row(edge: &str, port: &PortName, now: Nanos, reading: &PortReading) -> v1::PortCounter {
    v1::PortCounter {
        edge: edge.to_owned(),
        port: port.to_string(),
        rate_bits_per_second: (reading.rate < RATE_MAX).then(|| reading.rate.bits_per_second()),
        guaranteed_bits_per_second: reading.guaranteed.bits_per_second(),
        waiting_frames: reading.waiting.into(),
        received_frames: reading.received.frames,
        received_octets: reading.received.octets,
        sent_frames: reading.sent.frames,
        sent_octets: reading.sent.octets,
        read_at_nanoseconds: now.0,
    }
}

fn rows(edge: &str, port: &PortName, reading: &QueuesReading) -> Vec<v1::QueueCounter> {
    let row = |(slice, segment): (&str, &str), class: QueueClass, backlog: Backlog, counts: &QueueCounts| {
        let dropped = QueueDrop::ALL.map(|reason| (DropReason::from(reason), counts.dropped(reason)));
        v1::QueueCounter {
            edge: edge.to_owned(),
            port: port.to_string(),
            slice: slice.to_owned(),
            segment: segment.to_owned(),
            class: class.to_string(),
            waiting_frames: backlog.frames.into(),
            waiting_octets: backlog.octets.into(),
            sent_frames: counts.frames,
            sent_octets: counts.octets,
            marked_frames: counts.marked,
            dropped: dropped.into_iter().filter(|(_, frames)| *frames > 0).map(drop_row).collect(),
            sojourns: None,
        }
    };
    let slices = reading.slices.iter().map(|class| {
        let slice = class.slice.as_deref().map_or("", |slice| slice.as_str());
        let sojourns = Some(sojourns(&class.sojourns));
        v1::QueueCounter { sojourns, ..row((slice, ""), class.class, class.backlog, &class.counts) }
    });
    // What belongs to no slice is one queue for each class, told above.
    let mut queues: Vec<_> =
        reading.queues.iter().filter_map(|queue| Some((queue.segment.as_deref()?, queue))).collect();
    queues.sort_unstable_by_key(|(segment, queue)| (*segment, queue.class));
    let segments = queues.into_iter().map(|(segment, queue)| {
        let sojourns = queue.sojourns.as_ref().map(sojourns);
        let of = (segment.slice.as_str(), segment.segment.as_str());
        v1::QueueCounter { sojourns, ..row(of, queue.class, queue.backlog, &queue.counts) }
    });
    slices.chain(segments).collect()
}

fn drop_row((reason, frames): (DropReason, u64)) -> v1::QueueDrop {
    v1::QueueDrop { reason: reason.as_str().to_owned(), frames }
}

fn sojourns(sojourns: &Sojourns) -> v1::Sojourns {
    let ends = sojourns.iter().skip(1).map(|(least, _)| Some(least.0)).chain([None]);
    let buckets = sojourns.iter().zip(ends).filter(|((_, frames), _)| *frames > 0);
    let bucket = |((least, frames), end): ((Nanos, u64), Option<u64>)| v1::SojournBucket {
        from_nanoseconds: least.0,
        below_nanoseconds: end,
        frames,
    };
    v1::Sojourns { buckets: buckets.map(bucket).collect() }
}
