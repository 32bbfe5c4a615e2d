//! Numbers of paths.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Path, Plan};
use model::{NodeName, PathId};

/// The numbers of the paths between every two edges.
pub(crate) struct Ids<'p> {
    known: BTreeMap<(NodeName, NodeName), Between<'p>>,
}

#[derive(Default)]
struct Between<'p> {
    /// Of the parent plan, those that are being left among them.
    before: Vec<(PathId, &'p Path)>,
    new: Vec<(PathId, Path)>,
    /// Those of the parent that no slice takes any more rest for one plan, so that probes of the old path are not taken
    /// for those of a new one.
    taken: BTreeSet<PathId>,
}

impl<'p> Ids<'p> {
    pub(crate) fn of(parent: &'p Plan) -> Self {
        let mut known: BTreeMap<_, Between<'p>> = BTreeMap::new();
        for (key, path) in parent.paths.iter().chain(&parent.leaving) {
            let between = known.entry((key.a.clone(), key.b.clone())).or_default();
            between.before.push((key.id, path));
            between.taken.insert(key.id);
        }
        Self { known }
    }

    /// That of a path: what it was, else the lowest that is free.
    pub(crate) fn id(&mut self, ends: &(NodeName, NodeName), path: &Path) -> Option<PathId> {
        if !self.known.contains_key(ends) {
            self.known.insert(ends.clone(), Between::default());
        }
        let between = self.known.get_mut(ends)?;
        let same = |other: &Path| other.links == path.links && other.form == path.form;
        let before = between.before.iter().find(|(_, other)| same(other)).map(|(id, _)| *id);
        let known = before.or_else(|| between.new.iter().find(|(_, other)| same(other)).map(|(id, _)| *id));
        if known.is_some() {
            return known;
        }
        let mut free = (PathId::MIN.get()..=PathId::MAX.get()).filter_map(|id| PathId::new(id.into()).ok());
        let id = free.find(|id| !between.taken.contains(id))?;
        between.taken.insert(id);
        between.new.push((id, path.clone()));
        Some(id)
    }
}
