//! The writer on a store that does not always do as it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use model::NodeName;
use model::resource::Resource;

use super::*;
use crate::observed::{Report, SessionId};
use crate::store::Entry;
use crate::store::memory::MemoryStore;

/// What happens to the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Another manager writes the target just before it.
    Overtaken,
    /// It fails and is not made.
    Lost,
    /// It fails and is made all the same.
    Made,
}

/// A store in memory, shared with the test, with trouble on demand.
#[derive(Clone, Default)]
struct TroubledStore {
    inner: Arc<MemoryStore>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    /// Nothing can be read or written.
    is_dead: Arc<AtomicBool>,
}

impl Store for TroubledStore {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Entry)>, StoreError> {
        self.alive()?;
        self.inner.scan(prefix)
    }

    fn commit(&self, transaction: &Transaction) -> Result<Revision, StoreError> {
        self.alive()?;
        match self.trouble.lock().unwrap().take() {
            None => self.inner.commit(transaction),
            Some(Trouble::Overtaken) => {
                let target = self.inner.get("target")?.unwrap().value;
                self.inner.commit(&Transaction::new().put("target", target))?;
                self.inner.commit(transaction)
            }
            Some(Trouble::Lost) => Err(full()),
            Some(Trouble::Made) => self.inner.commit(transaction).and_then(|_| Err(full())),
        }
    }
}

impl TroubledStore {
    fn alive(&self) -> Result<(), StoreError> {
        if self.is_dead.load(Ordering::Relaxed) { Err(full()) } else { Ok(()) }
    }
}

fn full() -> StoreError {
    StoreError::Engine(sled::Error::Io(std::io::Error::other("the disk is full")))
}

struct World {
    store: TroubledStore,
    writer: WriterHandle,
    decided: watch::Receiver<Arc<Decided>>,
    observed: Arc<Observed>,
}

fn world() -> World {
    let (store, observed) = (TroubledStore::default(), Arc::new(Observed::default()));
    let records = Records::load(&store).unwrap();
    let catalog = Arc::new(Catalog::builtin().unwrap());
    let (writer, decided, _) = start(Box::new(store.clone()), records, catalog, observed.clone()).unwrap();
    World { store, writer, decided, observed }
}

fn reference(file: &str) -> Wish {
    let path = format!("{}/../../profiles/reference/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let declared = model::resource::read(file, &text).unwrap();
    Wish::Apply(declared.into_iter().map(|d| d.resource).collect::<Vec<Resource>>())
}

impl World {
    async fn change(&self, wish: Wish) -> ChangeResult {
        self.writer.change(wish, "urn:microslice:operator:olga".to_owned()).await
    }

    fn stored(&self) -> Vec<(String, Entry)> {
        self.store.scan("").unwrap()
    }

    /// The edge says that it runs what it should.
    fn realise(&self, edge: &NodeName) {
        self.realise_with(edge, Vec::new());
    }

    /// And how its paths are.
    fn realise_with(&self, edge: &NodeName, paths: Vec<api::v1::RealisedPath>) {
        let decided = self.decided.borrow().clone();
        let program = &decided.plan.programs[edge];
        self.observed.attached(edge, SessionId(1), String::new(), Vec::new());
        let digest = Some(program.digest());
        let (at, segments, refusal) = (now(), Vec::new(), None);
        let drift = Vec::new();
        let report = Report { at, generation: program.generation, digest, segments, paths, refusal, drift };
        self.observed.reported(edge, SessionId(1), report);
        self.writer.reported();
    }

    fn agrees_with_its_store(&self) {
        let records = Records::load(&self.store).unwrap();
        let decided = self.decided.borrow();
        assert_eq!(*decided.intents, records.intents);
        assert_eq!(*decided.plan, records.plan);
        assert_eq!(*decided.operations, records.operations);
    }
}

#[tokio::test]
async fn a_change_that_was_overtaken_is_aborted_and_can_be_tried_again() {
    let world = world();
    world.change(reference("topology")).await.unwrap();
    let before = world.stored();
    *world.store.trouble.lock().unwrap() = Some(Trouble::Overtaken);
    let refused = world.change(reference("iot")).await;
    assert!(matches!(refused, Err(ChangeError::Store(StoreError::Conflict { .. }))), "{refused:?}");
    let values = |dump: &[(String, Entry)]| dump.iter().map(|(k, e)| (k.clone(), e.value.clone())).collect::<Vec<_>>();
    assert_eq!(values(&world.stored()), values(&before), "nothing is left of it");
    assert_eq!(world.change(reference("iot")).await.unwrap().unwrap().id, OperationId(2));
    world.agrees_with_its_store();
}

#[tokio::test]
async fn a_commit_that_failed_is_believed_only_as_far_as_the_store_has_it() {
    for (trouble, is_there) in [(Trouble::Lost, false), (Trouble::Made, true)] {
        let world = world();
        world.change(reference("topology")).await.unwrap();
        *world.store.trouble.lock().unwrap() = Some(trouble);
        let failed = world.change(reference("iot")).await;
        assert!(matches!(failed, Err(ChangeError::Store(StoreError::Engine(_)))), "{failed:?}");
        world.agrees_with_its_store();
        assert_eq!(world.decided.borrow().operations.len(), 1 + usize::from(is_there), "{trouble:?}");
        let again = world.change(reference("iot")).await.unwrap();
        assert_eq!(again.is_none(), is_there, "{trouble:?}");
        world.agrees_with_its_store();
    }
}

#[tokio::test]
async fn progress_that_could_not_be_stored_is_made_with_the_next_message() {
    let mut world = world();
    world.change(reference("topology")).await.unwrap();
    world.change(reference("factory")).await.unwrap();
    let edges: Vec<NodeName> = world.decided.borrow().plan.programs.keys().cloned().collect();
    // Each time an edge that has not confirmed yet, so that there is something to store.
    for (trouble, edge) in [Trouble::Lost, Trouble::Overtaken].into_iter().zip(&edges) {
        *world.store.trouble.lock().unwrap() = Some(trouble);
        world.realise(edge);
        while world.store.trouble.lock().unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    }
    for edge in &edges {
        world.realise(edge);
    }
    let done = |decided: &Arc<Decided>| decided.operations.values().all(|o| o.state == OperationState::Completed);
    world.decided.wait_for(done).await.unwrap();
    world.agrees_with_its_store();
}

#[tokio::test]
async fn an_edge_that_runs_what_the_store_does_not_know_is_told_anew() {
    let mut world = world();
    world.change(reference("topology")).await.unwrap();
    world.change(reference("factory")).await.unwrap();
    let decided = world.decided.borrow().clone();
    let (edge, before) = decided.plan.programs.first_key_value().unwrap();
    let report = |generation: u64| {
        let digest = Some(model::Digest::from_bytes([7; 32]));
        let report = Report {
            drift: Vec::new(),
            at: now(),
            generation: model::Generation::new(generation),
            digest,
            segments: Vec::new(),
            paths: Vec::new(),
            refusal: None,
        };
        world.observed.attached(edge, SessionId(1), String::new(), Vec::new());
        world.observed.reported(edge, SessionId(1), report);
        world.writer.reported();
    };
    report(173);
    let told = |decided: &Arc<Decided>| decided.plan.programs[edge].generation == model::Generation::new(174);
    let after = world.decided.wait_for(told).await.unwrap().clone();
    assert_eq!(after.plan.programs[edge].content, before.content);
    assert_eq!(after.plan.generation, model::Generation::new(174));
    let others = |plan: &Plan| {
        plan.programs.iter().filter(|(name, _)| *name != edge).map(|(_, p)| p.clone()).collect::<Vec<_>>()
    };
    assert_eq!(others(&after.plan), others(&decided.plan));
    world.realise(edge);
    // The number of its own program with other content, which it would not take for older.
    report(174);
    let again = |decided: &Arc<Decided>| decided.plan.programs[edge].generation == model::Generation::new(175);
    world.decided.wait_for(again).await.unwrap();
    // A number that no manager comes to: nobody follows there.
    report(u64::MAX - 1);
    world.change(reference("handsets")).await.unwrap();
    assert_eq!(world.decided.borrow().plan.generation, model::Generation::new(176));
    world.agrees_with_its_store();
}

#[tokio::test]
async fn a_store_that_can_not_be_read_refuses_changes_and_ends_nothing() {
    let mut world = world();
    world.change(reference("topology")).await.unwrap();
    let before = world.decided.borrow().clone();
    world.store.is_dead.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let refused = world.change(reference("factory")).await;
        assert!(matches!(refused, Err(ChangeError::Store(_) | ChangeError::Records(_))), "{refused:?}");
        world.writer.reported();
        assert_eq!(world.decided.borrow().plan, before.plan, "what is published goes on to hold");
    }
    world.store.is_dead.store(false, Ordering::Relaxed);
    world.change(reference("factory")).await.unwrap();
    assert!(world.decided.borrow_and_update().plan.generation > before.plan.generation);
    world.agrees_with_its_store();
}

#[tokio::test]
async fn a_writer_that_has_stopped_says_so() {
    let mut world = world();
    world.writer.stop().await;
    while world.decided.changed().await.is_ok() {}
    assert!(matches!(world.change(reference("topology")).await, Err(ChangeError::Stopping)));
}

fn operation(id: u64, state: OperationState) -> (OperationId, Arc<Operation>) {
    let operation = Operation {
        id: OperationId(id),
        kind: OperationKind::Apply,
        state,
        started: now(),
        state_entered: now(),
        requested_by: String::new(),
        generation: model::Generation::new(1),
        changes: Vec::new(),
        awaiting: Vec::new(),
        problem: None,
    };
    (OperationId(id), Arc::new(operation))
}

#[test]
fn the_oldest_finished_operations_are_forgotten_and_no_unfinished_one() {
    let most = OPERATIONS_KEPT_MAX as u64;
    let mut operations: BTreeMap<_, _> = (1..most).map(|id| operation(id, OperationState::Completed)).collect();
    operations.extend([operation(1, OperationState::Processing), operation(3, OperationState::FailedTemp)]);
    assert!(surplus(&operations).is_empty(), "one more fits");
    operations.extend([operation(most, OperationState::Completed)]);
    assert_eq!(surplus(&operations), [OperationId(2)]);
    operations.extend([operation(most + 1, OperationState::Completed)]);
    assert_eq!(surplus(&operations), [OperationId(2), OperationId(4)]);
}

#[tokio::test]
async fn when_too_many_operations_are_unfinished_the_oldest_is_given_up_by_name() {
    let store = TroubledStore::default();
    let mut records = Records::load(&store).unwrap();
    let unfinished = OPERATIONS_UNFINISHED_MAX as u64;
    records.operations = (1..=unfinished).map(|id| operation(id, OperationState::FailedTemp)).collect();
    // They wait for an edge that nobody hears of.
    for operation in records.operations.values_mut() {
        Arc::make_mut(operation).awaiting = vec![("edge-z".parse().unwrap(), model::Generation::new(1))];
    }
    let catalog = Arc::new(Catalog::builtin().unwrap());
    let (writer, decided, _) = start(Box::new(store), records, catalog, Arc::default()).unwrap();
    let operation = writer.change(reference("topology"), String::new()).await.unwrap().unwrap();
    let decided = decided.borrow().clone();
    assert!(decided.operations.contains_key(&operation.id));
    let oldest = &decided.operations[&OperationId(1)];
    assert_eq!(oldest.state, OperationState::Failed);
    let problem = oldest.problem.as_ref().unwrap().to_string();
    assert!(problem.starts_with("edge-z can't run generation 1: given up"), "{problem}");
    let others = decided.operations.values().filter(|o| !o.state.is_final()).count();
    // The topology concerns no edge, so its own operation is finished.
    assert_eq!(others, OPERATIONS_UNFINISHED_MAX - 1);
}

/// A slice of so many Mbit/s without a backup, from `edge-a` to another edge.
fn slice(number: u32, to: &str, mbit: u32, path: &str) -> Wish {
    let sdp = |edge: &str| format!("{{ name: {edge}, edge: {edge}, port: access0, vlan: {number} }}");
    let text = format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: s{number} }}\nspec: {{ template: miot, snssai: {{ sst: 3, sd: \
         \"{number:06X}\" }}, transport: srv6, rate: {{ guaranteed: {mbit} Mbit/s, ceiling: {mbit} Mbit/s }}, paths: {{ backup: none, \
         {path} }}, sdps: [{}, {}] }}\n---\napiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: m, slice: s{number} \
         }}\nspec: {{ profile: personal-health, at: [edge-a, {to}] }}\n---\napiVersion: microslice/v1\nkind: Realm\nmetadata: {{ \
         name: m, slice: s{number} }}\nspec: {{ clients: [] }}\n",
        sdp("edge-a"),
        sdp(to)
    );
    Wish::Apply(model::resource::read("slice.yaml", &text).unwrap().into_iter().map(|d| d.resource).collect())
}

fn narrow_topology() -> Wish {
    let Wish::Apply(mut resources) = reference("topology") else { panic!() };
    for resource in &mut resources {
        if let Resource::Topology(topology) = resource {
            let links = topology.spec.links.iter().cloned().map(|mut link| {
                link.capacity = model::Rate::from_bits_per_second(100_000_000);
                link
            });
            topology.spec.links = model::UniqueList::new(links.collect()).unwrap();
        }
    }
    Wish::Apply(resources)
}

#[tokio::test]
async fn links_that_can_not_be_planned_around_stand_in_nobodys_way_and_are_tried_again() {
    let mut world = world();
    world.change(narrow_topology()).await.unwrap();
    // The first leads over core-1, so that there is no room there for the second.
    world.change(slice(2, "edge-c", 60, "excludeNodes: [core-2]")).await.unwrap();
    world.change(slice(1, "edge-b", 60, "")).await.unwrap();
    let before = world.decided.borrow().clone();
    let edge: NodeName = "edge-a".parse().unwrap();
    let paths = before.plan.paths.keys().map(|key| api::v1::RealisedPath {
        to: key.b.to_string(),
        id: key.id.get().into(),
        state: api::v1::PathState::Down.into(),
        since: None,
        proven: true,
    });
    // Both ways fail. Around both, s1 would take from s2 what it stands on.
    let down: Vec<_> = paths.collect();
    world.realise_with(&edge, down.clone());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    world.writer.reported();
    world.change(slice(3, "edge-b", 1, "")).await.unwrap().unwrap();
    let decided = world.decided.borrow().clone();
    assert_eq!(*decided.suspects, Suspects::new(), "no plan was made around them");
    for slice in ["s1", "s2"] {
        assert_eq!(decided.plan.slices[slice].ways, before.plan.slices[slice].ways);
    }
    // Were they published, changes would be planned without them all the same.
    let links = ["core-1--edge-a", "core-1--edge-c", "core-2--edge-a", "core-2--edge-b"];
    let suspects: Suspects = links.iter().map(|link| link.parse().unwrap()).collect();
    let catalog = Catalog::builtin().unwrap();
    let around = decided::next_plan(&decided.intents, &decided.plan, &catalog, &BTreeMap::new(), &suspects);
    assert!(matches!(around, Err(ChangeError::Refused(_))), "{around:?}");
    let published = Decided { suspects: Arc::new(suspects.clone()), ..Decided::clone(&decided) };
    let (_, made_around) = decided::sound_plan(&decided.intents, &published, &catalog, &BTreeMap::new()).unwrap();
    assert_eq!(*made_around, Suspects::new());
    // When s2 leaves, there is room.
    let gone = ["realm/s2/m", "microsegment/s2/m", "slice/s2"].map(|id| id.parse().unwrap());
    world.change(Wish::Delete(gone.into())).await.unwrap();
    world.realise_with(&edge, down);
    let avoided = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while world.decided.borrow().suspects.is_empty() {
            world.writer.reported();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    avoided.await.unwrap();
    let after = world.decided.borrow_and_update().clone();
    assert_ne!(after.plan.slices["s1"].ways, before.plan.slices["s1"].ways);
    world.agrees_with_its_store();
}
