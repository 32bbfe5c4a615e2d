//! Looking at operations, sessions, counters and templates, each in its three forms.

use api::v1;
use serde_json::{Value, json};

use crate::intent::{operation, operation_json};
use crate::manager::{Answers, Manager};
use crate::process::{MOMENT, forms, text};

#[test]
fn operations_are_listed_up_to_a_limit() {
    let operations = v1::ListOperationsResponse { operations: vec![operation()] };
    let manager = Manager::start(Answers { operations, ..Answers::default() });
    manager.slicectl(&["op", "list", "--limit", "3"]).quietly();
    assert_eq!(manager.request::<v1::ListOperationsRequest>("ListOperations").page_size, 3);
    forms(
        &manager,
        &["op", "list"],
        "\
ID    STATE       GENERATION        STARTED               BY                                CHANGES
op-7  PROCESSING  9007199254740993  2023-11-14T22:13:20Z  urn:microslice:operator:operator  + slice/iot
",
        &json!({ "operations": [operation_json()] }),
    );
}

#[test]
fn an_operation_is_shown_with_its_problem() {
    let mut failed = operation();
    failed.state = v1::OperationState::FailedTemp.into();
    failed.problem = Some(v1::OperationProblem { edge: text("edge-a"), generation: 4, reason: text("no port core1") });
    let manager = Manager::start(Answers { operation: failed, ..Answers::default() });
    // Looking at a failure is no failure.
    let out = manager.slicectl(&["op", "show", "op-7"]).quietly();
    assert!(out.contains("\nproblem      edge-a can't run generation 4: no port core1\n"), "{out}");
    assert_eq!(manager.request::<v1::GetOperationRequest>("GetOperation").id, "op-7");
    let mut message = operation_json();
    message["state"] = json!("FAILED_TEMP");
    message["problem"] = json!({ "edge": "edge-a", "generation": "4", "reason": "no port core1" });
    forms(&manager, &["op", "show", "op-7"], &out, &message);
    let said = manager.slicectl(&["op", "show", "7"]).refused(2);
    assert!(said.contains("`7` is not the id of an operation; expected one such as `op-7`"), "{said}");
}

fn unreachable() -> Vec<v1::Unreachable> {
    vec![v1::Unreachable { edge: text("edge-b"), reason: text("not attached") }]
}

#[test]
fn drops_are_shown_and_edges_that_are_away_are_named_beside() {
    let drop = v1::DropCounter {
        edge: text("edge-a"),
        port: text("access0"),
        slice: text("iot"),
        segment: text("smart-metering"),
        reason: text("cross-segment"),
        packets: 12,
    };
    let drops = v1::DropsResponse { drops: vec![drop], unreachable: unreachable() };
    let manager = Manager::start(Answers { drops, ..Answers::default() });
    let ended = manager.slicectl(&["dataplane", "drops", "--edge", "edge-a"]);
    assert_eq!(manager.request::<v1::DataplaneRequest>("GetDrops").edge, "edge-a");
    assert_eq!((ended.code, ended.err.as_str()), (0, "edge-b is not in this answer: not attached\n"));
    assert_eq!(
        ended.out,
        "\
EDGE    PORT     SLICE  SEGMENT         REASON         PACKETS
edge-a  access0  iot    smart-metering  cross-segment  12
"
    );
    let ended = manager.slicectl(&["dataplane", "drops", "-o", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&ended.out).unwrap(),
        json!({
            "drops": [{
                "edge": "edge-a", "port": "access0", "slice": "iot", "segment": "smart-metering",
                "reason": "cross-segment", "packets": "12",
            }],
            "unreachable": [{ "edge": "edge-b", "reason": "not attached" }],
        })
    );
}

#[test]
fn meters_are_shown_for_segments_and_for_demarcation_points() {
    let meter = |segment: &str, sdp: &str, excess: v1::Excess| v1::MeterCounter {
        edge: text("edge-a"),
        slice: text("iot"),
        segment: text(segment),
        direction: text("from-access"),
        ceiling_bits_per_second: 100_000_000,
        passed_packets: 1,
        passed_octets: u64::MAX,
        dropped_packets: 2,
        sdp: text(sdp),
        excess: excess.into(),
        read_at_nanoseconds: 5,
    };
    let meters = vec![meter("smart-metering", "", v1::Excess::Dropped), meter("", "city", v1::Excess::Waits)];
    let meters = v1::MetersResponse { meters, unreachable: vec![] };
    let manager = Manager::start(Answers { meters, ..Answers::default() });
    let message = |segment: &str, sdp: &str, excess: &str| {
        json!({
            "edge": "edge-a", "slice": "iot", "segment": segment, "direction": "from-access",
            "ceilingBitsPerSecond": "100000000", "passedPackets": "1", "passedOctets": "18446744073709551615",
            "droppedPackets": "2", "sdp": sdp, "excess": excess, "readAtNanoseconds": "5",
        })
    };
    forms(
        &manager,
        &["dataplane", "meters"],
        "\
EDGE    SLICE  OF                      DIRECTION    CEILING     PASSED PACKETS  PASSED OCTETS         WHAT IS ABOVE
edge-a  iot    segment smart-metering  from-access  100 Mbit/s  1               18446744073709551615  dropped 2 packets
edge-a  iot    SDP city                from-access  100 Mbit/s  1               18446744073709551615  waits in queues
",
        &json!({
            "meters": [message("smart-metering", "", "EXCESS_DROPPED"), message("", "city", "EXCESS_WAITS")],
            "unreachable": [],
        }),
    );
}

/// A device that is in.
pub(crate) fn session() -> v1::Session {
    v1::Session {
        edge: text("edge-a"),
        slice: text("iot"),
        segment: text("smart-metering"),
        id: text("s-1"),
        identity: text("meter-1"),
        mac: text("02:00:00:00:00:01"),
        addresses: vec![text("192.0.2.1"), text("2001:db8::1")],
        client: text("city-switch"),
        since: Some(MOMENT),
        expires: None,
        octets_from: 5,
        octets_to: 6,
    }
}

#[test]
fn sessions_are_narrowed_as_asked() {
    let sessions = v1::ListSessionsResponse { sessions: vec![session()], unreachable: vec![] };
    let manager = Manager::start(Answers { sessions, ..Answers::default() });
    let narrow = ["--edge", "edge-a", "--slice", "iot", "--segment", "smart-metering"];
    manager.slicectl(&[&["aaa", "session", "list"], &narrow[..]].concat()).quietly();
    let asked: v1::ListSessionsRequest = manager.request("ListSessions");
    assert_eq!((asked.edge, asked.slice, asked.segment), (text("edge-a"), text("iot"), text("smart-metering")));
    let row = "\
edge-a  iot/smart-metering  meter-1   02:00:00:00:00:01  192.0.2.1, 2001:db8::1  city-switch  2026-01-02T03:04:05Z";
    let header = "\
EDGE    SEGMENT             IDENTITY  MAC                ADDRESSES               CLIENT       SINCE               ";
    forms(
        &manager,
        &["aaa", "session", "list"],
        &format!("{header}  EXPIRES  OCTETS FROM  OCTETS TO\n{row}           5            6\n"),
        &json!({
            "sessions": [{
                "edge": "edge-a", "slice": "iot", "segment": "smart-metering", "id": "s-1", "identity": "meter-1",
                "mac": "02:00:00:00:00:01", "addresses": ["192.0.2.1", "2001:db8::1"], "client": "city-switch",
                "since": "2026-01-02T03:04:05.000006Z", "octetsFrom": "5", "octetsTo": "6",
            }],
            "unreachable": [],
        }),
    );
}

#[test]
fn counters_of_the_aaa_are_narrowed_as_asked_and_edges_that_are_away_are_named_beside() {
    let counter = v1::AaaCounter {
        edge: text("edge-a"),
        slice: text("iot"),
        segment: text("smart-metering"),
        kind: text("drop"),
        name: text("message-authenticator-wrong"),
        count: u64::MAX,
    };
    let aaa_counters = v1::ListCountersResponse { counters: vec![counter], unreachable: unreachable() };
    let manager = Manager::start(Answers { aaa_counters, ..Answers::default() });
    let narrow = ["--edge", "edge-a", "--slice", "iot", "--segment", "smart-metering"];
    let ended = manager.slicectl(&[&["aaa", "counters"], &narrow[..]].concat());
    let asked: v1::ListCountersRequest = manager.request("ListCounters");
    assert_eq!((asked.edge, asked.slice, asked.segment), (text("edge-a"), text("iot"), text("smart-metering")));
    assert_eq!((ended.code, ended.err.as_str()), (0, "edge-b is not in this answer: not attached\n"));
    assert_eq!(
        ended.out,
        "\
EDGE    SEGMENT             KIND  NAME                         COUNT
edge-a  iot/smart-metering  drop  message-authenticator-wrong  18446744073709551615
"
    );
    let ended = manager.slicectl(&["aaa", "counters", "-o", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&ended.out).unwrap(),
        json!({
            "counters": [{
                "edge": "edge-a", "slice": "iot", "segment": "smart-metering", "kind": "drop",
                "name": "message-authenticator-wrong", "count": "18446744073709551615",
            }],
            "unreachable": [{ "edge": "edge-b", "reason": "not attached" }],
        })
    );
}

fn template() -> v1::Template {
    let derivation = |source: &str, value: &str, field: &str, result: &str, rule: &str| v1::Derivation {
        source: text(source),
        value: text(value),
        field: text(field),
        result: text(result),
        rule: text(rule),
    };
    v1::Template {
        name: text("miot"),
        description: text("Many things, little rate."),
        sst: 3,
        default_five_qi: 8,
        attributes: vec![v1::TemplateAttribute { name: text("Availability"), value: text("99.9 %") }],
        derivation: vec![
            derivation("Downlink throughput per network slice", "100 Mbit/s", "ceiling", "100 Mbit/s", "as it is"),
            derivation("Availability", "99.9 %", "", "", "the transport promises none"),
        ],
    }
}

#[test]
fn templates_are_listed_and_explained() {
    let templates = v1::ListTemplatesResponse { templates: vec![template()] };
    let manager = Manager::start(Answers { templates, template: template(), ..Answers::default() });
    let message = json!({
        "name": "miot", "description": "Many things, little rate.", "sst": 3, "defaultFiveQi": 8,
        "attributes": [{ "name": "Availability", "value": "99.9 %" }],
        "derivation": [
            {
                "source": "Downlink throughput per network slice", "value": "100 Mbit/s", "field": "ceiling",
                "result": "100 Mbit/s", "rule": "as it is",
            },
            {
                "source": "Availability", "value": "99.9 %", "field": "", "result": "",
                "rule": "the transport promises none",
            },
        ],
    });
    forms(
        &manager,
        &["template", "list"],
        "\
TEMPLATE  SST  DEFAULT 5QI  DESCRIPTION
miot      3    8            Many things, little rate.
",
        &json!({ "templates": [message] }),
    );
    let head = "\
template     miot
description  Many things, little rate.
sst          3
default 5qi  8
";
    forms(
        &manager,
        &["template", "show", "miot"],
        &format!("{head}\nattributes\nATTRIBUTE     VALUE\nAvailability  99.9 %\n"),
        &message,
    );
    assert_eq!(
        manager.slicectl(&["template", "show", "miot", "--explain"]).quietly(),
        format!(
            "{head}
Downlink throughput per network slice: 100 Mbit/s
    ceiling = 100 Mbit/s: as it is

Availability: 99.9 %
    not used: the transport promises none
"
        )
    );
}

#[test]
fn nothing_is_shown_as_none() {
    let manager = Manager::start(Answers::default());
    let lists: [&[&str]; 9] = [
        &["slice", "list"],
        &["segment", "list"],
        &["node", "list"],
        &["op", "list"],
        &["aaa", "session", "list"],
        &["aaa", "counters"],
        &["dataplane", "drops"],
        &["dataplane", "meters"],
        &["template", "list"],
    ];
    for list in lists {
        assert_eq!(manager.slicectl(list).quietly(), "none\n", "{list:?}");
    }
}
