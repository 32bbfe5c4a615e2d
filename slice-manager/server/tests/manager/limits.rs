//! Requests that are too large.

use api::v1;
use tonic::Code;
use v1::intent_service_client::IntentServiceClient;
use v1::operation_service_client::OperationServiceClient;

use crate::world::World;

#[tokio::test]
async fn too_many_resources_and_too_large_a_message_are_refused() {
    let world = World::start().await;
    let mut client = IntentServiceClient::new(world.operator()).max_encoding_message_size(64 << 20);
    let many = v1::ApplyRequest { resources: vec![v1::Resource::default(); 32_769] };
    let status = client.apply(many).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "resources: 32769 resources; expected at most 32768 a request");
    let site = "x".repeat(17 << 20);
    let node = v1::Node { site, ..v1::Node::default() };
    let topology = v1::Topology { nodes: vec![node], ..v1::Topology::default() };
    let large = v1::Resource { kind: Some(v1::resource::Kind::Topology(topology)) };
    let status = client.apply(v1::ApplyRequest { resources: vec![large] }).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{}", status.message());
    let mut operations = OperationServiceClient::new(world.operator());
    let status = operations.list_operations(v1::ListOperationsRequest { page_size: 1_001 }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "pageSize: 1001; expected at most 1000"));
}

#[tokio::test]
async fn strangers_hold_few_places_and_none_that_others_need() {
    let world = World::start().await;
    let address = world.address();
    let mut held = Vec::new();
    for _ in 0..40 {
        // From another address of the loopback network.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        held.push(socket.connect(address).await.unwrap());
    }
    // Those that are too many are closed at once; the others have some time for their certificate.
    let mut closed = 0;
    for stream in &held[32..] {
        stream.readable().await.unwrap();
        closed += usize::from(stream.try_read(&mut [0; 1]).unwrap_or(0) == 0);
    }
    assert_eq!(closed, 8);
    assert_eq!(held[0].try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let mut operations = OperationServiceClient::new(world.operator());
    operations.list_operations(v1::ListOperationsRequest::default()).await.unwrap();
}
