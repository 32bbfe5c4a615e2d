//! Classes: has every slice its own where its packets leave an edge, and where they cross a Linux kernel that can tell them
//! apart; has nobody else; and is no more promised of a port than it carries?

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{LinkDirection, SlicePlan};
use model::resource::{Control, Link, NodeRole, Transport};
use model::{NodeName, PortName, Rate, SliceName, Vni, Weight};

use super::queueing::sharing;
use super::{Audit, Finding};

/// What a port carries, and its classes by number.
type Port<'a> = (Rate, BTreeMap<u32, Class<'a>>);
/// The slice, its guarantee and ceiling in bit/s, its weight, its VNIs.
type Class<'a> = (&'a SliceName, u128, u128, Weight, BTreeSet<Vni>);
type Ports<'a> = BTreeMap<(&'a NodeName, &'a PortName), Port<'a>>;

impl<'a> Audit<'a> {
    pub(super) fn shaping(&mut self) {
        let expected = self.expected_ports();
        let mut found = Ports::new();
        let mut differs: BTreeSet<(&'a NodeName, &'a PortName)> = BTreeSet::new();
        let mut promises = Vec::new();
        for (node, program) in &self.plan.programs {
            for shaping in &program.content.shaping {
                let classes: BTreeMap<u32, Class<'a>> = shaping
                    .classes
                    .iter()
                    .map(|class| {
                        let (guaranteed, ceiling) = (bits(class.limits.guaranteed()), bits(class.limits.ceiling()));
                        let vnis = class.vnis.iter().copied().collect();
                        (class.number.get().into(), (&class.slice, guaranteed, ceiling, class.weight, vnis))
                    })
                    .collect();
                let at = (node, &shaping.port);
                let told: usize = shaping.classes.iter().map(|class| class.vnis.len()).sum();
                let kept: usize = classes.values().map(|(.., vnis)| vnis.len()).sum();
                let is_once = classes.len() == shaping.classes.len() && told == kept;
                let sure: u128 = shaping.classes.iter().map(|class| bits(class.limits.guaranteed())).sum();
                if sure > bits(shaping.rate) {
                    let guaranteed = Rate::from_bits_per_second(u64::try_from(sure).unwrap_or(u64::MAX));
                    let (node, port, rate) = (node.clone(), shaping.port.clone(), shaping.rate);
                    promises.push(Finding::ClassesAbovePort { node, port, rate, guaranteed });
                }
                if found.insert(at, (shaping.rate, classes)).is_some() || !is_once {
                    differs.insert(at);
                }
            }
        }
        differs.extend(self.unshared(&found));
        if self.is_under_way() {
            self.set_aside_kept(&mut found, &expected);
        }
        let all: BTreeSet<_> = expected.keys().chain(found.keys()).copied().collect();
        differs.extend(all.into_iter().filter(|at| expected.get(at) != found.get(at)));
        let differs =
            differs.into_iter().map(|(node, port)| Finding::OtherClasses { node: node.clone(), port: port.clone() });
        let findings: Vec<Finding> = differs.chain(promises).collect();
        self.errors(findings);
    }

    /// The ports by which an edge sends a slice, as before or as wanted, without a class for it.
    fn unshared(&self, found: &Ports<'a>) -> Vec<(&'a NodeName, &'a PortName)> {
        let mut unshared = Vec::new();
        for ((slice, edge), program) in &self.slices {
            let has_number = |plan: &SlicePlan| u32::from(plan.number) + 3 <= u16::MAX.into();
            if !self.plan.slices.get(*slice).is_some_and(has_number) {
                continue;
            }
            for remote in program.segments.iter().flat_map(|segment| &segment.remotes) {
                let ids = std::iter::once(remote.working).chain(remote.backup);
                let paths = ids.filter_map(|id| self.paths.get(&(*edge, &remote.edge, id)));
                let bare = paths.map(|path| (*edge, &path.port)).filter(|at| {
                    found.get(at).is_some_and(|(_, classes)| classes.values().all(|(of, ..)| of != slice))
                });
                unshared.extend(bare);
            }
        }
        unshared
    }

    /// While a change is under way, a slice may have a class more: where its packets still come as before. An edge says by
    /// itself by which ports it sends.
    fn set_aside_kept(&self, found: &mut Ports<'a>, expected: &Ports<'a>) {
        for (at, (_, classes)) in found.iter_mut() {
            let (node, port) = *at;
            let wanted = expected.get(at).map(|(_, wanted)| wanted);
            let is_kernel = self.nodes.get(node).is_some_and(|node| sharing(node).is_none());
            classes.retain(|number, (slice, sure, most, _, vnis)| {
                let is_numbered =
                    self.plan.slices.get(*slice).is_some_and(|plan| u32::from(plan.number) + 3 == *number);
                let is_own = |vni: &Vni| {
                    let mut own = self.plan.allocations.iter().filter(|(id, _)| id.slice == **slice);
                    own.any(|(_, allocation)| allocation.vni == *vni)
                };
                let comes =
                    if is_kernel { vnis.iter().all(is_own) } else { vnis.is_empty() && self.sends(node, slice, port) };
                let is_kept = is_numbered && sure <= most && comes;
                wanted.is_some_and(|wanted| wanted.contains_key(number)) || !is_kept
            });
        }
        // A port that is still used, too.
        found.retain(|at, (_, classes)| !classes.is_empty() || expected.contains_key(at));
    }

    /// Does an edge send a slice by this port, by what its program says?
    fn sends(&self, edge: &NodeName, slice: &SliceName, port: &PortName) -> bool {
        let Some(program) = self.slices.get(&(slice, edge)) else { return false };
        let mut remotes = program.segments.iter().flat_map(|segment| &segment.remotes);
        remotes.any(|remote| {
            let mut ids = std::iter::once(remote.working).chain(remote.backup);
            ids.any(|id| self.paths.get(&(edge, &remote.edge, id)).is_some_and(|path| path.port == *port))
        })
    }

    /// Every port of our dataplanes towards the underlay, and classes from the paths of the plan, link by link.
    fn expected_ports(&self) -> Ports<'a> {
        let mut expected = Ports::new();
        for link in self.links.values() {
            for end in [&link.a, &link.b] {
                let is_told = self.plan.programs.contains_key(&end.node);
                if is_told && self.nodes.get(&end.node).is_some_and(|node| sharing(node).is_some()) {
                    expected.insert((&end.node, &end.port), (link.capacity, BTreeMap::new()));
                }
            }
        }
        let mut vnis: BTreeMap<&SliceName, BTreeSet<Vni>> = BTreeMap::new();
        for id in self.intents.segments.keys() {
            let of_slice = vnis.entry(&id.slice).or_default();
            of_slice.extend(self.plan.allocations.get(id).map(|allocation| allocation.vni));
        }
        for (name, numbers) in &self.plan.slices {
            // Numbers below that of the first are those of the link and of the rest.
            let number = u32::from(numbers.number) + 3;
            for ((link, from), pairs) in self.crossing(name, true) {
                let Some(link) = self.links.get(link).filter(|_| number <= u16::MAX.into()) else { continue };
                let Some(mut class) = self.expected_class(name, link, from, &pairs) else { continue };
                if self.nodes.get(from).is_some_and(|node| sharing(node).is_none()) {
                    class.4 = vnis.get(name).cloned().unwrap_or_default();
                }
                let port = if link.a.node == *from { &link.a.port } else { &link.b.port };
                let (_, classes) = expected.entry((from, port)).or_insert_with(|| (link.capacity, BTreeMap::new()));
                classes.insert(number, class);
            }
        }
        expected
    }

    /// On an edge, and on a kernel that can tell the slice apart; without its VNIs.
    fn expected_class(
        &self,
        name: &'a SliceName,
        link: &Link,
        from: &NodeName,
        pairs: &BTreeSet<(&NodeName, &NodeName)>,
    ) -> Option<Class<'a>> {
        let (node, spec) = (self.nodes.get(from)?, self.intents.slices.get(name)?);
        let is_kernel = node.role == NodeRole::Core && node.control == Some(Control::Linux);
        if node.role == NodeRole::Core && !(is_kernel && spec.transport == Transport::Vxlan) {
            return None;
        }
        let (sdps, ceiling) = (Self::sdps(spec), self.rates(spec).map_or(Rate::ZERO, |(_, ceiling)| ceiling));
        let count = |edges: BTreeSet<&NodeName>| -> u64 { edges.iter().filter_map(|edge| sdps.get(*edge)).sum() };
        let senders = count(pairs.iter().map(|(from, _)| *from).collect());
        let receivers = count(pairs.iter().map(|(_, to)| *to).collect());
        let most = (bits(ceiling) * u128::from(senders.min(receivers))).min(bits(link.capacity));
        let direction = LinkDirection { link: link.name.clone(), from: from.clone() };
        let booked = self.plan.bookings.get(&direction).and_then(|slices| slices.get(name));
        let sure = booked.map_or(0, |booking| bits(booking.total())).min(most);
        Some((name, sure, most, spec.weight, BTreeSet::new()))
    }
}

fn bits(rate: Rate) -> u128 {
    rate.bits_per_second().into()
}
