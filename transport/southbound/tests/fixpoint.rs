//! Whatever is wished for, in whatever order, a device comes to it, and nothing foreign is touched; on a device in memory
//! that has the kernel's rules: what hangs on a link goes with it, and what is used can't be removed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, SystemTime};

use common::{LINKS, link, local_sid, route, wish};
use proptest::prelude::*;
use transport_southbound::{
    Action, Address, ApplyError, Bridge, BridgePort, Cause, Change, Desired, Device, Difference, DriftLog, Flavours,
    Found, Key, LinkName, LinkUp, Object, ObserveError, Observed, ReconcileError, Unsupported, Vxlan, VxlanPeer,
    reconcile, verify,
};

/// A device in memory.
#[derive(Debug, Clone, Default)]
struct Memory {
    ours: BTreeMap<Key, Found>,
    /// What ours can rest on, though it is of others.
    others: BTreeMap<Key, Object>,
    /// Objects of others, by what they would be called if they were ours.
    foreign: BTreeMap<Key, &'static str>,
    applied: usize,
    /// The change with this number fails, before or after it has had its effect.
    fails: Option<(usize, bool)>,
    /// Everything fails.
    broken: bool,
}

impl Memory {
    fn has_link(&self, name: &LinkName) -> bool {
        LINKS.contains(&name.as_str()) || self.ours.contains_key(&Key::Link(name.clone()))
    }

    fn make(&mut self, object: &Object, new: bool) -> Result<(), Cause> {
        let key = object.key();
        let refused = |why: &str| Cause::Refused { said: why.into(), source: io::Error::from_raw_os_error(22) };
        if self.foreign.contains_key(&key) || new == self.ours.contains_key(&key) {
            return Err(Cause::Occupied(String::new()));
        }
        if let Some(link) = object.link().filter(|link| !self.has_link(link)) {
            return Err(Cause::NoLink(link.clone()));
        }
        let others = self.ours.iter().filter(|(other, _)| **other != key).map(|(_, found)| found);
        let ours = |found: &Found| if let Found::As(object) = found { Some(object.clone()) } else { None };
        let objects: Vec<Object> = others.filter_map(ours).collect();
        match object {
            Object::Vxlan(v) => {
                let same = |o: &Object| matches!(o, Object::Vxlan(o) if (o.vni, o.port) == (v.vni, v.port));
                if objects.iter().any(same) {
                    return Err(refused("a VXLAN device with the VNI exists"));
                }
            }
            Object::BridgePort(port) if !self.ours.contains_key(&Key::Link(port.bridge.clone())) => {
                return Err(Cause::NoLink(port.bridge.clone()));
            }
            Object::Shaper(s) if !self.ours.contains_key(&Key::ShaperRoot(s.link.clone())) => {
                return Err(refused("no discipline"));
            }
            Object::Classifier(c) if !self.ours.contains_key(&Key::Shaper(c.link.clone(), c.class)) => {
                return Err(refused("no such class"));
            }
            _ => {}
        }
        self.ours.insert(key, Found::As(object.clone()));
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), Cause> {
        if let Key::Shaper(link, class) = key {
            let uses = |found: &Found| matches!(found, Found::As(Object::Classifier(c)) if (&c.link, c.class) == (link, *class));
            if self.ours.values().any(uses) {
                return Err(Cause::Refused { said: "in use".into(), source: io::Error::from_raw_os_error(16) });
            }
        }
        self.ours.remove(key);
        match key {
            Key::Link(name) => self.ours.retain(|key, found| !hangs_on(key, found, name)),
            Key::ShaperRoot(name) => {
                self.ours.retain(|key, _| !matches!(key, Key::Shaper(l, _) | Key::Classifier(l, ..) if l == name));
            }
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), Cause> {
        match change {
            Change::Add(object) => self.make(object, true),
            Change::Replace(object) => self.make(object, false),
            Change::Remake(object) => self.remove(&object.key()).and_then(|()| self.make(object, true)),
            Change::Remove(key) => self.remove(key),
        }
    }
}

fn hangs_on(key: &Key, found: &Found, name: &LinkName) -> bool {
    match (key, found) {
        (Key::Link(_), _) => false,
        (_, Found::As(Object::BridgePort(port))) => port.link == *name || port.bridge == *name,
        (_, Found::As(object)) => object.link() == Some(name),
        _ => false,
    }
}

impl Device for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn observe(&mut self) -> Result<Observed, ObserveError> {
        Ok(Observed { ours: self.ours.clone(), others: self.others.clone() })
    }

    fn supports(&self, object: &Object) -> Result<(), Unsupported> {
        let usd =
            matches!(object, Object::LocalSid(sid) if matches!(sid.action, Action::End(Flavours { usd: true, .. })));
        let refusal = || Unsupported { device: "memory".into(), object: object.to_string(), why: "no USD" };
        if usd { Err(refusal()) } else { Ok(()) }
    }

    fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        let number = self.applied;
        self.applied += 1;
        let lost = || Cause::Refused { said: "lost".into(), source: io::Error::from_raw_os_error(105) };
        let done = match self.fails {
            _ if self.broken => Err(lost()),
            Some((at, true)) if at == number => self.change(change).and(Err(lost())),
            Some((at, false)) if at == number => Err(lost()),
            _ => self.change(change),
        };
        done.map_err(|cause| ApplyError { device: "memory".into(), change: Box::new(change.clone()), cause })
    }
}

fn assert_is(device: &Memory, desired: &Desired) {
    let ours: BTreeMap<&Key, &Found> = device.ours.iter().collect();
    assert_eq!(ours.keys().copied().collect::<BTreeSet<_>>(), desired.objects().keys().collect());
    for (key, want) in desired.objects() {
        assert_eq!(ours[key], &Found::As(want.clone()));
    }
}

fn foreign() -> BTreeMap<Key, &'static str> {
    let route = Object::Route(route("fd00:f::/48")).key();
    BTreeMap::from([(route, "of a routing daemon"), (Key::Link(link("ms-foreign")), "of an operator")])
}

proptest! {
    #[test]
    fn any_row_of_wishes_is_reached_each_in_one_pass_and_nothing_foreign_is_touched(
        wishes in prop::collection::vec(wish(), 1..6),
    ) {
        let mut device = Memory { foreign: foreign(), ..Memory::default() };
        for desired in &wishes {
            let report = reconcile(&mut device, desired).unwrap();
            prop_assert!(report.is_realised(), "{report:#?}");
            prop_assert!(report.passes <= 1, "{report:#?}");
            assert_is(&device, desired);
            prop_assert!(verify(&mut device, desired).unwrap().is_empty());
            let again = reconcile(&mut device, desired).unwrap();
            prop_assert!(again.changed.is_empty() && again.passes == 0);
        }
        let report = reconcile(&mut device, &Desired::EMPTY).unwrap();
        prop_assert!(report.is_realised() && device.ours.is_empty());
        prop_assert_eq!(device.foreign, foreign());
    }

    #[test]
    fn a_failure_of_any_change_leaves_what_the_next_reconciliation_repairs(
        before in wish(), after in wish(), at in any::<prop::sample::Index>(), had_effect in any::<bool>(),
    ) {
        let mut device = Memory { foreign: foreign(), ..Memory::default() };
        reconcile(&mut device, &before).unwrap();
        let mut sound = device.clone();
        sound.applied = 0;
        let changes = reconcile(&mut sound, &after).unwrap().changed.len();
        prop_assume!(changes > 0);
        (device.applied, device.fails) = (0, Some((at.index(changes), had_effect)));
        let report = reconcile(&mut device, &after).unwrap();
        // Within the same reconciliation, since only one change failed.
        prop_assert!(report.is_realised() && report.failed.is_empty(), "{report:#?}");
        assert_is(&device, &after);
        prop_assert_eq!(device.foreign, foreign());
    }

    #[test]
    fn a_reconciliation_that_was_cut_off_is_finished_by_another(
        before in wish(), after in wish(), cut in any::<prop::sample::Index>(),
    ) {
        let mut device = Memory::default();
        reconcile(&mut device, &before).unwrap();
        let changes = transport_southbound::diff(&after, &device.observe().unwrap());
        for change in changes.iter().take(cut.index(changes.len() + 1)) {
            device.apply(change).unwrap();
        }
        prop_assert!(reconcile(&mut device, &after).unwrap().is_realised());
        assert_is(&device, &after);
    }

    #[test]
    fn what_was_changed_by_hand_is_found_and_repaired(
        desired in wish(), other in wish(), hit in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..6),
    ) {
        let mut device = Memory::default();
        reconcile(&mut device, &desired).unwrap();
        let keys: Vec<Key> = desired.objects().keys().cloned().collect();
        let strangers: Vec<Object> = other.objects().values().cloned().collect();
        for (at, how) in hit {
            match how % 3 {
                0 if !keys.is_empty() => drop(device.ours.remove(&keys[at.index(keys.len())])),
                1 if !keys.is_empty() => {
                    let _ = device.ours.insert(keys[at.index(keys.len())].clone(), Found::Altered("by hand".into()));
                }
                _ if !strangers.is_empty() => {
                    let _ = device.change(&Change::Add(strangers[at.index(strangers.len())].clone()));
                }
                _ => {}
            }
        }
        let report = reconcile(&mut device, &desired).unwrap();
        prop_assert!(report.is_realised(), "{report:#?}");
        assert_is(&device, &desired);
    }
}

#[test]
fn what_is_in_the_way_stays_and_is_reported() {
    let mut device = Memory { foreign: foreign(), ..Memory::default() };
    let wanted = [route("fd00:f::/48"), route("fd00:e::/48")].map(Object::Route);
    let desired = Desired::new(wanted.clone()).unwrap();
    let report = reconcile(&mut device, &desired).unwrap();
    assert_eq!(report.differs, [Difference::Missing(wanted[0].clone())]);
    assert_eq!(report.changed, [Change::Add(wanted[1].clone())]);
    assert!(matches!(report.failed.as_slice(), [ApplyError { cause: Cause::Occupied(_), .. }]), "{:?}", report.failed);
    assert_eq!(device.foreign, foreign());
}

#[test]
fn what_others_have_seen_to_serves_as_well_and_is_never_removed() {
    let address = Object::Address(Address { link: link("eth0"), address: "fd00:5::1/64".parse().unwrap() });
    let mtu = |mtu| Object::LinkUp(LinkUp { link: link("eth0"), mtu });
    let up = mtu(1_600);
    // Longer packets do no harm.
    let others = [&address, &mtu(9_000)].map(|object| (object.key(), object.clone())).into();
    let mut device = Memory { others, ..Memory::default() };
    let desired = Desired::new([address.clone(), up.clone()]).unwrap();
    let report = reconcile(&mut device, &desired).unwrap();
    assert!(report.is_realised() && report.passes == 0, "{report:#?}");
    assert!(reconcile(&mut device, &Desired::EMPTY).unwrap().is_realised());
    assert_eq!((device.applied, device.others.len()), (0, 2));
    // Shorter ones do: the planner counts on the rest.
    let short = mtu(1_599);
    device.others.insert(short.key(), short.clone());
    let found = Found::As(short);
    assert_eq!(verify(&mut device, &desired).unwrap(), [Difference::Differs { want: up.clone(), found }]);
    // Taken away, the address is made by us, and the link is missed.
    device.others.clear();
    assert_eq!(verify(&mut device, &desired).unwrap(), [Difference::Missing(address), Difference::Missing(up)]);
}

#[test]
fn what_a_device_cannot_do_is_refused_by_name_before_anything_is_changed() {
    let mut device = Memory::default();
    let usd = Flavours { usd: true, ..Flavours::default() };
    let objects = [Object::Route(route("fd00:e::/48")), Object::LocalSid(local_sid("fc00::1/128", Action::End(usd)))];
    let error = reconcile(&mut device, &Desired::new(objects).unwrap()).unwrap_err();
    let ReconcileError::Unsupported(refused) = &error else { panic!("{error}") };
    assert_eq!(refused.len(), 1);
    assert_eq!(
        error.to_string(),
        "1 of the objects can't be had; the first: memory: \
         `SID fc00::1/128 End USD in table 254, metric 201, on eth0` can't be had: no USD"
    );
    assert_eq!(device.applied, 0);
}

#[test]
fn what_is_not_used_because_of_somebody_else_differs_and_is_left() {
    let wanted = Object::Route(route("fd00:e::/48"));
    let unused = |object| Found::Unused(object, "another is preferred".into());
    let mut device = Memory::default();
    device.ours.insert(wanted.key(), unused(wanted.clone()));
    let desired = Desired::new([wanted.clone()]).unwrap();
    let report = reconcile(&mut device, &desired).unwrap();
    assert_eq!(report.differs, [Difference::Differs { want: wanted.clone(), found: unused(wanted.clone()) }]);
    assert_eq!((report.changed.len(), device.applied), (0, 0));
    // One that differs in itself is put right all the same, and one that nobody wants is taken away.
    let other = Object::Route(transport_southbound::Route { link: link("eth1"), ..route("fd00:e::/48") });
    device.ours.insert(wanted.key(), unused(other));
    assert_eq!(reconcile(&mut device, &desired).unwrap().changed, [Change::Replace(wanted.clone())]);
    device.ours.insert(wanted.key(), unused(wanted.clone()));
    assert_eq!(reconcile(&mut device, &Desired::EMPTY).unwrap().changed, [Change::Remove(wanted.key())]);
}

#[test]
fn a_device_that_does_nothing_is_given_up_on_after_one_pass() {
    let mut device = Memory { broken: true, ..Memory::default() };
    let desired = Desired::new([Object::Route(route("fd00:e::/48"))]).unwrap();
    let report = reconcile(&mut device, &desired).unwrap();
    assert_eq!((report.passes, report.differs.len(), report.failed.len()), (1, 1, 1));
    assert_eq!(device.applied, 1);
}

#[test]
fn what_hung_on_a_link_that_is_remade_is_made_again_in_the_same_pass() {
    let vni = model::Vni::try_from(7u32).unwrap();
    let vxlan = |group_policy| {
        Object::Vxlan(Vxlan {
            name: link("ms-v7"),
            vni,
            local: "fd00::1".parse().unwrap(),
            port: 4789,
            mtu: 1450,
            group_policy,
            learning: true,
            up: true,
        })
    };
    let rest = [
        Object::Bridge(Bridge { name: link("ms-b7"), up: true }),
        Object::BridgePort(BridgePort { link: link("ms-v7"), bridge: link("ms-b7"), isolated: false }),
        Object::VxlanPeer(VxlanPeer { link: link("ms-v7"), remote: "fd00::2".parse().unwrap() }),
    ];
    let mut device = Memory::default();
    reconcile(&mut device, &Desired::new(rest.iter().cloned().chain([vxlan(false)])).unwrap()).unwrap();
    let report = reconcile(&mut device, &Desired::new(rest.iter().cloned().chain([vxlan(true)])).unwrap()).unwrap();
    assert_eq!(
        report.changed,
        [Change::Remake(vxlan(true)), Change::Add(rest[1].clone()), Change::Add(rest[2].clone())]
    );
    assert!(report.is_realised() && report.passes == 1);
}

#[test]
fn two_objects_for_one_key_are_refused_and_the_same_twice_is_not() {
    let plain = Object::Route(route("fd00:b::1/128"));
    let sid = Object::LocalSid(local_sid("fd00:b::1/128", Action::End(Flavours::default())));
    assert!(Desired::new([plain.clone(), plain.clone()]).is_ok());
    assert_eq!(
        Desired::new([plain, sid]).unwrap_err().to_string(),
        "route fd00:b::1/128 in table 254, metric 201: it can't be both \
         `route fd00:b::1/128 in table 254, metric 201 by eth0` and \
         `SID fd00:b::1/128 End in table 254, metric 201, on eth0`"
    );
}

#[test]
fn drift_says_since_when_and_ends_when_it_is_repaired() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let desired = Desired::new([route("fd00:a::/48"), route("fd00:b::/48")].map(Object::Route)).unwrap();
    let keys: Vec<Key> = desired.objects().keys().cloned().collect();
    let mut device = Memory::default();
    let mut log = DriftLog::new();
    log.repair(&mut device, &desired, at(1)).unwrap();
    assert_eq!(log.list().len(), 0);

    device.ours.remove(&keys[0]);
    assert_eq!(log.check(&mut device, &desired, at(10)).unwrap().len(), 1);
    device.ours.insert(keys[0].clone(), Found::Altered("by hand".into()));
    device.ours.remove(&keys[1]);
    let drift: Vec<_> = log.check(&mut device, &desired, at(20)).unwrap().cloned().collect();
    // The first is still not as it should be, if for another reason.
    assert_eq!(drift.iter().map(|d| d.since).collect::<Vec<_>>(), [at(10), at(20)]);
    assert_eq!(
        drift[0].difference.to_string(),
        "differs: by hand; expected route fd00:a::/48 in table 254, metric 201 by eth0"
    );

    device.broken = true;
    assert!(!log.repair(&mut device, &desired, at(30)).unwrap().is_realised());
    assert_eq!(log.list().map(|d| d.since).collect::<Vec<_>>(), [at(10), at(20)]);
    device.broken = false;
    assert!(log.repair(&mut device, &desired, at(40)).unwrap().is_realised());
    assert_eq!(log.list().len(), 0);
}
