//! The profiles that come with Microslice, against the standards that they cite; and profiles that are wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeSet;

use model::profile::{AaaFeature, Catalog, FiveQi, QueueClass, ResourceType};
use model::program::{InnerMark, OuterMark};
use model::resource;

fn builtin() -> Catalog {
    Catalog::builtin().unwrap_or_else(|error| panic!("{error}"))
}

fn five_qi(value: u64) -> FiveQi {
    FiveQi::new(value).unwrap()
}

/// TS 23.501, table 5.7.4-1: every row by its 5QI, default priority level, packet delay budget in ms, static core
/// network part of it in ms, negative exponent of the packet error rate, and maximum data burst volume.
const TABLE: [(u64, u8, u16, u16, u8, Option<u32>); 31] = [
    (1, 20, 100, 20, 2, None),
    (2, 40, 150, 20, 3, None),
    (3, 30, 50, 20, 3, None),
    (4, 50, 300, 20, 6, None),
    (65, 7, 75, 10, 2, None),
    (66, 20, 100, 20, 2, None),
    (67, 15, 100, 20, 3, None),
    (71, 56, 150, 20, 6, None),
    (72, 56, 300, 20, 4, None),
    (73, 56, 300, 20, 8, None),
    (74, 56, 500, 20, 8, None),
    (76, 56, 500, 20, 4, None),
    (5, 10, 100, 20, 6, None),
    (6, 60, 300, 20, 6, None),
    (7, 70, 100, 20, 3, None),
    (8, 80, 300, 20, 6, None),
    (9, 90, 300, 20, 6, None),
    (10, 90, 1100, 20, 6, None),
    (69, 5, 60, 10, 6, None),
    (70, 55, 200, 10, 6, None),
    (79, 65, 50, 20, 2, None),
    (80, 68, 10, 2, 6, None),
    (82, 19, 10, 1, 4, Some(255)),
    (83, 22, 10, 1, 4, Some(1354)),
    (84, 24, 30, 5, 5, Some(1354)),
    (85, 21, 5, 2, 5, Some(255)),
    (86, 18, 5, 2, 4, Some(1354)),
    (87, 25, 5, 1, 3, Some(500)),
    (88, 25, 10, 1, 3, Some(1125)),
    (89, 25, 15, 1, 4, Some(17000)),
    (90, 25, 20, 1, 4, Some(63000)),
];

#[test]
fn the_table_of_5qis_is_that_of_the_standard() {
    let catalog = builtin();
    let found: Vec<_> = catalog
        .five_qi()
        .rows
        .iter()
        .map(|row| {
            let exponent = row.packet_error_rate.negative_exponent();
            let budgets = (row.delay_budget_ms, row.core_delay_budget_ms);
            (row.five_qi.get().into(), row.priority, budgets.0, budgets.1, exponent, row.burst_octets)
        })
        .collect();
    assert_eq!(found, TABLE);
}

#[test]
fn rows_have_what_their_resource_type_needs() {
    for row in &builtin().five_qi().rows {
        // TS 23.501, sections 5.7.3.6 and 5.7.3.7: an averaging window with a GBR, a burst with a delay-critical one.
        let is_gbr = row.resource_type != ResourceType::NonGbr;
        assert_eq!(row.averaging_window_ms, is_gbr.then_some(2000), "{}", row.five_qi);
        assert_eq!(row.burst_octets.is_some(), row.resource_type == ResourceType::DelayCriticalGbr, "{}", row.five_qi);
        assert!(row.core_delay_budget_ms < row.delay_budget_ms, "{}", row.five_qi);
    }
}

#[test]
fn classes_keep_the_order_of_urgency() {
    let catalog = builtin();
    for row in &catalog.classes().rows {
        // RFC 2474, section 4.2.2: the upper three bits are what a core sees that reads precedence alone.
        assert_eq!(row.traffic_class.get(), row.dscp.get() >> 3, "{}", row.five_qi);
        let of = catalog.five_qi().get(row.five_qi).unwrap();
        let is_critical = of.resource_type == ResourceType::DelayCriticalGbr;
        assert_eq!(row.queue == QueueClass::LowLatency, is_critical, "{}", row.five_qi);
    }
    let dscp = |value| catalog.classes().get(five_qi(value)).unwrap().dscp.get();
    // RFC 4594, figure 3: telephony EF, signalling CS5, conferencing AF41, streaming AF31, standard DF.
    assert_eq!([1, 5, 2, 4, 9].map(dscp), [46, 40, 34, 26, 0]);
    assert_eq!(catalog.classes().rows.len(), TABLE.len());
}

#[test]
fn devices_may_mark_as_rfc_4594_has_it() {
    let catalog = builtin();
    let markings = &catalog.classes().markings;
    // RFC 4594, figure 3, with VOICE-ADMIT of RFC 5865: EF, CS5, AF4x, CS4, AF3x, AF2x, AF1x.
    let figure = [46, 44, 40, 34, 36, 38, 32, 26, 28, 30, 18, 20, 22, 10, 12, 14];
    assert_eq!(markings.iter().map(|row| row.inner.get()).collect::<Vec<_>>(), figure);
    for row in markings {
        assert_eq!(row.dscp, row.inner, "kept as it is");
        assert_eq!(row.traffic_class.get(), row.dscp.get() >> 3, "{}", row.inner);
        // Nobody gets a higher class than the one that is asked for.
        assert!(row.dscp.get() >> 3 <= row.class.get() >> 3, "{}", row.inner);
    }
    let rows = |five_qis: &[u64]| {
        five_qis.iter().map(|value| *catalog.classes().get(five_qi(*value)).unwrap()).collect::<Vec<_>>()
    };
    let heeded = |five_qis: &[u64]| {
        let markings = catalog.classes().markings(&rows(five_qis));
        let code_points = markings.iter().filter_map(|marking| match marking.inner {
            InnerMark::Dscp(inner) => Some((inner.get(), marking.queue)),
            _ => None,
        });
        code_points.collect::<Vec<_>>()
    };
    let (voice, signals) = (QueueClass::RealTime, QueueClass::Signalling);
    assert_eq!(heeded(&[1, 5, 9]), [(40, signals), (44, voice), (46, voice)]);
    assert_eq!(heeded(&[9]), []);
    // Voice and automation have one code point: the more urgent is meant.
    assert_eq!(heeded(&[1, 82]), [(44, QueueClass::LowLatency), (46, QueueClass::LowLatency)]);
}

#[test]
fn flows_and_priorities_are_heeded_as_the_standards_number_them() {
    let catalog = builtin();
    // TS 23.501, section 5.7.1.3: without a guaranteed bit rate, and below 64.
    let flows: Vec<_> =
        catalog.classes().rows.iter().filter_map(|row| Some((row.five_qi.get(), row.qfi?.get()))).collect();
    assert_eq!(flows, [(7, 7), (5, 5), (6, 6), (8, 8), (9, 9), (10, 10)]);
    // IEEE 802.1Q, annex I: 5 voice, 4 video, 3 critical applications, 2 excellent effort; the class is the one whose code
    // point has these upper three bits (RFC 2474, section 4.2.2).
    let priorities: Vec<u8> = catalog.classes().priorities.iter().map(|row| row.priority.get()).collect();
    assert_eq!(priorities, [5, 4, 3, 2]);
    for row in &catalog.classes().priorities {
        let bits = [row.class.get() >> 3, row.dscp.get() >> 3, row.traffic_class.get()];
        assert_eq!(bits, [row.priority.get(); 3]);
    }
    let row = |value| *catalog.classes().get(five_qi(value)).unwrap();
    let markings = catalog.classes().markings(&[row(9), row(5), row(2)]);
    let found: Vec<String> = markings
        .iter()
        .filter_map(|marking| match marking.inner {
            InnerMark::Qfi(qfi) => Some(format!("QFI {qfi}: {} {}", marking.dscp, marking.queue)),
            InnerMark::Dscp(_) => None,
            InnerMark::Priority(priority) => Some(format!("priority {priority}: {} {}", marking.dscp, marking.queue)),
        })
        .collect();
    assert_eq!(found, ["QFI 5: 40 signalling", "QFI 9: 0 best-effort", "priority 4: 34 real-time"]);
    assert!(markings.is_sorted());
}

#[test]
fn queues_are_kept_as_the_standards_suggest() {
    let catalog = builtin();
    let queues = catalog.classes().queue_programs();
    assert_eq!(queues.iter().map(|queue| queue.queue).collect::<Vec<_>>(), QueueClass::ALL);
    assert_eq!(queues.iter().map(|queue| u32::from(queue.weight.get())).sum::<u32>(), 100, "whole percents");
    let table = |critical: bool| {
        catalog
            .five_qi()
            .rows
            .iter()
            .filter(move |row| (row.resource_type == ResourceType::DelayCriticalGbr) == critical)
    };
    // What waits in the low-latency queue is on time for the most urgent 5QI, and the longest burst finds room.
    let urgent = &queues[0];
    let budget = table(true).map(|row| u64::from(row.delay_budget_ms)).min().unwrap();
    assert_eq!(urgent.time_max_nanos, budget * 1_000_000);
    assert!(urgent.octets_max >= table(true).filter_map(|row| row.burst_octets).max().unwrap());
    let of = |value, core: bool| {
        let row = catalog.five_qi().get(five_qi(value)).unwrap();
        u64::from(if core { row.core_delay_budget_ms } else { row.delay_budget_ms }) * 1_000_000
    };
    assert_eq!((queues[1].time_max_nanos, queues[2].time_max_nanos), (of(1, true), of(69, false)));
    // RFC 8289, section 4.3, for what is elastic; nothing where what is on time is not to be dropped.
    let codel = queues.iter().map(|queue| queue.codel.map(|codel| (codel.target_nanos, codel.interval_nanos)));
    let recommended = Some((5_000_000, 100_000_000));
    assert_eq!(codel.collect::<Vec<_>>(), [None, None, None, recommended, recommended]);
}

#[test]
fn nodes_on_the_way_know_urgency_by_what_edges_write() {
    let queues = builtin().classes().transit_queues();
    let of = |outer: OuterMark| queues.iter().find(|queue| queue.outer == outer).map(|queue| queue.queue);
    let dscp = |value| of(OuterMark::Dscp(model::Dscp::new(value).unwrap()));
    let traffic = |value| of(OuterMark::TrafficClass(model::TrafficClass::new(value).unwrap()));
    // By the rows: EF is that of automation (82) and of voice (1), and the more urgent is meant; CS5 is signalling (5).
    let (urgent, real, signals, streams) =
        (QueueClass::LowLatency, QueueClass::RealTime, QueueClass::Signalling, QueueClass::Streaming);
    assert_eq!(
        [46, 44, 40, 34, 32, 26, 18].map(dscp),
        [urgent, urgent, signals, real, real, streams, streams].map(Some)
    );
    assert_eq!([5, 4, 3, 2].map(traffic), [urgent, real, streams, streams].map(Some));
    // Best effort goes without saying.
    assert_eq!([0, 10, 14, 48].map(dscp), [None; 4]);
    assert_eq!([0, 1, 6].map(traffic), [None; 3]);
    assert!(queues.is_sorted());
}

#[test]
fn segments_and_their_aaa_are_what_they_are_meant_for() {
    let catalog = builtin();
    let aaa = |name: &str| &catalog.aaa(&name.parse().unwrap()).unwrap().features;
    let (light, strong) = (aaa("metering-light"), aaa("health-strong"));
    assert!(light.has(AaaFeature::Pap) && !light.has(AaaFeature::Chap));
    assert!(strong.has(AaaFeature::Chap) && !strong.has(AaaFeature::Pap));
    assert!(light.has(AaaFeature::Accounting) && strong.has(AaaFeature::Accounting));
    assert!(strong.session_seconds < light.session_seconds);
    let segment = |name: &str| catalog.segment(&name.parse().unwrap()).unwrap();
    assert_eq!(segment("smart-metering").spec.aaa.as_str(), "metering-light");
    assert_eq!(segment("personal-health").spec.aaa.as_str(), "health-strong");
    let shares = catalog.segments().map(|s| u32::from(s.spec.share.basis_points())).sum::<u32>();
    assert_eq!(shares, 10_000, "the two segments of the reference slice share all of its guarantee");
    let sst: Vec<_> = catalog.templates().map(|t| (t.name.as_str(), t.spec.sst.get())).collect();
    // TS 23.501, table 5.15.2.2-1.
    assert_eq!(sst, [("embb", 1), ("miot", 3), ("urllc", 2), ("v2x", 4)]);
}

#[test]
fn every_file_of_the_profiles_is_read() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles");
    let (mut profiles, mut resources) = (Vec::new(), Vec::new());
    let mut folders = vec![std::path::PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.to_string_lossy().into_owned();
            if path.parent().is_some_and(|p| p.ends_with("reference")) {
                let declared = resource::read(&name, &text).unwrap_or_else(|error| panic!("{error}"));
                resources.extend(declared.into_iter().map(|d| d.resource.id().to_string()));
            } else {
                profiles.push((name, text));
            }
        }
    }
    let catalog = Catalog::from_files(profiles.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let catalog = catalog.unwrap_or_else(|error| panic!("{error}"));
    // What is on disk is what is built in: no file is forgotten.
    let names = |c: &Catalog| -> Vec<String> {
        let templates = c.templates().map(|t| t.name.to_string());
        let segments = c.segments().map(|s| s.name.to_string());
        templates.chain(segments).chain(c.aaa_profiles().map(|a| a.name.to_string())).collect()
    };
    assert_eq!(names(&catalog), names(&builtin()));
    let found: BTreeSet<&str> = resources.iter().map(String::as_str).collect();
    let expected = BTreeSet::from([
        "topology/reference",
        "slice/iot",
        "microsegment/iot/smart-metering",
        "microsegment/iot/personal-health",
        "realm/iot/smart-metering",
        "realm/iot/personal-health",
        "slice/vehicles",
        "slice/handsets",
        "slice/factory",
    ]);
    assert_eq!(found, expected);
    assert_eq!(resources.len(), expected.len());
}

const FIVE_QI: &str = r"apiVersion: microslice/v1
kind: FiveQITable
metadata: { name: t }
spec:
  source: test
  rows:
    - { fiveQI: 9, resourceType: non-GBR, priority: 90, delayBudgetMs: 300, coreDelayBudgetMs: 20,
        packetErrorRate: 1e-6, example: x }
";
const CLASSES: &str = r"apiVersion: microslice/v1
kind: ClassMap
metadata: { name: c }
spec:
  source: test
  rows:
    - { fiveQI: 9, dscp: 0, trafficClass: 0, queue: best-effort }
  queues:
    - { queue: low-latency, weight: 1, octets: 1, time: 1 ms }
    - { queue: real-time, weight: 1, octets: 1, time: 1 ms }
    - { queue: signalling, weight: 1, octets: 1, time: 1 ms }
    - { queue: streaming, weight: 1, octets: 1, time: 1 ms, codel: { target: 1 ms, interval: 9 ms } }
    - { queue: best-effort, weight: 1, octets: 1, time: 1 ms }
";
const TEMPLATE: &str = r#"apiVersion: microslice/v1
kind: Template
metadata: { name: x }
spec:
  description: test
  sst: 3
  defaultFiveQI: 9
  attributes:
    "Slice quality of service: 3GPP 5QI": [9]
    "Maximum number of UEs": 10
"#;
const SEGMENT: &str = r"apiVersion: microslice/v1
kind: SegmentProfile
metadata: { name: s }
spec: { description: test, aaa: a, share: 10 %, ceiling: 10 %, sessionsMax: 5 }
";
const AAA: &str = r"apiVersion: microslice/v1
kind: AaaProfile
metadata: { name: a }
spec:
  description: test
  features: { include: [pap], sessionSeconds: 600, interimSeconds: 60, requestsPerSecondMax: 10 }
";

fn load(files: [(&str, &str); 5]) -> Result<Catalog, String> {
    Catalog::from_files(files).map_err(|error| error.to_string())
}

fn files() -> [(&'static str, &'static str); 5] {
    [("q.yaml", FIVE_QI), ("c.yaml", CLASSES), ("t.yaml", TEMPLATE), ("s.yaml", SEGMENT), ("a.yaml", AAA)]
}

#[test]
fn a_wrong_profile_is_refused_where_it_is_wrong() {
    assert!(load(files()).is_ok());
    for (file, from, to, expected) in [
        (
            2,
            "Maximum number of UEs\": 10",
            "Maximum number of UE\": 10",
            "t.yaml:10:29: spec.attributes.Maximum number of UE: `Maximum number of UE` is not a GST attribute; expected one of `Maximum number of PDU sessions`",
        ),
        (
            2,
            "[9]",
            "[9, 75]",
            "t.yaml:9:5: spec.attributes.Slice quality of service: 3GPP 5QI: 5QI 75 does not stand in the table of 5QIs",
        ),
        (
            2,
            "defaultFiveQI: 9",
            "defaultFiveQI: 8",
            "t.yaml:7:18: spec.defaultFiveQI: 8 is not one of the template's 5QIs",
        ),
        (
            2,
            "    \"Slice quality of service: 3GPP 5QI\": [9]\n",
            "",
            "t.yaml:8:3: spec.attributes: missing attribute `Slice quality of service: 3GPP 5QI`; expected the 5QIs of the slice",
        ),
        (
            2,
            "kind: Template",
            "kind: Nest",
            "t.yaml:2:7: kind: `Nest` is not a kind that is read here; expected one of Template, SegmentProfile, AaaProfile, FiveQITable, ClassMap",
        ),
        (
            1,
            "fiveQI: 9",
            "fiveQI: 8",
            "c.yaml:6:3: spec.rows: no row for 5QI 9; expected one for each 5QI of the table",
        ),
        (1, "dscp: 0", "dscp: 48", "c.yaml:7:26: spec.rows[0].dscp: 48 is for network control; expected 0 to 47"),
        (
            1,
            "best-effort }",
            "best-effort }\n  markings: [{ inner: 8, class: 0, dscp: 56, trafficClass: 0 }]",
            "c.yaml:8:42: spec.markings[0].dscp: 56 is for network control; expected 0 to 47",
        ),
        (
            1,
            "best-effort }",
            "best-effort }\n  markings: [{ inner: 8, class: 8, dscp: 8, trafficClass: 1 }]",
            "c.yaml:8:33: spec.markings[0].class: no 5QI has the code point 8; expected that of a row",
        ),
        (
            1,
            "best-effort }",
            "best-effort }\n  markings:\n    - { inner: 8, class: 0, dscp: 0, trafficClass: 0 }\n    - { inner: 8, class: 0, dscp: 8, trafficClass: 1 }",
            "c.yaml:10:16: spec.markings[1].inner: code point 8 is told twice; expected it once",
        ),
        (
            1,
            "best-effort }",
            "best-effort }\n  priorities:\n    - { priority: 3, class: 0, dscp: 0, trafficClass: 0 }\n    - { priority: 3, class: 0, dscp: 0, trafficClass: 0 }",
            "c.yaml:10:19: spec.priorities[1].priority: priority 3 is told twice; expected it once",
        ),
        (
            1,
            "best-effort }",
            "best-effort }\n  priorities: [{ priority: 8, class: 0, dscp: 0, trafficClass: 0 }]",
            "c.yaml:8:28: spec.priorities[0].priority: 8 is not an 802.1p priority; expected 0 to 7",
        ),
        (
            1,
            "best-effort }",
            "best-effort, qfi: 0 }",
            "c.yaml:7:71: spec.rows[0].qfi: 0 is the QFI of no flow; expected 1 to 63",
        ),
        (
            1,
            "best-effort }",
            "best-effort }\n    - { fiveQI: 82, dscp: 46, trafficClass: 5, queue: low-latency, qfi: 9 }",
            "c.yaml:8:73: spec.rows[1].qfi: QFI 9 is that of 5QI 9, too; expected it once",
        ),
        (
            1,
            "    - { queue: signalling, weight: 1, octets: 1, time: 1 ms }\n",
            "",
            "c.yaml:8:3: spec.queues: no row for the queue signalling; expected one for each queue",
        ),
        (
            1,
            "queue: signalling",
            "queue: streaming",
            "c.yaml:12:16: spec.queues[3].queue: queue streaming is told twice; expected it once",
        ),
        (1, "weight: 1", "weight: 101", "c.yaml:9:37: spec.queues[0].weight: 101 is not a weight; expected 1 to 100"),
        (1, "time: 1 ms", "time: 0 ms", "c.yaml:9:57: spec.queues[0].time: 0 ns lets nothing wait; expected more"),
        (
            1,
            "target: 1 ms",
            "target: 9 ms",
            "c.yaml:12:78: spec.queues[3].codel.target: 9 ms is no target; expected more than 0 ns and less than the interval of 9 ms",
        ),
        (1, "dscp: 0", "dscp: 64", "c.yaml:7:26: spec.rows[0].dscp: 64 is not a DSCP; expected 0 to 63"),
        (3, "aaa: a", "aaa: b", "s.yaml:4:33: spec.aaa: there is no AAA profile `b`"),
        (
            3,
            "sessionsMax: 5",
            "sessionsMax: 0",
            "s.yaml:4:77: spec.sessionsMax: 0 is not a number in range; expected 1 to 4294967295",
        ),
        (
            4,
            "[pap]",
            "[pap, eap-tls]",
            "a.yaml:6:30: spec.features.include[1]: unknown variant `eap-tls`, expected one of `pap`, `chap`, `accounting`, `framed-address-hint`, `status-server`",
        ),
        // RFC 2869, section 5.16: not less than 60.
        (
            4,
            "interimSeconds: 60",
            "interimSeconds: 59",
            "a.yaml:6:68: spec.features.interimSeconds: 59 is not a number in range; expected 60 to 4294967295",
        ),
        (
            0,
            "kind: FiveQITable",
            "kind: ClassMap",
            "q.yaml:7:96: spec.rows[0].coreDelayBudgetMs: unknown field `coreDelayBudgetMs`",
        ),
    ] {
        let mut files = files();
        assert!(files[file].1.contains(from), "{from}");
        let text = files[file].1.replacen(from, to, 1);
        files[file].1 = &text;
        let error = load(files).map(|_| ()).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    let mut twice = files();
    twice[3] = ("t2.yaml", TEMPLATE);
    let error = load(twice).map(|_| ()).unwrap_err();
    assert_eq!(error, "t2.yaml:3:19: metadata.name: this profile stands twice; expected it once");
    let missing = Catalog::from_files([files()[0]]).map(|_| ()).unwrap_err().to_string();
    assert_eq!(missing, "there is no document of kind ClassMap; expected one");
}
