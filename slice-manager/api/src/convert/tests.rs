//! Refusals name the field; what is accepted survives the way there and back.

use model::plan::{
    Allocation, Booking, LinkDirection, LinkNumbers, NodeNumbers, Path, PathForm, PathKey, Plan, Quarantined,
    SlicePlan, Way,
};
use model::program::{PortShaping, Program, ProgramContent, SliceClass};
use model::resource::{Resource, Slice, Topology};
use model::{Generation, Latency, Rate, RateLimits};

use crate::v1;

fn slice() -> v1::Slice {
    v1::Slice {
        name: "iot".into(),
        template: "miot".into(),
        snssai: Some(v1::Snssai { sst: 3, sd: Some("0A1B2C".into()) }),
        service: v1::Service::L2Multipoint.into(),
        transport: v1::Transport::Vxlan.into(),
        rate: Some(v1::RateLimits { guaranteed_bits_per_second: 1, ceiling_bits_per_second: 2 }),
        latency_max_nanoseconds: Some(10),
        sdps: vec![
            v1::Sdp {
                name: "city".into(),
                edge: "edge-a".into(),
                port: "access0".into(),
                vlan: Some(110),
                ..v1::Sdp::default()
            },
            v1::Sdp {
                name: "dc".into(),
                edge: "edge-c".into(),
                port: "access0".into(),
                leaf: true,
                ..v1::Sdp::default()
            },
        ],
        paths: Some(v1::PathPolicy {
            exclude_nodes: vec!["core-2".into()],
            backup: v1::BackupMode::Node.into(),
            ..v1::PathPolicy::default()
        }),
        session_rates: Some(v1::SessionRates {
            from_access_bits_per_second: Some(2_000_000),
            to_access_bits_per_second: None,
        }),
        weight: Some(8),
    }
}

fn refusal(change: impl FnOnce(&mut v1::Slice)) -> String {
    let mut message = slice();
    change(&mut message);
    let resource = v1::Resource { kind: Some(v1::resource::Kind::Slice(message)) };
    Resource::try_from(resource).unwrap_err().to_string()
}

#[test]
fn a_slice_survives_the_way_there_and_back() {
    let model = Slice::try_from(slice()).unwrap();
    assert_eq!(model.spec.latency.unwrap().max, Latency::from_nanos(10));
    assert_eq!(v1::Slice::from(&model), slice());
    // What is left out weighs 1.
    let light = Slice::try_from(v1::Slice { weight: None, ..slice() }).unwrap();
    assert_eq!((light.spec.weight.get(), v1::Slice::from(&light).weight), (1, None));
}

#[test]
fn a_refusal_names_the_field_and_what_was_expected() {
    assert_eq!(
        refusal(|s| s.sdps[1].vlan = Some(4095)),
        "slice.sdps[1].vlan: 4095 is not a VLAN identifier; expected 1 to 4094"
    );
    assert_eq!(
        refusal(|s| s.sdps[1].name = "city".into()),
        "slice.sdps: two SDPs are named `city`; expected each name once"
    );
    assert_eq!(
        refusal(|s| s.snssai.as_mut().unwrap().sst = 256),
        "slice.snssai.sst: 256 is not an SST; expected 0 to 255"
    );
    assert_eq!(
        refusal(|s| s.snssai.as_mut().unwrap().sd = Some("FFFFFF".into())),
        "slice.snssai.sd: `FFFFFF` is not an SD: six hexadecimal digits, `000000` to `FFFFFE`"
    );
    assert_eq!(
        refusal(|s| s.rate.as_mut().unwrap().guaranteed_bits_per_second = 3),
        "slice.rate.guaranteedBitsPerSecond: guaranteed: 3 bit/s is more than the ceiling of 2 bit/s; expected at most 2 bit/s"
    );
    assert_eq!(refusal(|s| s.weight = Some(0)), "slice.weight: 0 is not a weight; expected 1 to 100");
    assert_eq!(refusal(|s| s.transport = 0), "slice.transport: 0 is not a value of Transport");
    assert_eq!(refusal(|s| s.transport = 99), "slice.transport: 99 is not a value of Transport");
    assert_eq!(refusal(|s| s.snssai = None), "slice.snssai: missing; expected an S-NSSAI");
    assert!(Resource::try_from(v1::Resource { kind: None }).is_err());
}

#[test]
fn a_program_that_was_changed_on_its_way_is_refused() {
    let content = ProgramContent::empty("edge-a".parse().unwrap());
    let program = Program { generation: Generation::new(7), content };
    let message = v1::Program::from(&program);
    assert_eq!(Program::try_from(message.clone()).unwrap(), program);
    let mut mangled = message.clone();
    mangled.loopback.push("192.0.2.1".into());
    assert_eq!(Program::try_from(mangled).unwrap_err().to_string(), "digest: the digest is not that of the content");
    let mut short = message;
    short.digest.pop();
    assert_eq!(
        Program::try_from(short).unwrap_err().to_string(),
        "digest: 31 octets; expected the 32 of a SHA-256 digest"
    );
}

#[test]
fn the_classes_of_a_port_survive_the_way_there_and_back_and_are_refused_by_field() {
    let class = SliceClass {
        number: model::ClassNumber::MIN,
        slice: "iot".parse().unwrap(),
        limits: RateLimits::new(Rate::from_bits_per_second(1), Rate::from_bits_per_second(2)).unwrap(),
        weight: model::Weight::MAX,
        vnis: vec![model::Vni::MIN, model::Vni::MAX],
    };
    let rate = Rate::from_bits_per_second(3);
    let shaping = vec![PortShaping { port: "to-b".parse().unwrap(), rate, classes: vec![class] }];
    let bare = ProgramContent::empty("core-1".parse().unwrap());
    let program = Program { generation: Generation::new(7), content: ProgramContent { shaping, ..bare.clone() } };
    let message = v1::Program::from(&program);
    assert_eq!(Program::try_from(message.clone()).unwrap(), program);
    assert_ne!(program.digest(), model::Digest::of(&bare), "the digest covers it");
    let refusal = |change: fn(&mut v1::PortShaping)| {
        let mut message = message.clone();
        change(&mut message.shaping[0]);
        Program::try_from(message).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(|s| s.classes[0].number = 2),
        "shaping[0].classes[0].number: 2 is not the number of a slice's class; expected 3 to 65535"
    );
    assert_eq!(
        refusal(|s| s.classes[0].vnis[1] = 0),
        "shaping[0].classes[0].vnis[1]: 0 is not a VNI; expected 1 to 16777215"
    );
    assert_eq!(
        refusal(|s| s.classes[0].weight = Some(101)),
        "shaping[0].classes[0].weight: 101 is not a weight; expected 1 to 100"
    );
    assert_eq!(refusal(|s| s.classes[0].weight = None), "digest: the digest is not that of the content");
    assert_eq!(refusal(|s| s.classes[0].limits = None), "shaping[0].classes[0].limits: missing; expected the limits");
    assert_eq!(refusal(|s| s.rate_bits_per_second = 4), "digest: the digest is not that of the content");
}

#[test]
fn a_path_survives_the_way_there_and_back() {
    use model::program::{PathProgram, Steering};
    let path = PathProgram {
        id: model::PathId::MIN,
        to: "edge-b".parse().unwrap(),
        local: "2001:db8::a".parse().unwrap(),
        remote: "2001:db8::b".parse().unwrap(),
        port: "core0".parse().unwrap(),
        next_hop: "2001:db8:1::1".parse().unwrap(),
        mtu: 1600,
        steering: Steering::Srv6(vec!["fd00:1:0:1::".parse().unwrap()]),
        srh: model::resource::Srh::Full,
    };
    assert_eq!(PathProgram::try_from(v1::PathProgram::from(&path)).unwrap(), path);
}

#[test]
fn what_marks_say_survives_the_way_there_and_back() {
    use model::profile::QueueClass;
    use model::program::{InnerMark, Marking, OuterMark, TransitQueue};
    let dscp = |value| model::Dscp::new(value).unwrap();
    let traffic_class = model::TrafficClass::new(5).unwrap();
    let (qfi, priority) = (model::Qfi::new(9).unwrap(), model::Pcp::new(5).unwrap());
    for inner in [InnerMark::Dscp(dscp(0)), InnerMark::Qfi(qfi), InnerMark::Priority(priority)] {
        let marking = Marking { inner, dscp: dscp(46), traffic_class, queue: QueueClass::LowLatency };
        assert_eq!(Marking::try_from(v1::Marking::from(marking)), Ok(marking));
    }
    let refusal = |inner| {
        let marking = v1::Marking { inner: Some(inner), ..v1::Marking::default() };
        Marking::try_from(marking).unwrap_err().to_string()
    };
    assert_eq!(refusal(v1::marking::Inner::InnerDscp(64)), "innerDscp: 64 is not a DSCP; expected 0 to 63");
    assert_eq!(refusal(v1::marking::Inner::InnerQfi(64)), "innerQfi: 64 is not a QFI; expected 0 to 63");
    assert_eq!(
        refusal(v1::marking::Inner::InnerPriority(8)),
        "innerPriority: 8 is not an 802.1p priority; expected 0 to 7"
    );
    // Before there were several kinds all were code points, and 0 was not written.
    assert_eq!(Marking::try_from(v1::Marking::default()).unwrap().inner, InnerMark::Dscp(model::Dscp::MIN));
    for outer in [OuterMark::Dscp(dscp(46)), OuterMark::TrafficClass(traffic_class)] {
        let queue = TransitQueue { outer, queue: QueueClass::RealTime };
        assert_eq!(TransitQueue::try_from(v1::TransitQueue::from(queue)), Ok(queue));
    }
    let queue = v1::TransitQueue { outer: Some(v1::transit_queue::Outer::Dscp(1)), queue: "fast".into() };
    let error = TransitQueue::try_from(queue).unwrap_err().to_string();
    assert_eq!(error, "queue: `fast` is not a queue class such as `low-latency`");
}

#[test]
fn how_classes_are_queued_survives_the_way_there_and_back() {
    use model::profile::QueueClass;
    use model::program::{CodelProgram, QueueProgram, SessionRates};
    let codel = CodelProgram { target_nanos: 5, interval_nanos: 100 };
    for (queue, codel) in [(QueueClass::LowLatency, None), (QueueClass::Streaming, Some(codel))] {
        let weight = model::Weight::MAX;
        let queue = QueueProgram { queue, weight, octets_max: 1500, time_max_nanos: 7, codel };
        let message = v1::QueueProgram::from(queue);
        assert_eq!(QueueProgram::try_from(message.clone()), Ok(queue));
        let error = QueueProgram::try_from(v1::QueueProgram { weight: 0, ..message }).unwrap_err().to_string();
        assert_eq!(error, "weight: 0 is not a weight; expected 1 to 100");
    }
    let bits = |rate| Some(Rate::from_bits_per_second(rate));
    for (from_access, to_access) in [(None, None), (bits(1), None), (None, bits(2)), (bits(3), bits(4))] {
        let rates = SessionRates { from_access, to_access };
        assert_eq!(SessionRates::from(v1::SessionRates::from(rates)), rates);
    }
}

/// A program for `edge-a` as a build wrote it that knew of no queues, weights and session rates: a slice with a marking of
/// code point 44 and one segment, and a class at a port.
const OLDER: &str = "08051206656467652d612a2b0a03696f74120208031a040801100220dc0b3a0d0a016d10071a0408011002200340025a06082c102e180\
                     532208b14dce40fcc9194aa0b82436a5dfda217effc709cd238916915c47d4490ac4c4a0052170a017010091a1008031203696f741a\
                     0408011002220101";

fn older() -> Program {
    use prost::Message as _;
    let octet = |at| u8::from_str_radix(&OLDER[at..at + 2], 16).unwrap();
    let octets: Vec<u8> = (0..OLDER.len()).step_by(2).map(octet).collect();
    Program::try_from(v1::Program::decode(octets.as_slice()).unwrap()).unwrap()
}

#[test]
fn a_program_of_an_older_build_is_read_by_its_own_digest_and_means_what_it_meant() {
    use model::profile::QueueClass;
    use model::program::{InnerMark, SessionRates};
    let program = older();
    let content = &program.content;
    assert!(content.queues.is_empty() && content.transit.queues.is_empty());
    assert_eq!(content.shaping[0].classes[0].weight.get(), 1);
    let slice = &content.slices[0];
    assert_eq!((slice.queue, slice.weight.get()), (QueueClass::BestEffort, 1));
    assert_eq!((slice.session_rates, slice.segments[0].weight.get()), (SessionRates::default(), 1));
    let marking = slice.markings[0];
    assert_eq!(
        (marking.inner, marking.queue),
        (InnerMark::Dscp(model::Dscp::new(44).unwrap()), QueueClass::BestEffort)
    );
    // Passed on in today's form, it is still the same.
    assert_eq!(Program::try_from(v1::Program::from(&program)), Ok(program));
}

#[test]
fn the_digest_covers_what_came_later() {
    use model::profile::QueueClass;
    let program = older();
    let changes: [fn(&mut ProgramContent); 9] = [
        |content| content.shaping[0].classes[0].weight = model::Weight::MAX,
        |content| content.slices[0].weight = model::Weight::MAX,
        |content| content.slices[0].queue = QueueClass::Streaming,
        |content| content.slices[0].markings[0].queue = QueueClass::Streaming,
        |content| content.slices[0].session_rates.to_access = Some(Rate::ZERO),
        |content| content.slices[0].segments[0].weight = model::Weight::MAX,
        |content| {
            let outer = model::program::OuterMark::Dscp(model::Dscp::MIN);
            content.transit.queues.push(model::program::TransitQueue { outer, queue: QueueClass::Streaming });
        },
        |content| {
            let (queue, weight) = (QueueClass::Streaming, model::Weight::MIN);
            let queue = model::program::QueueProgram { queue, weight, octets_max: 0, time_max_nanos: 0, codel: None };
            content.queues.push(queue);
        },
        |content| {
            let (port, rate) = ("access0".parse().unwrap(), Rate::from_bits_per_second(7));
            content.access_ports.push(model::program::AccessPort { port, rate });
        },
    ];
    for change in changes {
        let mut changed = program.clone();
        change(&mut changed.content);
        assert_ne!(changed.digest(), program.digest());
        assert_eq!(Program::try_from(v1::Program::from(&changed)), Ok(changed));
    }
}

#[test]
fn the_json_form_is_that_of_proto3() {
    let json = crate::to_json(&slice()).unwrap();
    assert_eq!(json["sdps"][0]["vlan"], 110);
    assert_eq!(json["rate"]["ceilingBitsPerSecond"], "2", "64-bit numbers are texts in proto3 JSON");
    assert_eq!(json["transport"], "TRANSPORT_VXLAN");
    assert!(json["sdps"][1].get("vlan").is_none(), "an absent optional field is left out");
}

/// The reference topology says everything that a topology can say but a few words.
fn topology() -> v1::Topology {
    let text = include_str!("../../../../profiles/reference/topology.yaml");
    let declared = model::resource::read("topology.yaml", text).unwrap();
    let Resource::Topology(mut topology) = declared[0].resource.clone() else { panic!("a topology") };
    let mut links = Vec::from(topology.spec.links.clone());
    links[0].drained = true;
    links[0].classes.insert(model::profile::QueueClass::RealTime, "12.5 %".parse().unwrap());
    topology.spec.links = model::UniqueList::new(links).unwrap();
    let mut nodes = Vec::from(topology.spec.nodes.clone());
    nodes[0].srh = model::resource::Srh::Full;
    topology.spec.nodes = model::UniqueList::new(nodes).unwrap();
    let message = v1::Topology::from(&topology);
    assert_eq!(Topology::try_from(message.clone()).unwrap(), topology);
    message
}

#[test]
fn a_topology_survives_the_way_there_and_back() {
    let refusal = |change: fn(&mut v1::Topology)| {
        let mut message = topology();
        change(&mut message);
        Topology::try_from(message).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(|t| t.links[0].classes[0].class = "fast".into()),
        "links[0].classes[0].class: `fast` is not a queue class such as `low-latency`"
    );
    assert_eq!(refusal(|t| t.probes_off = true), "probesOff: set together with probes; expected one of the two");
    assert_eq!(
        refusal(|t| t.nodes[0].sid_depth_max = Some(0)),
        "nodes[0].sidDepthMax: 0 is not a depth; expected 1 to 255"
    );
    assert_eq!(refusal(|t| t.nodes[1].srh = 9), "nodes[1].srh: 9 is not a value of Srh");
    assert_eq!(
        refusal(|t| t.pools.as_mut().unwrap().sid_functions.as_mut().unwrap().first = 4095),
        "pools.sidFunctions.first: 4095 is not a SID's function; expected 4096 to 65535"
    );
    assert_eq!(
        refusal(|t| t.links[1].srlgs = vec!["a".into(), "a".into()]),
        "links[1].srlgs: two shared risks are named `a`; expected each name once"
    );
    // What is left out is what files mean that leave it out.
    let mut bare = topology();
    bare.probes = None;
    bare.nodes[0].sid_depth_max = None;
    let pools = bare.pools.as_mut().unwrap();
    (pools.sid_functions, pools.route_targets, pools.route_target_asn, pools.vlans) = (None, None, None, None);
    let read = Topology::try_from(bare).unwrap().spec;
    assert_eq!((read.probes, read.nodes[0].sid_depth_max), (model::resource::Probes::default(), 8));
    assert_eq!(read.pools.sid_functions, model::resource::SidFunctionPool::default());
}

#[test]
fn a_plan_survives_the_way_there_and_back() {
    let number = |n| model::PathId::new(n).unwrap();
    let label = |n| model::Label::new(n).unwrap();
    let edge = |name: &str| -> model::NodeName { name.parse().unwrap() };
    let (a, b) = (edge("edge-a"), edge("edge-b"));
    let segment = model::resource::SegmentId { slice: "iot".parse().unwrap(), segment: "m".parse().unwrap() };
    let allocation = Allocation {
        vni: model::Vni::new(7).unwrap(),
        access_port: 2000,
        function: Some(4096),
        labels: [((a.clone(), b.clone()), label(100))].into(),
    };
    let links = [("l".parse().unwrap(), LinkNumbers { function: Some(16), label: None })].into();
    let awaiting = || [(a.clone(), Generation::new(3))].into();
    let booking = Booking {
        class: model::profile::QueueClass::LowLatency,
        working: model::Rate::from_bits_per_second(1),
        backup: model::Rate::from_bits_per_second(2),
    };
    let plan = Plan {
        generation: Generation::new(4),
        topology: Some(model::Digest::from_bytes([7; 32])),
        nodes: [(edge("core-1"), NodeNumbers { index: Some(3), links, awaiting: awaiting() })].into(),
        slices: [(
            "iot".parse().unwrap(),
            SlicePlan {
                number: 9,
                vlans: [("p".parse().unwrap(), model::Vlan::new(5).unwrap())].into(),
                ways: [((a.clone(), b.clone()), Way { working: number(1), backup: Some(number(2)) })].into(),
                moving: [(b.clone(), a.clone())].into(),
            },
        )]
        .into(),
        allocations: [(segment.clone(), allocation.clone())].into(),
        quarantine: vec![Quarantined { segment, allocation, awaiting: awaiting() }],
        paths: [(
            PathKey { a: a.clone(), b: b.clone(), id: number(1) },
            Path { links: vec!["l".parse().unwrap()], delay: Latency::from_nanos(5), form: PathForm::Mpls },
        )]
        .into(),
        leaving: [(
            PathKey { a: a.clone(), b: b.clone(), id: number(2) },
            Path { links: vec!["m".parse().unwrap()], delay: Latency::from_nanos(6), form: PathForm::Ip },
        )]
        .into(),
        awaiting: awaiting(),
        bookings: [(LinkDirection { link: "l".parse().unwrap(), from: b }, [("iot".parse().unwrap(), booking)].into())]
            .into(),
        programs: std::collections::BTreeMap::new(),
    };
    let message = v1::Plan::from(&plan);
    assert_eq!(Plan::try_from(message.clone()).unwrap(), plan);
    let refusal = |change: fn(&mut v1::Plan)| {
        let mut message = message.clone();
        change(&mut message);
        Plan::try_from(message).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(refusal(|p| p.paths[0].form = 0), "paths[0].form: 0 is not a value of PathForm");
    assert_eq!(
        refusal(|p| p.slices[0].ways[0].working = 0),
        "slices[0].ways[0].working: 0 is not a path id; expected 1 to 65535"
    );
    assert_eq!(
        refusal(|p| p.allocations[0].labels[0].label = 3),
        "allocations[0].labels[0].label: 3 is not an MPLS label; expected 16 to 1048575"
    );
}
