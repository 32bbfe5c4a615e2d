//! What the manager has decided, as one immutable value that readers share, and the pure steps that lead to the next.
//!
//! Nothing here waits, stores or sends. The writer commits a decision and publishes it; the services read it; a plan
//! that is only asked for ("what if") takes the same steps and stops before the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::operation::{ChangeKind, Operation, OperationId, ResourceChange};
use model::plan::Plan;
use model::profile::Catalog;
use model::program::{Program, ProgramContent};
use model::resource::{Resource, ResourceId};
use model::{Digest, Generation, NodeName, SliceName};
use plan::{Input, Intents, Note, Refusal, Severity};

use crate::records::RecordError;
use crate::store::StoreError;
use crate::transport::Suspects;

/// What is declared, what was decided from it, and the record of how it came about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decided {
    pub(crate) intents: Arc<Intents>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) operations: Arc<BTreeMap<OperationId, Arc<Operation>>>,
    pub(crate) issued: Arc<Issued>,
    /// The links that the plan was made around, for edges have found that they lead nowhere.
    pub(crate) suspects: Arc<Suspects>,
}

/// The digests of the programs that were decided since the manager started, so that a report of one that has been
/// followed by another can still be told from a report of something that was never decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Issued(BTreeMap<NodeName, BTreeMap<Generation, Digest>>);

impl Issued {
    /// Adds the programs of a plan.
    pub(crate) fn with(&self, plan: &Plan) -> Self {
        let mut issued = self.clone();
        for (edge, program) in &plan.programs {
            let digests = issued.0.entry(edge.clone()).or_default();
            digests.entry(program.generation).or_insert_with(|| program.digest());
            while digests.len() > DIGESTS_OF_EDGE_MAX {
                digests.pop_first();
            }
        }
        issued
    }

    /// The digest of an edge's program of a generation.
    pub(crate) fn digest(&self, edge: &NodeName, generation: Generation) -> Option<Digest> {
        self.0.get(edge)?.get(&generation).copied()
    }
}

/// What an operator asks for.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// To declare resources.
    Apply(Vec<Resource>),
    /// To remove them.
    Delete(Vec<ResourceId>),
}

/// What would become of a wish.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) intents: Intents,
    pub(crate) plan: Plan,
    /// The links that the plan was made around.
    pub(crate) suspects: Arc<Suspects>,
    /// The resources that are now other than they were.
    pub(crate) changes: Vec<ResourceChange>,
}

/// The edges whose program changes, with the generation that counts.
pub(crate) fn changed(parent: &Plan, plan: &Plan) -> Vec<(NodeName, Generation)> {
    let changed = plan.programs.iter().filter(|(edge, program)| parent.programs.get(*edge) != Some(program));
    changed.map(|(edge, program)| (edge.clone(), program.generation)).collect()
}

/// Something that can't be removed yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{resource} is in use by {by}; delete that in the same request or before")]
pub(crate) struct InUse {
    /// What was to be removed.
    pub(crate) resource: ResourceId,
    /// What still stands on it.
    pub(crate) by: ResourceId,
}

/// Why a change was not made. Whatever the reason, nothing has changed, save where [`StoreError::Engine`] says otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// Only what is declared can be removed.
    #[error("{}", list(_0, " and "))]
    NotDeclared(Vec<plan::NotDeclared>),
    /// Others stand on it.
    #[error("{}", list(_0, "; "))]
    InUse(Vec<InUse>),
    /// It does not fit.
    #[error("{}", list(_0, "; "))]
    Refused(Vec<Refusal>),
    /// The planner made a plan that the auditor does not accept: a fault of ours.
    #[error("the plan does not pass the audit: {}", list(_0, "; "))]
    Unsound(Vec<Note>),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A change before this one was not taken, and the store can't be read since.
    #[error("the store can't be read")]
    Records(#[from] RecordError),
    /// Too many changes wait for their turn.
    #[error("{} changes wait for their turn, the most that may", crate::writer::CHANGES_WAITING_MAX)]
    Busy,
    /// The manager is stopping.
    #[error("the manager is stopping")]
    Stopping,
}

fn list<T: ToString>(items: &[T], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// Decides a wish. `None` if everything is declared in just this form already.
pub(crate) fn decide(
    decided: &Decided,
    wish: Wish,
    catalog: &Catalog,
    confirmed: &BTreeMap<NodeName, Generation>,
) -> Result<Option<Decision>, ChangeError> {
    let mut intents = Intents::clone(&decided.intents);
    let changes = match wish {
        Wish::Apply(resources) => apply(&mut intents, resources),
        Wish::Delete(ids) => delete(&mut intents, ids)?,
    };
    if changes.is_empty() {
        return Ok(None);
    }
    let (plan, suspects) = sound_plan(&intents, decided, catalog, confirmed)?;
    Ok(Some(Decision { intents, plan, suspects, changes }))
}

fn apply(intents: &mut Intents, resources: Vec<Resource>) -> Vec<ResourceChange> {
    let apply = |resource: Resource| {
        let id = resource.id();
        intents.apply(resource).map(|kind| ResourceChange { resource: id, kind })
    };
    resources.into_iter().filter_map(apply).collect()
}

fn delete(intents: &mut Intents, ids: Vec<ResourceId>) -> Result<Vec<ResourceChange>, ChangeError> {
    let missing: Vec<_> = ids.iter().filter_map(|id| intents.delete(id).err()).collect();
    if !missing.is_empty() {
        return Err(ChangeError::NotDeclared(missing));
    }
    let in_use: Vec<_> = ids.iter().filter_map(|id| user_of(intents, id)).collect();
    if !in_use.is_empty() {
        return Err(ChangeError::InUse(in_use));
    }
    Ok(ids.into_iter().map(|resource| ResourceChange { resource, kind: ChangeKind::Remove }).collect())
}

/// The first that stands on a resource which is not declared any more.
fn user_of(intents: &Intents, id: &ResourceId) -> Option<InUse> {
    let by = match id {
        ResourceId::Topology(_) => intents.slices.keys().next().cloned().map(ResourceId::Slice),
        ResourceId::Slice(slice) => {
            let segments =
                intents.segments.keys().filter(|id| id.slice == *slice).cloned().map(ResourceId::MicroSegment);
            let realms = intents.realms.keys().filter(|id| id.slice == *slice).cloned().map(ResourceId::Realm);
            segments.chain(realms).next()
        }
        ResourceId::MicroSegment(id) => intents.realms.get_key_value(id).map(|(id, _)| ResourceId::Realm(id.clone())),
        ResourceId::Realm(_) => None,
    };
    by.map(|by| InUse { resource: id.clone(), by })
}

/// The plan for what is declared around the links that are suspected; if there is none, around nothing: a fault in the
/// network is no reason to refuse a change. With it the links that it was made around.
pub(crate) fn sound_plan(
    intents: &Intents,
    decided: &Decided,
    catalog: &Catalog,
    confirmed: &BTreeMap<NodeName, Generation>,
) -> Result<(Plan, Arc<Suspects>), ChangeError> {
    let plan = |suspects: Arc<Suspects>| {
        next_plan(intents, &decided.plan, catalog, confirmed, &suspects).map(|plan| (plan, suspects))
    };
    match plan(decided.suspects.clone()) {
        Err(error) if !decided.suspects.is_empty() => {
            if let ChangeError::Unsound(_) = error {
                tracing::error!(%error, "the plan around links that lead nowhere is wrong; it is made around nothing");
            }
            plan(Arc::default())
        }
        planned => planned,
    }
}

/// The plan for what is declared, passed by the auditor.
pub(crate) fn next_plan(
    intents: &Intents,
    parent: &Plan,
    catalog: &Catalog,
    confirmed: &BTreeMap<NodeName, Generation>,
    suspects: &Suspects,
) -> Result<Plan, ChangeError> {
    let plan = plan::plan(&Input { catalog, intents, parent, confirmed, suspects }).map_err(ChangeError::Refused)?;
    let mut errors = faults(&plan, intents, catalog);
    errors.extend(plan::audit_change(parent, &plan, intents));
    if errors.is_empty() { Ok(plan) } else { Err(ChangeError::Unsound(errors)) }
}

/// What the auditor finds wrong.
pub(crate) fn faults(plan: &Plan, intents: &Intents, catalog: &Catalog) -> Vec<Note> {
    let notes = plan::audit(plan, intents, catalog);
    let (faults, warnings): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.severity == Severity::Error);
    for note in warnings {
        tracing::warn!(generation = %plan.generation, %note, "the auditor warns");
    }
    faults
}

/// Would planning again bring a change that is under way further, or let go of something: of numbers that every edge has
/// confirmed to be without, be they of a segment or of a node or link that has left, or of the empty program of an edge
/// that has left the topology?
pub(crate) fn may_release(decided: &Decided, confirmed: &BTreeMap<NodeName, Generation>) -> bool {
    let has = |edge: &NodeName, since: Generation| confirmed.get(edge).is_some_and(|running| *running >= since);
    let plan = &decided.plan;
    let nodes: BTreeSet<&NodeName> = decided
        .intents
        .topology()
        .into_iter()
        .flat_map(|(_, topology)| topology.nodes.iter())
        .map(|n| &n.name)
        .collect();
    let have = |awaiting: &BTreeMap<NodeName, Generation>| awaiting.iter().all(|(edge, since)| has(edge, *since));
    let is_settled = plan.awaiting.is_empty();
    let is_empty = |edge: &NodeName, program: &Program| program.content == ProgramContent::empty(edge.clone());
    !ready(plan, confirmed).is_empty()
        || plan.quarantine.iter().any(|entry| have(&entry.awaiting))
        || is_settled && plan.nodes.values().any(|numbers| !numbers.awaiting.is_empty() && have(&numbers.awaiting))
        || plan
            .programs
            .iter()
            .any(|(edge, program)| !nodes.contains(edge) && is_empty(edge, program) && has(edge, program.generation))
}

/// Whom a change that is under way need not wait for any longer.
pub(crate) fn ready<'p>(plan: &'p Plan, confirmed: &BTreeMap<NodeName, Generation>) -> BTreeSet<&'p NodeName> {
    let has = |(node, since): &(&NodeName, &Generation)| confirmed.get(*node).is_some_and(|running| running >= *since);
    plan.awaiting.iter().filter(has).map(|(node, _)| node).collect()
}

/// Is what was changed at a generation still on its way, so that there are steps to come beyond the programs that were
/// told? Who was behind before is not waited for.
pub(crate) fn is_under_way(plan: &Plan, generation: Generation, changes: &[ResourceChange]) -> bool {
    changes.iter().any(|change| match &change.resource {
        ResourceId::Topology(_) => plan.awaiting.values().any(|since| *since >= generation),
        ResourceId::Slice(slice) => is_moving(plan, slice),
        ResourceId::MicroSegment(id) | ResourceId::Realm(id) => is_moving(plan, &id.slice),
    })
}

/// The edges that a step of these changes tells something: those that send as before until then.
pub(crate) fn movers<'p>(plan: &'p Plan, changes: &[ResourceChange]) -> BTreeSet<&'p NodeName> {
    let of = |slice: &SliceName| plan.slices.get(slice).into_iter().flat_map(|s| &s.moving).map(|(from, _)| from);
    let mut movers = BTreeSet::new();
    for change in changes {
        match &change.resource {
            ResourceId::Topology(_) => {
                movers.extend(plan.awaiting.keys());
                movers.extend(plan.slices.keys().flat_map(of));
            }
            ResourceId::Slice(slice) => movers.extend(of(slice)),
            ResourceId::MicroSegment(id) | ResourceId::Realm(id) => movers.extend(of(&id.slice)),
        }
    }
    movers
}

fn is_moving(plan: &Plan, slice: &SliceName) -> bool {
    plan.slices.get(slice).is_some_and(|slice| !slice.moving.is_empty())
}

/// The plan under which an edge is told anew what it must do, when it runs what this manager never decided: the same
/// programs, and that of the edge of a generation that it takes for newer. `None` if the edge has no program, or speaks of
/// a generation that no manager comes to.
pub(crate) fn overtaken(plan: &Plan, edge: &NodeName, reported: Generation) -> Option<Plan> {
    let program = plan.programs.get(edge)?;
    let generation = plan.generation.max(reported).next();
    if reported < program.generation || generation.get() - plan.generation.get() > GENERATIONS_LEAPT_MAX {
        return None;
    }
    let mut plan = Plan { generation, ..plan.clone() };
    plan.programs.insert(edge.clone(), Program { generation, ..program.clone() });
    Some(plan)
}

/// How far an edge may be ahead. More than a manager decides in its life, and too few to ever run out.
const GENERATIONS_LEAPT_MAX: u64 = 1 << 32;
/// How many operations may wait for edges at once; the oldest is given up for one more.
pub(crate) const OPERATIONS_UNFINISHED_MAX: usize = 1_000;
/// How many digests are remembered of one edge.
const DIGESTS_OF_EDGE_MAX: usize = 64;
