//! A change of transport, step by step, with an edge that takes its time.

use api::v1;
use model::program::{Program, Tunnel};

use crate::world::{EDGES, FakeEdge, World, reference};

/// The slice `iot` over another transport.
fn over(transport: v1::Transport) -> Vec<v1::Resource> {
    let mut resources = reference(&["iot"]);
    resources.retain_mut(|resource| match &mut resource.kind {
        Some(v1::resource::Kind::Slice(slice)) => {
            slice.transport = transport.into();
            true
        }
        _ => false,
    });
    resources
}

/// How a program sends in `iot/personal-health`, by far edge, and whether it receives in other ways, too.
fn sends(program: &Program) -> Vec<(&str, &'static str, bool)> {
    let segment = program.content.segment(&model::resource::SegmentId {
        slice: "iot".parse().unwrap(),
        segment: "personal-health".parse().unwrap(),
    });
    let remotes = segment.unwrap().remotes.iter();
    let mut sends: Vec<_> = remotes
        .map(|remote| {
            let tunnel = match remote.tunnel {
                Tunnel::Vxlan(_) => "vxlan",
                Tunnel::Srv6 { .. } => "srv6",
                Tunnel::Mpls { .. } => "mpls",
            };
            (remote.edge.as_str(), tunnel, !remote.inbound.is_empty())
        })
        .collect();
    sends.sort_unstable();
    sends
}

async fn raise(world: &World) -> Vec<FakeEdge> {
    let mut edges = Vec::new();
    for name in EDGES {
        let mut edge = world.attach(name).await;
        edge.report(None).await;
        edge.realise().await;
        edges.push(edge);
    }
    edges
}

#[tokio::test]
async fn edges_receive_before_others_send_and_one_that_is_slow_is_sent_to_as_before() {
    let world = World::with_iot().await;
    let [mut a, mut b, mut c] = <[FakeEdge; 3]>::try_from(raise(&world).await).unwrap_or_else(|_| panic!());
    world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
    let operation = world.apply(over(v1::Transport::Mpls)).await.unwrap().unwrap();
    assert_eq!(operation.state(), v1::OperationState::Processing);

    // The first step: nobody sends otherwise, all receive.
    let first = a.realise().await;
    assert_eq!(sends(&first), [("edge-b", "vxlan", true), ("edge-c", "vxlan", true)]);
    b.realise().await;
    let iot = world.slice("iot").await.unwrap();
    assert!(iot.reason.contains("a change is under way: packets go as before from"), "{}", iot.reason);

    // The second step, between those that are ready; what came before is received until all have confirmed that. The third
    // edge has not been heard of.
    let second = a.realise().await;
    assert_eq!(sends(&second), [("edge-b", "mpls", true), ("edge-c", "vxlan", true)]);
    let second = b.realise().await;
    assert_eq!(sends(&second), [("edge-a", "mpls", true), ("edge-c", "vxlan", true)]);
    let iot = world.slice("iot").await.unwrap();
    assert_eq!(iot.state(), v1::SliceState::Provisioning, "{}", iot.reason);
    assert_eq!(world.operation(&operation.id).await.state(), v1::OperationState::Processing);

    // It takes the programs that it is sent, and the rest follows.
    let (a, b) = (a.obey(), b.obey());
    c.realise().await;
    let c = c.obey();
    world.completed(&operation.id).await;
    let plan = world.target_when(|plan| plan.awaiting.is_empty() && plan.quarantine.is_empty()).await;
    for program in plan.programs {
        let program = Program::try_from(program).unwrap();
        if program.content.edge.as_str().starts_with("edge") {
            assert!(sends(&program).iter().all(|(_, tunnel, more)| (*tunnel, *more) == ("mpls", false)));
        }
    }
    let slice = world.slice_when("iot", |iot| iot.state() == v1::SliceState::Active).await;
    assert!(!slice.reason.contains("step"), "{}", slice.reason);
    drop((a, b, c));
}
