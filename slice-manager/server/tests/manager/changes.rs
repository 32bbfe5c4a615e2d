//! Changes that are refused change nothing; removals wait for every edge; changes at the same time do not mix.

use std::collections::BTreeSet;

use api::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use v1::intent_service_client::IntentServiceClient;

use crate::world::{EDGES, World, reference, yaml};

/// The fields that a refusal names, each with its reason.
pub(crate) fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().unwrap_or_else(|| panic!("no violations in {status:?}"));
    details.field_violations.into_iter().map(|v| (v.field, v.description)).collect()
}

fn slice(name: &str, more: &str) -> Vec<v1::Resource> {
    yaml(&format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: {name} }}\nspec:\n  template: embb\n  {more}\n"
    ))
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_refused_by_field_and_nothing_is_changed() {
    let mut world = World::with_iot().await;
    world.stop().await;
    let before = world.dump();
    world.resume().await;
    let sdp = |more: &str| {
        let sdps = format!("sdps: [{{ name: x, {more} }}, {{ name: y, edge: edge-c, port: access0, vlan: 999 }}]");
        format!("snssai: {{ sst: 1, sd: \"000009\" }}\n  rate: {{ guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }}\n  {sdps}")
    };
    let too_much = reference(&["iot"]).into_iter().map(|mut resource| {
        if let Some(v1::resource::Kind::Slice(slice)) = &mut resource.kind {
            let limits = slice.rate.as_mut().unwrap();
            (limits.guaranteed_bits_per_second, limits.ceiling_bits_per_second) = (200_000_000, 200_000_000);
        }
        resource
    });
    let cases: Vec<(Vec<v1::Resource>, &str, &str)> = vec![
        // The link has 140 Mbit/s and nobody else on it.
        (
            too_much.collect(),
            "slice/iot:spec.rate.guaranteed",
            "200 Mbit/s is more than link core-1--edge-a has left (140 Mbit/s); largest that fits: 140 Mbit/s",
        ),
        (slice("new", &sdp("edge: edge-z, port: access0, vlan: 9")), "slice/new:spec.sdps[0].edge", "edge-z"),
        (slice("new", &sdp("edge: edge-a, port: access9, vlan: 9")), "slice/new:spec.sdps[0].port", "access9"),
        (slice("new", &sdp("edge: edge-a, port: access0, vlan: 110")), "slice/new:spec.sdps[0]", "slice `iot`"),
    ];
    for (resources, field, reason) in cases {
        let status = world.apply(resources.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{field}");
        let told = violations(&status);
        let hit = told.iter().find(|(f, r)| f.starts_with(field) && r.contains(reason));
        assert!(hit.is_some(), "expected {field}: {reason}; told {told:?}");
        let planned = world.plan(resources).await.unwrap_err();
        assert_eq!(violations(&planned), told, "Plan refuses what Apply refuses");
    }
    world.stop().await;
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn ill_formed_messages_are_refused_by_their_path_all_at_once() {
    let mut world = World::with_iot().await;
    world.stop().await;
    let before = world.dump();
    world.resume().await;
    let mut resources = reference(&["vehicles", "factory", "iot"]);
    let Some(v1::resource::Kind::Slice(vehicles)) = &mut resources[0].kind else { panic!() };
    vehicles.sdps[1].vlan = Some(5000);
    let Some(v1::resource::Kind::Slice(factory)) = &mut resources[1].kind else { panic!() };
    factory.snssai.as_mut().unwrap().sst = 300;
    resources.push(resources[2].clone());
    resources.push(v1::Resource { kind: None });
    let status = world.apply(resources).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let told = violations(&status);
    let fields: Vec<&str> = told.iter().map(|(field, _)| field.as_str()).collect();
    let twice = format!("resources[{}]", 2 + 5);
    let none = format!("resources[{}].kind", 2 + 6);
    assert_eq!(fields, ["resources[0].slice.sdps[1].vlan", "resources[1].slice.snssai.sst", &twice, &none]);
    assert_eq!(told[0].1, "5000 is not a VLAN identifier; expected 1 to 4094");
    assert_eq!(told[2].1, "slice/iot stands twice in the request; expected it once");
    assert_eq!(world.apply(vec![]).await.unwrap_err().code(), Code::InvalidArgument);
    world.stop().await;
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn what_is_in_use_or_not_declared_is_not_removed() {
    let mut world = World::with_iot().await;
    world.stop().await;
    let before = world.dump();
    world.resume().await;
    let metering = "microsegment/iot/smart-metering";
    let in_use = [
        (vec!["slice/iot"], "slice/iot:metadata.name", "slice/iot is in use by microsegment/iot/personal-health"),
        (vec!["topology/reference"], "topology/reference:metadata.name", "topology/reference is in use by slice/iot"),
        (vec![metering], "microsegment/iot/smart-metering:metadata.name", "is in use by realm/iot/smart-metering"),
    ];
    for (ids, field, reason) in in_use {
        let status = world.delete(&ids).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        let told = violations(&status);
        assert!(told[0].0 == field && told[0].1.contains(reason), "{told:?}");
    }
    // The segment without its realm is declared, but the template wants authentication in every segment.
    let status = world.delete(&["realm/iot/smart-metering"]).await.unwrap_err();
    assert_eq!((status.code(), violations(&status)[0].0.starts_with(metering)), (Code::FailedPrecondition, true));
    let status = world.delete(&["slice/none", "realm/iot/smart-metering", "slice/nor-this"]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(violations(&status).len(), 2);
    for ids in [vec![], vec!["iot"], vec!["slice/iot", "slice/iot"]] {
        assert_eq!(world.delete(&ids).await.unwrap_err().code(), Code::InvalidArgument);
    }
    world.stop().await;
    assert_eq!(world.dump(), before);
}

const IOT: [&str; 5] = [
    "slice/iot",
    "microsegment/iot/smart-metering",
    "microsegment/iot/personal-health",
    "realm/iot/smart-metering",
    "realm/iot/personal-health",
];

#[tokio::test]
async fn numbers_of_a_removed_slice_are_kept_back_until_every_edge_has_let_go() {
    let world = World::start().await;
    drop(world.obedient("edge-a").await);
    drop(world.obedient("edge-b").await);
    let mut slow = world.attach("edge-c").await;
    slow.report(None).await;
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    slow.realise().await;
    world.completed("op-1").await;
    let numbers: BTreeSet<u32> = world.target().await.allocations.iter().map(|a| a.vni).collect();
    assert_eq!(numbers.len(), 2);

    let removal = world.delete(&IOT).await.unwrap().unwrap();
    assert_eq!(removal.kind(), v1::OperationKind::Delete);
    let empty = slow.program().await;
    assert!(empty.content.slices.is_empty());
    let reason = "edge-c runs generation 1; the target is 2; it must confirm 2";
    let iot = world.slice_when("iot", |iot| iot.reason == reason).await;
    assert_eq!(iot.state(), v1::SliceState::Terminating);
    assert!(iot.slice.is_none());
    let kept_back: BTreeSet<u32> = iot.segments.iter().map(|segment| segment.vni).collect();
    assert_eq!(kept_back, numbers);

    // Meanwhile nobody else gets them.
    world.apply(reference(&["iot"])).await.unwrap();
    let again: BTreeSet<u32> = world.target().await.allocations.iter().map(|a| a.vni).collect();
    assert!(again.is_disjoint(&numbers), "{again:?}");
    let third = slow.realise().await;
    assert_eq!(third.generation.get(), world.target().await.programs[2].generation);
    world.completed(&removal.id).await;
    // The slow edge has gone past the removal to what came after: that confirms the removal, too.
    world.target_when(|target| target.quarantine.is_empty()).await;
    let kept: BTreeSet<u32> = world.target().await.allocations.iter().map(|a| a.vni).collect();
    assert_eq!(kept, again, "what is in use is not renumbered");
}

#[tokio::test]
async fn a_removed_slice_is_gone_when_every_edge_has_confirmed() {
    let world = World::start().await;
    for edge in EDGES {
        drop(world.obedient(edge).await);
    }
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    world.completed("op-1").await;
    world.delete(&IOT).await.unwrap();
    world.completed("op-2").await;
    let target = world.target_when(|target| target.quarantine.is_empty()).await;
    assert!(target.allocations.is_empty() && target.bookings.is_empty());
    assert_eq!(world.slice("iot").await.unwrap_err().code(), Code::NotFound);
    // The topology is in use by nobody now.
    world.delete(&["topology/reference"]).await.unwrap();
}

#[tokio::test]
async fn changes_at_the_same_time_come_one_after_another() {
    let world = World::start().await;
    world.apply(reference(&["topology"])).await.unwrap();
    let new = |n: usize| {
        slice(
            &format!("s{n}"),
            &format!(
                "snssai: {{ sst: 1, sd: \"00000{n}\" }}\n  rate: {{ guaranteed: 1 Mbit/s, ceiling: 2 Mbit/s }}\n  sdps:\n    \
                 - {{ name: x, edge: edge-a, port: access0, vlan: {vlan} }}\n    - {{ name: y, edge: edge-c, port: access0, vlan: {vlan} }}",
                vlan = 200 + n
            ),
        )
    };
    let changes = (0..8).map(|n| world.apply(new(n)));
    let mut ids = BTreeSet::new();
    let mut generations = BTreeSet::new();
    for change in join(changes).await {
        let operation = change.unwrap().unwrap();
        ids.insert(operation.id);
        generations.insert(operation.generation);
    }
    assert_eq!((ids.len(), generations.len()), (8, 8), "each has its own operation and its own plan");
    assert_eq!(world.target().await.programs[0].slices.len(), 8);
}

/// Runs futures side by side.
async fn join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut all = true;
        for (future, done) in &mut futures {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    futures.into_iter().map(|(_, done)| done.unwrap()).collect()
}

#[tokio::test]
async fn a_difference_names_the_fields() {
    let world = World::with_iot().await;
    let mut resources = reference(&["iot", "factory"]);
    let Some(v1::resource::Kind::Slice(iot)) = &mut resources[0].kind else { panic!() };
    iot.rate.as_mut().unwrap().ceiling_bits_per_second = 50_000_000;
    iot.sdps[1].vlan = None;
    let mut client = IntentServiceClient::new(world.channel("viewer", "vera"));
    let diff = client.diff(v1::DiffRequest { resources }).await.unwrap().into_inner().resources;
    let shown: Vec<_> = diff
        .iter()
        .map(|d| {
            let change = d.change.as_ref().unwrap();
            let fields: Vec<_> = d.fields.iter().map(|f| format!("{} {} {}", f.path, f.declared, f.wanted)).collect();
            (change.resource.as_str(), change.kind(), fields)
        })
        .collect();
    let fields =
        vec!["rate.ceilingBitsPerSecond \"100000000\" \"50000000\"".to_owned(), "sdps[hospital].vlan 110 ".to_owned()];
    assert_eq!(
        shown,
        [("slice/iot", v1::ChangeKind::Modify, fields), ("slice/factory", v1::ChangeKind::Add, vec![])],
        "segments and realms are as declared"
    );
}
