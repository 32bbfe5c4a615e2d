//! What crosses the underlay: paths, numbers, and whether nodes run them; and an exit code that says which.

use api::v1;
use serde_json::{Value, json};
use v1::path_program::Steering;

use crate::manager::{Answers, Manager};
use crate::process::{MOMENT, forms, text};

fn program() -> v1::PathProgram {
    v1::PathProgram {
        id: 2,
        to: text("edge-c"),
        local: text("fd00:0:a::1"),
        remote: text("fd00:0:c::1"),
        port: text("core1"),
        next_hop: text("fd00:2:a::1"),
        mtu_octets: 1600,
        steering: Some(Steering::Srv6(v1::Srv6Steering { sids: vec![text("fd00:2:0:1::")] })),
        srh: v1::Srh::Full.into(),
    }
}

fn path() -> v1::PathStatus {
    let used = |slice: &str, backup, max| v1::PathUse { slice: text(slice), backup, delay_nanoseconds_max: max };
    let delays = v1::Delays { count: 1000, min: 2_400_000, mean: 2_500_000, p99: 3_000_000, max: 9_000_000 };
    v1::PathStatus {
        from: text("edge-a"),
        program: Some(program()),
        links: vec![text("core-2--edge-a"), text("core-2--edge-c")],
        delay_nanoseconds: 1_200_000,
        uses: vec![used("iot", true, Some(10_000_000)), used("vehicles", false, None)],
        reading: Some(v1::PathReading {
            edge: text("edge-a"),
            program: Some(program()),
            state: v1::PathState::Up.into(),
            since: Some(MOMENT),
            failures: 1,
            probes_answered: 999,
            probes_lost: 1,
            round_trip: Some(delays),
            forward: Some(v1::Delays::default()),
            backward: Some(v1::Delays::default()),
            forward_jitter_nanoseconds: 12_000,
            backward_jitter_nanoseconds: 13_000,
        }),
    }
}

fn silent() -> v1::PathStatus {
    v1::PathStatus { from: text("edge-b"), reading: None, ..path() }
}

#[test]
fn paths_are_shown_as_planned_and_as_measured() {
    let paths = v1::ListPathsResponse { paths: vec![path(), silent()], unreachable: vec![] };
    let manager = Manager::start(Answers { paths, ..Answers::default() });
    manager.slicectl(&["transport", "path", "list", "--slice", "iot", "--node", "edge-a"]).quietly();
    let request: v1::ListPathsRequest = manager.request("ListPaths");
    assert_eq!((request.slice.as_str(), request.node.as_str()), ("iot", "edge-a"));
    let out = manager.slicectl(&["transport", "path", "list"]).quietly();
    let cells = |line: &str| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(text).collect::<Vec<_>>();
    let lines: Vec<_> = out.lines().map(cells).collect();
    let planned = ["edge-c", "2", "core-2--edge-a, core-2--edge-c", "srv6 fd00:2:0:1:: (whole list)", "1200 us"];
    let taken = "iot (backup), vehicles";
    let measured = ["up", "2026-01-02T03:04:05Z", "1/1000", "2.40 ms / 2.50 ms / 3.00 ms / 9.00 ms", "12.0 us"];
    assert_eq!(lines[1], [&["edge-a"][..], &planned, &[taken], &measured].concat());
    assert_eq!(lines[2], [&["edge-b"][..], &planned, &[taken, "not read"]].concat());
    let json: Value =
        serde_json::from_str(&manager.slicectl(&["transport", "path", "list", "-o", "json"]).quietly()).unwrap();
    assert_eq!(json["paths"][0]["program"]["srv6"]["sids"], json!(["fd00:2:0:1::"]));
    assert_eq!(
        json["paths"][0]["uses"][0],
        json!({ "slice": "iot", "backup": true, "delayNanosecondsMax": "10000000" })
    );
}

#[test]
fn numbers_are_shown_with_their_owners_and_those_that_rest() {
    let awaiting = vec![v1::Awaiting { edge: text("edge-b"), generation: 7 }];
    let numbers = vec![
        v1::Number {
            number: text("fd00:a:0:1000::"),
            node: text("edge-a"),
            stands_for: text("End.DT2U"),
            slice: text("iot"),
            segment: text("smart-metering"),
            ..v1::Number::default()
        },
        v1::Number { number: text("10001"), quarantined: true, awaiting, slice: text("old"), ..v1::Number::default() },
    ];
    let manager = Manager::start(Answers { numbers: v1::ListNumbersResponse { numbers }, ..Answers::default() });
    for (kind, method) in
        [("sid", "ListSids"), ("label", "ListLabels"), ("vni", "ListVnis"), ("route-target", "ListRouteTargets")]
    {
        manager.slicectl(&["transport", kind, "list", "--node", "edge-a"]).quietly();
        assert_eq!(manager.asked().last(), Some(&method));
    }
    forms(
        &manager,
        &["transport", "sid", "list"],
        "\
NODE    SID              STANDS FOR  OF                  STATE        AWAITS
edge-a  fd00:a:0:1000::  End.DT2U    iot/smart-metering  in use
        10001                        old                 quarantined  edge-b to confirm 7
",
        &json!({ "numbers": [
            {
                "number": "fd00:a:0:1000::", "node": "edge-a", "standsFor": "End.DT2U", "slice": "iot",
                "segment": "smart-metering", "quarantined": false, "awaiting": [],
            },
            {
                "number": "10001", "node": "", "standsFor": "", "slice": "old", "segment": "", "quarantined": true,
                "awaiting": [{ "edge": "edge-b", "generation": "7" }],
            },
        ]}),
    );
}

fn verdict(node: &str) -> v1::NodeVerdict {
    v1::NodeVerdict {
        node: text(node),
        target_generation: 7,
        generation: 7,
        target_digest: vec![0xab; 32],
        digest: vec![0xab; 32],
        paths: 4,
        sids: 2,
        labels: 0,
        segments: 1,
        routes: 3,
        classes: 5,
        shares: 12,
        ..v1::NodeVerdict::default()
    }
}

#[test]
fn it_is_well_only_if_every_node_was_read_and_none_differs() {
    for command in ["verify", "repair"] {
        let verdicts = v1::VerifyResponse { nodes: vec![verdict("edge-a")] };
        let manager = Manager::start(Answers { verdicts, ..Answers::default() });
        assert_eq!(
            manager.slicectl(&["transport", command, "--node", "edge-a"]).quietly(),
            "\
NODE    VERDICT       RUNS/TARGET  DIGEST        PATHS  SIDS  LABELS  SEGMENTS  ROUTES  CLASSES  SHARES
edge-a  as it should  7/7          abababababab  4      2     0       1         3       5        12
"
        );
        let lost = v1::Difference { what: text("SID fd00:a::"), wanted: text("End"), found: String::new() };
        let (wanted, found) = (text("ceiling 4 Mbit/s, weight 1"), text("ceiling 5 Mbit/s, weight 1"));
        let shares = v1::Difference { what: text("segment iot/smart-metering on core0"), wanted, found };
        let differs = v1::NodeVerdict { differences: vec![lost, shares], ..verdict("edge-b") };
        let unread = v1::NodeVerdict { node: text("edge-c"), unread: text("it is away"), ..v1::NodeVerdict::default() };
        let verdicts = v1::VerifyResponse { nodes: vec![verdict("edge-a"), differs.clone(), unread.clone()] };
        let manager = Manager::start(Answers { verdicts, ..Answers::default() });
        let ended = manager.slicectl(&["transport", command]);
        assert_eq!((ended.code, ended.err.as_str()), (1, "error: of 3 nodes 1 differ, and 1 were not read\n"));
        assert!(ended.out.contains("edge-b  2 differences"), "{}", ended.out);
        assert!(ended.out.contains("edge-c  not read: it is away"), "{}", ended.out);
        let differences = "
differences
NODE    WHAT                                 WANTED                      FOUND
edge-b  SID fd00:a::                         End                         nothing
edge-b  segment iot/smart-metering on core0  ceiling 4 Mbit/s, weight 1  ceiling 5 Mbit/s, weight 1
";
        assert!(ended.out.ends_with(differences), "{}", ended.out);
        for (nodes, said) in [
            (vec![verdict("edge-a"), differs], "error: 1 of 2 nodes differ\n"),
            (vec![unread], "error: 1 of 1 nodes were not read\n"),
        ] {
            let manager = Manager::start(Answers { verdicts: v1::VerifyResponse { nodes }, ..Answers::default() });
            let ended = manager.slicectl(&["transport", command, "-o", "json"]);
            assert_eq!((ended.code, ended.err.as_str()), (1, said));
        }
    }
}

#[test]
fn drift_fails_if_there_is_any() {
    let manager = Manager::start(Answers::default());
    assert_eq!(manager.slicectl(&["transport", "drift"]).quietly(), "none\n");
    let difference =
        v1::Difference { what: text("program"), wanted: text("generation 7"), found: text("generation 6") };
    let drift = v1::Drift { node: text("edge-a"), difference: Some(difference), since: Some(MOMENT) };
    let manager = Manager::start(Answers { drift: v1::ListDriftResponse { drift: vec![drift] }, ..Answers::default() });
    let ended = manager.slicectl(&["transport", "drift"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, "error: there is a difference\n"));
    assert_eq!(
        ended.out,
        "\
NODE    WHAT     WANTED        FOUND         SINCE
edge-a  program  generation 7  generation 6  2026-01-02T03:04:05Z
"
    );
}

#[test]
fn a_slice_is_explained_by_what_its_paths_are_measured_to_keep() {
    let mut late = path();
    late.uses[0].backup = false;
    // One way was measured, so that counts.
    late.reading.as_mut().unwrap().forward = Some(v1::Delays { count: 5, p99: 11_000_000, ..v1::Delays::default() });
    // What was measured before it went down keeps no promise.
    let mut down = path();
    down.reading.as_mut().unwrap().set_state(v1::PathState::Down);
    let status = v1::SliceStatus {
        name: text("iot"),
        state: v1::SliceState::Active.into(),
        reason: text("realised on 3 of 3 edges, generation 7"),
        ..v1::SliceStatus::default()
    };
    let paths = v1::ListPathsResponse { paths: vec![path(), late, down, silent()], unreachable: vec![] };
    let manager = Manager::start(Answers { paths, slice: status, ..Answers::default() });
    assert_eq!(
        manager.slicectl(&["slice", "explain", "iot"]).quietly(),
        "\
slice           iot
state           ACTIVE
reason          realised on 3 of 3 edges, generation 7
delay, at most  10 ms

paths
PATH                      IS ITS   STATE     PLANNED  99TH DELAY  JITTER   LOSS     BOUND
edge-a to edge-c, path 2  backup   up        1200 us  1.50 ms     12.0 us  0.100 %  met
edge-a to edge-c, path 2  working  up        1200 us  11.00 ms    12.0 us  0.100 %  missed
edge-a to edge-c, path 2  backup   down      1200 us  1.50 ms     12.0 us  0.100 %  down
edge-b to edge-c, path 2  backup   not read  1200 us                                not measured
"
    );
}
