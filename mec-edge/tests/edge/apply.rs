//! Which programs are run, which are refused, and what is left after a restart.

use std::borrow::Cow;
use std::net::UdpSocket;

use aaa_wire::Code;
use api::v1::{self, ReadKind};
use mec_edge::ports::{EdgePort, Losses};
use mec_edge::{Edge, StartError};
use model::program::{
    Adjacency, Flavours, Program, ServiceBehaviour, ServiceSid, TransitBehaviour, TransitLabel, TransitSid, Tunnel,
};
use model::{Generation, Label, Mac};
use transport_dataplane::{Burst, Frame, FramePool, Port};

use crate::manager::{Attached, FakeManager};
use crate::world::{HEALTH, METER, METERING, Segment, Side, TestEdge, World, limits, program};

async fn raise() -> (World, FakeManager, TestEdge, Attached) {
    let world = World::new();
    let mut manager = FakeManager::start(&world.authority).await;
    let edge = world.start(Side::A, Some(&manager)).await;
    let mut stream = manager.attached().await;
    assert_eq!(stream.realised().await, v1::Realised::default());
    (world, manager, edge, stream)
}

#[tokio::test]
async fn a_program_that_is_not_to_be_run_is_refused_by_name_and_the_old_one_goes_on() {
    let (_world, _manager, edge, mut stream) = raise().await;
    let running = program(Side::A, 7, &[METERING]);
    stream.run(&running).await;

    let other_edge = Program { generation: Generation::new(8), ..program(Side::B, 8, &[METERING]) };
    let mut changed: v1::Program = (&program(Side::A, 8, &[METERING])).into();
    changed.digest[0] ^= 1;
    let mut unnamed: v1::Program = (&program(Side::A, 8, &[METERING])).into();
    unnamed.edge = "Edge A".to_owned();
    let mut foreign_port = program(Side::A, 8, &[METERING]);
    foreign_port.content.slices[0].circuits[0].port = "access9".parse().unwrap();
    let twice = Segment { name: "health", ..METERING };
    let cases: [(v1::Program, u64, &str); 7] = [
        ((&program(Side::A, 6, &[METERING])).into(), 6, "generation 6 is older than generation 7, which runs"),
        ((&program(Side::A, 7, &[HEALTH])).into(), 7, "generation 7 runs already, and says something else"),
        ((&other_edge).into(), 8, "the program is for edge-b, and this is edge-a"),
        (changed, 8, "digest"),
        (unnamed, 8, "edge"),
        (
            (&foreign_port).into(),
            8,
            "the program uses port access9, which this edge does not have; it has access0, core0",
        ),
        ((&program(Side::A, 8, &[METERING, twice])).into(), 8, "has VNI 5001, which"),
    ];
    for (program, generation, reason) in cases {
        stream.send(program).await;
        let realised = stream.realised().await;
        let refusal = realised.refusal.unwrap();
        assert_eq!(refusal.generation, generation, "{reason}");
        assert!(refusal.reason.contains(reason), "{}", refusal.reason);
        assert_eq!((realised.generation, &realised.digest[..]), (7, &running.digest().as_bytes()[..]));
        assert_eq!(realised.segments.len(), 1);
    }
    // A good one is run, and nothing is held against it.
    let realised = stream.run(&program(Side::A, 8, &[METERING, HEALTH])).await;
    assert_eq!(realised.segments.len(), 2);
    edge.running.shutdown().await;
}

#[tokio::test]
async fn what_runs_already_is_run_anew_and_nobody_notices() {
    let (world, _manager, _edge, mut stream) = raise().await;
    stream.run(&program(Side::A, 1, &[METERING])).await;
    world.admit(Side::A, METERING, METER, 1).await;
    let realised = stream.run(&program(Side::A, 1, &[METERING])).await;
    assert_eq!(realised.segments[0].sessions, 1);
    // Another generation of the same content is another program, but disturbs nobody.
    let realised = stream.run(&program(Side::A, 2, &[METERING])).await;
    assert_eq!(realised.segments[0].sessions, 1);
}

#[tokio::test]
async fn a_change_of_rates_is_read_back_from_what_runs() {
    let (_world, _manager, _edge, mut stream) = raise().await;
    stream.run(&program(Side::A, 1, &[METERING])).await;
    let mut faster = program(Side::A, 2, &[METERING]);
    faster.content.slices[0].segments[0].limits = limits(70);
    let realised = stream.run(&faster).await;
    assert_eq!(realised.segments[0].limits.unwrap().ceiling_bits_per_second, 70_000_000);
    let meters = stream.read(ReadKind::Meters).await.meters;
    let ceilings: Vec<_> = meters.iter().map(|meter| meter.ceiling_bits_per_second / 1_000_000).collect();
    assert_eq!(ceilings, [100, 100, 70, 70]);
}

#[tokio::test]
async fn a_program_that_can_not_be_kept_is_not_run() {
    let (world, _manager, _edge, mut stream) = raise().await;
    stream.run(&program(Side::A, 1, &[METERING])).await;
    world.admit(Side::A, METERING, METER, 1).await;
    // Where the next program would be written stands something else.
    let incoming = world.path(Side::A, "state").join("program.incoming");
    std::fs::create_dir(&incoming).unwrap();
    stream.send(&program(Side::A, 2, &[HEALTH])).await;
    let realised = stream.realised_when(|realised| realised.refusal.is_some()).await;
    assert_eq!(realised.generation, 1);
    let reason = realised.refusal.unwrap().reason;
    assert!(reason.contains("can't be kept") && reason.contains("program.incoming"), "{reason}");
    // It left no trace: the segment is the one that it was, with its session.
    std::fs::remove_dir(&incoming).unwrap();
    let realised = stream.run(&program(Side::A, 3, &[METERING, HEALTH])).await;
    let metering = realised.segments.iter().find(|segment| segment.segment == "metering").unwrap();
    assert_eq!(metering.sessions, 1);
}

#[tokio::test]
async fn an_edge_starts_from_its_program_with_the_manager_away_and_finds_it_again() {
    let (world, manager, edge, mut stream) = raise().await;
    let kept = program(Side::A, 3, &[METERING]);
    stream.run(&kept).await;
    let address = manager.address;
    edge.running.shutdown().await;
    drop((stream, manager));

    // Without any manager.
    let edge = world.start(Side::A, None).await;
    world.admit(Side::A, METERING, METER, 1).await;
    edge.running.shutdown().await;

    // With one that is away at the start, and comes, and goes, and comes again.
    let away = FakeManager::start_at(&world.authority, address, &[]).await;
    let config = world.config(Side::A, Some(&away));
    drop(away);
    let (access, _access_peer) = mec_edge::ports::ring_pair(Mac([2, 0, 0, 0, 0, 0xa]));
    let (core, _core_peer) = mec_edge::ports::ring_pair(Mac([2, 0, 0, 0, 0, 0xb]));
    let ports: Vec<(_, Box<dyn EdgePort>)> =
        vec![("access0".parse().unwrap(), Box::new(access)), ("core0".parse().unwrap(), Box::new(core))];
    let _edge = Edge::start(config, ports).await.unwrap();
    world.admit(Side::A, METERING, METER, 2).await;
    for _ in 0..2 {
        let mut manager = FakeManager::start_at(&world.authority, address, &[]).await;
        let mut stream = manager.attached().await;
        let realised = stream.realised().await;
        assert_eq!((realised.generation, &realised.digest[..]), (3, &kept.digest().as_bytes()[..]));
        assert_eq!(realised.segments[0].sessions, 1);
        assert_eq!(realised.refusal, None);
    }
}

#[tokio::test]
async fn a_mangled_program_file_is_reported_and_the_one_before_runs() {
    let (world, mut manager, edge, mut stream) = raise().await;
    let before = program(Side::A, 1, &[METERING]);
    stream.run(&before).await;
    stream.run(&program(Side::A, 2, &[METERING, HEALTH])).await;
    edge.running.shutdown().await;
    let path = world.path(Side::A, "state").join("program");
    let mut octets = std::fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x20;
    std::fs::write(&path, octets).unwrap();

    let _edge = world.start(Side::A, Some(&manager)).await;
    let mut stream = manager.attached().await;
    let realised = stream.realised().await;
    assert_eq!((realised.generation, &realised.digest[..]), (1, &before.digest().as_bytes()[..]));
    let refusal = realised.refusal.unwrap();
    assert!(refusal.reason.contains("program.broken is passed over: it was changed"), "{}", refusal.reason);
    stream.run(&program(Side::A, 3, &[METERING, HEALTH])).await;
}

#[tokio::test]
async fn the_state_of_another_edge_is_not_run() {
    let (world, mut manager, edge, mut stream) = raise().await;
    stream.run(&program(Side::A, 1, &[METERING])).await;
    edge.running.shutdown().await;
    let [ours, theirs] = [Side::A, Side::B].map(|side| world.path(side, "state"));
    std::fs::create_dir_all(&theirs).unwrap();
    std::fs::copy(ours.join("program"), theirs.join("program")).unwrap();
    let _edge = world.start(Side::B, Some(&manager)).await;
    let realised = manager.attached().await.realised().await;
    assert_eq!((realised.generation, realised.segments.len()), (0, 0));
    assert_eq!(realised.refusal.unwrap().reason, "the program is for edge-a, and this is edge-b");
}

#[tokio::test]
async fn an_aaa_that_lacks_something_says_what() {
    let (world, _manager, _edge, mut stream) = raise().await;
    std::fs::remove_file(world.path(Side::A, "secrets").join("iot/health.yaml")).unwrap();
    let taken = UdpSocket::bind((world.aaa(Side::A), METERING.access_port)).unwrap();
    let realised = stream.run(&program(Side::A, 1, &[METERING, HEALTH])).await;
    let reasons: Vec<_> = realised.segments.iter().map(|s| (s.aaa(), s.aaa_reason.as_str())).collect();
    assert!(reasons.iter().all(|(state, _)| *state == v1::AaaState::NotReady), "{reasons:?}");
    assert!(reasons[0].1.contains(":20000 can't be opened"), "{reasons:?}");
    assert!(reasons[1].1.contains("health.yaml"), "{reasons:?}");
    // Both become ready by themselves once nothing is lacking.
    drop(taken);
    let ready = |realised: &v1::Realised, at: usize| realised.segments[at].aaa() == v1::AaaState::Ready;
    stream.realised_when(|realised| ready(realised, 0)).await;
    world.write_secrets(Side::A, "health", &[]);
    stream.realised_when(|realised| ready(realised, 0) && ready(realised, 1)).await;
}

#[tokio::test]
async fn a_credential_that_goes_takes_its_session_along() {
    let (world, _manager, _edge, mut stream) = raise().await;
    stream.run(&program(Side::A, 1, &[METERING])).await;
    world.admit(Side::A, METERING, METER, 1).await;
    world.write_secrets(Side::A, "metering", &[]);
    let realised = stream.run(&program(Side::A, 2, &[METERING])).await;
    assert_eq!(realised.segments[0].sessions, 0);
    assert_eq!(stream.read(ReadKind::Sessions).await.sessions, []);
    let refused = world.access(Side::A, METERING, METER, "meter's password", 2).await;
    assert_eq!(refused.code, Code::ACCESS_REJECT);
}

#[tokio::test]
async fn a_reading_comes_in_parts_of_bounded_size() {
    let (_world, _manager, _edge, mut stream) = raise().await;
    let mut many = program(Side::A, 1, &[]);
    let names: Vec<String> = (0..600).map(|number| format!("segment-{number}")).collect();
    for (number, name) in (6_000..).zip(&names) {
        let mut one =
            program(Side::A, 1, &[Segment { vni: number, ..METERING }]).content.slices.remove(0).segments.remove(0);
        one.id.segment = name.parse().unwrap();
        one.realm = None;
        many.content.slices[0].segments.push(one);
    }
    let realised = stream.run(&many).await;
    assert_eq!(realised.segments.len(), 600);
    assert!(realised.segments.iter().all(|segment| segment.aaa() == v1::AaaState::Absent));
    let meters = stream.read(ReadKind::Meters).await.meters;
    assert_eq!(meters.len(), 2 + 2 * 600);
    assert_eq!(stream.largest_part, 1_000);
    assert_eq!(stream.read(ReadKind::Unspecified).await.problem, "this node does not know that kind of reading");
}

/// A port that has a fault.
struct Faulty;

impl Port for Faulty {
    fn receive(&mut self, _: &mut FramePool, _: &mut Burst) {
        panic!("a planted fault");
    }

    fn transmit(&mut self, _: &mut Vec<Frame>, _: &mut FramePool) -> usize {
        0
    }
}

impl EdgePort for Faulty {
    fn driver(&self) -> Cow<'static, str> {
        "faulty".into()
    }

    fn mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 0, 1])
    }

    fn losses(&mut self) -> Losses {
        Losses::default()
    }

    fn is_replay(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_worker_that_has_stopped_is_reported_and_not_echoed() {
    let world = World::new();
    let mut manager = FakeManager::start(&world.authority).await;
    let (core, _peer) = mec_edge::ports::ring_pair(Mac([2, 0, 0, 0, 0, 2]));
    let ports: Vec<(_, Box<dyn EdgePort>)> =
        vec![("access0".parse().unwrap(), Box::new(Faulty)), ("core0".parse().unwrap(), Box::new(core))];
    let edge = Edge::start(world.config(Side::A, Some(&manager)), ports).await.unwrap();
    let mut stream = manager.attached().await;
    // It takes frames as soon as a program runs.
    stream.send(&program(Side::A, 1, &[METERING])).await;
    let stopped = |realised: &v1::Realised| {
        realised.refusal.as_ref().is_some_and(|refusal| refusal.reason == "the dataplane worker has stopped")
    };
    let realised = stream.realised_when(stopped).await;
    assert_eq!((realised.generation, realised.segments.len()), (0, 0));
    assert_eq!(stream.read(ReadKind::Drops).await.problem, "the dataplane worker has stopped");
    // Nobody is admitted to what forwards nothing.
    let answer = world.access(Side::A, METERING, METER, "meter's password", 1).await;
    assert_eq!(answer.code, Code::ACCESS_REJECT);
    edge.shutdown().await;
}

#[tokio::test]
async fn an_edge_that_can_not_start_says_why() {
    let world = World::new();
    let manager = FakeManager::start(&world.authority).await;
    let mut config = world.config(Side::A, Some(&manager));
    config.tls = None;
    assert!(matches!(Edge::start(config.clone(), vec![]).await, Err(StartError::NoTls)));
    config.tls = Some(world.path(Side::A, "nowhere"));
    let error = Edge::start(config.clone(), vec![]).await.unwrap_err();
    assert!(error.to_string().ends_with("nowhere/ca.pem"), "{error}");
    config.manager = None;
    let running = Edge::start(config.clone(), vec![]).await.unwrap();
    let error = Edge::start(config.clone(), vec![]).await.unwrap_err();
    assert!(error.to_string().ends_with("state is in use by another edge"), "{error}");
    running.shutdown().await;
    let too_many: Vec<(_, Box<dyn EdgePort>)> = (0..9)
        .map(|number| (format!("port{number}").parse().unwrap(), Box::new(Faulty) as Box<dyn EdgePort>))
        .collect();
    assert!(matches!(Edge::start(config, too_many).await, Err(StartError::Ports(_))));
}

#[tokio::test]
async fn what_runs_is_read_back_from_the_tables() {
    let (_world, _manager, _edge, mut stream) = raise().await;
    let nothing = stream.read(ReadKind::Running).await;
    assert_eq!(nothing.program, Some(v1::RunningProgram::default()));
    assert!(nothing.paths.is_empty() && nothing.sids.is_empty() && nothing.segments.is_empty());

    let mut program = program(Side::A, 3, &[METERING]);
    let (sid, end) = ("fd00:a:0:1000::", "fd00:a:0:1::");
    let behaviour = ServiceBehaviour::Dt2u;
    program.content.slices[0].segments[0].sids = vec![ServiceSid { sid: sid.parse().unwrap(), behaviour }];
    let out = Adjacency { port: "core0".parse().unwrap(), next_hop: program.content.paths[0].next_hop };
    let flavours = Flavours { psp: true, ..Flavours::default() };
    let transit = TransitSid { sid: end.parse().unwrap(), behaviour: TransitBehaviour::EndX(out.clone()), flavours };
    let label = TransitLabel { label: Label::new(100_001).unwrap(), swap: Some(Label::new(200_001).unwrap()), out };
    program.content.transit.sids = vec![transit.clone()];
    program.content.transit.labels = vec![label.clone()];
    let realised = stream.run(&program).await;
    assert_eq!(realised.paths.len(), 1);
    assert_eq!((realised.paths[0].to.as_str(), realised.paths[0].state()), ("edge-b", v1::PathState::Unknown));
    let far = Side::B.loopback().to_string();
    assert_eq!(realised.segments[0].tunnels, [v1::RealisedTunnel { remote: far, path: 1, lanes: Vec::new() }]);

    let running = stream.read(ReadKind::Running).await;
    let digest = program.digest().as_bytes().to_vec();
    assert_eq!(running.program, Some(v1::RunningProgram { generation: 3, digest }));
    assert_eq!(running.paths[0].program, Some((&program.content.paths[0]).into()));
    let sids: Vec<_> = running.sids.into_iter().map(|running| (running.segment, running.sid.unwrap())).collect();
    let service = v1::running_sid::Sid::Service((&program.content.slices[0].segments[0].sids[0]).into());
    let on_the_way = v1::running_sid::Sid::Transit((&transit).into());
    assert_eq!(sids, [(String::new(), on_the_way), ("metering".to_owned(), service)]);
    assert_eq!(running.labels.len(), 1);
    assert_eq!((running.labels[0].label, running.labels[0].transit.clone()), (100_001, Some((&label).into())));
    let [segment] = &running.segments[..] else { panic!("{:?}", running.segments) };
    let Tunnel::Vxlan(vni) = program.content.slices[0].segments[0].remotes[0].tunnel else { panic!() };
    let sends = Some(v1::tunnel_lane::Sends::Vxlan(v1::VxlanTunnel { vni: vni.get() }));
    assert_eq!(segment.tunnels[0].lanes, [v1::TunnelLane { path: 1, sends, group: true }]);
    // What it reports of its own accord is the same, but for what is put in front of packets.
    let mut short = segment.clone();
    short.tunnels[0].lanes.clear();
    assert_eq!([short], realised.segments[..]);
    let slice = &program.content.slices[0];
    let circuits = slice.circuits.iter().map(Into::into).collect();
    let limits = Some(slice.limits.into());
    assert_eq!(running.slices, [v1::RunningSlice { slice: slice.slice.to_string(), limits, circuits }]);
}
