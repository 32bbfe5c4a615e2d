//! Apply, plan, store, push, realise, complete.

use api::v1;
use v1::node_service_client::NodeServiceClient;
use v1::operation_service_client::OperationServiceClient;
use v1::segment_service_client::SegmentServiceClient;
use v1::slice_service_client::SliceServiceClient;
use v1::template_service_client::TemplateServiceClient;

use crate::world::{EDGES, World, reference};

#[tokio::test]
async fn a_slice_is_applied_pushed_realised_and_completed() {
    let world = World::start().await;
    for edge in EDGES {
        drop(world.obedient(edge).await);
    }
    let operation = world.apply(reference(&["topology", "iot"])).await.unwrap().unwrap();
    assert_eq!(operation.id, "op-1");
    assert_eq!(operation.requested_by, "urn:microslice:operator:olga");
    assert_eq!(operation.state(), v1::OperationState::Processing);
    let changed: Vec<_> = operation.resource_changes.iter().map(|c| (c.resource.as_str(), c.kind())).collect();
    let add = |id| (id, v1::ChangeKind::Add);
    assert_eq!(
        changed,
        [
            add("topology/reference"),
            add("slice/iot"),
            add("microsegment/iot/smart-metering"),
            add("microsegment/iot/personal-health"),
            add("realm/iot/smart-metering"),
            add("realm/iot/personal-health")
        ]
    );
    let done = world.completed("op-1").await;
    assert!(done.awaiting.is_empty() && done.problem.is_none());

    let iot = world.slice("iot").await.unwrap();
    assert_eq!((iot.state(), iot.reason.as_str()), (v1::SliceState::Active, "realised on 3 of 3 edges, generation 1"));
    assert_eq!(iot.edges.iter().map(|e| e.edge.as_str()).collect::<Vec<_>>(), EDGES);
    for edge in &iot.edges {
        assert!(edge.connected && edge.problem.is_empty() && edge.last_report.is_some());
        assert_eq!(edge.realised_generation, Some(edge.target_generation));
        assert_eq!((edge.target_digest.len(), &edge.target_digest), (32, &edge.realised_digest));
    }
    // smart-metering at edge-a and edge-c, personal-health at all three: as the file has it.
    let at = |name: &str| {
        let segment = iot.segments.iter().find(|segment| segment.name == name).unwrap();
        let on: Vec<&str> = segment.realised.iter().map(|r| r.edge.as_str()).collect();
        assert!(segment.realised.iter().all(|r| r.vni == segment.vni));
        (segment.vni, segment.access_port, on)
    };
    let (metering, health) = (at("smart-metering"), at("personal-health"));
    assert_eq!((metering.2, health.2), (vec!["edge-a", "edge-c"], EDGES.to_vec()));
    assert!((10_000..=10_999).contains(&metering.0) && metering.0 != health.0);
    assert!(metering.1 % 2 == 0 && metering.1 != health.1);
}

#[tokio::test]
async fn what_is_declared_already_changes_nothing() {
    let world = World::with_iot().await;
    assert_eq!(world.apply(reference(&["topology", "iot"])).await.unwrap(), None);
    let mut operations = OperationServiceClient::new(world.operator());
    let list = operations.list_operations(v1::ListOperationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.operations.len(), 1);
}

#[tokio::test]
async fn a_plan_touches_nothing_and_says_what_would_be() {
    let world = World::start().await;
    let response = world.plan(reference(&["topology", "iot"])).await.unwrap();
    assert_eq!(response.edges, EDGES);
    assert_eq!(response.changes.len(), 6);
    assert_eq!(response.plan.unwrap().allocations.len(), 2);
    // The guarantee of 20 Mbit/s is booked once a direction on the city's microwave link of 140 Mbit/s: of the three
    // SDPs, one is behind it.
    let microwave: Vec<_> = response.headroom.iter().filter(|link| link.link == "core-1--edge-a").collect();
    assert_eq!(microwave.len(), 2);
    for direction in microwave {
        assert_eq!(direction.capacity_bits_per_second, 140_000_000);
        assert_eq!(direction.booked_bits_per_second, 20_000_000);
    }
    let mut slices = SliceServiceClient::new(world.operator());
    assert!(slices.list_slices(v1::ListSlicesRequest {}).await.unwrap().into_inner().slices.is_empty());
    assert_eq!(world.slice("iot").await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn segments_nodes_and_templates_are_listed() {
    let world = World::with_iot().await;
    let edge = world.obedient("edge-b").await;
    world.slice_when("iot", |iot| iot.edges[1].realised_generation == Some(1)).await;
    let mut segments = SegmentServiceClient::new(world.operator());
    let all = segments.list_segments(v1::ListSegmentsRequest::default()).await.unwrap().into_inner().segments;
    let of_iot = v1::ListSegmentsRequest { slice: "iot".into() };
    assert_eq!(segments.list_segments(of_iot).await.unwrap().into_inner().segments, all);
    assert_eq!(all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["personal-health", "smart-metering"]);
    // 40 % of the 20 Mbit/s that the file guarantees.
    assert_eq!(all[0].limits.unwrap().guaranteed_bits_per_second, 8_000_000);
    assert_eq!(all[0].realised.iter().map(|r| r.edge.as_str()).collect::<Vec<_>>(), ["edge-b"]);
    let one = v1::GetSegmentRequest { slice: "iot".into(), name: "personal-health".into() };
    assert_eq!(segments.get_segment(one).await.unwrap().into_inner(), all[0]);

    let mut nodes = NodeServiceClient::new(world.operator());
    let all = nodes.list_nodes(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes;
    let names: Vec<&str> = all.iter().map(|n| n.node.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["edge-a", "edge-b", "edge-c", "core-1", "core-2"], "in the order of the file");
    assert_eq!((all[1].version.as_str(), all[1].ports[0].driver.as_str()), ("0.1.0-test", "ring"));
    assert!(all[1].realisation.as_ref().unwrap().connected && all[3].realisation.is_none());
    assert_eq!(all[1].segments.len(), 1);
    let one = nodes.get_node(v1::GetNodeRequest { name: "edge-b".into() }).await.unwrap().into_inner();
    assert_eq!(one, all[1]);

    let mut templates = TemplateServiceClient::new(world.operator());
    let miot = templates.get_template(v1::GetTemplateRequest { name: "miot".into() }).await.unwrap().into_inner();
    assert_eq!(miot.sst, 3, "MIoT is SST 3 (TS 23.501, table 5.15.2.2-1)");
    let listed = templates.list_templates(v1::ListTemplatesRequest {}).await.unwrap().into_inner().templates;
    assert_eq!(listed.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["embb", "miot", "urllc", "v2x"]);
    assert!(listed.contains(&miot));
    // The file's largest maximum throughput, 20,000 kbps uplink, is the ceiling.
    let ceiling = miot.derivation.iter().find(|line| line.field == "ceiling").unwrap();
    assert_eq!(ceiling.result, "20 Mbit/s");
    edge.abort();
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_no_name_is_invalid() {
    use tonic::Code::{InvalidArgument, NotFound};
    let world = World::with_iot().await;
    let channel = world.operator();
    let mut segments = SegmentServiceClient::new(channel.clone());
    let mut nodes = NodeServiceClient::new(channel.clone());
    let mut templates = TemplateServiceClient::new(channel.clone());
    let mut operations = OperationServiceClient::new(channel);
    for (name, code) in [("none", NotFound), ("No Name", InvalidArgument)] {
        assert_eq!(world.slice(name).await.unwrap_err().code(), code);
        let segment = v1::GetSegmentRequest { slice: "iot".into(), name: name.into() };
        assert_eq!(segments.get_segment(segment).await.unwrap_err().code(), code);
        let list = v1::ListSegmentsRequest { slice: name.into() };
        assert_eq!(segments.list_segments(list).await.unwrap_err().code(), code);
        assert_eq!(nodes.get_node(v1::GetNodeRequest { name: name.into() }).await.unwrap_err().code(), code);
        assert_eq!(
            templates.get_template(v1::GetTemplateRequest { name: name.into() }).await.unwrap_err().code(),
            code
        );
    }
    for (id, code) in [("op-99", NotFound), ("99", InvalidArgument)] {
        let request = v1::GetOperationRequest { id: id.into() };
        assert_eq!(operations.get_operation(request.clone()).await.unwrap_err().code(), code);
        assert_eq!(operations.watch_operation(request).await.unwrap_err().code(), code);
    }
}
