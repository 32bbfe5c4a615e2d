//! Queues, objectives and metrics: what edges say of themselves, told on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::Code;
use v1::Verdict;
use v1::dataplane_service_client::DataplaneServiceClient;
use v1::edge_command::Command;
use v1::edge_report::Report;
use v1::objective_service_client::ObjectiveServiceClient;

use crate::world::{FakeEdge, World};

/// Runs what it is told, and answers each reading with what `answer` makes of it.
fn answering(mut edge: FakeEdge, answer: impl Fn(v1::ReadKind) -> v1::Reading + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        edge.report(None).await;
        while let Ok(command) = edge.command().await {
            match command {
                Command::Read(read) => {
                    let reading = v1::Reading { id: read.id, last: true, ..answer(read.kind()) };
                    edge.send(Report::Reading(reading)).await;
                }
                Command::Program(program) => {
                    let program = model::program::Program::try_from(program).unwrap();
                    edge.report(Some(&program)).await;
                }
            }
        }
    })
}

fn queue(slice: &str, segment: &str) -> v1::QueueCounter {
    // What an edge calls itself is not what counts.
    let (edge, port) = ("edge-z".into(), "core0".into());
    let (slice, segment, class) = (slice.into(), segment.into(), "best-effort".into());
    v1::QueueCounter { edge, port, slice, segment, class, waiting_frames: 3, ..v1::QueueCounter::default() }
}

#[tokio::test]
async fn queues_are_narrowed_by_slice_and_segment_and_are_those_of_the_edge_that_answers() {
    let world = World::with_iot().await;
    answering(world.attach("edge-a").await, |kind| {
        if kind != v1::ReadKind::Queues {
            return v1::Reading::default();
        }
        let queues = vec![queue("iot", ""), queue("iot", "smart-metering"), queue("", "")];
        let ports = vec![v1::PortCounter { edge: "edge-z".into(), port: "core0".into(), ..v1::PortCounter::default() }];
        v1::Reading { queues, ports, ..v1::Reading::default() }
    });
    let mut client = DataplaneServiceClient::new(world.channel("viewer", "vera"));
    let mut list = async |slice: &str, segment: &str| {
        let request = v1::ListQueuesRequest { edge: "edge-a".into(), slice: slice.into(), segment: segment.into() };
        let answer = client.list_queues(request).await.unwrap().into_inner();
        assert_eq!((answer.ports.len(), answer.ports[0].edge.as_str(), answer.unreachable.len()), (1, "edge-a", 0));
        assert!(answer.queues.iter().all(|queue| queue.edge == "edge-a" && queue.waiting_frames == 3));
        answer.queues.into_iter().map(|queue| format!("{}/{}", queue.slice, queue.segment)).collect::<Vec<_>>()
    };
    assert_eq!(list("", "").await, ["iot/", "iot/smart-metering", "/"]);
    assert_eq!(list("iot", "").await, ["iot/", "iot/smart-metering"]);
    assert_eq!(list("iot", "smart-metering").await, ["iot/smart-metering"]);
    let request = v1::ListQueuesRequest { edge: "edge-z".into(), ..v1::ListQueuesRequest::default() };
    assert_eq!(client.list_queues(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_segment_that_is_named_with_its_slice_is_watched() {
    let world = World::with_iot().await;
    let mut edge = world.attach("edge-a").await;
    edge.report(None).await;
    let channel = world.channel("viewer", "vera");
    for (slice, segment, watched) in
        [("iot", "", ["", ""]), ("", "smart-metering", ["", ""]), ("iot", "smart-metering", ["iot", "smart-metering"])]
    {
        let mut client = DataplaneServiceClient::new(channel.clone());
        let request = v1::ListQueuesRequest { edge: "edge-a".into(), slice: slice.into(), segment: segment.into() };
        let asked = tokio::spawn(async move { client.list_queues(request).await });
        let read = loop {
            if let Command::Read(read) = edge.command().await.unwrap() {
                break read;
            }
        };
        assert_eq!(
            (read.kind(), [read.watch_slice.as_str(), read.watch_segment.as_str()]),
            (v1::ReadKind::Queues, watched)
        );
        edge.send(Report::Reading(v1::Reading { id: read.id, last: true, ..v1::Reading::default() })).await;
        asked.await.unwrap().unwrap();
    }
}

/// Edge-a has sent 250,000 octets a second: 2 Mbit/s of the 20 that it may be sure of, and nothing waits.
#[tokio::test]
async fn objectives_are_measured_between_two_readings_of_the_edges() {
    let world = World::with_iot().await;
    let seconds = Arc::new(AtomicU64::new(0));
    answering(world.attach("edge-a").await, move |kind| {
        let meter = |direction: &str, at: u64| v1::MeterCounter {
            slice: "iot".into(),
            sdp: "city".into(),
            direction: direction.into(),
            passed_octets: 250_000 * at,
            excess: v1::Excess::Waits.into(),
            read_at_nanoseconds: 1_000_000_000 * at,
            ..v1::MeterCounter::default()
        };
        let port = |port: &str, at: u64| v1::PortCounter {
            port: port.into(),
            read_at_nanoseconds: 1_000_000_000 * at,
            ..v1::PortCounter::default()
        };
        match kind {
            v1::ReadKind::Meters => {
                let at = seconds.fetch_add(1, Ordering::Relaxed);
                v1::Reading { meters: vec![meter("from-access", at), meter("to-access", at)], ..v1::Reading::default() }
            }
            v1::ReadKind::Queues => {
                let at = seconds.load(Ordering::Relaxed);
                let ports = ["core0", "core1", "access0"].map(|name| port(name, at)).to_vec();
                v1::Reading { ports, ..v1::Reading::default() }
            }
            _ => v1::Reading::default(),
        }
    });
    let mut client = ObjectiveServiceClient::new(world.channel("viewer", "vera"));
    let mut measure = async |slice: &str, milliseconds: u64| {
        let interval_nanoseconds = milliseconds * 1_000_000;
        client.measure_objectives(v1::MeasureObjectivesRequest { slice: slice.into(), interval_nanoseconds }).await
    };
    let answer = measure("iot", 100).await.unwrap().into_inner();
    let away: Vec<_> = answer.unreachable.iter().map(|u| (u.edge.as_str(), u.reason.as_str())).collect();
    assert_eq!(away, [("edge-b", "it is away"), ("edge-c", "it is away")]);
    let [iot] = &answer.slices[..] else { panic!("{answer:?}") };
    assert_eq!((iot.slice.as_str(), iot.verdict()), ("iot", Verdict::NotMeasurable));
    let found: Vec<_> = iot.rates.iter().map(|rate| (rate.edge.as_str(), rate.guarantee())).collect();
    let (met, not) = (Verdict::Met, Verdict::NotMeasurable);
    let of = |edge, verdict| [(edge, verdict); 2];
    assert_eq!(found, [of("edge-a", met), of("edge-b", not), of("edge-c", not)].concat());
    assert_eq!(iot.rates[0].offered_bits_per_second, Some(2_000_000));
    assert!(!iot.delays.is_empty() && iot.delays.iter().all(|delay| delay.verdict() == not));

    for (slice, milliseconds, expected) in [("none", 100, Code::NotFound), ("iot", 99, Code::InvalidArgument)] {
        assert_eq!(measure(slice, milliseconds).await.unwrap_err().code(), expected);
    }
    let long = measure("iot", 10_001).await.unwrap_err();
    assert_eq!(long.code(), Code::InvalidArgument);
    assert!(long.message().contains("10.001s is not within 100ms to 10s"), "{}", long.message());
}

#[tokio::test]
async fn the_manager_shows_what_is_declared_decided_and_observed() {
    let world = World::with_iot().await;
    let edge = world.obedient("edge-a").await;
    world
        .slice_when("iot", |iot| iot.edges.iter().any(|e| e.edge == "edge-a" && e.realised_generation.is_some()))
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    world.serve_metrics(listener);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: manager\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let page = answer.split_once("\r\n\r\n").unwrap().1;
    let families: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let listed = slice_manager::METRICS.iter().map(|metric| metric.name);
    assert_eq!(families, listed.chain(["microslice_page_samples_left_out"]).collect::<Vec<_>>());
    let generation = world.target().await.generation;
    for line in [
        format!("microslice_plan_generation {generation}"),
        "microslice_slices{state=\"degraded\"} 1".to_owned(),
        "microslice_segments 2".to_owned(),
        "microslice_operations{state=\"processing\"} 1".to_owned(),
        "microslice_edge_attached{edge=\"edge-a\"} 1".to_owned(),
        "microslice_edge_attached{edge=\"edge-b\"} 0".to_owned(),
        "microslice_edge_realised{edge=\"edge-a\"} 1".to_owned(),
        "microslice_edge_realised{edge=\"edge-c\"} 0".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("microslice_edge_realised_generation{edge=\"edge-b\"}"), "it has never reported");
    edge.abort();
}
