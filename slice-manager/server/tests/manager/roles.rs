//! Every method, tried by every role. The list of methods is that of the descriptors, so that a method that is added
//! and forgotten in the manager's table fails here.

use model::Role;
use prost_reflect::DescriptorPool;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::world::{World, soon};

/// The roles that may call a method: what the API promises (operators and NFV orchestrators everything of theirs,
/// viewers what changes nothing, edges their stream, the manager's own certificate nothing).
fn allowed(service: &str, method: &str) -> Vec<Role> {
    match (service, method) {
        ("microslice.v1.EdgeService", _) => vec![Role::Edge],
        ("microslice.v1.IntentService", "Apply" | "Delete") => vec![Role::Operator, Role::Mano],
        ("microslice.v1.TransportService", "Repair") => vec![Role::Operator],
        _ => vec![Role::Operator, Role::Mano, Role::Viewer],
    }
}

#[tokio::test]
async fn every_method_lets_in_the_roles_it_is_for_and_no_other() {
    let world = World::start().await;
    let mut methods: Vec<(String, String)> = vec![
        ("grpc.health.v1.Health".into(), "Check".into()),
        ("grpc.health.v1.Health".into(), "Watch".into()),
        ("grpc.reflection.v1.ServerReflection".into(), "ServerReflectionInfo".into()),
    ];
    let pool = DescriptorPool::decode(api::DESCRIPTORS).unwrap();
    let services: Vec<_> = pool.services().collect();
    assert_eq!(services.len(), 11);
    for service in services {
        for method in service.methods() {
            methods.push((service.full_name().to_owned(), method.name().to_owned()));
        }
    }
    assert!(methods.len() > 20);
    for role in Role::ALL {
        let name = if role == Role::Edge { "edge-a" } else { "somebody" };
        let channel = world.channel(role.as_str(), name);
        for (service, method) in &methods {
            let outcome = call(&channel, service, method).await;
            let code = outcome.as_ref().map_or_else(Status::code, |()| Code::Ok);
            let path = format!("/{service}/{method}");
            if allowed(service, method).contains(&role) {
                assert!(![Code::PermissionDenied, Code::Unauthenticated].contains(&code), "{role} {path}: {outcome:?}");
                assert_ne!(code, Code::Unimplemented, "{path}");
            } else {
                assert_eq!(code, Code::PermissionDenied, "{role} {path}");
                let needed = allowed(service, method).iter().map(|r| r.as_str()).collect::<Vec<_>>().join(" or ");
                let message = format!("role {role} of `{name}` may not call {path}; it needs role {needed}");
                assert_eq!(outcome.unwrap_err().message(), message);
            }
        }
    }
}

#[tokio::test]
async fn a_method_that_is_not_there_is_nobodys() {
    let world = World::start().await;
    let channel = world.operator();
    let unknown = call(&channel, "microslice.v1.IntentService", "Obliterate").await.unwrap_err();
    assert_eq!(unknown.code(), Code::PermissionDenied);
    let unknown = call(&channel, "microslice.v2.IntentService", "Apply").await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
}

/// Calls with an empty message and takes the first answer.
async fn call(channel: &Channel, service: &str, method: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path: PathAndQuery = format!("/{service}/{method}").parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let answer = soon(grpc.server_streaming(Request::new(()), path, codec)).await?;
    soon(answer.into_inner().message()).await.map(drop)
}
