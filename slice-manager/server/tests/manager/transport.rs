//! Paths and numbers as they are listed, and nodes that are read back, compared and repaired.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::v1;
use model::PathId;
use model::program::{PortTree, Program, ProgramContent, Remote, SliceProgram, Tunnel};
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;
use v1::edge_command::Command;
use v1::edge_report::Report;
use v1::transport_service_client::TransportServiceClient;

use crate::world::{EDGES, World, realised};

/// What an edge answers that runs a program and nothing else.
fn running(program: &Program) -> v1::Reading {
    let content = &program.content;
    let delays = v1::Delays { count: 9, min: 1_000_000, mean: 1_200_000, p99: 1_900_000, max: 2_000_000 };
    let path = |path: &model::program::PathProgram| v1::PathReading {
        // What it calls itself is not what counts.
        edge: "edge-z".to_owned(),
        program: Some(path.into()),
        state: v1::PathState::Up.into(),
        probes_answered: 9,
        probes_lost: 1,
        round_trip: Some(delays),
        ..v1::PathReading::default()
    };
    let mut segments = realised(Some(program)).segments;
    for (found, segment) in segments.iter_mut().zip(content.slices.iter().flat_map(|slice| &slice.segments)) {
        for (tunnel, remote) in found.tunnels.iter_mut().zip(&segment.remotes) {
            let paths = [Some(remote.working), remote.backup].into_iter().flatten();
            tunnel.lanes = paths.map(|path| lane(path, remote)).collect();
        }
    }
    let slice = |slice: &SliceProgram| v1::RunningSlice {
        slice: slice.slice.to_string(),
        limits: Some(slice.limits.into()),
        circuits: slice.circuits.iter().map(Into::into).collect(),
    };
    v1::Reading {
        program: Some(v1::RunningProgram {
            generation: program.generation.get(),
            digest: program.digest().as_bytes().to_vec(),
        }),
        paths: content.paths.iter().map(path).collect(),
        segments,
        slices: content.slices.iter().map(slice).collect(),
        shaping: shaping(content),
        shares: shares(content),
        ..v1::Reading::default()
    }
}

/// What the schedulers of its ports are, slice by slice.
fn shaping(content: &ProgramContent) -> Vec<v1::PortShaping> {
    let class = |number, slice: &str, limits: v1::RateLimits, weight| v1::SliceClass {
        number,
        slice: slice.to_owned(),
        limits: Some(limits),
        weight: Some(weight),
        vnis: Vec::new(),
    };
    let port = |tree: &PortTree<'_>| {
        let rest =
            v1::RateLimits { guaranteed_bits_per_second: 0, ceiling_bits_per_second: tree.rate.bits_per_second() };
        let slices = tree.slices.iter().zip(1..).map(|(share, number)| {
            class(number, share.slice.slice.as_str(), share.limits.into(), share.weight.get().into())
        });
        let classes = std::iter::once(class(0, "", rest, 1)).chain(slices).collect();
        let rate_bits_per_second = tree.rate.bits_per_second();
        v1::PortShaping { port: tree.port.to_string(), rate_bits_per_second, classes }
    };
    content.trees().iter().map(port).collect()
}

/// The same, segment by segment.
fn shares(content: &ProgramContent) -> Vec<v1::SegmentShare> {
    let mut shares = Vec::new();
    for tree in content.trees() {
        let ceiling_bits_per_second = tree.rate.bits_per_second();
        shares.push(v1::SegmentShare {
            port: tree.port.to_string(),
            limits: Some(v1::RateLimits { guaranteed_bits_per_second: 0, ceiling_bits_per_second }),
            weight: 1,
            ..v1::SegmentShare::default()
        });
        for (share, number) in tree.slices.iter().flat_map(|slice| &slice.segments).zip(1..) {
            shares.push(v1::SegmentShare {
                port: tree.port.to_string(),
                number,
                slice: share.segment.id.slice.to_string(),
                segment: share.segment.id.segment.to_string(),
                limits: Some(share.limits.into()),
                weight: share.segment.weight.get().into(),
                low_latency_bits_per_second: share.low_latency.bits_per_second(),
                leaving: false,
            });
        }
    }
    shares
}

/// What an edge puts in front of a packet over a path.
fn lane(path: PathId, remote: &Remote) -> v1::TunnelLane {
    use v1::tunnel_lane::Sends;
    let sends = match remote.tunnel {
        Tunnel::Vxlan(vni) => Sends::Vxlan(v1::VxlanTunnel { vni: vni.get() }),
        Tunnel::Srv6 { unicast, flood } => {
            Sends::Srv6(v1::Srv6Tunnel { unicast: unicast.to_string(), flood: flood.to_string() })
        }
        Tunnel::Mpls { to, control_word, flow_label, .. } => {
            Sends::Mpls(v1::SentLabels { label: to.get(), control_word, flow_label })
        }
    };
    v1::TunnelLane { path: path.get().into(), sends: Some(sends), group: remote.group }
}

/// An edge that runs what it is sent and answers what it runs, changed by `spoil`, which is told how many programs came.
async fn edge(
    world: &World,
    name: &str,
    spoil: impl Fn(usize, &mut v1::Reading) + Send + 'static,
) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let mut edge = world.attach(name).await;
    edge.report(None).await;
    let programs = Arc::new(AtomicUsize::new(0));
    let count = programs.clone();
    let task = tokio::spawn(async move {
        while let Ok(command) = edge.command().await {
            match command {
                Command::Program(message) => {
                    count.fetch_add(1, Ordering::Relaxed);
                    edge.report(Some(&Program::try_from(message).unwrap())).await;
                }
                Command::Read(read) => {
                    let mut reading = edge.runs.as_ref().map(running).unwrap_or_default();
                    spoil(count.load(Ordering::Relaxed), &mut reading);
                    edge.send(Report::Reading(v1::Reading { id: read.id, last: true, ..reading })).await;
                }
            }
        }
    });
    (task, programs)
}

fn client(world: &World) -> TransportServiceClient<Channel> {
    TransportServiceClient::new(world.operator())
}

async fn active(world: &World) {
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
}

async fn verify(world: &World, node: &str) -> Vec<v1::NodeVerdict> {
    client(world).verify(v1::VerifyRequest { node: node.to_owned() }).await.unwrap().into_inner().nodes
}

fn said(difference: &v1::Difference) -> (&str, &str, &str) {
    (&difference.what, &difference.wanted, &difference.found)
}

#[tokio::test]
async fn what_nodes_run_is_compared_with_their_programs_and_what_differs_is_named() {
    let world = World::with_iot().await;
    edge(&world, "edge-a", |_, _| {}).await;
    edge(&world, "edge-b", |_, reading| {
        let path = reading.paths[0].program.as_mut().unwrap();
        path.next_hop = "fd00:9:b::1".to_owned();
        reading.segments[0].vni += 1;
        reading.segments[0].tunnels.pop();
        let lane = &mut reading.segments[0].tunnels[0].lanes[1];
        lane.sends = Some(v1::tunnel_lane::Sends::Vxlan(v1::VxlanTunnel { vni: 4_711 }));
        reading.segments[0].limits.as_mut().unwrap().ceiling_bits_per_second = 9_000_000;
        reading.slices[0].circuits[0].vlan = Some(4_000);
        reading.labels = vec![v1::RunningLabel {
            label: 777,
            slice: "x".into(),
            segment: "y".into(),
            ..v1::RunningLabel::default()
        }];
    })
    .await;
    world.slice_when("iot", |iot| iot.edges.iter().filter(|e| e.realised_generation == Some(1)).count() == 2).await;
    let nodes = verify(&world, "").await;
    assert_eq!(nodes.iter().map(|node| node.node.as_str()).collect::<Vec<_>>(), EDGES);
    let [well, other, away] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!((well.unread.as_str(), well.differences.len(), well.generation, well.target_generation), ("", 0, 1, 1));
    assert_eq!((well.digest.len(), &well.digest), (32, &well.target_digest));
    // A working and a backup path to each of two edges.
    assert_eq!((well.paths, well.segments), (4, 2));
    assert_eq!((away.unread.as_str(), away.differences.len()), ("it is away", 0));

    let differences: Vec<_> = other.differences.iter().map(said).collect();
    let [sdp, label, path, health, working, missing] = differences[..] else { panic!("{differences:?}") };
    assert!(sdp.0.starts_with("SDP ") && sdp.2.contains("VLAN 4000"), "{sdp:?}");
    assert_eq!(label, ("label 777", "", "x/y from "));
    let (what, wanted, found) = path;
    assert_eq!(what, "path 1 to edge-a");
    assert!(
        wanted.contains("core0 to fd00:1:b::1, MTU 1600") && found.contains("core0 to fd00:9:b::1"),
        "{differences:?}"
    );
    assert_eq!(health.0, "segment iot/personal-health");
    assert!(health.2.contains("ceiling 9 Mbit/s") && !health.1.contains("ceiling 9 Mbit/s"), "{health:?}");
    assert_eq!(working.0, "tunnel of iot/personal-health to fd00:0:a::1");
    assert!(working.2.contains("with VNI 4711 and group") && !working.1.contains("4711"), "{working:?}");
    assert_eq!((missing.0, missing.2), ("tunnel of iot/personal-health to fd00:0:c::1", ""));
    assert_eq!(verify(&world, "edge-b").await.len(), 1);
    let none = client(&world).verify(v1::VerifyRequest { node: "edge-z".into() }).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);
}

#[tokio::test]
async fn schedulers_that_run_another_rate_are_drift_by_the_name_of_port_slice_and_segment() {
    let world = World::with_iot().await;
    // Until it is sent its program for the second time.
    let spoil = |programs, reading: &mut v1::Reading| {
        if programs > 1 {
            return;
        }
        let port = reading.shaping.iter_mut().find(|port| port.port == "access0").unwrap();
        port.rate_bits_per_second += 1;
        let class = port.classes.iter_mut().find(|class| class.slice == "iot").unwrap();
        class.weight = Some(3);
        let at = |share: &&mut v1::SegmentShare| share.port == "core0" && share.segment == "smart-metering";
        let share = reading.shares.iter_mut().find(at).unwrap();
        share.limits.as_mut().unwrap().ceiling_bits_per_second -= 1;
        reading.shares.retain(|share| !(share.port == "core0" && share.segment == "personal-health"));
        let gone = v1::SegmentShare { port: "core1".into(), number: 77, leaving: true, ..v1::SegmentShare::default() };
        reading.shares.push(gone);
    };
    edge(&world, "edge-a", spoil).await;
    for name in ["edge-b", "edge-c"] {
        edge(&world, name, |_, _| {}).await;
    }
    active(&world).await;
    let nodes = verify(&world, "edge-a").await;
    let differences: Vec<_> = nodes[0].differences.iter().map(said).collect();
    let [class, lost, changed, gone, port] = differences[..] else { panic!("{differences:#?}") };
    assert_eq!(class.0, "class of iot on access0");
    assert!(class.1.ends_with(", weight 1") && class.2.ends_with(", weight 3"), "{class:?}");
    assert_eq!((lost.0, lost.2), ("segment iot/personal-health on core0", ""));
    assert_eq!(changed.0, "segment iot/smart-metering on core0");
    // 60 % of the slice's 20 Mbit/s, and 80 % of its 100.
    let (wanted, found) = ("guaranteed 12 Mbit/s, ceiling 80 Mbit/s, weight 60", "ceiling 79999999 bit/s, weight 60");
    assert!(changed.1 == wanted && changed.2.ends_with(found), "{changed:?}");
    assert_eq!((gone.0, gone.1), ("segment number 77 on core1", ""));
    assert!(gone.2.ends_with("weight 0, goes when nothing of it waits"), "{gone:?}");
    assert_eq!(port.0, "shaping of access0");
    assert!(port.2.ends_with("1 bit/s") && !port.1.ends_with(" bit/s"), "{port:?}");
    // A port towards devices and two towards the underlay, of which each has the slice and the one segment that is there.
    let other = &verify(&world, "edge-b").await[0];
    assert_eq!((other.differences.len(), other.classes, other.shares), (0, 3, 3), "{other:#?}");

    let repaired = client(&world).repair(v1::RepairRequest { node: "edge-a".into() }).await.unwrap().into_inner();
    assert_eq!(repaired.nodes[0].differences, []);
}

#[tokio::test]
async fn a_node_that_is_repaired_is_sent_its_program_again_before_it_is_read() {
    let world = World::with_iot().await;
    // Its tables lose a path, until it is sent a program for the second time.
    let lost = |programs, reading: &mut v1::Reading| {
        if programs < 2 {
            reading.paths.clear();
        }
    };
    let (_, programs) = edge(&world, "edge-a", lost).await;
    for name in ["edge-b", "edge-c"] {
        edge(&world, name, |_, _| {}).await;
    }
    active(&world).await;
    let before = verify(&world, "edge-a").await;
    assert_eq!(before[0].differences.len(), 4, "{before:?}");
    assert_eq!(programs.load(Ordering::Relaxed), 1);

    let answer = client(&world).repair(v1::RepairRequest { node: "edge-a".into() }).await.unwrap().into_inner();
    assert_eq!(answer.nodes.len(), 1);
    assert_eq!((answer.nodes[0].differences.len(), answer.nodes[0].generation), (0, 1), "{answer:?}");
    assert_eq!(programs.load(Ordering::Relaxed), 2);
    active(&world).await;

    let mut mano = TransportServiceClient::new(world.channel("mano", "maria"));
    let denied = mano.repair(v1::RepairRequest::default()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_node_of_which_is_not_known_what_it_runs_is_not_repaired_and_the_operator_is_told() {
    let world = World::with_iot().await;
    let mut edge = world.attach("edge-a").await;
    let repair = async |node: &str| client(&world).repair(v1::RepairRequest { node: node.to_owned() }).await;
    let silent = repair("edge-a").await.unwrap_err();
    assert_eq!(silent.code(), Code::FailedPrecondition);
    assert!(silent.message().starts_with("`edge-a` can't be repaired: it has not said yet"), "{}", silent.message());

    edge.report(None).await;
    let program = edge.program().await;
    let mut foreign = program.clone();
    foreign.generation = model::Generation::new(u64::MAX - 1);
    edge.report(Some(&foreign)).await;
    world.slice_when("iot", |iot| iot.edges[0].realised_generation == Some(u64::MAX - 1)).await;
    let refused = repair("edge-a").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("edge-a` can't be repaired: it runs what was never"), "{}", refused.message());
    // Among others it is named as well.
    let all = repair("").await.unwrap().into_inner().nodes;
    let why: Vec<_> = all.iter().map(|node| node.unread.split("; ").next().unwrap()).collect();
    assert_eq!(why, ["it is not repaired, for it runs what was never decided here", "it is away", "it is away"]);
    // It is not sent its program later on account of that.
    edge.report(Some(&program)).await;
    world.slice_when("iot", |iot| iot.edges[0].realised_generation == Some(1)).await;
    let sent = async { while !matches!(edge.command().await, Ok(Command::Program(_)) | Err(_)) {} };
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), sent).await.is_err());
}

#[tokio::test]
async fn drift_is_what_reports_say_otherwise_and_since_when() {
    let world = World::with_iot().await;
    let mut edge = world.attach("edge-a").await;
    edge.report(None).await;
    let program = edge.program().await;
    edge.report(Some(&program)).await;
    let drift = async || {
        let answer = client(&world).list_drift(v1::ListDriftRequest {}).await.unwrap().into_inner().drift;
        let of_edge = answer.into_iter().filter(|drift| drift.node == "edge-a");
        of_edge.map(|drift| (drift.difference.unwrap(), drift.since.unwrap())).collect::<Vec<_>>()
    };
    world.slice_when("iot", |iot| iot.edges[0].realised_generation == Some(1)).await;
    assert_eq!(drift().await, []);

    let mut wrong = realised(Some(&program));
    wrong.segments[0].set_aaa(v1::AaaState::NotReady);
    wrong.segments[0].aaa_reason = "no secret".to_owned();
    edge.send(Report::Realised(wrong.clone())).await;
    world.slice_when("iot", |iot| iot.reason.contains("no secret")).await;
    let first = drift().await;
    assert_eq!(first.len(), 1);
    assert_eq!(said(&first[0].0), ("AAA of iot/personal-health", "ready", "not ready no secret"));
    // Another difference comes, and the first keeps its time, though it is told otherwise.
    wrong.segments[0].aaa_reason = "no secret yet".to_owned();
    wrong.segments[1].vni += 7;
    edge.send(Report::Realised(wrong)).await;
    world.slice_when("iot", |iot| iot.reason.contains("no secret yet")).await;
    let second = drift().await;
    assert_eq!(
        second.iter().map(|d| d.0.what.as_str()).collect::<Vec<_>>(),
        ["AAA of iot/personal-health", "segment iot/smart-metering"]
    );
    assert_eq!(second[0].1, first[0].1);
    edge.report(Some(&program)).await;
    world.slice_when("iot", |iot| !iot.reason.contains("no secret")).await;
    assert_eq!(drift().await, []);

    drop(edge);
    world.slice_when("iot", |iot| !iot.edges[0].connected).await;
    let away = drift().await;
    assert_eq!(said(&away[0].0), ("stream", "attached", "away"));
}

#[tokio::test]
async fn paths_are_listed_as_planned_and_as_measured() {
    let world = World::with_iot().await;
    for name in ["edge-a", "edge-c"] {
        edge(&world, name, |_, _| {}).await;
    }
    world.slice_when("iot", |iot| iot.edges.iter().filter(|e| e.realised_generation == Some(1)).count() == 2).await;
    let list = async |slice: &str, node: &str| {
        let request = v1::ListPathsRequest { slice: slice.to_owned(), node: node.to_owned() };
        client(&world).list_paths(request).await.map(tonic::Response::into_inner)
    };
    let all = list("", "").await.unwrap();
    // Two paths, each in two directions, between each two of three edges.
    assert_eq!(all.paths.len(), 12);
    assert_eq!(all.unreachable.iter().map(|edge| edge.edge.as_str()).collect::<Vec<_>>(), ["edge-b"]);
    let of = |id| {
        move |path: &&v1::PathStatus| {
            let program = path.program.as_ref().unwrap();
            path.from == "edge-a" && program.to == "edge-c" && program.id == id
        }
    };
    let path = all.paths.iter().find(of(1)).unwrap();
    // The topology's own figures: 200 us and 400 us.
    assert_eq!(path.links, ["core-1--edge-a", "core-1--edge-c"]);
    assert_eq!(path.delay_nanoseconds, 600_000);
    let uses: Vec<_> = path.uses.iter().map(|used| (used.slice.as_str(), used.backup)).collect();
    assert_eq!(uses, [("iot", false)]);
    assert!(all.paths.iter().find(of(2)).unwrap().uses[0].backup);
    let reading = path.reading.as_ref().unwrap();
    assert_eq!((reading.edge.as_str(), reading.state()), ("edge-a", v1::PathState::Up));
    assert_eq!(reading.round_trip.unwrap().p99, 1_900_000);
    assert!(all.paths.iter().filter(|path| path.from == "edge-b").all(|path| path.reading.is_none()));
    assert_eq!(list("iot", "edge-b").await.unwrap().paths.len(), 8);
    assert_eq!(list("nothing", "").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(list("", "nowhere").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_slice_says_which_of_its_edges_reach_one_another_no_more() {
    let world = World::with_iot().await;
    let mut edges = Vec::new();
    for name in EDGES {
        let mut edge = world.attach(name).await;
        edge.report(None).await;
        edge.realise().await;
        edges.push(edge);
    }
    active(&world).await;
    let program = edges[0].runs.clone().unwrap();
    let mut report = realised(Some(&program));
    let to_c = |id| move |path: &&mut v1::RealisedPath| path.to == "edge-c" && path.id == id;
    report.paths.iter_mut().find(to_c(1)).unwrap().set_state(v1::PathState::Down);
    edges[0].send(Report::Realised(report.clone())).await;
    let iot = world.slice_when("iot", |iot| iot.reason.contains("backup")).await;
    let detour = "realised on 3 of 3 edges, generation 1; edge-a reaches edge-c by its backup path 2";
    assert_eq!((iot.state(), iot.reason.as_str()), (v1::SliceState::Active, detour));
    report.paths.iter_mut().find(to_c(2)).unwrap().set_state(v1::PathState::Down);
    edges[0].send(Report::Realised(report.clone())).await;
    let iot = world.slice_when("iot", |iot| iot.state() == v1::SliceState::Degraded).await;
    assert_eq!(iot.reason, "no path from edge-a to edge-c works");
    // One that was never up is still on its way.
    report.paths.iter_mut().for_each(|path| path.proven = false);
    edges[0].send(Report::Realised(report)).await;
    let iot = world.slice_when("iot", |iot| iot.state() == v1::SliceState::Provisioning).await;
    assert_eq!(iot.reason, "edge-a has had no answer from edge-c yet");
}

#[tokio::test]
async fn what_was_measured_of_another_path_of_the_same_number_is_not_shown() {
    let world = World::with_iot().await;
    edge(&world, "edge-a", |_, reading| {
        reading.paths[0].program.as_mut().unwrap().next_hop = "fd00:9:a::1".to_owned();
    })
    .await;
    world.slice_when("iot", |iot| iot.edges[0].realised_generation == Some(1)).await;
    let request = v1::ListPathsRequest { slice: String::new(), node: "edge-a".to_owned() };
    let paths = client(&world).list_paths(request).await.unwrap().into_inner().paths;
    let read = paths.iter().filter(|path| path.from == "edge-a").map(|path| path.reading.is_some()).collect::<Vec<_>>();
    assert_eq!(read, [false, true, true, true]);
}

#[tokio::test]
async fn numbers_are_listed_with_their_owners_also_those_that_rest() {
    let world = World::with_iot().await;
    let vnis = async |node: &str| {
        let request = v1::ListNumbersRequest { node: node.to_owned() };
        client(&world).list_vnis(request).await.unwrap().into_inner().numbers
    };
    let owners = |numbers: &[v1::Number]| {
        numbers.iter().map(|n| (n.slice.clone(), n.segment.clone(), n.quarantined)).collect::<Vec<_>>()
    };
    let of = |segment: &str, quarantined| ("iot".to_owned(), segment.to_owned(), quarantined);
    let all = vnis("").await;
    assert_eq!(owners(&all), [of("personal-health", false), of("smart-metering", false)]);
    assert_eq!(owners(&vnis("edge-b").await), [of("personal-health", false)]);

    // Once edges have been told of it, a number rests until they have confirmed that they are without.
    let held = vnis("edge-a").await;
    world.delete(&["realm/iot/smart-metering", "microsegment/iot/smart-metering"]).await.unwrap();
    let resting = vnis("").await;
    assert_eq!(owners(&resting), [of("personal-health", false), of("smart-metering", true)]);
    let number = resting.iter().find(|number| number.quarantined).unwrap();
    assert_eq!(number.number, held.iter().find(|n| n.segment == "smart-metering").unwrap().number);
    let awaiting: Vec<_> = number.awaiting.iter().map(|a| (a.edge.as_str(), a.generation)).collect();
    assert_eq!(awaiting, [("edge-a", 2), ("edge-c", 2)]);
}

#[tokio::test]
async fn when_paths_over_a_link_have_failed_the_slices_are_planned_around_it() {
    let world = World::with_iot().await;
    let mut edges = Vec::new();
    for name in EDGES {
        let mut edge = world.attach(name).await;
        edge.report(None).await;
        edge.realise().await;
        edges.push(edge);
    }
    active(&world).await;
    // The link between core-1 and edge-a is cut: paths from and to edge-a over core-1 fail, all others work.
    let by_core_1 = |program: &Program, to: &str, id: u32| {
        let mut paths = program.content.paths.iter();
        let path = paths.find(|path| path.to.as_str() == to && u32::from(path.id.get()) == id).unwrap();
        path.next_hop.to_string().starts_with("fd00:1:")
    };
    for edge in &edges {
        let program = edge.runs.as_ref().unwrap();
        let mut report = realised(Some(program));
        for path in &mut report.paths {
            if (edge.name == "edge-a" || path.to == "edge-a") && by_core_1(program, &path.to, path.id) {
                path.set_state(v1::PathState::Down);
            }
        }
        edge.send(Report::Realised(report)).await;
    }
    let program = edges[0].realise().await;
    let slices = &program.content.slices;
    for remote in slices.iter().flat_map(|slice| &slice.segments).flat_map(|segment| &segment.remotes) {
        assert!(!by_core_1(&program, remote.edge.as_str(), remote.working.get().into()), "{remote:?}");
        // In reserve, so that it is seen when it is back.
        assert!(by_core_1(&program, remote.edge.as_str(), remote.backup.unwrap().get().into()), "{remote:?}");
    }
}
