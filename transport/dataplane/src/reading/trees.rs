//! Readings of trees: what slices and segments are held to at a port.

use std::sync::Arc;

use model::resource::SegmentId;
use model::{Rate, SliceName};

use crate::pipeline::Pipeline;
use crate::port::PortIndex;
use crate::shaper::{Runs, SegmentRuns};
use crate::tables::SliceSlot;
use crate::trees::shape::{QueueNumber, SLICE_NUMBERS, slice_number};

/// A part of a tree, as its scheduler runs it: in the middle of a change, some of it as before and some as asked.
#[derive(Debug, Clone)]
pub struct TreeReading {
    /// What the port carries.
    pub rate: Rate,
    /// Slices; nobody's comes first.
    pub slices: Vec<TreeSlice>,
    /// Segments.
    pub segments: Vec<TreeSegment>,
    /// Where the next part begins; none after the last one.
    pub next: Option<TreePlace>,
}

/// A slice at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeSlice {
    /// Its number in the tree; 0 for what belongs to no slice here.
    pub number: u16,
    /// Its name; none if nothing that runs speaks of it any more.
    pub name: Option<Arc<SliceName>>,
    /// What it is held to.
    pub runs: Runs,
}

/// A segment at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeSegment {
    /// Its number in the tree; 0 for what belongs to no segment here.
    pub number: u32,
    /// Its slice and its name; none if nothing that runs speaks of it any more.
    pub id: Option<Arc<SegmentId>>,
    /// What it is held to.
    pub runs: SegmentRuns,
}

/// A place of a tree: its slices, then its segments. The default is the first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TreePlace(u32);

impl Pipeline {
    /// Reads a part of the tree of a port; `None` if there is no such port. Allocates, so it is for between bursts.
    pub fn read_tree(&self, port: PortIndex, from: TreePlace) -> Option<TreeReading> {
        let tree = self.trees.get(port.get())?;
        let first_segment = u32::from(SLICE_NUMBERS);
        let (slices, segments) = tree.ends();
        let places = (0..slices).chain(first_segment..first_segment + segments);
        let mut places = places.skip_while(|place| *place < from.0);
        let mut reading =
            TreeReading { rate: tree.shaper.rate(), slices: Vec::new(), segments: Vec::new(), next: None };
        for place in places.by_ref().take(TREE_PART_MAX) {
            match place.checked_sub(first_segment) {
                None => reading.slices.extend(u16::try_from(place).ok().and_then(|number| {
                    let runs = tree.shaper.slice_runs(number)?;
                    Some(TreeSlice { number, name: self.slice_of_tree(number), runs })
                })),
                Some(number) => reading.segments.extend(tree.shaper.segment_runs(number).map(|runs| {
                    let at = self.tables.segment_of_queue(QueueNumber::from(number));
                    TreeSegment { number, id: at.map(|at| self.tables.segments[at].id.clone()), runs }
                })),
            }
        }
        reading.next = places.next().map(TreePlace);
        Some(reading)
    }

    fn slice_of_tree(&self, number: u16) -> Option<Arc<SliceName>> {
        let slot = number.checked_sub(slice_number(SliceSlot(0)))?;
        Some(self.tables.slices.get(usize::from(slot))?.as_ref()?.name.clone())
    }
}

/// So many places are looked at between two bursts: some tens of microseconds.
const TREE_PART_MAX: usize = 1_000;
