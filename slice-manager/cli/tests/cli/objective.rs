//! What slices were promised and what they got, as the manager measured it, in its three forms.

use api::v1;
use serde_json::json;

use crate::manager::{Answers, Manager};
use crate::process::{forms, text};

fn answer(guarantee: v1::Verdict) -> v1::MeasureObjectivesResponse {
    let rate = v1::RateObjective {
        edge: text("edge-a"),
        sdp: text("city"),
        direction: text("from-access"),
        promised: Some(v1::RateLimits { guaranteed_bits_per_second: 20_000_000, ceiling_bits_per_second: 100_000_000 }),
        offered_bits_per_second: Some(12_345_678),
        sent_bits_per_second: Some(9_994_400),
        dropped_frames: 3,
        waiting_frames: 40,
        guarantee: guarantee.into(),
        ceiling: v1::Verdict::Met.into(),
        reason: text("because"),
    };
    let unread = v1::RateObjective {
        edge: text("edge-b"),
        sdp: text("hospital"),
        direction: text("from-access"),
        guarantee: v1::Verdict::NotMeasurable.into(),
        ceiling: v1::Verdict::NotMeasurable.into(),
        reason: text("its edge was not read twice"),
        ..v1::RateObjective::default()
    };
    let delay = v1::DelayObjective {
        from: text("edge-a"),
        to: text("edge-c"),
        path: 1,
        backup: false,
        promised_nanoseconds: Some(10_000_000),
        path_nanoseconds: Some(3_104_000),
        sending_nanoseconds: Some(1_536),
        receiving_nanoseconds: None,
        probes_answered: 9,
        probes_lost: 1,
        verdict: v1::Verdict::Met.into(),
        reason: String::new(),
    };
    let backup = v1::DelayObjective {
        from: text("edge-a"),
        to: text("edge-c"),
        path: 2,
        backup: true,
        sending_nanoseconds: Some(u64::MAX),
        ..v1::DelayObjective::default()
    };
    let slice = v1::SliceObjectives {
        slice: text("iot"),
        verdict: guarantee.into(),
        rates: vec![rate, unread],
        delays: vec![delay, backup],
    };
    v1::MeasureObjectivesResponse { slices: vec![slice], unreachable: vec![] }
}

#[test]
fn what_is_promised_stands_beside_what_was_measured() {
    let objectives = answer(v1::Verdict::NotMeasurable);
    let manager = Manager::start(Answers { objectives, ..Answers::default() });
    manager.slicectl(&["slice", "slo", "iot", "--over", "500ms"]).quietly();
    let asked: v1::MeasureObjectivesRequest = manager.request("MeasureObjectives");
    assert_eq!((asked.slice.as_str(), asked.interval_nanoseconds), ("iot", 500_000_000));
    let table = "\
SLICE  OBJECTIVES
iot    not measurable

iot: rates
EDGE    SDP       DIRECTION    GUARANTEED  CEILING     LET IN       SENT       DROPPED  WAITING  GUARANTEE       CEILING HELD    WHY
edge-a  city      from-access  20 Mbit/s   100 Mbit/s  12.35 Mbit/s  9.99 Mbit/s  3        40       not measurable  met             because
edge-b  hospital  from-access                                                   not measurable  not measurable  its edge was not read twice

iot: delays, 99th percentile
PATH                      IS ITS   PROMISED  ON THE PATH  SENDING         RECEIVING  PROBES LOST  BOUND         WHY
edge-a to edge-c, path 1  working  10 ms     3.10 ms      < 1.5 us        not measured  1 of 10      met
edge-a to edge-c, path 2  backup   nothing                beyond measure  not measured  not measured    not promised
";
    let squeezed =
        |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    let shown = manager.slicectl(&["slice", "slo", "iot"]).quietly();
    assert_eq!(squeezed(&shown), squeezed(table));
    let message = json!({
        "slices": [{
            "slice": "iot",
            "verdict": "VERDICT_NOT_MEASURABLE",
            "rates": [
                {
                    "edge": "edge-a", "sdp": "city", "direction": "from-access",
                    "promised": { "guaranteedBitsPerSecond": "20000000", "ceilingBitsPerSecond": "100000000" },
                    "offeredBitsPerSecond": "12345678", "sentBitsPerSecond": "9994400", "droppedFrames": "3",
                    "waitingFrames": "40", "guarantee": "VERDICT_NOT_MEASURABLE", "ceiling": "VERDICT_MET",
                    "reason": "because",
                },
                {
                    "edge": "edge-b", "sdp": "hospital", "direction": "from-access", "droppedFrames": "0",
                    "waitingFrames": "0", "guarantee": "VERDICT_NOT_MEASURABLE",
                    "ceiling": "VERDICT_NOT_MEASURABLE", "reason": "its edge was not read twice",
                },
            ],
            "delays": [
                {
                    "from": "edge-a", "to": "edge-c", "path": 1, "backup": false, "promisedNanoseconds": "10000000",
                    "pathNanoseconds": "3104000", "sendingNanoseconds": "1536", "probesAnswered": "9",
                    "probesLost": "1", "verdict": "VERDICT_MET", "reason": "",
                },
                {
                    "from": "edge-a", "to": "edge-c", "path": 2, "backup": true,
                    "sendingNanoseconds": "18446744073709551615", "probesAnswered": "0", "probesLost": "0",
                    "verdict": "VERDICT_UNSPECIFIED", "reason": "",
                },
            ],
        }],
        "unreachable": [],
    });
    forms(&manager, &["slice", "slo", "iot"], &shown, &message);
}

#[test]
fn an_objective_that_is_not_met_is_a_failure_and_what_can_t_be_measured_is_none() {
    let objectives = answer(v1::Verdict::NotMet);
    let manager = Manager::start(Answers { objectives, ..Answers::default() });
    let ended = manager.slicectl(&["slice", "slo"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, "error: an objective of one slice is not met\n"));
    assert!(ended.out.starts_with("SLICE  OBJECTIVES\niot    not met\n"), "{}", ended.out);
    let asked: v1::MeasureObjectivesRequest = manager.request("MeasureObjectives");
    assert_eq!((asked.slice.as_str(), asked.interval_nanoseconds), ("", 1_000_000_000));
    let said = manager.slicectl(&["slice", "slo", "--over", "11s"]).refused(2);
    assert!(said.contains("`11s`: expected 100ms to 10s"), "{said}");
}
