//! Numbers of slices: route targets, and VLANs where an SDP leaves the choice to us.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Plan, SlicePlan};
use model::resource::{Pools, Sdp, SdpVlan};
use model::{NodeName, PortName, SliceName, Vlan};

use super::Numbers;
use crate::refusal::{Pool, Refusal, RefusalReason};
use crate::wish::SliceWish;

/// A number for every slice and a VLAN for every SDP that asks for one; ways are filled in later.
pub(crate) fn slices(
    pools: &Pools,
    wishes: &[SliceWish<'_>],
    parent: &Plan,
    refusals: &mut Vec<Refusal>,
) -> BTreeMap<SliceName, SlicePlan> {
    let before = |slice: &SliceWish<'_>| parent.slices.get(slice.name).map(|plan| plan.number);
    let used: BTreeSet<u32> = wishes.iter().filter_map(|slice| before(slice).map(u32::from)).collect();
    let pool = pools.route_targets;
    let mut numbers = Numbers::new(Pool::RouteTarget, pool.first.into(), pool.last.into(), 1, (used, BTreeSet::new()));
    let mut vlans = Vlans::new(pools, wishes);
    let mut slices = BTreeMap::new();
    // Those that have a VLAN keep it before others get one.
    for slice in wishes {
        vlans.keep(slice, parent);
    }
    for slice in wishes {
        let number = before(slice).or_else(|| numbers.next().and_then(|number| u16::try_from(number).ok()));
        let Some(number) = number else {
            refusals.push(slice.refusal("metadata.name", numbers.exhausted(None)));
            continue;
        };
        let vlans = vlans.choose(slice, parent, refusals);
        slices.insert(slice.name.clone(), SlicePlan { number, vlans, ..SlicePlan::default() });
    }
    slices
}

/// The VLAN that an SDP that leaves the choice to us has already, where it is now.
pub(crate) fn kept_vlan(parent: &Plan, slice: &SliceName, sdp: &Sdp) -> Option<Vlan> {
    let plan = parent.slices.get(slice).filter(|_| sdp.vlan == Some(SdpVlan::Auto))?;
    let vlan = *plan.vlans.get(&sdp.name)?;
    let programs = &parent.programs.get(&sdp.edge)?.content.slices;
    let program = programs.get(programs.binary_search_by(|program| program.slice.cmp(slice)).ok()?)?;
    let is_there = program.circuits.iter().any(|circuit| circuit.sdp == sdp.name && circuit.port == sdp.port);
    is_there.then_some(vlan)
}

/// What is taken on every port.
struct Vlans<'a> {
    pools: &'a Pools,
    taken: BTreeMap<(&'a NodeName, &'a PortName), BTreeSet<Vlan>>,
}

impl<'a> Vlans<'a> {
    fn new(pools: &'a Pools, wishes: &'a [SliceWish<'a>]) -> Self {
        let mut taken: BTreeMap<_, BTreeSet<Vlan>> = BTreeMap::new();
        for sdp in wishes.iter().flat_map(|slice| slice.spec.sdps.iter()) {
            if let Some(SdpVlan::Id(vlan)) = sdp.vlan {
                taken.entry((&sdp.edge, &sdp.port)).or_default().insert(vlan);
            }
        }
        Self { pools, taken }
    }

    fn keep(&mut self, slice: &'a SliceWish<'a>, parent: &Plan) {
        for sdp in &slice.spec.sdps {
            if let Some(vlan) = kept_vlan(parent, slice.name, sdp) {
                self.taken.entry((&sdp.edge, &sdp.port)).or_default().insert(vlan);
            }
        }
    }

    fn choose(
        &mut self,
        slice: &'a SliceWish<'a>,
        parent: &Plan,
        refusals: &mut Vec<Refusal>,
    ) -> BTreeMap<model::SdpName, Vlan> {
        let mut chosen = BTreeMap::new();
        for (index, sdp) in slice.spec.sdps.iter().enumerate().filter(|(_, sdp)| sdp.vlan == Some(SdpVlan::Auto)) {
            let taken = self.taken.entry((&sdp.edge, &sdp.port)).or_default();
            let path = format!("spec.sdps[{index}].vlan");
            let pool = self.pools.vlans;
            let within = |vlan: &Vlan| (pool.first..=pool.last).contains(vlan);
            if let Some(vlan) = kept_vlan(parent, slice.name, sdp) {
                if within(&vlan) {
                    chosen.insert(sdp.name.clone(), vlan);
                } else {
                    let (pool, number) = (Pool::Vlan, vlan.get().into());
                    let reason = RefusalReason::KeptOutsidePool { holder: format!("SDP `{}`", sdp.name), pool, number };
                    refusals.push(slice.refusal(path, reason));
                }
                continue;
            }
            let used: BTreeSet<u32> = taken.iter().map(|vlan| vlan.get().into()).collect();
            let mut numbers =
                Numbers::new(Pool::Vlan, pool.first.get().into(), pool.last.get().into(), 1, (used, BTreeSet::new()));
            match numbers.next().and_then(|number| Vlan::try_from(number).ok()) {
                Some(vlan) => {
                    taken.insert(vlan);
                    chosen.insert(sdp.name.clone(), vlan);
                }
                None => refusals.push(slice.refusal(path, numbers.exhausted(Some(sdp.edge.clone())))),
            }
        }
        chosen
    }
}
