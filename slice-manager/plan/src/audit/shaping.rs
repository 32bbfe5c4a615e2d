//! Classes: does every slice that a Linux kernel can tell apart have its own where it crosses one, and nobody else?

use std::collections::{BTreeMap, BTreeSet};

use model::plan::LinkDirection;
use model::resource::{Control, Transport};
use model::{NodeName, PortName, Rate, SliceName, Vni};

use super::{Audit, Finding};

/// What a port carries, and its classes by number: the slice, its guarantee and ceiling in bit/s, its VNIs.
type Port<'a> = (Rate, BTreeMap<u32, Class<'a>>);
type Class<'a> = (&'a SliceName, u128, u128, BTreeSet<Vni>);

impl<'a> Audit<'a> {
    pub(super) fn shaping(&mut self) {
        let expected = self.expected_classes();
        let mut found: BTreeMap<(&'a NodeName, &'a PortName), Port<'a>> = BTreeMap::new();
        let mut differs: BTreeSet<(&'a NodeName, &'a PortName)> = BTreeSet::new();
        for (node, program) in &self.plan.programs {
            for shaping in &program.content.shaping {
                let classes: BTreeMap<u32, Class<'a>> = shaping
                    .classes
                    .iter()
                    .map(|class| {
                        let bits = |rate: Rate| u128::from(rate.bits_per_second());
                        let (guaranteed, ceiling) = (bits(class.limits.guaranteed()), bits(class.limits.ceiling()));
                        let vnis = class.vnis.iter().copied().collect();
                        (class.number.get().into(), (&class.slice, guaranteed, ceiling, vnis))
                    })
                    .collect();
                let at = (node, &shaping.port);
                let told: usize = shaping.classes.iter().map(|class| class.vnis.len()).sum();
                let kept: usize = classes.values().map(|(.., vnis)| vnis.len()).sum();
                let is_once = classes.len() == shaping.classes.len() && told == kept;
                if found.insert(at, (shaping.rate, classes)).is_some() || !is_once {
                    differs.insert(at);
                }
            }
        }
        if self.is_under_way() {
            self.set_aside_kept(&mut found, &expected);
        }
        let all: BTreeSet<_> = expected.keys().chain(found.keys()).copied().collect();
        differs.extend(all.into_iter().filter(|at| expected.get(at) != found.get(at)));
        let findings =
            differs.into_iter().map(|(node, port)| Finding::OtherClasses { node: node.clone(), port: port.clone() });
        self.errors(findings.collect::<Vec<_>>());
    }

    /// While a change is under way, a slice may have a class more: where its packets still come as before.
    fn set_aside_kept(
        &self,
        found: &mut BTreeMap<(&'a NodeName, &'a PortName), Port<'a>>,
        expected: &BTreeMap<(&'a NodeName, &'a PortName), Port<'a>>,
    ) {
        for (at, (_, classes)) in found.iter_mut() {
            let wanted = expected.get(at).map(|(_, wanted)| wanted);
            classes.retain(|number, (slice, sure, most, vnis)| {
                let is_numbered =
                    self.plan.slices.get(*slice).is_some_and(|plan| u32::from(plan.number) + 3 == *number);
                let is_own = |vni: &Vni| {
                    let mut own = self.plan.allocations.iter().filter(|(id, _)| id.slice == **slice);
                    own.any(|(_, allocation)| allocation.vni == *vni)
                };
                let is_kept = is_numbered && sure <= most && vnis.iter().all(is_own);
                wanted.is_some_and(|wanted| wanted.contains_key(number)) || !is_kept
            });
        }
        found.retain(|at, (_, classes)| !classes.is_empty() || expected.contains_key(at));
    }

    /// From the paths of the plan, link by link.
    fn expected_classes(&self) -> BTreeMap<(&'a NodeName, &'a PortName), Port<'a>> {
        let mut expected: BTreeMap<_, Port<'a>> = BTreeMap::new();
        for (name, numbers) in &self.plan.slices {
            let Some(spec) = self.intents.slices.get(name).filter(|spec| spec.transport == Transport::Vxlan) else {
                continue;
            };
            let segments = self.intents.segments.keys().filter(|id| id.slice == *name);
            let vnis: BTreeSet<Vni> =
                segments.filter_map(|id| self.plan.allocations.get(id)).map(|allocation| allocation.vni).collect();
            let (sdps, ceiling) = (Self::sdps(spec), self.rates(spec).map_or(Rate::ZERO, |(_, ceiling)| ceiling));
            // Numbers below that of the first are those of the link and of the rest.
            let number = u32::from(numbers.number) + 3;
            for ((link, from), pairs) in self.crossing(name, true) {
                let is_kernel = self.nodes.get(from).is_some_and(|node| node.control == Some(Control::Linux));
                let Some(link) = self.links.get(link).filter(|_| is_kernel && number <= u16::MAX.into()) else {
                    continue;
                };
                let count =
                    |edges: BTreeSet<&NodeName>| -> u64 { edges.iter().filter_map(|edge| sdps.get(*edge)).sum() };
                let senders = count(pairs.iter().map(|(from, _)| *from).collect());
                let receivers = count(pairs.iter().map(|(_, to)| *to).collect());
                let most = u128::from(ceiling.bits_per_second()) * u128::from(senders.min(receivers));
                let most = most.min(link.capacity.bits_per_second().into());
                let direction = LinkDirection { link: link.name.clone(), from: from.clone() };
                let booked = self.plan.bookings.get(&direction).and_then(|slices| slices.get(name));
                let sure = booked.map_or(0, |booking| u128::from(booking.total().bits_per_second())).min(most);
                let port = if link.a.node == *from { &link.a.port } else { &link.b.port };
                let (_, classes) = expected.entry((from, port)).or_insert_with(|| (link.capacity, BTreeMap::new()));
                classes.insert(number, (name, sure, most, vnis.clone()));
            }
        }
        expected
    }
}
