//! Paths by themselves: do they connect, how long do they take, and is each what its slices asked for?

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Path, PathKey};
use model::resource::{BackupMode, NodeRole, PathPolicy};
use model::{Latency, LinkName, NodeName, PathId, RiskName, SliceName};

use super::{Audit, Finding};

impl Audit<'_> {
    pub(super) fn paths(&mut self) {
        let pairs = self.pairs();
        let mut used: BTreeSet<PathKey> = BTreeSet::new();
        let mut found = Vec::new();
        for (slice, pairs) in &pairs {
            let ways = self.plan.slices.get(*slice).map(|plan| &plan.ways);
            for (from, to) in pairs.iter().filter(|(from, to)| from < to) {
                let ends = ((*from).clone(), (*to).clone());
                let Some(way) = ways.and_then(|ways| ways.get(&ends)) else {
                    let (slice, (from, to)) = ((*slice).clone(), ends);
                    found.push(Finding::WayMissing { slice, from, to });
                    continue;
                };
                for id in std::iter::once(way.working).chain(way.backup) {
                    let key = PathKey { a: ends.0.clone(), b: ends.1.clone(), id };
                    if !self.plan.paths.contains_key(&key) {
                        let (slice, from, to) = ((*slice).clone(), key.a.clone(), key.b.clone());
                        found.push(Finding::PathMissing { slice, from, to, path: id });
                    }
                    used.insert(key);
                }
            }
            let wanted = |(from, to): &(NodeName, NodeName)| pairs.contains(&(from, to)) && from < to;
            for (from, to) in ways.into_iter().flat_map(BTreeMap::keys).filter(|ends| !wanted(ends)) {
                found.push(Finding::WayUnwanted { slice: (*slice).clone(), from: from.clone(), to: to.clone() });
            }
        }
        for (key, path) in &self.plan.paths {
            let (from, to, id) = (key.a.clone(), key.b.clone(), key.id);
            if !used.contains(key) {
                found.push(Finding::PathUnwanted { from: from.clone(), to: to.clone(), path: id });
            }
            match self.walk(&key.a, &key.b, path) {
                None => found.push(Finding::PathBroken { from, to }),
                Some(expected) if expected != path.delay => {
                    found.push(Finding::PathDelay { from, to, found: path.delay, expected });
                }
                Some(_) => {}
            }
        }
        self.errors(found);
    }

    /// Follows a path link by link; the sum of delays if it arrives, leads through core nodes only and over no drained
    /// link.
    fn walk(&self, from: &NodeName, to: &NodeName, path: &Path) -> Option<Latency> {
        let (mut at, mut nanos) = (from, 0_u64);
        for (place, name) in path.links.iter().enumerate() {
            if place > 0 && self.nodes.get(at)?.role != NodeRole::Core {
                return None;
            }
            let link = self.links.get(name).filter(|link| !link.drained)?;
            at = if link.a.node == *at {
                &link.b.node
            } else if link.b.node == *at {
                &link.a.node
            } else {
                return None;
            };
            nanos = nanos.saturating_add(link.delay.as_nanos());
        }
        (at == to && !path.links.is_empty()).then_some(Latency::from_nanos(nanos))
    }

    /// Does each slice get what it asks of its paths?
    pub(super) fn policies(&mut self) {
        let plan = self.plan;
        for (slice, decided) in &plan.slices {
            let Some(spec) = self.intents.slices.get(slice) else { continue };
            let bound = self.latency(spec);
            for ((from, to), way) in &decided.ways {
                let path = |id: PathId| plan.paths.get(&PathKey { a: from.clone(), b: to.clone(), id });
                for path in std::iter::once(way.working).chain(way.backup).filter_map(path) {
                    if let Some(bound) = bound.filter(|bound| path.delay > *bound) {
                        let (from, to, slice, delay) = (from.clone(), to.clone(), slice.clone(), path.delay);
                        self.error(Finding::PathTooSlow { from, to, delay, slice, bound });
                    }
                    if let Some(what) = self.broken(&spec.paths, path) {
                        let (slice, from, to) = (slice.clone(), from.clone(), to.clone());
                        self.error(Finding::PolicyBroken { slice, from, to, what });
                    }
                }
                let backup = way.backup.and_then(path);
                match (path(way.working), backup, spec.paths.backup) {
                    (_, Some(_), Some(BackupMode::None))
                    | (_, None, Some(BackupMode::Link | BackupMode::Srlg | BackupMode::Node)) => {
                        let (slice, from, to) = (slice.clone(), from.clone(), to.clone());
                        self.error(Finding::PolicyBroken { slice, from, to, what: "backup" });
                    }
                    (_, None, None) => {
                        let (slice, from, to) = (slice.clone(), from.clone(), to.clone());
                        self.warning(Finding::NoBackup { slice, from, to });
                    }
                    (Some(working), Some(backup), mode) => self.apart(slice, (from, to), working, backup, mode),
                    _ => {}
                }
            }
        }
    }

    /// The part of a policy that a path breaks.
    fn broken(&self, policy: &PathPolicy, path: &Path) -> Option<&'static str> {
        for name in &path.links {
            let link = self.links.get(name)?;
            let ends = [&link.a.node, &link.b.node];
            let affinities = || link.affinities.iter();
            if policy.exclude_links.iter().any(|other| other == name) {
                return Some("excluded links");
            }
            if policy.exclude_nodes.iter().any(|node| ends.contains(&node)) {
                return Some("excluded nodes");
            }
            if affinities().any(|one| policy.exclude_affinities.iter().any(|other| one == other)) {
                return Some("excluded affinities");
            }
            let asked = &policy.include_affinities;
            if !asked.is_empty() && !affinities().any(|one| asked.iter().any(|other| one == other)) {
                return Some("included affinities");
            }
        }
        None
    }

    /// Nothing that fails takes both paths, as far as was promised.
    fn apart(
        &mut self,
        slice: &SliceName,
        (from, to): (&NodeName, &NodeName),
        working: &Path,
        backup: &Path,
        mode: Option<BackupMode>,
    ) {
        let (one, other): (BTreeSet<_>, BTreeSet<_>) = (working.links.iter().collect(), backup.links.iter().collect());
        let risks = |names: &BTreeSet<&LinkName>| -> BTreeSet<&RiskName> {
            names.iter().filter_map(|name| self.links.get(*name)).flat_map(|link| link.srlgs.iter()).collect()
        };
        let between = |names: &BTreeSet<&LinkName>| -> BTreeSet<&NodeName> {
            let ends = names.iter().filter_map(|name| self.links.get(*name));
            ends.flat_map(|link| [&link.a.node, &link.b.node]).filter(|node| *node != from && *node != to).collect()
        };
        let (is_srlg, is_node) = (mode != Some(BackupMode::Link), mode == Some(BackupMode::Node));
        let shared = if !one.is_disjoint(&other) {
            Some("a link")
        } else if is_srlg && !risks(&one).is_disjoint(&risks(&other)) {
            Some("a risk")
        } else if is_node && !between(&one).is_disjoint(&between(&other)) {
            Some("a node")
        } else {
            None
        };
        if let Some(what) = shared {
            let (slice, from, to) = (slice.clone(), from.clone(), to.clone());
            self.error(Finding::BackupShares { slice, from, to, what });
        }
    }
}
