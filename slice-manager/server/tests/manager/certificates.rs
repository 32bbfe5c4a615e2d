//! Who is not let in at all.

use api::v1;
use rcgen::SanType;
use tonic::{Code, Status};
use v1::slice_service_client::SliceServiceClient;

use crate::world::{Authority, Leaf, World, uri};

async fn list(world: &World, leaf: Option<&Leaf>) -> Result<(), Status> {
    let channel = world.endpoint(&world.authority.pem, leaf).connect_lazy();
    SliceServiceClient::new(channel).list_slices(v1::ListSlicesRequest {}).await.map(drop)
}

#[tokio::test]
async fn only_a_certificate_of_our_authority_that_is_in_its_time_opens_a_connection() {
    let world = World::start().await;
    let operator = || vec![uri("urn:microslice:operator:olga")];
    let good = world.authority.issue(operator(), |_| {});
    list(&world, Some(&good)).await.unwrap();

    let expired = world.authority.issue(operator(), |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let not_yet = world.authority.issue(operator(), |params| {
        params.not_before = rcgen::date_time_ymd(2999, 1, 1);
        params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    });
    let server_only = world.authority.issue(operator(), |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    // Another authority of the same name.
    let other = Authority::new("microslice").issue(operator(), |_| {});
    let refused = [Some(&expired), Some(&not_yet), Some(&server_only), Some(&other), None];
    for (index, leaf) in refused.into_iter().enumerate() {
        let status = list(&world, leaf).await.unwrap_err();
        // No answer of ours: the connection itself is refused.
        assert!([Code::Unknown, Code::Unavailable].contains(&status.code()), "{index}: {status:?}");
    }
    list(&world, Some(&good)).await.unwrap();
}

#[tokio::test]
async fn a_client_does_not_take_another_manager_for_ours() {
    let world = World::start().await;
    let leaf = world.authority.principal("operator", "olga");
    let other = Authority::new("microslice");
    let channel = world.endpoint(&other.pem, Some(&leaf)).connect_lazy();
    let status = SliceServiceClient::new(channel).list_slices(v1::ListSlicesRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_certificate_must_name_one_principal() {
    let world = World::start().await;
    let dns = || SanType::DnsName("olga.example".try_into().unwrap());
    let cases = [
        (vec![], "names 0 principals"),
        (vec![dns()], "names 0 principals"),
        (vec![uri("https://olga.example/")], "names 0 principals"),
        (vec![uri("urn:microslice:operator:olga"), uri("urn:microslice:viewer:olga")], "names 2 principals"),
        (vec![uri("urn:microslice:operator:olga"), uri("urn:microslice:operator:olga")], "names 2 principals"),
        (vec![uri("urn:microslice:root:olga")], "`urn:microslice:root:olga` names no principal"),
        (vec![uri("urn:microslice:operator:Olga%00")], "names no principal"),
        (vec![uri("urn:microslice:operator")], "names no principal"),
    ];
    for (names, expected) in cases {
        let leaf = world.authority.issue(names.clone(), |_| {});
        let status = list(&world, Some(&leaf)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{names:?}");
        assert!(status.message().contains(expected), "{names:?}: {}", status.message());
    }
    // Other names beside the one are no harm.
    let names = vec![dns(), uri("https://olga.example/"), uri("urn:microslice:operator:olga")];
    let leaf = world.authority.issue(names, |_| {});
    list(&world, Some(&leaf)).await.unwrap();
}
