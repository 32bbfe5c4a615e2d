//! What the tests of planning share: the catalogue, the reference world, and a manager in miniature.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use model::plan::Plan;
use model::profile::Catalog;
use model::resource::{self, Resource, SegmentId};
use model::{Generation, LinkName, NodeName, PortName, SliceName};
use plan::{Input, Intents, Severity, audit, audit_change, plan};

pub(crate) static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::builtin().unwrap_or_else(|error| panic!("the profiles are wrong: {error}")));

/// The files of the reference world.
pub(crate) const REFERENCE: [(&str, &str); 5] = [
    ("topology.yaml", include_str!("../../../../profiles/reference/topology.yaml")),
    ("iot.yaml", include_str!("../../../../profiles/reference/iot.yaml")),
    ("vehicles.yaml", include_str!("../../../../profiles/reference/vehicles.yaml")),
    ("handsets.yaml", include_str!("../../../../profiles/reference/handsets.yaml")),
    ("factory.yaml", include_str!("../../../../profiles/reference/factory.yaml")),
];

/// Resources of a text.
pub(crate) fn read(file: &str, text: &str) -> Vec<Resource> {
    let declared = resource::read(file, text).unwrap_or_else(|error| panic!("{error}"));
    declared.into_iter().map(|declared| declared.resource).collect()
}

/// The whole reference world.
pub(crate) fn reference() -> Intents {
    REFERENCE.iter().flat_map(|(file, text)| read(file, text)).collect()
}

/// The reference topology and the slice `iot` with its segments and realms.
pub(crate) fn small() -> Intents {
    REFERENCE[..2].iter().flat_map(|(file, text)| read(file, text)).collect()
}

/// A manager without a store: intents, the plan that answers them, and what edges have confirmed.
#[derive(Clone, Default)]
pub(crate) struct Manager {
    pub(crate) intents: Intents,
    pub(crate) plan: Plan,
    pub(crate) confirmed: BTreeMap<NodeName, Generation>,
    pub(crate) suspects: BTreeSet<LinkName>,
}

impl Manager {
    pub(crate) fn new(intents: Intents) -> Self {
        let mut manager = Self { intents, ..Self::default() };
        manager.replan().unwrap_or_else(|refusals| panic!("{}", refusals.join("\n")));
        manager
    }

    /// Plans again. A plan that is taken is always clean; a refusal changes nothing.
    pub(crate) fn replan(&mut self) -> Result<(), Vec<String>> {
        self.plan = self.preview(&self.intents)?;
        Ok(())
    }

    pub(crate) fn preview(&self, intents: &Intents) -> Result<Plan, Vec<String>> {
        let input = Input {
            catalog: &CATALOG,
            intents,
            parent: &self.plan,
            confirmed: &self.confirmed,
            suspects: &self.suspects,
        };
        let next = plan(&input).map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        assert_clean(&next, intents);
        assert_shared(&next);
        assert_change(&self.plan, &next, intents);
        Ok(next)
    }

    /// Applies resources, all or none.
    pub(crate) fn apply(&mut self, text: &str) -> Result<(), Vec<String>> {
        let mut intents = self.intents.clone();
        for resource in read("test.yaml", text) {
            intents.apply(resource);
        }
        self.take(intents)
    }

    /// Deletes resources, all or none.
    pub(crate) fn delete(&mut self, ids: &[&str]) -> Result<(), Vec<String>> {
        let mut intents = self.intents.clone();
        for id in ids {
            intents.delete(&id.parse().unwrap()).unwrap_or_else(|error| panic!("{error}"));
        }
        self.take(intents)
    }

    fn take(&mut self, intents: Intents) -> Result<(), Vec<String>> {
        self.plan = self.preview(&intents)?;
        self.intents = intents;
        Ok(())
    }

    /// An edge reports that it runs its program.
    pub(crate) fn confirm(&mut self, edge: &str) {
        let edge: NodeName = edge.parse().unwrap();
        if let Some(program) = self.plan.programs.get(&edge) {
            self.confirmed.insert(edge, program.generation);
        }
    }

    pub(crate) fn vni(&self, id: &str) -> u32 {
        self.plan.allocations[&segment(id)].vni.get()
    }

    pub(crate) fn access_port(&self, id: &str) -> u16 {
        self.plan.allocations[&segment(id)].access_port
    }

    pub(crate) fn generation(&self, edge: &str) -> u64 {
        self.plan.programs[&edge.parse::<NodeName>().unwrap()].generation.get()
    }
}

/// No error in the audit.
pub(crate) fn assert_clean(plan: &Plan, intents: &Intents) {
    let errors: Vec<String> = audit(plan, intents, &CATALOG)
        .into_iter()
        .filter(|note| note.severity == Severity::Error)
        .map(|note| note.to_string())
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// Whatever an edge sends, as before or as wanted, has a class at the port by which it leaves; every port of our dataplanes
/// has a rate, and no port promises more.
pub(crate) fn assert_shared(plan: &Plan) {
    for (node, program) in &plan.programs {
        let content = &program.content;
        for port in &content.shaping {
            let sure: u64 = port.classes.iter().map(|class| class.limits.guaranteed().bits_per_second()).sum();
            assert!(sure <= port.rate.bits_per_second(), "{node}: {port:?}");
            assert!(port.classes.windows(2).all(|two| two[0].number < two[1].number), "{node}: {port:?}");
        }
        let of = |port: &PortName| content.shaping.iter().find(|shared| shared.port == *port);
        if !content.queues.is_empty() {
            assert!(content.core_ports.iter().all(|port| of(&port.port).is_some()), "{node}: {content:#?}");
        }
        for slice in &content.slices {
            for remote in slice.segments.iter().flat_map(|segment| &segment.remotes) {
                for id in std::iter::once(remote.working).chain(remote.backup) {
                    let port = content.path(&remote.edge, id).map(|path| &path.port);
                    let class = port.and_then(of).and_then(|port| port.classes.iter().find(|c| c.slice == slice.slice));
                    assert!(class.is_some(), "{node} has no class for {} on {port:?}: {content:#?}", slice.slice);
                }
            }
        }
    }
}

/// Nothing is lost on the way from one plan to the next.
pub(crate) fn assert_change(parent: &Plan, plan: &Plan, intents: &Intents) {
    let lost: Vec<String> = audit_change(parent, plan, intents).iter().map(ToString::to_string).collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

pub(crate) fn segment(id: &str) -> SegmentId {
    let (slice, segment) = id.split_once('/').unwrap();
    SegmentId { slice: slice.parse::<SliceName>().unwrap(), segment: segment.parse().unwrap() }
}
