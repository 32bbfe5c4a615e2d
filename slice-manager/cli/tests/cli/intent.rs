//! Declaring and removing: apply, plan, diff, delete.

use api::v1;
use serde_json::{Value, json};
use v1::resource::Kind;

use crate::manager::{Answers, Manager};
use crate::process::{self, yaml};

/// A slice and a micro-segment of it.
pub(crate) const IOT: &str = r#"apiVersion: microslice/v1
kind: Slice
metadata: { name: iot }
spec:
  template: miot
  snssai: { sst: 3, sd: "0A1B2C" }
  service: l2-multipoint
  transport: vxlan
  rate: { guaranteed: 20 Mbit/s, ceiling: 100 Mbit/s }
  latency: { max: 10 ms }
  sdps:
    - { name: city, edge: edge-a, port: access0, vlan: 110 }
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: { name: smart-metering, slice: iot }
spec: { profile: smart-metering, at: [edge-a, edge-c], share: 60 % }
"#;

/// A realm of that micro-segment.
const REALM: &str = "apiVersion: microslice/v1
kind: Realm
metadata: { name: smart-metering, slice: iot }
spec:
  clients:
    - { name: city-switch, edge: edge-a, addresses: [192.0.2.11/32] }
";

/// [`IOT`] as messages, by hand.
fn iot() -> Vec<v1::Resource> {
    let slice = v1::Slice {
        name: "iot".to_owned(),
        template: "miot".to_owned(),
        snssai: Some(v1::Snssai { sst: 3, sd: Some("0A1B2C".to_owned()) }),
        service: v1::Service::L2Multipoint.into(),
        transport: v1::Transport::Vxlan.into(),
        rate: Some(v1::RateLimits { guaranteed_bits_per_second: 20_000_000, ceiling_bits_per_second: 100_000_000 }),
        latency_max_nanoseconds: Some(10_000_000),
        sdps: vec![v1::Sdp {
            name: "city".to_owned(),
            edge: "edge-a".to_owned(),
            port: "access0".to_owned(),
            vlan: Some(110),
            ..v1::Sdp::default()
        }],
        ..v1::Slice::default()
    };
    let segment = v1::MicroSegment {
        slice: "iot".to_owned(),
        name: "smart-metering".to_owned(),
        profile: "smart-metering".to_owned(),
        at: vec!["edge-a".to_owned(), "edge-c".to_owned()],
        share_basis_points: Some(6_000),
        ceiling_basis_points: None,
    };
    [Kind::Slice(slice), Kind::MicroSegment(segment)].map(|kind| v1::Resource { kind: Some(kind) }).into()
}

/// An operation of which two edges have not confirmed.
pub(crate) fn operation() -> v1::Operation {
    v1::Operation {
        id: "op-7".to_owned(),
        kind: v1::OperationKind::Apply.into(),
        state: v1::OperationState::Processing.into(),
        start_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }),
        state_entered_time: Some(prost_types::Timestamp { seconds: 1_700_000_001, nanos: 0 }),
        requested_by: "urn:microslice:operator:operator".to_owned(),
        generation: 9_007_199_254_740_993,
        resource_changes: vec![v1::ResourceChange {
            resource: "slice/iot".to_owned(),
            kind: v1::ChangeKind::Add.into(),
        }],
        awaiting: ["edge-a", "edge-c"]
            .map(|edge| v1::Awaiting { edge: edge.to_owned(), generation: 9_007_199_254_740_993 })
            .into(),
        problem: None,
    }
}

/// [`operation`] by the JSON mapping of proto3 (protobuf.dev/programming-guides/json): names in lowerCamelCase, 64-bit
/// numbers as texts, enumerations by name, moments as RFC 3339 with 0, 3, 6 or 9 digits. 1,700,000,000 is
/// 2023-11-14T22:13:20Z (`date -u -d @1700000000`).
pub(crate) fn operation_json() -> Value {
    json!({
        "id": "op-7",
        "kind": "OPERATION_KIND_APPLY",
        "state": "PROCESSING",
        "startTime": "2023-11-14T22:13:20.250Z",
        "stateEnteredTime": "2023-11-14T22:13:21Z",
        "requestedBy": "urn:microslice:operator:operator",
        "generation": "9007199254740993",
        "resourceChanges": [{ "resource": "slice/iot", "kind": "ADD" }],
        "awaiting": [
            { "edge": "edge-a", "generation": "9007199254740993" },
            { "edge": "edge-c", "generation": "9007199254740993" },
        ],
    })
}

fn deciding() -> Manager {
    let operation = Some(operation());
    Manager::start(Answers {
        apply: v1::ApplyResponse { operation: operation.clone() },
        delete: v1::DeleteResponse { operation },
        ..Answers::default()
    })
}

#[test]
fn apply_sends_every_document_of_every_file_in_one_request() {
    let manager = deciding();
    let (iot_file, realm) = (manager.file("iot.yaml", IOT), manager.file("realm.yaml", REALM));
    let out = manager.slicectl(&["apply", "-f", iot_file, "--file", realm]).quietly();
    let mut resources = manager.request::<v1::ApplyRequest>("Apply").resources;
    let realm = v1::Realm {
        slice: "iot".to_owned(),
        segment: "smart-metering".to_owned(),
        clients: vec![v1::RadiusClient {
            name: "city-switch".to_owned(),
            addresses: vec!["192.0.2.11/32".to_owned()],
            edge: Some("edge-a".to_owned()),
        }],
    };
    assert_eq!(resources.pop().unwrap().kind, Some(Kind::Realm(realm)));
    assert_eq!(resources, iot());
    assert_eq!(
        out,
        "\
operation    op-7
state        PROCESSING
generation   9007199254740993
started      2023-11-14T22:13:20Z
state since  2023-11-14T22:13:21Z
by           urn:microslice:operator:operator
awaiting     edge-a (generation 9007199254740993), edge-c (generation 9007199254740993)
  + slice/iot
"
    );
}

#[test]
fn apply_reads_standard_input_where_the_file_is_a_dash() {
    let manager = deciding();
    let ended = process::run_with_input(manager.command(&["apply", "-f", "-", "-o", "json"]), IOT.as_bytes());
    let out: Value = serde_json::from_str(&ended.quietly()).unwrap();
    assert_eq!(out, operation_json());
    assert_eq!(manager.request::<v1::ApplyRequest>("Apply").resources, iot());
}

#[test]
fn a_mistake_in_standard_input_is_named_as_such() {
    let manager = deciding();
    let ended = process::run_with_input(manager.command(&["apply", "-f", "-"]), b"kind: Slice\n");
    let said = ended.refused(1);
    assert!(said.starts_with("standard input:1:1: missing field `apiVersion`"), "{said}");
    assert!(manager.asked().is_empty());
}

#[test]
fn an_apply_that_changes_nothing_says_so_and_succeeds() {
    let slice = v1::SliceStatus { state: v1::SliceState::Active.into(), ..v1::SliceStatus::default() };
    let manager = Manager::start(Answers { slice, ..Answers::default() });
    let ended = manager.slicectl(&["apply", "-f", manager.file("iot.yaml", IOT)]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", "nothing changes\n"));
    // That it is so is seen, and not assumed.
    let ended = manager.slicectl(&["apply", "-f", "iot.yaml", "--wait"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, "nothing changes\n"));
    assert_eq!(manager.asked(), ["Apply", "Apply", "GetSlice"]);
}

#[test]
fn delete_names_what_is_given_and_what_files_hold() {
    let manager = deciding();
    let file = manager.file("iot.yaml", IOT);
    let out = manager.slicectl(&["delete", "realm/iot/smart-metering", "-f", file, "-o", "yaml"]).quietly();
    let asked = manager.request::<v1::DeleteRequest>("Delete").resources;
    let ids: Vec<&str> = asked.iter().map(|resource| resource.id.as_str()).collect();
    assert_eq!(ids, ["realm/iot/smart-metering", "slice/iot", "microsegment/iot/smart-metering"]);
    assert_eq!(yaml(&out), operation_json());
}

#[test]
fn delete_without_anything_to_delete_is_a_wrong_command_line() {
    let manager = deciding();
    assert!(manager.slicectl(&["delete"]).refused(2).contains("required"));
    let said = manager.slicectl(&["delete", "slices/iot"]).refused(2);
    assert!(said.contains("`slices/iot` names no resource; expected topology/NAME, slice/NAME"), "{said}");
    assert!(manager.asked().is_empty());
}

fn planned() -> v1::PlanResponse {
    let text = |t: &str| t.to_owned();
    let allocation = |segment: &str, vni, access_port| v1::Allocation {
        slice: text("iot"),
        segment: text(segment),
        vni,
        access_port,
        ..v1::Allocation::default()
    };
    v1::PlanResponse {
        changes: vec![
            v1::ResourceChange { resource: text("slice/iot"), kind: v1::ChangeKind::Modify.into() },
            v1::ResourceChange { resource: text("realm/iot/old"), kind: v1::ChangeKind::Remove.into() },
        ],
        plan: Some(v1::Plan {
            generation: 4,
            allocations: vec![allocation("smart-metering", 10_000, 20_000)],
            quarantine: vec![v1::Quarantine {
                allocation: Some(allocation("old", 10_001, 20_002)),
                awaiting: vec![v1::Awaiting { edge: text("edge-b"), generation: 3 }],
            }],
            paths: vec![v1::Path {
                from: text("edge-a"),
                to: text("edge-c"),
                links: vec![text("core-1--edge-a"), text("core-1--edge-c")],
                delay_nanoseconds: 600_000,
                ..v1::Path::default()
            }],
            bookings: vec![],
            programs: vec![v1::Program {
                edge: text("edge-a"),
                shaping: vec![v1::PortShaping {
                    port: text("core0"),
                    rate_bits_per_second: 140_000_000,
                    classes: vec![v1::SliceClass {
                        number: 3,
                        slice: text("iot"),
                        limits: Some(v1::RateLimits {
                            guaranteed_bits_per_second: 20_000_000,
                            ceiling_bits_per_second: 100_000_000,
                        }),
                        weight: Some(8),
                        ..v1::SliceClass::default()
                    }],
                }],
                ..v1::Program::default()
            }],
            ..v1::Plan::default()
        }),
        edges: vec![text("edge-a"), text("edge-c")],
        headroom: vec![
            v1::LinkHeadroom {
                link: text("core-1--edge-a"),
                from: text("edge-a"),
                capacity_bits_per_second: 140_000_000,
                booked_bits_per_second: 20_000_000,
            },
            v1::LinkHeadroom { link: text("idle"), capacity_bits_per_second: 1, ..v1::LinkHeadroom::default() },
        ],
    }
}

#[test]
fn plan_shows_numbers_paths_and_what_links_have_left() {
    let manager = Manager::start(Answers { plan: planned(), ..Answers::default() });
    let out = manager.slicectl(&["plan", "-f", manager.file("iot.yaml", IOT)]).quietly();
    assert_eq!(
        out,
        "\
generation 4 would change edge-a, edge-c

changes
  ~ slice/iot
  - realm/iot/old

numbers
SLICE  SEGMENT         VNI    ACCESS PORT  ACCOUNTING PORT
iot    smart-metering  10000  20000        20001

in quarantine
WAS      VNI    ACCESS PORT  UNTIL CONFIRMED BY
iot/old  10001  20002        edge-b (3)

paths
FROM    TO      LINKS                           DELAY
edge-a  edge-c  core-1--edge-a, core-1--edge-c  600 us

links
LINK            FROM    CAPACITY    BOOKED     LEFT
core-1--edge-a  edge-a  140 Mbit/s  20 Mbit/s  120 Mbit/s

shares
NODE    PORT   SLICE  GUARANTEED  CEILING     WEIGHT
edge-a  core0  iot    20 Mbit/s   100 Mbit/s  8
"
    );
    assert_eq!(manager.request::<v1::PlanRequest>("Plan").resources, iot());
}

#[test]
fn plan_as_json_is_the_message() {
    let manager = Manager::start(Answers { plan: planned(), ..Answers::default() });
    let arguments = ["plan", "-f", manager.file("iot.yaml", IOT), "-o"];
    let json: Value = serde_json::from_str(&manager.slicectl(&[&arguments[..], &["json"]].concat()).quietly()).unwrap();
    assert_eq!(json["plan"]["generation"], "4");
    assert_eq!(
        json["plan"]["allocations"],
        json!([{ "slice": "iot", "segment": "smart-metering", "vni": 10_000, "accessPort": 20_000, "labels": [] }])
    );
    assert_eq!(json["plan"]["paths"][0]["delayNanoseconds"], "600000");
    assert_eq!(json["changes"][1], json!({ "resource": "realm/iot/old", "kind": "REMOVE" }));
    assert_eq!(json["headroom"][0]["capacityBitsPerSecond"], "140000000");
    assert_eq!(json["edges"], json!(["edge-a", "edge-c"]));
    assert_eq!(yaml(&manager.slicectl(&[&arguments[..], &["yaml"]].concat()).quietly()), json);
}

#[test]
fn diff_shows_field_by_field_what_was_and_what_would_be() {
    let field = |path: &str, declared: &str, wanted: &str| v1::FieldDiff {
        path: path.to_owned(),
        declared: declared.to_owned(),
        wanted: wanted.to_owned(),
    };
    let change = |resource: &str, kind: v1::ChangeKind| {
        Some(v1::ResourceChange { resource: resource.to_owned(), kind: kind.into() })
    };
    let diff = v1::DiffResponse {
        resources: vec![
            v1::ResourceDiff { change: change("realm/iot/smart-metering", v1::ChangeKind::Add), fields: vec![] },
            v1::ResourceDiff {
                change: change("slice/iot", v1::ChangeKind::Modify),
                fields: vec![
                    field("rate.ceilingBitsPerSecond", "\"1\"", "\"2\""),
                    field("latencyMaxNanoseconds", "", "\"5\""),
                ],
            },
        ],
    };
    let manager = Manager::start(Answers { diff, ..Answers::default() });
    let out = manager.slicectl(&["diff", "-f", manager.file("iot.yaml", IOT)]).quietly();
    assert_eq!(
        out,
        "\
+ realm/iot/smart-metering
~ slice/iot
    rate.ceilingBitsPerSecond: \"1\" -> \"2\"
    latencyMaxNanoseconds: - -> \"5\"
"
    );
    assert_eq!(manager.request::<v1::DiffRequest>("Diff").resources, iot());
    let none = Manager::start(Answers::default());
    assert_eq!(none.slicectl(&["diff", "-f", none.file("iot.yaml", IOT)]).quietly(), "nothing differs\n");
}
