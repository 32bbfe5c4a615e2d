//! Looking at slices, segments and nodes, each in its three forms.

use api::v1;
use serde_json::{Value, json};

use crate::intent::IOT;
use crate::manager::{Answers, Manager};
use crate::process::{MOMENT, forms, text, yaml};

fn slice() -> v1::SliceStatus {
    let edge = |edge: &str, realised_generation: Option<u64>| v1::EdgeRealisation {
        edge: text(edge),
        connected: realised_generation.is_some(),
        target_generation: 4,
        realised_generation,
        target_digest: vec![0xfb; 32],
        realised_digest: if realised_generation.is_some() { vec![0xfb; 32] } else { vec![] },
        problem: text(""),
        last_report: realised_generation.map(|_| MOMENT),
    };
    v1::SliceStatus {
        slice: Some(v1::Slice {
            name: text("iot"),
            template: text("miot"),
            snssai: Some(v1::Snssai { sst: 3, sd: Some(text("0A1B2C")) }),
            service: v1::Service::L2Multipoint.into(),
            transport: v1::Transport::Vxlan.into(),
            rate: Some(v1::RateLimits { guaranteed_bits_per_second: 20_000_000, ceiling_bits_per_second: u64::MAX }),
            latency_max_nanoseconds: Some(10_000_000),
            sdps: vec![
                v1::Sdp {
                    name: text("city"),
                    edge: text("edge-a"),
                    port: text("access0"),
                    vlan: Some(110),
                    ..v1::Sdp::default()
                },
                v1::Sdp {
                    name: text("roof"),
                    edge: text("edge-b"),
                    port: text("access1"),
                    vlan: None,
                    ..v1::Sdp::default()
                },
            ],
            ..v1::Slice::default()
        }),
        name: text("iot"),
        state: v1::SliceState::Degraded.into(),
        reason: text("edge-b is away: \"no\" # answer"),
        edges: vec![edge("edge-a", Some(4)), edge("edge-b", None)],
        segments: vec![segment()],
    }
}

fn segment() -> v1::SegmentStatus {
    let limits = Some(v1::RateLimits { guaranteed_bits_per_second: 12_000_000, ceiling_bits_per_second: 100_000_000 });
    let realised = |edge: &str, sessions, aaa: v1::AaaState, aaa_reason: &str| v1::RealisedSegment {
        edge: text(edge),
        slice: text("iot"),
        segment: text("smart-metering"),
        vni: 10_000,
        tunnels: vec![v1::RealisedTunnel { remote: text("fd00:0:c::1"), path: 2, lanes: Vec::new() }],
        sessions_max: 100,
        takes_vxlan: true,
        limits,
        sessions,
        aaa: aaa.into(),
        aaa_reason: text(aaa_reason),
    };
    v1::SegmentStatus {
        segment: Some(v1::MicroSegment {
            slice: text("iot"),
            name: text("smart-metering"),
            profile: text("smart-metering"),
            at: vec![text("edge-a"), text("edge-c")],
            share_basis_points: Some(6_000),
            ceiling_basis_points: None,
        }),
        slice: text("iot"),
        name: text("smart-metering"),
        vni: 10_000,
        access_port: 20_000,
        limits,
        realised: vec![
            realised("edge-a", 3, v1::AaaState::Ready, ""),
            realised("edge-c", 4, v1::AaaState::NotReady, "no secret for city-switch"),
        ],
    }
}

fn segment_json() -> Value {
    let limits = json!({ "guaranteedBitsPerSecond": "12000000", "ceilingBitsPerSecond": "100000000" });
    json!({
        "segment": {
            "slice": "iot", "name": "smart-metering", "profile": "smart-metering", "at": ["edge-a", "edge-c"],
            "shareBasisPoints": 6_000,
        },
        "slice": "iot", "name": "smart-metering", "vni": 10_000, "accessPort": 20_000, "limits": limits,
        "realised": [
            {
                "edge": "edge-a", "slice": "iot", "segment": "smart-metering", "vni": 10_000,
                "tunnels": [{ "remote": "fd00:0:c::1", "path": 2, "lanes": [] }], "sessionsMax": 100, "takesVxlan": true,
                "limits": limits, "sessions": "3", "aaa": "AAA_STATE_READY",
                "aaaReason": "",
            },
            {
                "edge": "edge-c", "slice": "iot", "segment": "smart-metering", "vni": 10_000,
                "tunnels": [{ "remote": "fd00:0:c::1", "path": 2, "lanes": [] }], "sessionsMax": 100, "takesVxlan": true,
                "limits": limits, "sessions": "4", "aaa": "AAA_STATE_NOT_READY",
                "aaaReason": "no secret for city-switch",
            },
        ],
    })
}

/// Octets are base64 with padding (RFC 4648, section 4): three octets of fb are `+/v7`, and 32 are ten times that with
/// two more.
fn slice_json() -> Value {
    let digest = format!("{}+/s=", "+/v7".repeat(10));
    json!({
        "slice": {
            "name": "iot", "template": "miot", "snssai": { "sst": 3, "sd": "0A1B2C" },
            "service": "SERVICE_L2_MULTIPOINT", "transport": "TRANSPORT_VXLAN",
            "rate": { "guaranteedBitsPerSecond": "20000000", "ceilingBitsPerSecond": "18446744073709551615" },
            "latencyMaxNanoseconds": "10000000",
            "sdps": [
                {
                    "name": "city", "edge": "edge-a", "port": "access0", "vlan": 110, "vlanAuto": false, "leaf": false,
                    "addresses": [],
                },
                {
                    "name": "roof", "edge": "edge-b", "port": "access1", "vlanAuto": false, "leaf": false, "addresses": [],
                },
            ],
        },
        "name": "iot", "state": "SLICE_STATE_DEGRADED", "reason": "edge-b is away: \"no\" # answer",
        "edges": [
            {
                "edge": "edge-a", "connected": true, "targetGeneration": "4", "realisedGeneration": "4",
                "targetDigest": digest, "realisedDigest": digest, "problem": "",
                "lastReport": "2026-01-02T03:04:05.000006Z",
            },
            {
                "edge": "edge-b", "connected": false, "targetGeneration": "4", "targetDigest": digest,
                "realisedDigest": "", "problem": "",
            },
        ],
        "segments": [segment_json()],
    })
}

#[test]
fn slices_are_listed() {
    let letting_go =
        v1::SliceStatus { name: text("old"), state: v1::SliceState::Terminating.into(), ..v1::SliceStatus::default() };
    let manager = Manager::start(Answers {
        slices: v1::ListSlicesResponse { slices: vec![slice(), letting_go] },
        ..Answers::default()
    });
    forms(
        &manager,
        &["slice", "list"],
        "\
SLICE  S-NSSAI   TEMPLATE  SEGMENTS  EDGES  STATE        REASON
iot    3-0A1B2C  miot      1         1/2    DEGRADED     edge-b is away: \"no\" # answer
old                        0         0/0    TERMINATING
",
        &json!({ "slices": [
            slice_json(),
            { "name": "old", "state": "SLICE_STATE_TERMINATING", "reason": "", "edges": [], "segments": [] },
        ] }),
    );
}

#[test]
fn a_slice_is_shown_with_every_edge() {
    let manager = Manager::start(Answers { slice: slice(), ..Answers::default() });
    forms(
        &manager,
        &["slice", "show", "iot"],
        "\
slice       iot
state       DEGRADED
reason      edge-b is away: \"no\" # answer
s-nssai     3-0A1B2C
template    miot
service     l2-multipoint
transport   vxlan
guaranteed  20 Mbit/s
ceiling     18446744073709551615 bit/s
latency     10 ms

sdps
SDP   EDGE    PORT     VLAN
city  edge-a  access0  110
roof  edge-b  access1  untagged

edges
EDGE    MANAGER   TARGET  REALISED        DIGEST        LAST REPORT           PROBLEM
edge-a  attached  4       4               fbfbfbfbfbfb  2026-01-02T03:04:05Z
edge-b  away      4       never reported

segments
SLICE  SEGMENT         VNI    AAA PORT  GUARANTEED  CEILING     REALISED ON     SESSIONS
iot    smart-metering  10000  20000     12 Mbit/s   100 Mbit/s  edge-a, edge-c  7
",
        &slice_json(),
    );
    assert_eq!(manager.asked(), ["GetSlice"; 4]);
}

#[test]
fn segments_are_listed_for_all_slices_or_for_one() {
    let segments = v1::ListSegmentsResponse { segments: vec![segment()] };
    let manager = Manager::start(Answers { segments, ..Answers::default() });
    manager.slicectl(&["segment", "list", "--slice", "iot"]).quietly();
    assert_eq!(manager.request::<v1::ListSegmentsRequest>("ListSegments").slice, "iot");
    forms(
        &manager,
        &["segment", "list"],
        "\
SLICE  SEGMENT         VNI    AAA PORT  GUARANTEED  CEILING     REALISED ON     SESSIONS
iot    smart-metering  10000  20000     12 Mbit/s   100 Mbit/s  edge-a, edge-c  7
",
        &json!({ "segments": [segment_json()] }),
    );
}

#[test]
fn a_segment_is_shown_with_what_each_edge_reports() {
    let manager = Manager::start(Answers { segment: segment(), ..Answers::default() });
    let out = manager.slicectl(&["segment", "show", "iot", "smart-metering"]).quietly();
    assert!(out.contains("aaa ports   20000 access, 20001 accounting\n"), "{out}");
    let asked: v1::GetSegmentRequest = manager.request("GetSegment");
    assert_eq!((asked.slice.as_str(), asked.name.as_str()), ("iot", "smart-metering"));
    forms(
        &manager,
        &["segment", "show", "iot", "smart-metering"],
        "\
segment     iot/smart-metering
profile     smart-metering
spawned at  edge-a, edge-c
vni         10000
aaa ports   20000 access, 20001 accounting
guaranteed  12 Mbit/s
ceiling     100 Mbit/s

realised
EDGE    SEGMENT             VNI    SESSIONS  AAA        TUNNELS TO            REASON
edge-a  iot/smart-metering  10000  3         ready      fd00:0:c::1 (path 2)
edge-c  iot/smart-metering  10000  4         not ready  fd00:0:c::1 (path 2)  no secret for city-switch
",
        &segment_json(),
    );
}

fn node() -> v1::NodeStatus {
    v1::NodeStatus {
        node: Some(v1::Node {
            name: text("edge-a"),
            role: v1::NodeRole::Edge.into(),
            site: text("smart-city MEC"),
            loopback_ipv6: Some(text("fd00:0:a::1")),
            loopback_ipv4: Some(text("10.255.0.1")),
            ports: vec![v1::Port { name: text("core0"), rate_bits_per_second: 1_000_000_000, mtu_octets: 1_600 }],
            locator: Some(text("fd00:a::/48")),
            labels: Some(v1::LabelBlock { first: 100_000, last: 109_999 }),
            ..v1::Node::default()
        }),
        realisation: Some(v1::EdgeRealisation {
            edge: text("edge-a"),
            connected: true,
            target_generation: 5,
            realised_generation: Some(4),
            problem: text("no port core1"),
            last_report: Some(MOMENT),
            ..v1::EdgeRealisation::default()
        }),
        segments: vec![],
        version: text("0.1.0"),
        ports: vec![v1::PortStatus { port: text("core0"), driver: text("af-packet, ring") }],
    }
}

fn node_json() -> Value {
    json!({
        "node": {
            "name": "edge-a", "role": "NODE_ROLE_EDGE", "site": "smart-city MEC", "loopbackIpv6": "fd00:0:a::1",
            "loopbackIpv4": "10.255.0.1", "control": "NODE_CONTROL_UNSPECIFIED", "srh": "SRH_UNSPECIFIED",
            "ports": [{ "name": "core0", "rateBitsPerSecond": "1000000000", "mtuOctets": 1_600 }],
            "locator": "fd00:a::/48", "labels": { "first": 100_000, "last": 109_999 },
        },
        "realisation": {
            "edge": "edge-a", "connected": true, "targetGeneration": "5", "realisedGeneration": "4",
            "targetDigest": "", "realisedDigest": "", "problem": "no port core1",
            "lastReport": "2026-01-02T03:04:05.000006Z",
        },
        "segments": [], "version": "0.1.0", "ports": [{ "port": "core0", "driver": "af-packet, ring" }],
    })
}

#[test]
fn nodes_are_listed_with_how_far_they_are() {
    let with = |name: &str, realisation| v1::NodeStatus {
        node: Some(v1::Node { name: text(name), role: v1::NodeRole::Core.into(), ..v1::Node::default() }),
        realisation,
        ..v1::NodeStatus::default()
    };
    let at = |connected, target_generation, realised_generation| {
        Some(v1::EdgeRealisation { connected, target_generation, realised_generation, ..Default::default() })
    };
    let nodes = vec![
        node(),
        with("core-1", None),
        with("gone", at(false, 2, None)),
        with("slow", at(true, 2, Some(1))),
        with("fine", at(true, 2, Some(2))),
    ];
    let manager = Manager::start(Answers { nodes: v1::ListNodesResponse { nodes }, ..Answers::default() });
    assert_eq!(
        manager.slicectl(&["node", "list"]).quietly(),
        "\
NODE    ROLE  SITE            STATE        REALISED/TARGET  SEGMENTS  VERSION
edge-a  edge  smart-city MEC  problem      4/5              0         0.1.0
core-1  core                  not managed                   0
gone    core                  away         -/2              0
slow    core                  behind       1/2              0
fine    core                  in sync      2/2              0
"
    );
    let out: Value = serde_json::from_str(&manager.slicectl(&["node", "list", "-o", "json"]).quietly()).unwrap();
    assert_eq!(out["nodes"][0], node_json());
    assert_eq!(yaml(&manager.slicectl(&["node", "list", "-o", "yaml"]).quietly()), out);
}

#[test]
fn a_node_is_shown_with_its_ports() {
    let manager = Manager::start(Answers { node: node(), ..Answers::default() });
    forms(
        &manager,
        &["node", "show", "edge-a"],
        "\
node             edge-a
role             edge
site             smart-city MEC
state            problem
problem          no port core1
realised/target  4/5
last report      2026-01-02T03:04:05Z
version          0.1.0
loopback         fd00:0:a::1, 10.255.0.1
locator          fd00:a::/48
labels           100000 to 109999

ports
PORT   RATE      MTU   DRIVER
core0  1 Gbit/s  1600  af-packet, ring

segments
none
",
        &node_json(),
    );
}

#[test]
fn numbers_that_are_too_large_for_their_sum_are_shown_all_the_same() {
    let mut segment = segment();
    segment.access_port = u32::MAX;
    segment.realised.iter_mut().for_each(|realised| realised.sessions = u64::MAX);
    let segments = v1::ListSegmentsResponse { segments: vec![segment.clone()] };
    let plan = v1::Plan {
        allocations: vec![v1::Allocation { access_port: u32::MAX, ..v1::Allocation::default() }],
        ..v1::Plan::default()
    };
    let plan = v1::PlanResponse { plan: Some(plan), ..v1::PlanResponse::default() };
    let manager = Manager::start(Answers { plan, segments, segment, ..Answers::default() });
    let file = manager.file("iot.yaml", IOT);
    for command in [&["segment", "list"][..], &["segment", "show", "iot", "x"], &["plan", "-f", file]] {
        let out = manager.slicectl(command).quietly();
        assert!(out.contains("4294967295"), "{out}");
    }
}
