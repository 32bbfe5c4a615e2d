//! What waits, as the manager tells it, in its three forms.

use std::process::Stdio;
use std::time::Duration;

use api::v1;
use serde_json::json;

use crate::manager::{Answers, Manager};
use crate::process::{end, forms, text};

pub(crate) fn queue(segment: &str, class: &str) -> v1::QueueCounter {
    v1::QueueCounter {
        edge: text("edge-a"),
        port: text("core0"),
        slice: text("iot"),
        segment: text(segment),
        class: text(class),
        ..v1::QueueCounter::default()
    }
}

pub(crate) fn port(edge: &str, port: &str) -> v1::PortCounter {
    v1::PortCounter { edge: text(edge), port: text(port), ..v1::PortCounter::default() }
}

fn answer() -> v1::ListQueuesResponse {
    let buckets = vec![
        v1::SojournBucket { from_nanoseconds: 0, below_nanoseconds: Some(1_024), frames: 98 },
        v1::SojournBucket { from_nanoseconds: 805_306_368, below_nanoseconds: None, frames: 2 },
    ];
    let whole = v1::QueueCounter {
        sent_frames: 100,
        sent_octets: 100_000,
        sojourns: Some(v1::Sojourns { buckets }),
        ..queue("", "low-latency")
    };
    let drop = |reason: &str, frames| v1::QueueDrop { reason: text(reason), frames };
    let one = v1::QueueCounter {
        waiting_frames: 3,
        waiting_octets: 4_242,
        sent_frames: 100,
        sent_octets: 100_000,
        marked_frames: 7,
        dropped: vec![drop("queue-time", 4), drop("queue-stands", u64::MAX)],
        ..queue("smart-metering", "low-latency")
    };
    let core = v1::PortCounter {
        rate_bits_per_second: Some(1_000_000_000),
        guaranteed_bits_per_second: 20_000_000,
        waiting_frames: 3,
        sent_frames: 101,
        sent_octets: 107_000,
        read_at_nanoseconds: 5,
        ..port("edge-a", "core0")
    };
    let unreachable = Vec::new();
    v1::ListQueuesResponse { queues: vec![whole, one], ports: vec![port("edge-a", "access0"), core], unreachable }
}

#[test]
fn queues_are_told_with_their_ports_and_narrowed_as_asked() {
    let manager = Manager::start(Answers { queues: answer(), ..Answers::default() });
    let narrow = ["--edge", "edge-a", "--slice", "iot", "--segment", "smart-metering"];
    manager.slicectl(&[&["dataplane", "queues"], &narrow[..]].concat()).quietly();
    let asked: v1::ListQueuesRequest = manager.request("ListQueues");
    assert_eq!((asked.edge, asked.slice, asked.segment), (text("edge-a"), text("iot"), text("smart-metering")));
    let row = |segment: &str, more: serde_json::Value| {
        let mut row = json!({
            "edge": "edge-a", "port": "core0", "slice": "iot", "segment": segment, "class": "low-latency",
            "waitingFrames": "0", "waitingOctets": "0", "sentFrames": "100", "sentOctets": "100000", "markedFrames": "0",
            "dropped": [],
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let port = |port: &str, more: serde_json::Value| {
        let mut row = json!({
            "edge": "edge-a", "port": port, "guaranteedBitsPerSecond": "0", "waitingFrames": "0",
            "receivedFrames": "0", "receivedOctets": "0", "sentFrames": "0", "sentOctets": "0", "readAtNanoseconds": "0",
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let buckets = json!([
        { "fromNanoseconds": "0", "belowNanoseconds": "1024", "frames": "98" },
        { "fromNanoseconds": "805306368", "frames": "2" },
    ]);
    let dropped = json!([
        { "reason": "queue-time", "frames": "4" },
        { "reason": "queue-stands", "frames": "18446744073709551615" },
    ]);
    let waits = json!({ "waitingFrames": "3", "waitingOctets": "4242", "markedFrames": "7", "dropped": dropped });
    let core = json!({
        "rateBitsPerSecond": "1000000000", "guaranteedBitsPerSecond": "20000000", "waitingFrames": "3",
        "sentFrames": "101", "sentOctets": "107000", "readAtNanoseconds": "5",
    });
    forms(
        &manager,
        &["dataplane", "queues"],
        "\
EDGE    PORT     RATE       GUARANTEED  WAITING  SENT FRAMES  SENT OCTETS
edge-a  access0  not known  0 bit/s     0        0            0
edge-a  core0    1 Gbit/s   20 Mbit/s   3        101          107000

queues
EDGE    PORT   OF                  CLASS        WAITING     SENT FRAMES  SENT OCTETS  MARKED  DROPPED                                          99TH STAY
edge-a  core0  iot (all)           low-latency  0 (0 B)     100          100000       0       0                                                >= 805.31 ms
edge-a  core0  iot/smart-metering  low-latency  3 (4242 B)  100          100000       7       4 queue-time, 18446744073709551615 queue-stands  not watched

not watched: how long frames stay is told of whole slices, and of a micro-segment from when it is asked for by --slice and --segment
",
        &json!({
            "queues": [row("", json!({ "sojourns": { "buckets": buckets } })), row("smart-metering", waits)],
            "ports": [port("access0", json!({})), port("core0", core)],
            "unreachable": [],
        }),
    );
}

#[test]
fn an_edge_that_does_not_answer_is_named_beside() {
    let unreachable = vec![v1::Unreachable { edge: text("edge-b"), reason: text("it is away") }];
    let queues = v1::ListQueuesResponse { unreachable, ..v1::ListQueuesResponse::default() };
    let manager = Manager::start(Answers { queues, ..Answers::default() });
    let ended = manager.slicectl(&["dataplane", "queues"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, "edge-b is not in this answer: it is away\n"));
    assert_eq!(ended.out, "none\n\nqueues\nnone\n");
}

/// Half a second between two readings: 1,000 frames of 125 octets are 2 Mbit/s. Then nothing more.
fn busy() -> Answers {
    let reading = |at: u64, frames: u64| {
        let queue = |segment: &str| v1::QueueCounter {
            waiting_frames: 3,
            waiting_octets: 375,
            sent_frames: frames,
            sent_octets: 125 * frames,
            dropped: vec![v1::QueueDrop { reason: text("queue-time"), frames: frames / 100 }],
            ..queue(segment, "low-latency")
        };
        let bucket = v1::SojournBucket { from_nanoseconds: 1_024, below_nanoseconds: Some(1_536), frames };
        let whole = v1::QueueCounter { sojourns: Some(v1::Sojourns { buckets: vec![bucket] }), ..queue("") };
        let core = v1::PortCounter {
            rate_bits_per_second: Some(1_000_000_000),
            received_octets: 2 * 125 * frames,
            sent_frames: frames,
            sent_octets: 125 * frames,
            waiting_frames: 3,
            read_at_nanoseconds: at,
            ..port("edge-a", "core0")
        };
        let queues = vec![whole, queue("smart-metering"), v1::QueueCounter::default()];
        v1::ListQueuesResponse { queues, ports: vec![core], unreachable: Vec::new() }
    };
    let queues_before = vec![reading(1_000_000_000, 500), reading(1_500_000_000, 1_500)];
    Answers { queues_before, queues: reading(2_000_000_000, 1_500), ..Answers::default() }
}

const PORTS: &str = "\
EDGE    PORT   RATE      RECEIVED     SENT         FRAMES/S  WAITING
edge-a  core0  1 Gbit/s  4.00 Mbit/s  2.00 Mbit/s  2000      3
";

#[test]
fn top_tells_what_queues_do_a_second() {
    let manager = Manager::start(busy());
    let top = ["dataplane", "top", "--every", "100ms", "--slice", "iot"];
    let expected = format!(
        "{PORTS}
queues
EDGE    PORT   OF                  CLASS        SENT         FRAMES/S  WAITING    MARKED/S  DROPPED/S  99TH STAY
edge-a  core0  iot/smart-metering  low-latency  2.00 Mbit/s  2000      3 (375 B)  0.0       20.0       < 1.5 us
"
    );
    // The second table: nothing was sent, and what waits still does.
    let silent = "
EDGE    PORT   RATE      RECEIVED  SENT     FRAMES/S  WAITING
edge-a  core0  1 Gbit/s  0 bit/s   0 bit/s  0         3

queues
EDGE    PORT   OF                  CLASS        SENT     FRAMES/S  WAITING    MARKED/S  DROPPED/S  99TH STAY
edge-a  core0  iot/smart-metering  low-latency  0 bit/s  0         3 (375 B)  0.0       0.0
";
    assert_eq!(manager.slicectl(&[&top[..], &["--count", "2"]].concat()).quietly(), expected + silent);
    assert_eq!(manager.asked(), ["ListQueues"; 3]);

    let manager = Manager::start(busy());
    let out = manager.slicectl(&[&top[..], &["--count", "1", "--by", "slice", "--rows", "0"]].concat()).quietly();
    assert_eq!(out, format!("{PORTS}\nqueues\nnone\n1 more; --rows says how many are shown\n"));
}

#[test]
fn top_as_messages_is_one_document_a_reading_with_everything_in_it() {
    let manager = Manager::start(busy());
    let out = manager.slicectl(&["dataplane", "top", "--every", "100ms", "--count", "2", "-o", "json"]).quietly();
    let documents: Vec<serde_json::Value> =
        serde_json::Deserializer::from_str(&out).into_iter().collect::<Result<_, _>>().unwrap();
    let queue = |segment: &str| {
        json!({
            "edge": "edge-a", "port": "core0", "slice": "iot", "segment": segment, "class": "low-latency",
            "sentBitsPerSecond": "2000000", "sentFramesPerSecond": 2000.0, "waitingFrames": "3", "waitingOctets": "375",
            "markedFramesPerSecond": 0.0, "droppedFramesPerSecond": 20.0,
            "p99": { "fromNanoseconds": "1024", "belowNanoseconds": "1536", "frames": "1000" },
        })
    };
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0]["queues"], json!([queue(""), queue("smart-metering")]));
    assert_eq!(documents[0]["ports"][0]["sentBitsPerSecond"], "2000000");
    assert_eq!(documents[1]["queues"][0]["sentBitsPerSecond"], "0");
}

#[test]
fn top_ends_when_it_is_interrupted_and_does_not_hurry() {
    let manager = Manager::start(busy());
    let mut command = manager.command(&["dataplane", "top", "--every", "100ms"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while manager.asked().len() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let ended = end(child);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.starts_with(PORTS), "{}", ended.out);
    let said = manager.slicectl(&["dataplane", "top", "--every", "99ms"]).refused(2);
    assert!(said.contains("`99ms`: expected at least 100ms"), "{said}");
}
