//! What an edge shows Prometheus, read from what runs when it is asked for. docs/reference/metrics.md explains each.
//!
//! What is of a whole slice stands before what is of single queues, so that a page that is too long lacks those.

use aaa_server::Readiness;
use aaa_server::host::Status;
use api::v1;
use metrics::{Page, Value};
use model::resource::SegmentId;
use transport_dataplane::{
    Backlog, DropReason, Nanos, PortIndex, PortReading, QueueCounts, QueueDrop, QueuesReading, RATE_MAX, Sojourns,
};

use crate::control::Site;
use crate::realms::RealmsWatch;
use crate::report;
use crate::worker::{WorkerGone, WorkersReading};

/// Whose metrics are shown.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    /// An edge's.
    Site { site: Site, realms: RealmsWatch },
    /// A kernel counts for itself.
    Kernel,
}

impl Shown {
    /// All of it, now.
    pub(crate) async fn page(&self) -> String {
        let mut page = Page::default();
        page.family(&BUILD_INFO).sample([env!("CARGO_PKG_VERSION")], Value::Count(1));
        if let Self::Site { site, realms } = self {
            let is_up = match site_page(&mut page, site).await {
                Ok(()) => 1,
                Err(WorkerGone) => 0,
            };
            page.family(&WORKER_UP).sample([site.name.as_str()], Value::Count(is_up));
            aaa(&mut page, site.name.as_str(), &realms.all());
        }
        page.finish()
    }
}

async fn site_page(page: &mut Page, site: &Site) -> Result<(), WorkerGone> {
    let edge = site.name.as_str();
    let reading = site.workers.read().await?;
    page.family(&GENERATION).sample([edge], Value::Count(reading.pipeline.generation.get()));
    let mut ports = Vec::new();
    for (at, (name, _)) in (0..).zip(&site.ports) {
        if let Some((_, port)) = site.workers.queues(PortIndex(at)).await? {
            ports.push((name.as_str(), port));
        }
    }
    show_ports(page, edge, &ports);
    drops(page, &report::drops(site, &reading));
    meters(page, &report::meters(site, &reading));
    sessions(page, edge, &reading);
    paths(page, &report::path_readings(site, &reading.pipeline));
    slices(page, edge, &ports);
    queues(page, edge, &ports);
    Ok(())
}

type Ports<'a> = [(&'a str, QueuesReading)];

fn show_ports(page: &mut Page, edge: &str, ports: &Ports<'_>) {
    let mut show = |metric, count: fn(&PortReading) -> u64| {
        let mut family = page.family(metric);
        for (port, queues) in ports {
            family.sample([edge, port], Value::Count(count(&queues.port)));
        }
    };
    show(&PORT_RECEIVED_FRAMES, |port| port.received.frames);
    show(&PORT_RECEIVED_BYTES, |port| port.received.octets);
    show(&PORT_SENT_FRAMES, |port| port.sent.frames);
    show(&PORT_SENT_BYTES, |port| port.sent.octets);
    show(&PORT_WAITING_FRAMES, |port| port.waiting.into());
    let mut family = page.family(&PORT_RATE);
    for (port, queues) in ports.iter().filter(|(_, queues)| queues.port.rate < RATE_MAX) {
        family.sample([edge, port], Value::BitsPerSecond(queues.port.rate.bits_per_second()));
    }
    let mut family = page.family(&PORT_GUARANTEED);
    for (port, queues) in ports {
        family.sample([edge, port], Value::BitsPerSecond(queues.port.guaranteed.bits_per_second()));
    }
}

fn drops(page: &mut Page, drops: &[v1::DropCounter]) {
    let mut family = page.family(&DROPPED);
    for drop in drops {
        let v1::DropCounter { edge, port, slice, segment, reason, packets } = drop;
        family.sample([edge, port, slice, segment, reason], Value::Count(*packets));
    }
}

fn meters(page: &mut Page, meters: &[v1::MeterCounter]) {
    let labels = |meter: &'_ v1::MeterCounter| {
        let v1::MeterCounter { edge, slice, segment, sdp, direction, .. } = meter;
        [edge.clone(), slice.clone(), segment.clone(), sdp.clone(), direction.clone()]
    };
    let mut show = |metric, value: fn(&v1::MeterCounter) -> Option<Value>| {
        let mut family = page.family(metric);
        for (meter, value) in meters.iter().filter_map(|meter| Some((meter, value(meter)?))) {
            family.sample(labels(meter).each_ref().map(String::as_str), value);
        }
    };
    show(&METER_CEILING, |meter| Some(Value::BitsPerSecond(meter.ceiling_bits_per_second)));
    show(&METER_PASSED_FRAMES, |meter| Some(Value::Count(meter.passed_packets)));
    show(&METER_PASSED_BYTES, |meter| Some(Value::Count(meter.passed_octets)));
    // One that drops nothing has no such counter, lest its zero be taken for a good sign.
    let dropped = |meter: &v1::MeterCounter| {
        (meter.excess() == v1::Excess::Dropped).then_some(Value::Count(meter.dropped_packets))
    };
    show(&METER_DROPPED_FRAMES, dropped);
}

fn sessions(page: &mut Page, edge: &str, reading: &WorkersReading) {
    let segments = &reading.pipeline.segments;
    let mut family = page.family(&SESSIONS);
    for segment in segments {
        let SegmentId { slice, segment: name } = segment.id.as_ref();
        family.sample([edge, slice.as_str(), name.as_str()], Value::Count(segment.sessions.into()));
    }
    let mut family = page.family(&SESSIONS_MAX);
    for segment in segments {
        let SegmentId { slice, segment: name } = segment.id.as_ref();
        family.sample([edge, slice.as_str(), name.as_str()], Value::Count(segment.sessions_max.into()));
    }
}

fn paths(page: &mut Page, paths: &[v1::PathReading]) {
    let mut show = |metric, value: fn(&v1::PathReading) -> Option<Value>| {
        let mut family = page.family(metric);
        for path in paths {
            let Some((program, value)) = path.program.as_ref().zip(value(path)) else { continue };
            family.sample([&path.edge, &program.to, &program.id.to_string()], value);
        }
    };
    show(&PATH_UP, |path| {
        let is_known = path.state() != v1::PathState::Unknown;
        is_known.then(|| Value::Count((path.state() == v1::PathState::Up).into()))
    });
    show(&PATH_FAILURES, |path| Some(Value::Count(path.failures)));
    show(&PATH_PROBES_ANSWERED, |path| Some(Value::Count(path.probes_answered)));
    show(&PATH_PROBES_LOST, |path| Some(Value::Count(path.probes_lost)));
    show(&PATH_ROUND_TRIP, |path| {
        path.round_trip.filter(|delays| delays.count > 0).map(|delays| Value::Nanoseconds(delays.p99))
    });
    show(&PATH_FORWARD, |path| {
        path.forward.filter(|delays| delays.count > 0).map(|delays| Value::Nanoseconds(delays.p99))
    });
}

/// A count of a queue, or of a class in a whole slice.
type Count = fn(&Backlog, &QueueCounts) -> u64;

const COUNTS: [Count; 5] = [
    |backlog, _| backlog.frames.into(),
    |backlog, _| backlog.octets.into(),
    |_, counts| counts.frames,
    |_, counts| counts.octets,
    |_, counts| counts.marked,
];

fn slices(page: &mut Page, edge: &str, ports: &Ports<'_>) {
    let classes = || {
        ports.iter().flat_map(|(port, queues)| {
            queues.slices.iter().map(move |class| {
                let slice = class.slice.as_deref().map_or("", |slice| slice.as_str());
                ([edge, port, slice, class.class.as_str()], class)
            })
        })
    };
    let metrics =
        [&SLICE_WAITING_FRAMES, &SLICE_WAITING_BYTES, &SLICE_SENT_FRAMES, &SLICE_SENT_BYTES, &SLICE_MARKED_FRAMES];
    for (metric, count) in metrics.into_iter().zip(COUNTS) {
        let mut family = page.family(metric);
        classes().for_each(|(of, class)| family.sample(of, Value::Count(count(&class.backlog, &class.counts))));
    }
    let mut family = page.family(&SLICE_DROPPED_FRAMES);
    for ([edge, port, slice, class], reading) in classes() {
        for (reason, frames) in dropped(&reading.counts) {
            family.sample([edge, port, slice, class, reason], Value::Count(frames));
        }
    }
    let mut family = page.family(&SLICE_STAY);
    for (of, class) in classes() {
        family.histogram(of, &octaves(&class.sojourns), class.sojourns.frames());
    }
}

fn queues(page: &mut Page, edge: &str, ports: &Ports<'_>) {
    let queues = || {
        ports.iter().flat_map(|(port, queues)| {
            queues.queues.iter().filter_map(move |queue| {
                // What belongs to no slice is told with slices.
                let SegmentId { slice, segment } = queue.segment.as_deref()?;
                Some(([edge, port, slice.as_str(), segment.as_str(), queue.class.as_str()], queue))
            })
        })
    };
    let metrics =
        [&QUEUE_WAITING_FRAMES, &QUEUE_WAITING_BYTES, &QUEUE_SENT_FRAMES, &QUEUE_SENT_BYTES, &QUEUE_MARKED_FRAMES];
    for (metric, count) in metrics.into_iter().zip(COUNTS) {
        let mut family = page.family(metric);
        queues().for_each(|(of, queue)| family.sample(of, Value::Count(count(&queue.backlog, &queue.counts))));
    }
    let mut family = page.family(&QUEUE_DROPPED_FRAMES);
    for ([edge, port, slice, segment, class], queue) in queues() {
        for (reason, frames) in dropped(&queue.counts) {
            family.sample([edge, port, slice, segment, class, reason], Value::Count(frames));
        }
    }
}

/// What was dropped, by reason, as drops.md calls it.
fn dropped(counts: &QueueCounts) -> impl Iterator<Item = (&'static str, u64)> {
    let all = QueueDrop::ALL.map(|reason| (DropReason::from(reason).as_str(), counts.dropped(reason)));
    all.into_iter().filter(|(_, frames)| *frames > 0)
}

/// How many frames stayed no longer than each power of two of nanoseconds, less one: the ends of every second bucket.
fn octaves(sojourns: &Sojourns) -> Vec<(Value, u64)> {
    let ends = sojourns.iter().skip(1).map(|(end, _)| end);
    let mut seen = 0;
    let cumulative = sojourns.iter().zip(ends).map(|((_, frames), end)| {
        seen += frames;
        (end, seen)
    });
    let octaves = cumulative.filter(|(end, _)| end.0.is_power_of_two());
    octaves.map(|(Nanos(end), seen)| (Value::Nanoseconds(end - 1), seen)).collect()
}

fn aaa(page: &mut Page, edge: &str, realms: &[(SegmentId, Status)]) {
    let mut family = page.family(&AAA_READY);
    for (SegmentId { slice, segment }, status) in realms {
        let is_ready = matches!(status.readiness, Readiness::Ready);
        family.sample([edge, slice.as_str(), segment.as_str()], Value::Count(is_ready.into()));
    }
    let mut family = page.family(&AAA_EVENTS);
    for (SegmentId { slice, segment }, status) in realms {
        for (kind, name, count) in status.counters.iter() {
            family.sample([edge, slice.as_str(), segment.as_str(), kind, name], Value::Count(count));
        }
    }
}

metrics::metrics! {
    /// Every metric of an edge, in the order of its page.
    METRICS:
    BUILD_INFO = Gauge "microslice_build_info" ["version"]
        "1; the version of the daemon is in the label.";
    GENERATION = Gauge "microslice_generation" ["edge"]
        "The generation of the program that runs; 0: none.";
    PORT_RECEIVED_FRAMES = Counter "microslice_port_received_frames_total" ["edge", "port"]
        "Frames that arrived.";
    PORT_RECEIVED_BYTES = Counter "microslice_port_received_bytes_total" ["edge", "port"]
        "Octets of frames that arrived.";
    PORT_SENT_FRAMES = Counter "microslice_port_sent_frames_total" ["edge", "port"]
        "Frames that left.";
    PORT_SENT_BYTES = Counter "microslice_port_sent_bytes_total" ["edge", "port"]
        "Octets of frames that left.";
    PORT_WAITING_FRAMES = Gauge "microslice_port_waiting_frames" ["edge", "port"]
        "Frames that wait for their turn to leave.";
    PORT_RATE = Gauge "microslice_port_rate_bytes_per_second" ["edge", "port"]
        "What the port sends at most; absent where nothing is known of the link behind it.";
    PORT_GUARANTEED = Gauge "microslice_port_guaranteed_bytes_per_second" ["edge", "port"]
        "What is guaranteed to all slices together.";
    DROPPED = Counter "microslice_dropped_frames_total" ["edge", "port", "slice", "segment", "reason"]
        "Frames dropped, by the port at which they arrived; without slice and segment, those that belonged to none.";
    METER_CEILING = Gauge "microslice_meter_ceiling_bytes_per_second"
        ["edge", "slice", "segment", "sdp", "direction"]
        "A rate limit: of a micro-segment, or of the slice at one of its SDPs.";
    METER_PASSED_FRAMES = Counter "microslice_meter_passed_frames_total"
        ["edge", "slice", "segment", "sdp", "direction"]
        "Frames that a rate limit let pass.";
    METER_PASSED_BYTES = Counter "microslice_meter_passed_bytes_total"
        ["edge", "slice", "segment", "sdp", "direction"]
        "Octets that a rate limit let pass.";
    METER_DROPPED_FRAMES = Counter "microslice_meter_dropped_frames_total"
        ["edge", "slice", "segment", "sdp", "direction"]
        "Frames above a rate limit; absent where they are not dropped but wait in queues.";
    SESSIONS = Gauge "microslice_sessions" ["edge", "slice", "segment"]
        "Endpoints that are bound.";
    SESSIONS_MAX = Gauge "microslice_sessions_max" ["edge", "slice", "segment"]
        "How many endpoints may be bound.";
    PATH_UP = Gauge "microslice_path_up" ["edge", "to", "path"]
        "1: its probes are answered; 0: they are not; absent: not known yet.";
    PATH_FAILURES = Counter "microslice_path_failures_total" ["edge", "to", "path"]
        "How often a path went down.";
    PATH_PROBES_ANSWERED = Counter "microslice_path_probes_answered_total" ["edge", "to", "path"]
        "Probes that were answered.";
    PATH_PROBES_LOST = Counter "microslice_path_probes_lost_total" ["edge", "to", "path"]
        "Probes that were not answered in time, on the way there or back.";
    PATH_ROUND_TRIP = Gauge "microslice_path_round_trip_p99_seconds" ["edge", "to", "path"]
        "The 99th percentile of the time there and back since the path was first probed; absent: not measured.";
    PATH_FORWARD = Gauge "microslice_path_forward_p99_seconds" ["edge", "to", "path"]
        "The same one way; absent unless the clocks of both ends can be compared.";
    SLICE_WAITING_FRAMES = Gauge "microslice_slice_waiting_frames" ["edge", "port", "slice", "class"]
        "Frames of a class that wait, in all micro-segments of a slice; without slice, those that belong to none.";
    SLICE_WAITING_BYTES = Gauge "microslice_slice_waiting_bytes" ["edge", "port", "slice", "class"]
        "Octets of those frames.";
    SLICE_SENT_FRAMES = Counter "microslice_slice_sent_frames_total" ["edge", "port", "slice", "class"]
        "Frames of a class that were sent from the queues of a slice.";
    SLICE_SENT_BYTES = Counter "microslice_slice_sent_bytes_total" ["edge", "port", "slice", "class"]
        "Octets of those frames, without what the edge puts in front.";
    SLICE_MARKED_FRAMES = Counter "microslice_slice_marked_frames_total" ["edge", "port", "slice", "class"]
        "Frames sent that were marked for congestion.";
    SLICE_DROPPED_FRAMES = Counter "microslice_slice_dropped_frames_total"
        ["edge", "port", "slice", "class", "reason"]
        "Frames that the queues of a slice have not taken, or have dropped.";
    SLICE_STAY = Histogram "microslice_slice_stay_seconds" ["edge", "port", "slice", "class"]
        "How long frames stayed in the queues of a slice. There is no sum.";
    QUEUE_WAITING_FRAMES = Gauge "microslice_queue_waiting_frames" ["edge", "port", "slice", "segment", "class"]
        "Frames of a class that wait in the queue of a micro-segment.";
    QUEUE_WAITING_BYTES = Gauge "microslice_queue_waiting_bytes" ["edge", "port", "slice", "segment", "class"]
        "Octets of those frames.";
    QUEUE_SENT_FRAMES = Counter "microslice_queue_sent_frames_total" ["edge", "port", "slice", "segment", "class"]
        "Frames that were sent from the queue.";
    QUEUE_SENT_BYTES = Counter "microslice_queue_sent_bytes_total" ["edge", "port", "slice", "segment", "class"]
        "Octets of those frames, without what the edge puts in front.";
    QUEUE_MARKED_FRAMES = Counter "microslice_queue_marked_frames_total" ["edge", "port", "slice", "segment", "class"]
        "Frames sent from the queue that were marked for congestion.";
    QUEUE_DROPPED_FRAMES = Counter "microslice_queue_dropped_frames_total"
        ["edge", "port", "slice", "segment", "class", "reason"]
        "Frames that the queue has not taken, or has dropped.";
    WORKER_UP = Gauge "microslice_worker_up" ["edge"]
        "1: packets are forwarded; 0: the dataplane worker has ended, and nothing above is shown.";
    AAA_READY = Gauge "microslice_aaa_ready" ["edge", "slice", "segment"]
        "1: the AAA of the micro-segment can do its work.";
    AAA_EVENTS = Counter "microslice_aaa_events_total" ["edge", "slice", "segment", "kind", "name"]
        "What the AAA answered (count), rejected (reject) and dropped (drop).";
}
