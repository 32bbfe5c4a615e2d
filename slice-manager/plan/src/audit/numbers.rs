//! Numbers: unique, from their pools, out of quarantine; generations: never from the future.

use std::collections::{BTreeSet, HashMap};

use model::plan::Allocation;
use model::resource::{Pools, SegmentId};
use model::{Generation, Label, NodeName};

use super::{Audit, Finding, NumberFinding};
use crate::refusal::Pool;

impl Audit<'_> {
    pub(super) fn numbers(&mut self) {
        let plan = self.plan;
        for id in self.intents.segments.keys().filter(|id| !plan.allocations.contains_key(*id)) {
            self.error(NumberFinding::NoAllocation(id.clone()));
        }
        for id in plan.allocations.keys().filter(|id| !self.intents.segments.contains_key(*id)) {
            self.error(NumberFinding::StrayAllocation(id.clone()));
        }
        for pool in POOLS {
            self.pool(pool);
        }
        self.labels();
        self.indices();
        self.route_targets();
        for entry in &plan.quarantine {
            let (vni, segment) = (entry.allocation.vni, entry.segment.clone());
            if entry.awaiting.is_empty() {
                self.error(NumberFinding::QuarantineOver { vni, segment: segment.clone() });
            }
            for (edge, generation) in &entry.awaiting {
                let told = plan.programs.get(edge).map_or(Generation::NONE, |program| program.generation);
                if *generation > told {
                    let (segment, edge, generation) = (segment.clone(), edge.clone(), *generation);
                    self.error(NumberFinding::QuarantineNeverEnds { vni, segment, edge, generation });
                }
            }
        }
    }

    fn pool(&mut self, pool: Pool) {
        let plan = self.plan;
        let mut quarantined: HashMap<u64, Vec<&SegmentId>> = HashMap::new();
        for entry in &plan.quarantine {
            if let Some(number) = number(pool, &entry.allocation) {
                quarantined.entry(number).or_default().push(&entry.segment);
            }
        }
        let mut seen: HashMap<u64, &SegmentId> = HashMap::new();
        for (segment, allocation) in &plan.allocations {
            let Some(number) = number(pool, allocation) else { continue };
            if let Some(one) = seen.insert(number, segment) {
                let (one, other) = (one.clone(), segment.clone());
                self.error(NumberFinding::NumberTwice { pool, number, one, other });
            }
            if self.topology.is_some_and(|topology| !is_in(pool, number, &topology.pools)) {
                self.error(NumberFinding::NotInPool { pool, number, segment: segment.clone() });
            }
            // A segment may hold its own numbers in quarantine: one of its edges has yet to let go of them.
            for formerly in quarantined.get(&number).into_iter().flatten().filter(|holder| **holder != segment) {
                let (segment, formerly) = (segment.clone(), (*formerly).clone());
                self.error(NumberFinding::InQuarantine { pool, number, segment, formerly });
            }
        }
        if let Some(topology) = self.topology {
            let taken = seen.len() + quarantined.keys().filter(|number| !seen.contains_key(number)).count();
            let (taken, size) = (taken as u64, size(pool, &topology.pools));
            if taken.saturating_mul(100) >= size.saturating_mul(NEARLY_PERCENT) {
                self.warning(Finding::PoolNearlyEmpty { pool, taken, size });
            }
        }
    }

    /// In every block each label is that of one node, one link or one sender of one segment.
    fn labels(&mut self) {
        let plan = self.plan;
        let nodes = plan.nodes.values().filter_map(|numbers| numbers.index).max().map_or(0, |last| u64::from(last) + 1);
        let mut given: HashMap<&NodeName, BTreeSet<(Label, &SegmentId)>> = HashMap::new();
        let resting = plan.quarantine.iter().map(|entry| (&entry.segment, &entry.allocation));
        for (segment, allocation) in plan.allocations.iter().chain(resting) {
            for ((receiver, _), label) in &allocation.labels {
                given.entry(receiver).or_default().insert((*label, segment));
            }
        }
        for (name, node) in self.nodes.clone() {
            let Some(block) = node.labels else { continue };
            let (first, last) = (u64::from(block.first.get()), u64::from(block.last.get()));
            let mut owners: HashMap<u64, String> = HashMap::new();
            let links = plan.nodes.get(name).into_iter().flat_map(|numbers| &numbers.links);
            let links = links.filter_map(|(link, numbers)| Some((numbers.label?, format!("link {link}"))));
            let segments = given.get(name).into_iter().flatten().map(|(label, segment)| (*label, segment.to_string()));
            for (label, owner) in links.chain(segments).collect::<Vec<_>>() {
                let number = u64::from(label.get());
                if number < first + nodes || number > last {
                    self.error(NumberFinding::LabelOutside { node: name.clone(), label, owner: owner.clone() });
                }
                if let Some(one) = owners.insert(number, owner.clone()) {
                    self.error(NumberFinding::LabelTwice { node: name.clone(), label, one, other: owner });
                }
            }
        }
    }

    /// Each node has a place of its own in label blocks, each link of a node a function of its own.
    fn indices(&mut self) {
        let plan = self.plan;
        let mut owners = HashMap::new();
        for (node, numbers) in &plan.nodes {
            if let Some(index) = numbers.index
                && let Some(one) = owners.insert(index, node)
            {
                let (one, other) = (one.clone(), node.clone());
                self.error(NumberFinding::IndexTwice { index, one, other });
            }
            let mut functions = HashMap::new();
            for (link, function) in numbers.links.iter().filter_map(|(link, numbers)| Some((link, numbers.function?))) {
                if let Some(one) = functions.insert(function, link) {
                    let (node, one, other) = (node.clone(), one.clone(), link.clone());
                    self.error(NumberFinding::FunctionTwice { node, function, one, other });
                }
                // 1 is the node's own; from 4096 on they lead into segments.
                if !(2..4096).contains(&function) {
                    let (node, link) = (node.clone(), link.clone());
                    self.error(NumberFinding::FunctionOutside { node, function, link });
                }
            }
        }
        for (name, node) in self.nodes.clone() {
            if node.labels.is_some() && plan.nodes.get(name).is_none_or(|numbers| numbers.index.is_none()) {
                self.error(NumberFinding::NoIndex(name.clone()));
            }
        }
    }

    fn route_targets(&mut self) {
        let plan = self.plan;
        let mut owners = HashMap::new();
        for (slice, numbers) in &plan.slices {
            if let Some(one) = owners.insert(numbers.number, slice) {
                let (number, one, other) = (numbers.number, one.clone(), slice.clone());
                self.error(NumberFinding::RouteTargetTwice { number, one, other });
            }
            let pool = self.topology.map(|topology| topology.pools.route_targets);
            if pool.is_some_and(|pool| numbers.number < pool.first || numbers.number > pool.last) {
                self.error(NumberFinding::RouteTargetOutside { number: numbers.number, slice: slice.clone() });
            }
        }
        for slice in self.intents.slices.keys().filter(|slice| !plan.slices.contains_key(*slice)) {
            self.error(NumberFinding::NoRouteTarget(slice.clone()));
        }
    }

    pub(super) fn generations(&mut self) {
        let plan = self.plan;
        for (edge, program) in &plan.programs {
            if program.generation > plan.generation || program.generation == Generation::NONE {
                let (found, plan) = (program.generation, plan.generation);
                self.error(NumberFinding::ProgramGeneration { edge: edge.clone(), found, plan });
            }
        }
    }
}

pub(super) fn number(pool: Pool, allocation: &Allocation) -> Option<u64> {
    match pool {
        Pool::Vni => Some(allocation.vni.get().into()),
        Pool::RadiusPort => Some(allocation.access_port.into()),
        Pool::SidFunction => allocation.function.map(Into::into),
        Pool::Label | Pool::Vlan | Pool::RouteTarget => None,
    }
}

fn range(pool: Pool, pools: &Pools) -> (u64, u64) {
    match pool {
        Pool::Vni => (pools.vni.first.get().into(), pools.vni.last.get().into()),
        Pool::RadiusPort => (pools.radius_ports.first.into(), pools.radius_ports.last.into()),
        Pool::SidFunction => (pools.sid_functions.first.into(), pools.sid_functions.last.into()),
        Pool::Label | Pool::Vlan | Pool::RouteTarget => (0, 0),
    }
}

fn is_in(pool: Pool, number: u64, pools: &Pools) -> bool {
    let (first, last) = range(pool, pools);
    match pool {
        // The pair must be whole and start on an even port.
        Pool::RadiusPort => number.is_multiple_of(2) && first <= number && number < last,
        // The pair must be whole.
        Pool::SidFunction => (number - first.min(number)).is_multiple_of(2) && first <= number && number < last,
        _ => first <= number && number <= last,
    }
}

fn size(pool: Pool, pools: &Pools) -> u64 {
    let (first, last) = range(pool, pools);
    let numbers = (last + 1).saturating_sub(first);
    if pool == Pool::Vni { numbers } else { numbers / 2 }
}

/// Pools of which each segment has one number, or none.
pub(super) const POOLS: [Pool; 3] = [Pool::Vni, Pool::RadiusPort, Pool::SidFunction];

/// From here on a pool or a link is worth a look.
pub(super) const NEARLY_PERCENT: u64 = 90;
