//! Programs that an edge can't run are refused by name, and leave what runs as it is.

use std::net::IpAddr;

use model::profile::QueueClass;
use model::program::{
    AccessPort, CorePort, PathProgram, PortShaping, Program, ServiceBehaviour, ServiceSid, Steering, Tunnel,
};
use model::resource::Service;
use model::{Generation, Label, PathId, Rate, RateLimits};
use transport_dataplane::{CompileError, Compiler, FRAME_OCTETS_MAX, PORTS_MAX, PortSpec, SEGMENTS_MAX};

use crate::queues::{class, queue};
use crate::rig::*;

type Change = Box<dyn FnOnce(&mut Program)>;

/// What comes of the reference program after a change, on an edge that runs the reference program with a session.
fn refused(change: impl FnOnce(&mut Program)) -> String {
    let mut rig = Rig::new();
    rig.admit("iot", "metering", device(1));
    let uid = rig.compiler.uid(&id("iot", "metering"));
    let mut program = reference();
    program.generation = Generation::new(2);
    change(&mut program);
    let error = rig.compiler.compile(&program, rig.now).unwrap_err();
    assert_eq!(rig.compiler.uid(&id("iot", "metering")), uid);
    assert_eq!(rig.compiler.uid(&id("iot", "new")), None);
    // The next one finds everything as it was.
    let mut next = reference();
    next.generation = Generation::new(3);
    rig.run(next);
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]).len(), 2);
    error.to_string()
}

#[test]
fn each_contradiction_is_refused_by_name() {
    let cases: Vec<(Change, &str)> = vec![
        (
            Box::new(|p| p.content.slices[1].circuits[0].port = "access9".parse().unwrap()),
            "the program uses port access9, which this edge does not have; it has access0, access1, core0, spare0",
        ),
        (
            Box::new(|p| {
                let again = p.content.core_ports[0].clone();
                p.content.core_ports.push(again);
            }),
            "port core0 is listed twice",
        ),
        (
            Box::new(|p| p.content.slices[1].circuits[0].port = "core0".parse().unwrap()),
            "port core0 faces the underlay and is given an attachment circuit",
        ),
        (
            Box::new(|p| p.content.slices[0].circuits[0].vlan = p.content.slices[1].circuits[0].vlan),
            "port access0 has two attachment circuits for VLAN 110",
        ),
        (
            Box::new(|p| p.content.slices[0].circuits = vec![circuit("city", "access1", None)]),
            "port access1 has two attachment circuits for untagged frames",
        ),
        (
            Box::new(|p| {
                let mut again = p.content.slices[1].clone();
                again.circuits.clear();
                again.segments.clear();
                p.content.slices.push(again);
            }),
            "slice iot is listed twice",
        ),
        (
            Box::new(|p| p.content.slices[1].circuits[1].sdp = "city".parse().unwrap()),
            "slice iot has two attachment circuits for SDP city",
        ),
        (
            Box::new(|p| p.content.slices[1].markings = vec![marking(46, 46, 5), marking(46, 10, 1)]),
            "slice iot has two markings for code point 46",
        ),
        (
            Box::new(|p| {
                let mut again = p.content.slices[1].segments[0].clone();
                again.vni = model::Vni::new(7_000).unwrap();
                p.content.slices[1].segments.push(again);
            }),
            "iot/metering is listed twice",
        ),
        (
            Box::new(|p| p.content.slices[1].packet_octets_max = 9_199),
            "slice iot has packets of up to 9199 octets; this edge takes 9198 at most",
        ),
        (
            Box::new(|p| p.content.slices[1].segments.push(segment("iot", "new", 6_001, vec![]))),
            "iot/new has VNI 6001, which embb/office has already",
        ),
        (
            Box::new(|p| p.content.paths[0].local = LOOPBACK_V4.into()),
            "path 1 to edge-b leads from 192.0.2.1 to 2001:db8::b; expected a loopback of this edge and one of the same family",
        ),
        (
            Box::new(|p| p.content.paths[0].local = CORE_V6.into()),
            "path 1 to edge-b leads from 2001:db8:1::a to 2001:db8::b; expected a loopback of this edge and one of the same family",
        ),
        (
            Box::new(|p| p.content.paths[2].steering = Steering::Srv6(vec![])),
            "path 1 to edge-d leads from 192.0.2.1 to 192.0.2.4; expected a loopback of this edge and one of the same family",
        ),
        (
            Box::new(|p| {
                let again = p.content.paths[0].clone();
                p.content.paths.push(again);
            }),
            "two paths to edge-b have the id 1",
        ),
        (
            Box::new(|p| p.content.paths[0].steering = Steering::Srv6(vec!["fd00::1".parse().unwrap(); 9])),
            "path 1 to edge-b needs 9 SIDs or labels; this edge writes 8 at most",
        ),
        (
            Box::new(|p| p.content.paths[0].steering = Steering::Mpls(vec![Label::MIN; 11])),
            "path 1 to edge-b needs 11 SIDs or labels; this edge writes 10 at most",
        ),
        (
            Box::new(|p| p.content.slices[1].segments[0].remotes[1].working = PathId::new(2).unwrap()),
            "iot/metering: there is no path 2 to edge-c",
        ),
        (
            Box::new(|p| p.content.slices[1].segments[0].remotes[1].backup = Some(PathId::new(3).unwrap())),
            "iot/metering: there is no path 3 to edge-c",
        ),
        (
            Box::new(|p| p.content.paths[0].steering = Steering::Srv6(vec!["fd00::1".parse().unwrap()])),
            "iot/metering: VXLAN does not go over path 1 to edge-b",
        ),
        (
            Box::new(|p| {
                (p.content.paths[1].remote, p.content.paths[1].id) = (EDGE_B, PathId::new(2).unwrap());
                p.content.slices[1].segments[0].remotes[1].working = PathId::new(2).unwrap();
            }),
            "iot/metering: two tunnels lead to 2001:db8::b",
        ),
        (
            Box::new(|p| {
                let (to, id) = (p.content.paths[0].to.clone(), PathId::new(2).unwrap());
                p.content.paths.push(PathProgram { to, id, ..p.content.paths[1].clone() });
                p.content.slices[1].segments[1].remotes[0].backup = Some(id);
            }),
            "iot/health: path 1 to edge-b ends at 2001:db8::b, and its backup at 2001:db8::c; expected one address",
        ),
        (
            Box::new(|p| p.content.slices[1].service = Service::L2PointToPoint),
            "iot/metering is point-to-point and has 2 other edges; expected one at most",
        ),
        (Box::new(|p| p.content.paths[0].port = "spare0".parse().unwrap()), "port spare0 does not face the underlay"),
        (
            Box::new(|p| {
                let sid = ServiceSid { sid: "fd00:a::1:0".parse().unwrap(), behaviour: ServiceBehaviour::Dt2u };
                let again = ServiceSid { sid: "fd00:a::1:7".parse().unwrap(), ..sid.clone() };
                p.content.slices[1].segments[0].sids = vec![sid, again];
            }),
            "SID fd00:a::1:7 is listed twice",
        ),
        (
            Box::new(|p| {
                let tunnel = Tunnel::Mpls { to: Label::MIN, from: Label::MIN, control_word: true, flow_label: true };
                p.content.slices[1].segments[0].remotes.iter_mut().for_each(|remote| remote.tunnel = tunnel);
            }),
            "label 16 is listed twice",
        ),
        (
            Box::new(|p| p.content.core_ports[0].addresses.retain(|address| address.address().is_ipv4())),
            "port core0 has no address of the family of next hop 2001:db8:1::1",
        ),
        (
            Box::new(|p| {
                let (port, rate) = ("core0".parse().unwrap(), Rate::from_bits_per_second(1_000));
                let half = RateLimits::new(Rate::from_bits_per_second(501), rate).unwrap();
                let classes = vec![class("iot", 3, half), class("embb", 4, half)];
                p.content.shaping = vec![PortShaping { port, rate, classes }];
            }),
            "slices are guaranteed 1002 bit/s on port core0, which carries 1 kbit/s",
        ),
        (
            Box::new(|p| {
                let (port, rate) = ("access0".parse().unwrap(), Rate::from_bits_per_second(1_000));
                p.content.shaping = vec![PortShaping { port, rate, classes: vec![] }];
            }),
            "port access0 does not face the underlay",
        ),
        (
            Box::new(|p| {
                let port = AccessPort { port: "access0".parse().unwrap(), rate: Rate::from_bits_per_second(1_000) };
                p.content.access_ports = vec![port.clone(), port];
            }),
            "port access0 is listed twice",
        ),
        (
            Box::new(|p| {
                let (port, rate) = ("core0".parse().unwrap(), Rate::from_bits_per_second(1_000));
                p.content.shaping = vec![PortShaping { port, rate, classes: vec![] }; 2];
            }),
            "port core0 is listed twice",
        ),
        (
            Box::new(|p| p.content.queues = vec![queue(QueueClass::Streaming); 2]),
            "the queue of class streaming is listed twice",
        ),
        (
            Box::new(|p| p.content.loopback = (1..=5_u8).map(|n| IpAddr::from([192, 0, 2, n])).collect()),
            "5 loopback addresses; this edge runs 4 at most",
        ),
        (
            Box::new(|p| {
                let CorePort { addresses, .. } = &mut p.content.core_ports[0];
                let again = addresses[0];
                addresses.resize(9, again);
            }),
            "9 addresses of a port; this edge runs 8 at most",
        ),
        (
            Box::new(|p| {
                let segments = 1..=SEGMENTS_MAX as u64;
                p.content.slices[1].segments =
                    segments.map(|n| segment("iot", &format!("s{n}"), 10_000 + n, vec![])).collect();
            }),
            "4097 micro-segments; this edge runs 4096 at most",
        ),
        (
            Box::new(|p| {
                p.content.slices[0].segments[0].remotes = vec![remote("edge-x", 7); 65];
            }),
            "65 other edges of a segment; this edge runs 64 at most",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(refused(change), expected);
    }
}

#[test]
fn an_edge_has_so_many_ports_at_most() {
    let ports = (0..=PORTS_MAX).map(|n| PortSpec { name: format!("p{n}").parse().unwrap(), mac: device(1).mac });
    let error = Compiler::new(ports.collect()).unwrap_err();
    assert_eq!(error, CompileError::TooMany { what: "ports", count: PORTS_MAX + 1, max: PORTS_MAX });
}

#[test]
fn the_longest_frame_of_a_program_that_is_taken_is_carried() {
    let mut program = reference();
    program.content.slices[1].packet_octets_max = u16::try_from(FRAME_OCTETS_MAX - 18).unwrap();
    program.content.core_ports[0].mtu = 9_300;
    let mut rig = Rig::with(program);
    rig.introduce_router();
    rig.admit("iot", "health", device(1));
    let longest = from_city(device(1), device(9), &vec![7; FRAME_OCTETS_MAX - 46]);
    assert_eq!(longest.len(), FRAME_OCTETS_MAX);
    let left = rig.put(ACCESS0, &[longest]);
    assert_eq!(left[0].1.len(), FRAME_OCTETS_MAX - 4 + 70);
}
