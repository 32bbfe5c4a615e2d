//! Edges that are away, behind, ahead, wrong, slow or broken; and what the operator is told of each.

use api::v1;
use model::program::Program;
use tonic::{Code, Status};
use v1::edge_command::Command;
use v1::edge_report::Report;

use crate::world::{FakeEdge, World, realised, reference, soon, yaml};

/// How a stream ended.
async fn end(edge: &mut FakeEdge) -> Status {
    loop {
        if let Err(status) = edge.command().await {
            return status;
        }
    }
}

#[tokio::test]
async fn an_edge_that_is_away_is_named_and_converges_when_it_is_back() {
    let world = World::start().await;
    drop(world.obedient("edge-a").await);
    drop(world.obedient("edge-c").await);
    let operation = world.apply(reference(&["topology", "iot"])).await.unwrap().unwrap();
    let iot = world.slice_when("iot", |iot| iot.edges.iter().filter(|e| e.realised_generation == Some(1)).count() == 2);
    let iot = iot.await;
    assert_eq!(iot.state(), v1::SliceState::Degraded);
    assert_eq!(iot.reason, "edge-b has not been heard of since the manager started; the target is 1");
    assert_eq!((iot.edges[1].connected, iot.edges[1].realised_generation), (false, None));
    let waiting = world.operation_when(&operation.id, |o| o.awaiting.len() == 1).await;
    assert_eq!(waiting.state(), v1::OperationState::Processing);
    assert_eq!(waiting.awaiting, [v1::Awaiting { edge: "edge-b".into(), generation: 1 }]);

    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let program = edge.realise().await;
    world.completed(&operation.id).await;
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;

    // It goes away; meanwhile the target moves on.
    drop(edge);
    let mut resources = reference(&["iot"]);
    let Some(v1::resource::Kind::Slice(iot)) = &mut resources[0].kind else { panic!() };
    iot.rate.as_mut().unwrap().ceiling_bits_per_second = 50_000_000;
    let operation = world.apply(resources).await.unwrap().unwrap();
    let iot = world.slice_when("iot", |iot| !iot.edges[1].connected && iot.edges[0].realised_generation == Some(2));
    let iot = iot.await;
    assert_eq!(iot.state(), v1::SliceState::Degraded);
    assert!(iot.reason.starts_with("edge-b is away since 20"), "{}", iot.reason);
    assert!(iot.reason.ends_with("; it last reported generation 1, the target is 2"), "{}", iot.reason);
    assert_eq!((iot.edges[1].target_generation, iot.edges[1].realised_generation), (2, Some(1)));

    let mut edge = world.attach("edge-b").await;
    edge.report(Some(&program)).await;
    assert_eq!(edge.realise().await.generation.get(), 2);
    world.completed(&operation.id).await;
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
}

#[tokio::test]
async fn an_edge_that_runs_the_target_is_sent_nothing() {
    let world = World::with_iot().await;
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let program = edge.realise().await;
    drop(edge);
    let mut edge = world.attach("edge-b").await;
    edge.report(Some(&program)).await;
    let status = world.slice_when("iot", |iot| iot.edges[1].connected).await;
    assert_eq!(status.edges[1].realised_generation, Some(1));
    world.apply(reference(&["factory"])).await.unwrap();
    assert_eq!(edge.program().await.generation.get(), 2, "the first that it is sent is the next");
}

/// A program of another generation, or of other content, than was decided.
fn another(program: &Program, generation: u64, change_content: bool) -> Program {
    let mut other = program.clone();
    other.generation = model::Generation::new(generation);
    if change_content {
        other.content.slices.pop();
    }
    other
}

#[tokio::test]
async fn what_was_never_decided_here_is_not_believed_and_the_edge_is_told_anew() {
    for (generation, change_content, again) in [(9, false, 10), (1, true, 2), (9, true, 10)] {
        let world = World::with_iot().await;
        let mut edge = world.attach("edge-b").await;
        edge.report(None).await;
        let program = edge.program().await;
        let foreign = another(&program, generation, change_content);
        edge.report(Some(&foreign)).await;
        let anew = edge.program().await;
        assert_eq!((anew.generation.get(), &anew.content), (again, &program.content));
        let iot = world.slice("iot").await.unwrap();
        assert_eq!((iot.edges[1].realised_generation, iot.edges[1].target_generation), (Some(generation), again));
        assert_ne!(iot.state(), v1::SliceState::Active);
        // What it said of another program confirms nothing; what it says of this one does.
        let operation = world.operation("op-1").await;
        assert!(operation.awaiting.iter().any(|a| a.edge == "edge-b"), "{operation:?}");
        edge.report(Some(&anew)).await;
        world.operation_when("op-1", |operation| !operation.awaiting.iter().any(|a| a.edge == "edge-b")).await;
        assert!(world.slice("iot").await.unwrap().edges[1].problem.is_empty());
    }
}

#[tokio::test]
async fn an_edge_that_speaks_of_a_generation_that_no_manager_comes_to_is_shown_and_not_followed() {
    let world = World::with_iot().await;
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let program = edge.program().await;
    edge.report(Some(&another(&program, u64::MAX - 1, false))).await;
    let iot = world.slice_when("iot", |iot| iot.edges[1].realised_generation == Some(u64::MAX - 1)).await;
    assert_eq!(iot.state(), v1::SliceState::Degraded);
    let problem = format!("reports a generation {} that this manager never decided (the target is 1)", u64::MAX - 1);
    assert_eq!(iot.edges[1].problem, problem);
    assert!(iot.reason.contains(&format!("edge-b: {problem}")), "{}", iot.reason);
    // It comes to its senses.
    edge.report(Some(&program)).await;
    world.operation_when("op-1", |operation| !operation.awaiting.iter().any(|a| a.edge == "edge-b")).await;
}

#[tokio::test]
async fn an_edge_that_is_behind_gets_the_target_and_is_not_counted_before() {
    let world = World::with_iot().await;
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let first = edge.realise().await;
    let operation = world.apply(reference(&["factory"])).await.unwrap().unwrap();
    let second = edge.program().await;
    assert!(second.generation > first.generation);
    edge.report(Some(&first)).await;
    let iot = world.slice_when("iot", |iot| iot.edges[1].target_generation == 2).await;
    assert!(iot.reason.contains("edge-b runs generation 1; the target is 2"), "{}", iot.reason);
    assert!(world.operation(&operation.id).await.awaiting.iter().any(|a| a.edge == "edge-b"));
    edge.report(Some(&second)).await;
    world.slice_when("iot", |iot| iot.edges[1].realised_generation == Some(2)).await;
}

#[tokio::test]
async fn a_refusal_is_the_operations_problem_until_the_edge_can_do_it() {
    let world = World::start().await;
    drop(world.obedient("edge-a").await);
    drop(world.obedient("edge-c").await);
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let operation = world.apply(reference(&["topology", "iot"])).await.unwrap().unwrap();
    let program = edge.program().await;
    edge.refuse(1, "there is no port access0").await;
    let failed = world.operation_in(&operation.id, &[v1::OperationState::FailedTemp]).await;
    let problem = failed.problem.unwrap();
    assert_eq!((problem.edge.as_str(), problem.generation), ("edge-b", 1));
    assert_eq!(problem.reason, "there is no port access0");
    let iot = world.slice_when("iot", |iot| !iot.edges[1].problem.is_empty()).await;
    assert_eq!(iot.state(), v1::SliceState::Degraded);
    assert!(iot.reason.contains("it refuses generation 1: there is no port access0"), "{}", iot.reason);
    edge.report(Some(&program)).await;
    let done = world.completed(&operation.id).await;
    assert!(done.problem.is_none());
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
}

type Change = fn(&mut v1::Realised);

#[tokio::test]
async fn a_slice_is_not_active_while_an_aaa_is_not_ready_or_a_number_differs() {
    let world = World::start().await;
    drop(world.obedient("edge-a").await);
    drop(world.obedient("edge-c").await);
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    let program = edge.realise().await;
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
    let vni = program.content.slices[0].segments[0].vni.get();
    let cases: [(Change, String); 4] = [
        (
            |r| {
                r.segments[0].aaa = v1::AaaState::NotReady.into();
                r.segments[0].aaa_reason = "port 20000 is taken".into();
            },
            "the AAA of iot/personal-health on edge-b is not ready: port 20000 is taken".into(),
        ),
        (
            |r| r.segments[0].aaa = v1::AaaState::Absent.into(),
            "the AAA of iot/personal-health on edge-b is not ready".into(),
        ),
        (|r| r.segments[0].vni = 7, format!("edge-b reports VNI 7 for iot/personal-health; the target is {vni}")),
        (|r| r.segments.clear(), "edge-b does not report iot/personal-health".into()),
    ];
    for (change, reason) in cases {
        let mut report = realised(Some(&program));
        change(&mut report);
        edge.send(Report::Realised(report)).await;
        let iot = world.slice_when("iot", |iot| iot.reason == reason).await;
        assert_eq!(iot.state(), v1::SliceState::Degraded);
    }
    edge.report(Some(&program)).await;
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
}

#[tokio::test]
async fn a_second_stream_of_an_edge_ends_the_first() {
    let world = World::with_iot().await;
    let mut first = world.attach("edge-b").await;
    first.report(None).await;
    let program = first.program().await;
    let mut second = world.attach("edge-b").await;
    let ended = end(&mut first).await;
    assert_eq!((ended.code(), ended.message()), (Code::Aborted, "a later stream of this edge takes its place"));
    second.report(Some(&program)).await;
    let iot = world.slice_when("iot", |iot| iot.edges[1].realised_generation == Some(1)).await;
    assert!(iot.edges[1].connected, "the end of the first does not make the second away");
}

#[tokio::test]
async fn who_speaks_must_be_who_the_certificate_names_and_speak_well() {
    let world = World::with_iot().await;
    // Another edge's name.
    let mut edge = FakeEdge::attach(world.channel("edge", "edge-a"), "edge-b").await;
    let ended = end(&mut edge).await;
    assert_eq!(ended.code(), Code::PermissionDenied);
    assert_eq!(ended.message(), "`edge-b` is not the edge that the certificate names");
    // A core node that somebody else controls.
    let ended = end(&mut FakeEdge::attach(world.channel("edge", "core-1"), "core-1").await).await;
    assert_eq!(ended.code(), Code::PermissionDenied);
    assert_eq!(ended.message(), "`core-1` has no agent by the topology; expected `control: agent` or `control: linux`");
    // A second Hello, and reports that mean nothing.
    let hello = v1::Hello { edge: "edge-a".into(), ..v1::Hello::default() };
    let no_digest = v1::Realised { generation: 1, ..v1::Realised::default() };
    for wrong in [Report::Hello(hello), Report::Realised(no_digest)] {
        let mut edge = world.attach("edge-a").await;
        edge.send(wrong).await;
        assert_eq!(end(&mut edge).await.code(), Code::InvalidArgument);
    }
    world.slice_when("iot", |iot| !iot.edges[0].connected).await;
}

#[tokio::test]
async fn an_edge_that_is_not_in_the_topology_waits_until_it_is() {
    let world = World::start().await;
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let mut nodes = v1::node_service_client::NodeServiceClient::new(world.operator());
    let seen = async {
        loop {
            let all = nodes.list_nodes(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes;
            if let [node] = all.as_slice() {
                return node.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let node = soon(seen).await;
    assert_eq!(node.node.unwrap().name, "edge-b");
    assert_eq!(node.realisation.unwrap().target_generation, 0);
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    edge.realise().await;
    world.slice_when("iot", |iot| iot.edges[1].realised_generation == Some(1)).await;
}

#[tokio::test]
async fn an_edge_that_does_not_read_holds_up_nobody_and_gets_the_newest() {
    let world = World::start().await;
    world.apply(reference(&["topology"])).await.unwrap();
    // A window of one program or two: beyond that, what it does not read stays with the manager.
    let leaf = world.authority.principal("edge", "edge-c");
    let endpoint = world.endpoint(&world.authority.pem, Some(&leaf)).initial_stream_window_size(1_024);
    let mut slow = FakeEdge::attach(endpoint.connect_lazy(), "edge-c").await;
    slow.report(None).await;
    drop(world.obedient("edge-a").await);
    drop(world.obedient("edge-b").await);
    world.apply(reference(&["iot"])).await.unwrap();
    let ceilings = 60_000_000..60_000_040_u64;
    for ceiling in ceilings.clone() {
        let mut resources = reference(&["iot"]);
        let Some(v1::resource::Kind::Slice(iot)) = &mut resources[0].kind else { panic!() };
        iot.rate.as_mut().unwrap().ceiling_bits_per_second = ceiling;
        world.apply(resources).await.unwrap();
    }
    let target = world.target().await.programs[0].generation;
    world.slice_when("iot", |iot| iot.edges[0].realised_generation == Some(target)).await;
    let mut received = 0;
    loop {
        received += 1;
        let program = slow.realise().await;
        if program.generation.get() == target {
            assert_eq!(program.content.slices[0].limits.ceiling().bits_per_second(), ceilings.end - 1);
            break;
        }
    }
    assert!(received <= 20, "it was sent {received} of 41 programs");
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
}

#[tokio::test]
async fn streams_end_when_the_manager_stops() {
    let mut world = World::with_iot().await;
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    assert!(matches!(edge.command().await, Ok(Command::Program(_))));
    world.stop().await;
    let ended = end(&mut edge).await;
    assert_eq!((ended.code(), ended.message()), (Code::Unavailable, "the manager is stopping"));
}

#[tokio::test]
async fn a_core_node_with_an_agent_is_told_what_it_does_for_others_and_must_confirm_it() {
    let world = World::start().await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles/reference/topology.yaml");
    let topology =
        std::fs::read_to_string(path).unwrap().replacen("role: core\n", "role: core\n      control: agent\n", 1);
    let operation = world.apply(yaml(&topology)).await.unwrap().unwrap();
    assert_eq!(operation.awaiting.iter().map(|a| a.edge.as_str()).collect::<Vec<_>>(), ["core-1"]);
    let mut core = world.attach("core-1").await;
    core.report(None).await;
    let program = core.program().await;
    assert!(program.content.slices.is_empty() && program.content.paths.is_empty());
    // To three edges and the other core node: over it alone, since core-2 has no link to core-1.
    assert!(!program.content.transit.routes.is_empty());
    core.report(Some(&program)).await;
    world.completed(&operation.id).await;
    let mut nodes = v1::node_service_client::NodeServiceClient::new(world.operator());
    let nodes = nodes.list_nodes(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes;
    let managed = nodes.iter().filter(|node| node.realisation.is_some());
    let managed: Vec<_> = managed.map(|node| node.node.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(managed, ["edge-a", "edge-b", "edge-c", "core-1"]);
}
