//! Numbers: unique, from their pools, out of quarantine; generations: never from the future.

use std::collections::HashMap;

use model::Generation;
use model::plan::Allocation;
use model::resource::{Pools, SegmentId};

use super::{Audit, Finding};
use crate::refusal::Pool;

impl Audit<'_> {
    pub(super) fn numbers(&mut self) {
        let plan = self.plan;
        for id in self.intents.segments.keys().filter(|id| !plan.allocations.contains_key(*id)) {
            self.error(Finding::NoAllocation(id.clone()));
        }
        for id in plan.allocations.keys().filter(|id| !self.intents.segments.contains_key(*id)) {
            self.error(Finding::StrayAllocation(id.clone()));
        }
        for pool in POOLS {
            self.pool(pool);
        }
        for entry in &plan.quarantine {
            let (vni, segment) = (entry.allocation.vni, entry.segment.clone());
            if entry.awaiting.is_empty() {
                self.error(Finding::QuarantineOver { vni, segment: segment.clone() });
            }
            for (edge, generation) in &entry.awaiting {
                let told = plan.programs.get(edge).map_or(Generation::NONE, |program| program.generation);
                if *generation > told {
                    let (segment, edge, generation) = (segment.clone(), edge.clone(), *generation);
                    self.error(Finding::QuarantineNeverEnds { vni, segment, edge, generation });
                }
            }
        }
    }

    fn pool(&mut self, pool: Pool) {
        let plan = self.plan;
        let mut quarantined: HashMap<u64, Vec<(&SegmentId, Allocation)>> = HashMap::new();
        for entry in &plan.quarantine {
            let holders = quarantined.entry(number(pool, entry.allocation)).or_default();
            holders.push((&entry.segment, entry.allocation));
        }
        let mut seen: HashMap<u64, &SegmentId> = HashMap::new();
        for (segment, allocation) in &plan.allocations {
            let number = number(pool, *allocation);
            if let Some(one) = seen.insert(number, segment) {
                let (one, other) = (one.clone(), segment.clone());
                self.error(Finding::NumberTwice { pool, number, one, other });
            }
            if self.topology.is_some_and(|topology| !is_in(pool, number, &topology.pools)) {
                self.error(Finding::NotInPool { pool, number, segment: segment.clone() });
            }
            // A segment may hold its own numbers in quarantine: one of its edges has yet to let go of them.
            let holders = quarantined.get(&number).into_iter().flatten();
            for (formerly, _) in holders.filter(|holder| **holder != (segment, *allocation)) {
                let (segment, formerly) = (segment.clone(), (*formerly).clone());
                self.error(Finding::InQuarantine { pool, number, segment, formerly });
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

    pub(super) fn generations(&mut self) {
        let plan = self.plan;
        for (edge, program) in &plan.programs {
            if program.generation > plan.generation || program.generation == Generation::NONE {
                let (found, plan) = (program.generation, plan.generation);
                self.error(Finding::ProgramGeneration { edge: edge.clone(), found, plan });
            }
        }
    }
}

pub(super) fn number(pool: Pool, allocation: Allocation) -> u64 {
    match pool {
        Pool::Vni => allocation.vni.get().into(),
        Pool::RadiusPort => allocation.access_port.into(),
    }
}

fn is_in(pool: Pool, number: u64, pools: &Pools) -> bool {
    match pool {
        Pool::Vni => u64::from(pools.vni.first.get()) <= number && number <= u64::from(pools.vni.last.get()),
        // The pair must be whole and start on an even port.
        Pool::RadiusPort => {
            let (first, last) = (u64::from(pools.radius_ports.first), u64::from(pools.radius_ports.last));
            number.is_multiple_of(2) && first <= number && number < last
        }
    }
}

fn size(pool: Pool, pools: &Pools) -> u64 {
    match pool {
        Pool::Vni => u64::from(pools.vni.last.get()) + 1 - u64::from(pools.vni.first.get()),
        Pool::RadiusPort => (u64::from(pools.radius_ports.last) + 1 - u64::from(pools.radius_ports.first)) / 2,
    }
}

pub(super) const POOLS: [Pool; 2] = [Pool::Vni, Pool::RadiusPort];

/// From here on a pool or a link is worth a look.
pub(super) const NEARLY_PERCENT: u64 = 90;
