//! Numbers of nodes and links, and the labels of every node's block.
//!
//! A block is used from both ends: from its start for the nodes, one label each at the node's index, so that nothing but
//! the index need be kept; from its end for the node's links and for the segments that are sent to it.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::{LinkNumbers, NodeNumbers, Plan, Quarantined};
use model::program::Program;
use model::resource::{LabelBlock, ResourceId, SidFunctionPool};
use model::{Generation, Label, LinkName, NodeName, TopologyName};

use crate::refusal::{Pool, Refusal, RefusalReason};
use crate::underlay::{NodeView, Underlay};

/// What is free in every label block.
pub(crate) struct Labels<'a> {
    blocks: BTreeMap<&'a NodeName, Block>,
}

struct Block {
    range: LabelBlock,
    /// The first label that no node has.
    floor: u32,
    taken: BTreeSet<u32>,
    quarantined: BTreeSet<u32>,
    next: u32,
}

impl<'a> Labels<'a> {
    fn new(underlay: &Underlay<'a>, parent: &Plan, quarantine: &[Quarantined]) -> Self {
        let nodes = underlay.nodes().filter_map(|view| Some((&view.node.name, view.node.labels?)));
        let block = |range: LabelBlock| Block {
            range,
            floor: range.first.get(),
            taken: BTreeSet::new(),
            quarantined: BTreeSet::new(),
            next: range.last.get(),
        };
        let mut blocks: BTreeMap<&NodeName, Block> = nodes.map(|(node, labels)| (node, block(labels))).collect();
        for ((receiver, _), label) in parent.allocations.values().flat_map(|allocation| &allocation.labels) {
            if let Some(block) = blocks.get_mut(receiver) {
                block.taken.insert(label.get());
            }
        }
        for ((receiver, _), label) in quarantine.iter().flat_map(|entry| &entry.allocation.labels) {
            if let Some(block) = blocks.get_mut(receiver) {
                block.quarantined.insert(label.get());
            }
        }
        Self { blocks }
    }

    /// The highest free label of a node.
    pub(super) fn next(&mut self, node: &NodeName) -> Result<Label, RefusalReason> {
        let Some(block) = self.blocks.get_mut(node) else { return Err(RefusalReason::NoLabels(node.clone())) };
        while block.next >= block.floor {
            let candidate = block.next;
            block.next -= 1;
            if !block.quarantined.contains(&candidate) && block.taken.insert(candidate) {
                return Label::try_from(candidate).map_err(|_| block.exhausted(node));
            }
        }
        Err(block.exhausted(node))
    }

    /// Room for so many nodes at the start of every block.
    fn reserve(&mut self, count: u32) -> Result<(), (NodeName, RefusalReason)> {
        for (node, block) in &mut self.blocks {
            block.floor = block.range.first.get().saturating_add(count);
            let lowest = block.taken.iter().chain(&block.quarantined).min().copied();
            if block.floor > block.range.last.get().saturating_add(1) || lowest.is_some_and(|n| n < block.floor) {
                return Err(((*node).clone(), block.exhausted(node)));
            }
        }
        Ok(())
    }
}

impl Block {
    fn exhausted(&self, node: &NodeName) -> RefusalReason {
        let (first, last) = (self.range.first.get(), self.range.last.get());
        let nodes = self.floor.min(last.saturating_add(1)).saturating_sub(first);
        RefusalReason::PoolExhausted {
            pool: Pool::Label,
            of: Some(node.clone()),
            size: u64::from(last.saturating_sub(first)) + 1,
            used: u64::from(nodes) + self.taken.len() as u64,
            quarantined: self.quarantined.difference(&self.taken).count() as u64,
        }
    }
}

/// The numbers of every node and link, and what is left of the label blocks.
pub(crate) fn nodes<'a>(
    topology: &TopologyName,
    underlay: &Underlay<'a>,
    parent: &Plan,
    confirmed: &BTreeMap<NodeName, Generation>,
    quarantine: &[Quarantined],
    refusals: &mut Vec<Refusal>,
) -> (BTreeMap<NodeName, NodeNumbers>, Labels<'a>) {
    let mut labels = Labels::new(underlay, parent, quarantine);
    let mut nodes = kept(underlay, parent, confirmed);
    let mut refuse = |node: &NodeName, reason| {
        let path = format!("spec.nodes[{}].labels", underlay.place_in_file(node));
        refusals.push(Refusal { resource: ResourceId::Topology(topology.clone()), path, reason });
    };
    let mut indices: BTreeSet<u32> = nodes.values().filter_map(|numbers| numbers.index).collect();
    let mut next = 0;
    for view in underlay.nodes() {
        let numbers = nodes.entry(view.node.name.clone()).or_default();
        if view.node.labels.is_none() {
            numbers.index = None;
        } else if numbers.index.is_none() {
            while !indices.insert(next) {
                next += 1;
            }
            numbers.index = Some(next);
        }
        // A label outside the block is in nobody's way; a link that still is there gets another.
        let is_in = |label: &Label| view.node.labels.is_some_and(|block| (block.first..=block.last).contains(label));
        for link in numbers.links.values_mut() {
            link.label = link.label.filter(is_in);
        }
        numbers.links.retain(|_, link| link.function.is_some() || link.label.is_some());
        if let Some(block) = labels.blocks.get_mut(&view.node.name) {
            block.taken.extend(numbers.links.values().filter_map(|link| link.label).map(Label::get));
        }
    }
    let count = indices.last().map_or(0, |last| last.saturating_add(1));
    if let Err((node, reason)) = labels.reserve(count) {
        refuse(&node, reason);
        return (nodes, labels);
    }
    for view in underlay.nodes() {
        let Some(numbers) = nodes.get_mut(&view.node.name) else { continue };
        let mut functions: BTreeSet<u16> = numbers.links.values().filter_map(|link| link.function).collect();
        let mut next = FUNCTION_OF_LINK_FIRST;
        for at in view.links() {
            let before = numbers.links.get(&at.link.name).copied();
            let mut now = before.unwrap_or(LinkNumbers { function: None, label: None });
            if view.node.locator.is_some() && now.function.is_none() {
                while !functions.insert(next) && next < SidFunctionPool::FIRST_MIN {
                    next += 1;
                }
                now.function = (next < SidFunctionPool::FIRST_MIN).then_some(next);
            }
            if view.node.labels.is_some() && now.label.is_none() {
                now.label = labels.next(&view.node.name).map_err(|reason| refuse(&view.node.name, reason)).ok();
            }
            if now.function.is_some() || now.label.is_some() {
                numbers.links.insert(at.link.name.clone(), now);
            }
        }
    }
    nodes.retain(|_, numbers| *numbers != NodeNumbers::default());
    (nodes, labels)
}

/// What of the parent's still stands: all of nodes that there are, and of others what somebody may still send by. While
/// a change is under way nothing is let go of.
fn kept(
    underlay: &Underlay<'_>,
    parent: &Plan,
    confirmed: &BTreeMap<NodeName, Generation>,
) -> BTreeMap<NodeName, NodeNumbers> {
    let mut nodes = parent.nodes.clone();
    for (name, numbers) in &mut nodes {
        let was_awaited = !numbers.awaiting.is_empty();
        numbers.awaiting.retain(|edge, since| confirmed.get(edge).is_none_or(|running| running < since));
        if was_awaited && numbers.awaiting.is_empty() && parent.awaiting.is_empty() {
            let_go(underlay, name, numbers);
        }
    }
    nodes.retain(|_, numbers| *numbers != NodeNumbers::default());
    nodes
}

/// Forgets the numbers of what is gone.
fn let_go(underlay: &Underlay<'_>, name: &NodeName, numbers: &mut NodeNumbers) {
    let gone = gone_links(underlay, name, numbers);
    numbers.links.retain(|link, _| !gone.contains(link));
    if underlay.node(name).is_none() {
        *numbers = NodeNumbers::default();
    }
}

/// The links that a node has no longer; all if it is gone itself.
fn gone_links(underlay: &Underlay<'_>, node: &NodeName, numbers: &NodeNumbers) -> BTreeSet<LinkName> {
    let here: BTreeSet<&LinkName> =
        underlay.node(node).into_iter().flat_map(NodeView::links).map(|at| &at.link.name).collect();
    numbers.links.keys().filter(|link| !here.contains(link)).cloned().collect()
}

/// Nodes and links that are gone await every edge that is not known to run its program of now: whoever may send by their
/// SIDs and labels is among them, be it that it is told otherwise by this plan or by one before. Without any, nobody does,
/// unless a change is under way that takes more steps.
pub(crate) fn gone(
    underlay: &Underlay<'_>,
    programs: &BTreeMap<NodeName, Program>,
    confirmed: &BTreeMap<NodeName, Generation>,
    is_under_way: bool,
    nodes: &mut BTreeMap<NodeName, NodeNumbers>,
) {
    let is_behind =
        |edge: &NodeName, program: &Program| confirmed.get(edge).is_none_or(|running| *running < program.generation);
    for (name, numbers) in nodes.iter_mut() {
        let gone = gone_links(underlay, name, numbers);
        let is_gone = underlay.node(name).is_none();
        if gone.is_empty() && !is_gone {
            continue;
        }
        let behind = programs.iter().filter(|(edge, program)| is_behind(edge, program));
        numbers.awaiting.extend(behind.map(|(edge, program)| (edge.clone(), program.generation)));
        if numbers.awaiting.is_empty() && !is_under_way {
            let_go(underlay, name, numbers);
        }
    }
    nodes.retain(|_, numbers| *numbers != NodeNumbers::default());
}

/// The first End.X; those before it are left to nodes.
const FUNCTION_OF_LINK_FIRST: u16 = 16;
