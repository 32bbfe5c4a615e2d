//! What operators have declared, as one value: the wish that a plan answers.

use std::collections::BTreeMap;

use model::operation::ChangeKind;
use model::resource::{
    MicroSegment, Realm, RealmSpec, Resource, ResourceId, SegmentId, SegmentSpec, Slice, SliceSpec, Topology,
    TopologySpec,
};
use model::{SliceName, TopologyName};

/// Everything that is declared. Resources may contradict one another here; [`plan`](crate::plan()) finds that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intents {
    /// Topologies, by name. A manager has one; a second one is refused by the planner, so that declaring it by another
    /// name never replaces the first unseen.
    pub topologies: BTreeMap<TopologyName, TopologySpec>,
    /// Slices, by name.
    pub slices: BTreeMap<SliceName, SliceSpec>,
    /// Micro-segments, by slice and name.
    pub segments: BTreeMap<SegmentId, SegmentSpec>,
    /// Realms, by the segment whose they are.
    pub realms: BTreeMap<SegmentId, RealmSpec>,
}

/// A resource that is not declared can't be removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not declared")]
pub struct NotDeclared(pub ResourceId);

impl Intents {
    /// Declares a resource, new or in place of the one with its name. `None` if it is declared in just this form.
    pub fn apply(&mut self, resource: Resource) -> Option<ChangeKind> {
        match resource {
            Resource::Topology(Topology { name, spec }) => put(&mut self.topologies, name, spec),
            Resource::Slice(Slice { name, spec }) => put(&mut self.slices, name, spec),
            Resource::MicroSegment(MicroSegment { id, spec }) => put(&mut self.segments, id, spec),
            Resource::Realm(Realm { id, spec }) => put(&mut self.realms, id, spec),
        }
    }

    /// Removes a resource. What refers to it stays, and the planner refuses that.
    pub fn delete(&mut self, id: &ResourceId) -> Result<(), NotDeclared> {
        let removed = match id {
            ResourceId::Topology(name) => self.topologies.remove(name).is_some(),
            ResourceId::Slice(name) => self.slices.remove(name).is_some(),
            ResourceId::MicroSegment(id) => self.segments.remove(id).is_some(),
            ResourceId::Realm(id) => self.realms.remove(id).is_some(),
        };
        if removed { Ok(()) } else { Err(NotDeclared(id.clone())) }
    }

    /// A resource, as it is declared.
    pub fn get(&self, id: &ResourceId) -> Option<Resource> {
        match id {
            ResourceId::Topology(name) => self.topologies.get(name).map(|spec| topology(name, spec)),
            ResourceId::Slice(name) => self.slices.get(name).map(|spec| slice(name, spec)),
            ResourceId::MicroSegment(id) => self.segments.get(id).map(|spec| segment(id, spec)),
            ResourceId::Realm(id) => self.realms.get(id).map(|spec| realm(id, spec)),
        }
    }

    /// Everything: topologies, slices, micro-segments, realms, each by name.
    pub fn resources(&self) -> impl Iterator<Item = Resource> {
        let topologies = self.topologies.iter().map(|(name, spec)| topology(name, spec));
        let slices = self.slices.iter().map(|(name, spec)| slice(name, spec));
        let segments = self.segments.iter().map(|(id, spec)| segment(id, spec));
        let realms = self.realms.iter().map(|(id, spec)| realm(id, spec));
        topologies.chain(slices).chain(segments).chain(realms)
    }

    /// The topology, if one is declared.
    pub fn topology(&self) -> Option<(&TopologyName, &TopologySpec)> {
        self.topologies.first_key_value()
    }
}

impl FromIterator<Resource> for Intents {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut intents = Self::default();
        for resource in resources {
            intents.apply(resource);
        }
        intents
    }
}

fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Option<ChangeKind> {
    if map.get(&key) == Some(&value) {
        return None;
    }
    Some(if map.insert(key, value).is_none() { ChangeKind::Add } else { ChangeKind::Modify })
}

fn topology(name: &TopologyName, spec: &TopologySpec) -> Resource {
    Resource::Topology(Topology { name: name.clone(), spec: spec.clone() })
}

fn slice(name: &SliceName, spec: &SliceSpec) -> Resource {
    Resource::Slice(Slice { name: name.clone(), spec: spec.clone() })
}

fn segment(id: &SegmentId, spec: &SegmentSpec) -> Resource {
    Resource::MicroSegment(MicroSegment { id: id.clone(), spec: spec.clone() })
}

fn realm(id: &SegmentId, spec: &RealmSpec) -> Resource {
    Resource::Realm(Realm { id: id.clone(), spec: spec.clone() })
}
