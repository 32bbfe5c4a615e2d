//! The difference between what should be and what is, and the changes that end it, in an order that works.
//!
//! Links come before what hangs on them; what is replaced is replaced in place wherever the device can do that, so that
//! traffic never finds a gap; what is no longer wanted goes last, so that the new way is there before the old one ends.
//! Only links go first: two tunnel devices can't have one VNI.

use std::collections::BTreeSet;
use std::fmt;

use crate::device::{Found, Observed};
use crate::object::{Desired, Key, Object};
use crate::value::LinkName;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It should be, and isn't.
    Missing(Object),
    /// It is, but not so.
    Differs {
        /// As it should be.
        want: Object,
        /// As it is.
        found: Found,
    },
    /// It is ours, and should not be.
    Extra {
        /// What it is.
        key: Key,
        /// As it is.
        found: Found,
    },
}

impl Difference {
    /// The object that differs.
    pub fn key(&self) -> Key {
        match self {
            Self::Missing(want) | Self::Differs { want, .. } => want.key(),
            Self::Extra { key, .. } => key.clone(),
        }
    }
}

/// One step towards what should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes it; fails if something is there.
    Add(Object),
    /// Changes what is there in place.
    Replace(Object),
    /// Takes away what is there and makes it anew; what hung on it is gone.
    Remake(Object),
    /// Takes it away.
    Remove(Key),
}

impl Change {
    /// The object that is changed.
    pub fn key(&self) -> Key {
        match self {
            Self::Add(object) | Self::Replace(object) | Self::Remake(object) => object.key(),
            Self::Remove(key) => key.clone(),
        }
    }
}

/// What differs, by key.
pub fn differences(desired: &Desired, observed: &Observed) -> Vec<Difference> {
    let wanted = desired.objects();
    let wrong = wanted.iter().filter_map(|(key, want)| match (observed.ours.get(key), observed.others.get(key)) {
        (None, Some(found)) if found.serves_as(want) => None,
        (None, Some(found)) => Some(Difference::Differs { want: want.clone(), found: Found::As(found.clone()) }),
        (None, None) => Some(Difference::Missing(want.clone())),
        (Some(Found::As(found)), _) if found == want => None,
        (Some(found), _) => Some(Difference::Differs { want: want.clone(), found: found.clone() }),
    });
    let extra = observed.ours.iter().filter(|(key, _)| !wanted.contains_key(key));
    wrong.chain(extra.map(|(key, found)| Difference::Extra { key: key.clone(), found: found.clone() })).collect()
}

/// The changes that make `observed` into `desired`.
pub fn diff(desired: &Desired, observed: &Observed) -> Vec<Change> {
    let lost = lost_links(desired, observed);
    let mut kept = observed.clone();
    kept.ours.retain(|key, found| !goes_with(key, found, &lost));

    let (mut links_gone, mut made, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for difference in differences(desired, &kept) {
        match difference {
            Difference::Missing(want) => made.push(Change::Add(want)),
            // It is as it should be; what keeps the device from using it is not ours to change.
            Difference::Differs { want, found: Found::Unused(object, _) } if want == object => {}
            Difference::Differs { want, found } if in_place(&want, &found) => made.push(Change::Replace(want)),
            Difference::Differs { want, .. } => made.push(Change::Remake(want)),
            Difference::Extra { key: key @ (Key::Link(_) | Key::BridgePort(_) | Key::VxlanPeer(..)), .. } => {
                links_gone.push(key);
            }
            Difference::Extra { key, .. } => gone.push(key),
        }
    }
    made.sort_by_key(|change| match change {
        Change::Add(object) | Change::Replace(object) | Change::Remake(object) => rank(object),
        Change::Remove(_) => u8::MAX,
    });
    for keys in [&mut links_gone, &mut gone] {
        keys.sort();
        keys.reverse();
    }
    let remove = |keys: Vec<Key>| keys.into_iter().map(Change::Remove);
    remove(links_gone).chain(made).chain(remove(gone)).collect()
}

/// Links of ours that will be taken away, for good or to be made anew.
fn lost_links(desired: &Desired, observed: &Observed) -> BTreeSet<LinkName> {
    let links = observed.ours.iter().filter_map(|(key, found)| match key {
        Key::Link(name) => Some((name, found, desired.objects().get(key))),
        _ => None,
    });
    links
        .filter(|(_, found, want)| want.is_none_or(|want| !in_place(want, found)))
        .map(|(name, ..)| name.clone())
        .collect()
}

/// Does it go with the links on which, or in which, it is?
fn goes_with(key: &Key, found: &Found, lost: &BTreeSet<LinkName>) -> bool {
    let on = match (key, found) {
        (Key::Link(_), _) | (Key::Route(..), Found::Altered(_)) => None,
        (_, Found::As(object) | Found::Unused(object, _)) => object.link(),
        (Key::BridgePort(link) | Key::VxlanPeer(link, _) | Key::Address(link, _) | Key::ShaperRoot(link), _) => {
            Some(link)
        }
        (Key::LinkUp(_) | Key::Forwarding(_), _) => None,
        (Key::Shaper(link, _) | Key::Classifier(link, ..), _) => Some(link),
    };
    let bridge = match found {
        Found::As(Object::BridgePort(port)) => Some(&port.bridge),
        _ => None,
    };
    on.is_some_and(|link| lost.contains(link)) || bridge.is_some_and(|bridge| lost.contains(bridge))
}

/// Can it be made from what was found without taking that away first?
fn in_place(want: &Object, found: &Found) -> bool {
    match (want, found) {
        (Object::Vxlan(want), Found::As(Object::Vxlan(found))) => {
            (want.vni, want.local, want.port, want.group_policy)
                == (found.vni, found.local, found.port, found.group_policy)
        }
        (Object::Bridge(_), Found::As(Object::Bridge(_))) => true,
        (Object::Vxlan(_) | Object::Bridge(_) | Object::Classifier(_), _) => false,
        _ => true,
    }
}

/// The place of an object among those that are made.
const fn rank(object: &Object) -> u8 {
    match object {
        Object::Vxlan(_) | Object::Bridge(_) | Object::LinkUp(_) | Object::Forwarding(_) => 0,
        Object::BridgePort(_) => 1,
        Object::VxlanPeer(_) => 2,
        Object::Address(_) => 3,
        // A next hop must be reachable when the route by it is made.
        Object::Route(route) if route.via.is_none() => 4,
        Object::Route(_) => 5,
        Object::LocalSid(_) => 6,
        Object::ShaperRoot(_) => 7,
        Object::Shaper(_) => 8,
        Object::Classifier(_) => 9,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(want) => write!(f, "missing: {want}"),
            Self::Differs { want, found } => write!(f, "differs: {found}; expected {want}"),
            Self::Extra { found: Found::As(object) | Found::Unused(object, _), .. } => write!(f, "left over: {object}"),
            Self::Extra { key, found } => write!(f, "left over: {key}: {found}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(object) => write!(f, "add {object}"),
            Self::Replace(object) => write!(f, "replace by {object}"),
            Self::Remake(object) => write!(f, "remake as {object}"),
            Self::Remove(key) => write!(f, "remove {key}"),
        }
    }
}
