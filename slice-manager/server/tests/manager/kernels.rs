//! A core node that is a Linux kernel: it says what it found in the kernel, and is believed as far as that goes.

use api::v1;
use model::program::Program;
use v1::edge_command::Command;
use v1::edge_report::Report;
use v1::transport_service_client::TransportServiceClient;

use crate::world::{FakeEdge, World, realised, reference, yaml};

/// The reference topology, core-1 of which is a kernel.
fn topology() -> Vec<v1::Resource> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles/reference/topology.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replacen("role: core\n", "role: core\n      control: linux\n", 1);
    yaml(&text.replace("      labels: { first: 200000, last: 209999 }\n", ""))
}

/// What a kernel says that does all of a program.
fn running(program: &Program) -> v1::Reading {
    let told = v1::Program::from(program);
    let transit = told.transit.unwrap();
    let sid = |sid: v1::TransitSid| v1::RunningSid {
        sid: Some(v1::running_sid::Sid::Transit(sid)),
        ..v1::RunningSid::default()
    };
    let mut shaping = told.shaping;
    for class in shaping.iter_mut().flat_map(|port| &mut port.classes) {
        class.slice.clear();
        class.weight = None;
    }
    v1::Reading {
        program: Some(v1::RunningProgram { generation: told.generation, digest: told.digest }),
        sids: transit.sids.into_iter().map(sid).collect(),
        routes: transit.routes,
        shaping,
        last: true,
        ..v1::Reading::default()
    }
}

/// It has its program, and `route x` is not as it should be, since 12 s after the beginning of time.
async fn drifted(core: &FakeEdge, program: &Program) {
    let (wanted, found) = ("via fd00::1".to_owned(), String::new());
    let difference = Some(v1::Difference { what: "route x".into(), wanted, found });
    let since = Some(prost_types::Timestamp { seconds: 12, nanos: 0 });
    let drift = vec![v1::Drift { node: "core-1".into(), difference, since }];
    let report = v1::Realised { digest: Vec::new(), drift, ..realised(Some(program)) };
    core.send(Report::Realised(report)).await;
}

async fn drift(world: &World) -> Vec<v1::Drift> {
    let mut client = TransportServiceClient::new(world.operator());
    let answer = client.list_drift(v1::ListDriftRequest {}).await.unwrap();
    answer.into_inner().drift.into_iter().filter(|drift| drift.node == "core-1").collect()
}

#[tokio::test]
async fn what_differs_in_a_kernel_is_waited_for_named_and_repaired() {
    let world = World::start().await;
    let operation = world.apply(topology()).await.unwrap().unwrap();
    assert_eq!(operation.awaiting.iter().map(|a| a.edge.as_str()).collect::<Vec<_>>(), ["core-1"]);
    let mut core = world.attach("core-1").await;
    core.report(None).await;
    let program = core.program().await;
    assert!(program.content.transit.labels.is_empty() && !program.content.transit.routes.is_empty());

    drifted(&core, &program).await;
    let failed = world.operation_when(&operation.id, |o| o.state() == v1::OperationState::FailedTemp).await;
    assert_eq!(failed.problem.unwrap().reason, "route x: wanted `via fd00::1`, found nothing");
    let mut nodes = v1::node_service_client::NodeServiceClient::new(world.operator());
    let node = nodes.get_node(v1::GetNodeRequest { name: "core-1".into() }).await.unwrap().into_inner();
    let realisation = node.realisation.unwrap();
    assert_eq!(realisation.problem, "route x: wanted `via fd00::1`, found nothing");
    assert_eq!((realisation.realised_generation, realisation.realised_digest.len()), (Some(1), 0));
    let told = drift(&world).await;
    assert_eq!(told.len(), 1, "{told:?}");
    // Since when is the node's own word.
    assert_eq!(told[0].since.as_ref().unwrap().seconds, 12);
    assert_eq!(told[0].difference.as_ref().unwrap().what, "route x");

    let repair = tokio::spawn({
        let mut client = TransportServiceClient::new(world.operator());
        async move { client.repair(v1::RepairRequest { node: "core-1".into() }).await.unwrap().into_inner().nodes }
    });
    assert_eq!(core.program().await, program, "sent again, though it has it");
    core.report(Some(&program)).await;
    let Ok(Command::Read(read)) = core.command().await else { panic!("a reading") };
    core.send(Report::Reading(v1::Reading { id: read.id, ..running(&program) })).await;
    let verdicts = repair.await.unwrap();
    assert_eq!(verdicts[0].differences, []);
    let counts = (verdicts[0].sids as usize, verdicts[0].routes as usize);
    assert_eq!(counts, (program.content.transit.sids.len(), program.content.transit.routes.len()));
    world.completed(&operation.id).await;
    assert_eq!(drift(&world).await, []);
}

#[tokio::test]
async fn routes_and_classes_of_a_kernel_are_read_back_and_compared() {
    let world = World::start().await;
    world.apply(topology().into_iter().chain(reference(&["iot"])).collect()).await.unwrap();
    let mut core = world.attach("core-1").await;
    core.report(None).await;
    let program = core.program().await;
    let ports: Vec<_> = program.content.shaping.iter().map(|shaping| shaping.port.as_str()).collect();
    assert_eq!(ports, ["to-edge-a", "to-edge-b", "to-edge-c"]);
    core.report(Some(&program)).await;
    let verify = tokio::spawn({
        let mut client = TransportServiceClient::new(world.operator());
        async move { client.verify(v1::VerifyRequest { node: "core-1".into() }).await.unwrap().into_inner().nodes }
    });
    let Ok(Command::Read(read)) = core.command().await else { panic!("a reading") };
    let mut reading = running(&program);
    let lost = reading.routes.remove(0);
    reading.shaping[0].classes[0].limits.as_mut().unwrap().ceiling_bits_per_second = 8;
    reading.shaping.pop();
    core.send(Report::Reading(v1::Reading { id: read.id, ..reading })).await;
    let verdicts = verify.await.unwrap();
    let what: Vec<_> = verdicts[0].differences.iter().map(|difference| difference.what.as_str()).collect();
    let route = format!("route {}", lost.prefix);
    assert_eq!(what, ["class of iot on to-edge-a", "class of iot on to-edge-c", &route, "shaping of to-edge-c"]);
    assert_eq!(verdicts[0].classes, 2);
}

#[tokio::test]
async fn a_kernel_is_asked_for_counters_only_by_name() {
    let world = World::start().await;
    world.apply(topology()).await.unwrap();
    let mut core = world.attach("core-1").await;
    core.report(None).await;
    let mut client = v1::dataplane_service_client::DataplaneServiceClient::new(world.operator());
    let all = client.get_drops(v1::DataplaneRequest::default()).await.unwrap().into_inner();
    assert!(all.unreachable.iter().all(|node| node.edge != "core-1"), "{all:?}");
    let asked = tokio::spawn(async move {
        let request = v1::DataplaneRequest { edge: "core-1".into() };
        client.get_drops(request).await.unwrap().into_inner()
    });
    let read = loop {
        if let Ok(Command::Read(read)) = core.command().await {
            break read;
        }
    };
    let problem = "a Linux kernel counts its drops itself".to_owned();
    core.send(Report::Reading(v1::Reading { id: read.id, problem, last: true, ..v1::Reading::default() })).await;
    let answer = asked.await.unwrap();
    assert_eq!(answer.unreachable[0].reason, "it says: a Linux kernel counts its drops itself");
}
