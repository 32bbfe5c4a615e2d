//! A manager that starts again goes on where it was; one whose store is not as it must be does not start.

use api::v1;
use prost_reflect::prost::Message;
use slice_manager::store::{EmbeddedStore, Store, Transaction};
use slice_manager::{Manager, StartError};

use crate::world::{EDGES, World, reference};

#[tokio::test]
async fn a_manager_that_starts_again_goes_on_with_what_was_under_way() {
    let mut world = World::start().await;
    let running = [world.obedient("edge-a").await, world.obedient("edge-c").await];
    let operation = world.apply(reference(&["topology", "iot"])).await.unwrap().unwrap();
    let waiting = world.operation_when(&operation.id, |operation| operation.awaiting.len() == 1).await;
    let target = world.target().await;
    world.stop().await;
    let mut programs = Vec::new();
    for edge in running {
        programs.push(edge.await.unwrap().runs.unwrap());
    }
    world.resume().await;
    assert_eq!(world.target().await, target);
    assert_eq!(world.operation(&operation.id).await, waiting);
    // Nothing is assumed of edges that were there before.
    let iot = world.slice("iot").await.unwrap();
    assert_eq!(iot.state(), v1::SliceState::Degraded);
    assert!(iot.reason.starts_with("edge-a has not been heard of since the manager started"), "{}", iot.reason);

    for program in &programs {
        world.attach(program.content.edge.as_str()).await.report(Some(program)).await;
    }
    let mut edge = world.attach("edge-b").await;
    edge.report(None).await;
    let program = edge.realise().await;
    assert_eq!(v1::Program::from(&program), target.programs[1]);
    world.completed(&operation.id).await;
    let next = world.apply(reference(&["factory"])).await.unwrap().unwrap();
    assert_eq!((next.id.as_str(), next.generation), ("op-2", 2));
}

/// Starts on a store in which one thing was changed behind the manager's back.
async fn started_with(change: impl FnOnce(&dyn Store)) -> StartError {
    let mut world = World::with_iot().await;
    world.stop().await;
    let store = EmbeddedStore::open(&world.store_dir()).unwrap();
    change(&store);
    drop(store);
    Manager::start(world.config()).await.unwrap_err()
}

fn put(store: &dyn Store, key: &str, value: Vec<u8>) {
    store.commit(&Transaction::new().put(key, value)).unwrap();
}

fn stored_plan(store: &dyn Store) -> v1::Plan {
    v1::Plan::decode(store.get("target").unwrap().unwrap().value.as_slice()).unwrap()
}

#[tokio::test]
async fn a_store_of_a_newer_format_is_refused_by_name() {
    let error = started_with(|store| put(store, "format", b"2".to_vec())).await;
    let text = "the store has format 2; this build reads formats up to 1; run the newer slice-manager";
    assert_eq!(error.to_string(), text);
    let error = started_with(|store| put(store, "format", b"?".to_vec())).await;
    assert!(error.to_string().contains("does not say which format"), "{error}");
    let error = started_with(|store| {
        store.commit(&Transaction::new().delete("format")).unwrap();
    });
    assert!(error.await.to_string().contains("does not say which format"));
}

#[tokio::test]
async fn a_damaged_or_misplaced_record_is_named() {
    for (key, value, text) in [
        ("target", vec![0xff; 7], "the record `target` in the store is damaged"),
        ("intent/slice/iot", vec![], "the record `intent/slice/iot` in the store is ill-formed"),
        ("operation/0000000000000001", vec![0xff], "the record `operation/0000000000000001` in the store is damaged"),
        ("operation/0000000000000009", v1::Operation::default().encode_to_vec(), "ill-formed"),
        ("sessions/1", vec![], "the record `sessions/1` does not belong there"),
        ("other", vec![], "the record `other` does not belong there"),
    ] {
        let error = started_with(|store| put(store, key, value)).await;
        assert!(error.to_string().contains(text), "{key}: {error}");
    }
    // A slice under the name of another.
    let error = started_with(|store| {
        let iot = store.get("intent/slice/iot").unwrap().unwrap().value;
        put(store, "intent/slice/iota", iot);
    });
    assert_eq!(error.await.to_string(), "the record `intent/slice/iota` does not belong there");
}

#[tokio::test]
async fn a_plan_that_contradicts_itself_or_the_intents_is_refused() {
    let doubled = started_with(|store| {
        let mut plan = stored_plan(store);
        plan.allocations[1].vni = plan.allocations[0].vni;
        put(store, "target", plan.encode_to_vec());
    });
    let doubled = doubled.await;
    assert!(matches!(doubled, StartError::Inconsistent(_)), "{doubled}");
    assert!(doubled.to_string().starts_with("the store is inconsistent"), "{doubled}");
    let mangled = started_with(|store| {
        let mut plan = stored_plan(store);
        plan.programs[0].slices.clear();
        put(store, "target", plan.encode_to_vec());
    });
    assert!(mangled.await.to_string().contains("`target` in the store is ill-formed"), "the digest tells");
    let forgotten = started_with(|store| {
        store.commit(&Transaction::new().delete("intent/microsegment/iot/smart-metering")).unwrap();
    });
    assert!(matches!(forgotten.await, StartError::Inconsistent(_)));
    let lost = started_with(|store| {
        store.commit(&Transaction::new().delete("target")).unwrap();
    });
    assert!(matches!(lost.await, StartError::Inconsistent(_)));
}

#[tokio::test]
async fn what_can_not_be_had_is_named() {
    let mut world = World::start().await;
    let error = Manager::start(world.config()).await.unwrap_err().to_string();
    assert!(error.contains(&world.store_dir().display().to_string()), "a store in use: {error}");
    world.stop().await;
    let mut config = world.config();
    config.tls.key = world.tls_dir().join("none.pem");
    let error = Manager::start(config).await.unwrap_err().to_string();
    assert!(error.contains("none.pem can't be read; `slicectl init`"), "{error}");
    let mut config = world.config();
    config.tls.key = world.tls_dir().join("ca.pem");
    let error = Manager::start(config).await.unwrap_err();
    assert!(error.to_string().contains("ca.pem holds no certificate, or no key, in PEM"), "{error}");
    let mut config = world.config();
    config.profiles = Some(world.tls_dir().join("none"));
    let error = Manager::start(config).await.unwrap_err();
    assert_eq!(error.to_string(), "the profiles can't be used");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = world.config();
    config.listen = taken.local_addr().unwrap();
    let error = Manager::start(config).await.unwrap_err();
    assert_eq!(error.to_string(), format!("can't listen on {}", taken.local_addr().unwrap()));
    // After all of that the store is free again.
    world.resume().await;
}

#[tokio::test]
async fn profiles_that_have_changed_are_planned_with_from_the_next_start_on() {
    let mut world = World::start().await;
    world.apply(reference(&["topology", "iot"])).await.unwrap();
    world.stop().await;
    let folder = tempfile::tempdir().unwrap();
    copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles").as_ref(), folder.path());
    let ceiling = |from: &str, to: &str| {
        let file = folder.path().join("segments/personal-health.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    ceiling("ceiling: 100 %", "ceiling: 90 %");
    let mut config = world.config();
    config.profiles = Some(folder.path().to_owned());
    let manager = Manager::start(config.clone()).await.unwrap();
    world.at(manager.address());
    let iot = world.slice("iot").await.unwrap();
    let health = iot.segments.iter().find(|segment| segment.name == "personal-health").unwrap();
    assert_eq!(health.limits.unwrap().ceiling_bits_per_second, 90_000_000);
    manager.shutdown().await;
    // What is declared names a profile that is there no more.
    std::fs::remove_file(folder.path().join("segments/personal-health.yaml")).unwrap();
    let error = Manager::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::Misfit(_)), "{error}");
    assert!(error.to_string().contains("personal-health"), "{error}");
    // With those of before it starts again.
    world.resume().await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn profiles_may_come_from_a_folder() {
    let mut world = World::prepare();
    let mut config = world.config();
    config.profiles = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles").into());
    let manager = Manager::start(config).await.unwrap();
    world.at(manager.address());
    assert_eq!(world.plan(reference(&["topology", "iot"])).await.unwrap().edges, EDGES);
    manager.shutdown().await;
}
