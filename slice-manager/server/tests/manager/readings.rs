//! Counters and sessions: gathered from the edges that answer; the others are named with the reason.

use api::v1;
use tokio::task::JoinHandle;
use tonic::Code;
use v1::aaa_service_client::AaaServiceClient;
use v1::dataplane_service_client::DataplaneServiceClient;
use v1::edge_command::Command;
use v1::edge_report::Report;

use crate::world::{FakeEdge, World, reference};

/// Answers each reading with what `answer` makes of it.
fn answering(mut edge: FakeEdge, answer: impl Fn(v1::Read) -> Vec<v1::Reading> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok(command) = edge.command().await {
            if let Command::Read(read) = command {
                for part in answer(read) {
                    edge.send(Report::Reading(part)).await;
                }
            }
        }
    })
}

fn drops(reason: &str, packets: u64) -> v1::DropCounter {
    // What it calls itself is not what counts.
    let (slice, segment) = ("iot".to_owned(), "smart-metering".to_owned());
    v1::DropCounter { edge: "edge-z".into(), port: "access0".into(), slice, segment, reason: reason.into(), packets }
}

fn session(slice: &str, segment: &str, id: &str) -> v1::Session {
    v1::Session { slice: slice.into(), segment: segment.into(), id: id.into(), ..v1::Session::default() }
}

#[tokio::test]
async fn counters_come_in_parts_from_every_edge_that_answers() {
    let world = World::start().await;
    world.apply(reference(&["topology"])).await.unwrap();
    answering(world.attach("edge-a").await, |read| {
        assert_eq!(read.kind(), v1::ReadKind::Drops);
        let part = |drops, last| v1::Reading { id: read.id, drops: vec![drops], last, ..v1::Reading::default() };
        vec![
            // An answer to a question that nobody asked is nobody's.
            v1::Reading { id: read.id + 70, drops: vec![drops("stray", 1)], last: true, ..v1::Reading::default() },
            part(drops("cross-segment", 3), false),
            part(drops("no-session", 5), true),
        ]
    });
    answering(world.attach("edge-b").await, |read| {
        vec![v1::Reading { id: read.id, problem: "the worker has ended".into(), last: true, ..v1::Reading::default() }]
    });
    let mut client = DataplaneServiceClient::new(world.channel("viewer", "vera"));
    let wait = async {
        loop {
            let answer = client.get_drops(v1::DataplaneRequest::default()).await.unwrap().into_inner();
            if answer.unreachable.iter().filter(|u| u.reason == "it is away").count() == 1 {
                return answer;
            }
        }
    };
    let answer = crate::world::soon(wait).await;
    let found: Vec<_> = answer.drops.iter().map(|d| (d.edge.as_str(), d.reason.as_str(), d.packets)).collect();
    assert_eq!(found, [("edge-a", "cross-segment", 3), ("edge-a", "no-session", 5)]);
    let unreachable: Vec<_> = answer.unreachable.iter().map(|u| (u.edge.as_str(), u.reason.as_str())).collect();
    assert_eq!(unreachable, [("edge-b", "it says: the worker has ended"), ("edge-c", "it is away")]);

    let only = client.get_drops(v1::DataplaneRequest { edge: "edge-c".into() }).await.unwrap().into_inner();
    assert!(only.drops.is_empty());
    assert_eq!(only.unreachable.len(), 1);
    let none = client.get_drops(v1::DataplaneRequest { edge: "edge-z".into() }).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);
    let core = client.get_drops(v1::DataplaneRequest { edge: "core-1".into() }).await.unwrap_err();
    assert_eq!(core.code(), Code::NotFound);
}

#[tokio::test]
async fn an_edge_that_is_late_is_named_and_the_others_are_not_kept_waiting_longer() {
    let world = World::start().await;
    world.apply(reference(&["topology"])).await.unwrap();
    let silent = answering(world.attach("edge-a").await, |_| vec![]);
    let talking = answering(world.attach("edge-b").await, |read| {
        let meter = v1::MeterCounter { slice: "iot".into(), passed_packets: 9, ..v1::MeterCounter::default() };
        vec![v1::Reading { id: read.id, meters: vec![meter], last: true, ..v1::Reading::default() }]
    });
    let mut client = DataplaneServiceClient::new(world.operator());
    let mut answer = v1::MetersResponse::default();
    while answer.meters.is_empty() {
        answer = client.get_meters(v1::DataplaneRequest::default()).await.unwrap().into_inner();
    }
    assert_eq!((answer.meters[0].edge.as_str(), answer.meters[0].passed_packets), ("edge-b", 9));
    let late = answer.unreachable.iter().find(|u| u.edge == "edge-a").unwrap();
    assert_eq!(late.reason, "it did not answer within 3 s");
    silent.abort();
    talking.abort();
}

#[tokio::test]
async fn sessions_are_narrowed_by_edge_slice_and_segment() {
    let world = World::with_iot().await;
    for name in ["edge-a", "edge-b"] {
        answering(world.attach(name).await, move |read| {
            assert_eq!(read.kind(), v1::ReadKind::Sessions);
            let sessions = [("iot", "smart-metering"), ("iot", "personal-health"), ("other", "smart-metering")];
            let sessions =
                sessions.map(|(slice, segment)| session(slice, segment, &format!("{name}-{slice}-{segment}")));
            vec![v1::Reading { id: read.id, sessions: sessions.into(), last: true, ..v1::Reading::default() }]
        });
        world.slice_when("iot", |iot| iot.edges.iter().any(|e| e.edge == name && e.connected)).await;
    }
    let mut client = AaaServiceClient::new(world.operator());
    let mut list = async |edge: &str, slice: &str, segment: &str| {
        let request = v1::ListSessionsRequest { edge: edge.into(), slice: slice.into(), segment: segment.into() };
        let answer = client.list_sessions(request).await.unwrap().into_inner();
        answer.sessions.into_iter().map(|s| s.id).collect::<Vec<_>>()
    };
    assert_eq!(list("", "", "").await.len(), 6);
    assert_eq!(list("edge-b", "", "").await.len(), 3);
    assert_eq!(list("", "iot", "").await.len(), 4);
    let one = list("edge-a", "iot", "personal-health").await;
    assert_eq!(one, ["edge-a-iot-personal-health"]);
}
