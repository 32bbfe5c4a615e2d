//! From what nodes are told to what they are to be told, in steps, so that no packet is lost to a change.
//!
//! A node runs what it was told before, or what it is told now; it changes at a moment of its own. So in every step:
//!
//! 1. What is received is received before anybody sends by it, and until nobody does any more.
//! 2. Edges send as before until the far edge and the nodes on the way are known to be ready.
//! 3. Nodes on the way learn what is new from the far end of it, and forget what is old when every edge has left it.
//!
//! What is known of a node is the generation that it was last observed to run. Whoever is waited for is named in the
//! plan; when it has confirmed, the next plan is the next step. Nothing else is kept: a step follows from the plan before.
//!
//! What has no before is not held back: a new slice, an edge that joins a segment. Where frames become packets (from layer
//! 2 to layer 3 and back), devices change what they say, and the edges change at once.

mod classes;
mod needs;
mod nodes;
mod paths;
mod sends;

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{Path, PathKey, Plan};
use model::program::{CorePort, PathProgram, PortShaping, Program, ProgramContent, Remote, ServiceSid, TransitProgram};
use model::resource::SegmentId;
use model::{Generation, NodeName, PathId, SliceName};

use crate::numbers::NodeSids;
use crate::path::Trees;

/// What a step starts from.
pub(crate) struct Now<'n, 'a> {
    pub(crate) parent: &'n Plan,
    pub(crate) confirmed: &'n BTreeMap<NodeName, Generation>,
    pub(crate) trees: &'n Trees<'n, 'a>,
    pub(crate) numbers: NodeSids<'n>,
    /// The paths that slices are to take.
    pub(crate) paths: &'n BTreeMap<PathKey, Path>,
}

/// What is asked of a node before others count on what it was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// That it was told; where nothing is lost any more if it does not do it yet.
    Told,
    /// That it is known to do it.
    Confirmed,
}

/// What nodes are told now.
pub(crate) struct Step {
    pub(crate) contents: BTreeMap<NodeName, ProgramContent>,
    pub(crate) leaving: BTreeMap<PathKey, Path>,
    /// From where to where packets of each slice still go as before.
    pub(crate) moving: BTreeMap<SliceName, BTreeSet<(NodeName, NodeName)>>,
    /// Whose confirmation brings the next step.
    pub(crate) awaited: BTreeSet<NodeName>,
}

impl Now<'_, '_> {
    /// The next step towards what is wanted; all of it, if nothing stands in the way.
    pub(crate) fn step(&self, wanted: BTreeMap<NodeName, ProgramContent>) -> Step {
        let mut turn = Turn { now: self, wanted: &wanted, held: BTreeMap::new(), changes: Changes::default() };
        turn.sends();
        turn.receives();
        turn.paths();
        turn.nodes();
        turn.classes();
        let Turn { held, changes, .. } = turn;
        let mut moving: BTreeMap<SliceName, BTreeSet<_>> = BTreeMap::new();
        for (from, segment, to) in held.into_keys() {
            moving.entry(segment.slice).or_default().insert((from, to));
        }
        let Changes { edits, leaving, awaited } = changes;
        let mut contents = wanted;
        for (node, edit) in edits {
            if let Some(content) = contents.get_mut(&node) {
                edit.apply(content);
                if let Some(told) = self.told(&node) {
                    classes::keep_sent(content, told);
                }
            }
        }
        Step { contents, leaving, moving, awaited }
    }

    /// What a node was told last.
    fn told(&self, node: &NodeName) -> Option<&ProgramContent> {
        self.parent.programs.get(node).map(|program| &program.content)
    }

    /// Has a node done what is asked of it?
    fn is_asked(&self, node: &NodeName, asked: Asked) -> bool {
        asked == Asked::Told || self.knows(node)
    }

    /// Is a node known to run what it was told last?
    fn knows(&self, node: &NodeName) -> bool {
        let told = self.parent.programs.get(node);
        told.is_some_and(|told| self.confirmed.get(node).is_some_and(|running| *running >= told.generation))
    }
}

/// Whom a plan waits for, and what each must confirm.
pub(crate) fn awaiting(
    awaited: BTreeSet<NodeName>,
    programs: &BTreeMap<NodeName, Program>,
    confirmed: &BTreeMap<NodeName, Generation>,
) -> BTreeMap<NodeName, Generation> {
    let generation = |node: NodeName| {
        let told = programs.get(&node)?.generation;
        confirmed.get(&node).is_none_or(|running| *running < told).then_some((node, told))
    };
    awaited.into_iter().filter_map(generation).collect()
}

/// A step in the making.
struct Turn<'t, 'n, 'a> {
    now: &'t Now<'n, 'a>,
    wanted: &'t BTreeMap<NodeName, ProgramContent>,
    /// What an edge sends by as before: by it, the segment, and the far edge.
    held: BTreeMap<(NodeName, SegmentId, NodeName), Remote>,
    changes: Changes,
}

/// In what a step differs from what is wanted.
#[derive(Default)]
struct Changes {
    edits: BTreeMap<NodeName, Edit>,
    leaving: BTreeMap<PathKey, Path>,
    awaited: BTreeSet<NodeName>,
}

/// In what a node's program does.
#[derive(Default)]
struct Edit {
    /// A node that has left goes on with all of it.
    whole: Option<ProgramContent>,
    remotes: Vec<(SegmentId, Remote)>,
    sids: Vec<(SegmentId, Vec<ServiceSid>)>,
    paths: BTreeMap<(NodeName, PathId), PathProgram>,
    ports: Vec<CorePort>,
    classes: Vec<PortShaping>,
    transit: Option<TransitProgram>,
}

impl Changes {
    fn edit(&mut self, node: &NodeName) -> &mut Edit {
        self.edits.entry(node.clone()).or_default()
    }
}

impl Edit {
    fn apply(self, content: &mut ProgramContent) {
        if let Some(whole) = self.whole {
            *content = whole;
        }
        let mut segments: BTreeMap<SegmentId, _> = BTreeMap::new();
        if !self.remotes.is_empty() || !self.sids.is_empty() {
            let all = content.slices.iter_mut().flat_map(|slice| &mut slice.segments);
            segments = all.map(|segment| (segment.id.clone(), segment)).collect();
        }
        for (id, remote) in self.remotes {
            let remotes = segments.get_mut(&id).into_iter().flat_map(|segment| &mut segment.remotes);
            remotes.filter(|before| before.edge == remote.edge).for_each(|before| *before = remote.clone());
        }
        for (id, sids) in self.sids {
            segments.get_mut(&id).into_iter().for_each(|segment| segment.sids.extend(sids.iter().cloned()));
        }
        for (key, path) in self.paths {
            match content.paths.binary_search_by(|path| (&path.to, path.id).cmp(&(&key.0, key.1))) {
                Ok(at) => content.paths[at] = path,
                Err(at) => content.paths.insert(at, path),
            }
        }
        content.core_ports.extend(self.ports);
        content.core_ports.sort_by(|one, other| one.port.cmp(&other.port));
        for kept in self.classes {
            classes::add(&mut content.shaping, kept);
        }
        if let Some(transit) = self.transit {
            content.transit = transit;
        }
    }
}
