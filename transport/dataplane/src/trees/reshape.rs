//! How a tree becomes what a program says while it works: in steps between bursts, in an order in which guarantees never
//! add up to more than there is.
//!
//! ```text
//!   segments shrink or go ─▶ slices shrink or go ─▶ port, classes ─▶ slices grow or come ─▶ segments grow or come
//! ```
//!
//! While one is under way each part runs as before or as asked, and nothing that waits is lost.

use std::cmp::min;

use model::{Rate, RateLimits};

use super::Tree;
use super::shape::{TreeShape, put};
use crate::meter::Nanos;
use crate::pipeline::Pipeline;
use crate::port::PortIndex;
use crate::shaper::{SegmentShape, Shape};

/// How far a tree has got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reshaping {
    step: Step,
    /// The next place of the step.
    at: usize,
    /// Something could not be done yet: frames of a segment that goes still wait.
    is_held: bool,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    ShrinkSegments,
    ShrinkSlices,
    Port,
    GrowSlices,
    GrowSegments,
}

impl Pipeline {
    /// Goes on with what the tables that run say of the trees; a bounded piece of it, for between two bursts. Answers
    /// whether all is as it should be. What could not be done while frames of a segment that goes still wait is tried
    /// again with each [`tick`](Self::tick).
    pub fn reshape(&mut self, now: Nanos) -> bool {
        let mut budget = CHANGES_MAX;
        for (tree, port) in self.trees.iter_mut().zip(&self.tables.ports) {
            let wanted = &port.tree;
            while let Some(under_way) = tree.reshaping.filter(|_| budget > 0) {
                tree.reshaping = tree.go_on(under_way, wanted, now, &mut budget);
            }
        }
        self.trees.iter().all(|tree| tree.reshaping.is_none())
    }

    /// Begins anew with other tables, or with what was held.
    pub(crate) fn begin_reshaping(&mut self) {
        let Self { trees, others, .. } = self;
        for (_, tree) in (0_u8..).map(PortIndex).zip(trees).filter(|(port, _)| others.has_port(*port)) {
            tree.reshaping = Some(Reshaping { step: Step::ShrinkSegments, at: 0, is_held: false });
            tree.is_held = false;
        }
    }

    /// Tries again what was held.
    pub(crate) fn retry_reshaping(&mut self) {
        for tree in self.trees.iter_mut().filter(|tree| tree.is_held) {
            tree.is_held = false;
            tree.reshaping.get_or_insert(Reshaping { step: Step::ShrinkSegments, at: 0, is_held: false });
        }
    }
}

impl Tree {
    /// A piece of a step; answers what is next.
    fn go_on(&mut self, under_way: Reshaping, wanted: &TreeShape, now: Nanos, budget: &mut usize) -> Option<Reshaping> {
        let Reshaping { step, at, mut is_held } = under_way;
        let end = match step {
            Step::ShrinkSegments | Step::GrowSegments => self.runs.segments.len().max(wanted.segments.len()),
            Step::ShrinkSlices | Step::GrowSlices => self.runs.slices.len().max(wanted.slices.len()),
            Step::Port => 1,
        };
        let piece = at..end.min(at + *budget);
        *budget -= piece.len().min(*budget);
        for at in piece.clone() {
            is_held |= match step {
                Step::ShrinkSegments => !self.shrink_segment(at, wanted, now),
                Step::ShrinkSlices => !self.shrink_slice(at, wanted, now),
                Step::Port => !self.set_port(wanted, now),
                Step::GrowSlices => !self.grow_slice(at, wanted, now),
                Step::GrowSegments => !self.grow_segment(at, wanted, now),
            };
        }
        if piece.end < end {
            return Some(Reshaping { step, at: piece.end, is_held });
        }
        let step = match step {
            Step::ShrinkSegments => Step::ShrinkSlices,
            Step::ShrinkSlices => Step::Port,
            Step::Port => Step::GrowSlices,
            Step::GrowSlices => Step::GrowSegments,
            Step::GrowSegments => {
                self.is_held = is_held;
                return None;
            }
        };
        Some(Reshaping { step, at: 0, is_held })
    }

    fn shrink_segment(&mut self, at: usize, wanted: &TreeShape, now: Nanos) -> bool {
        let Some(runs) = self.runs.segment(at) else { return true };
        let number = number(at);
        match wanted.segment(at) {
            Some(wanted) if wanted.slice == runs.slice => {
                let least = smaller_segment(runs, wanted);
                let differs = least != *runs;
                !differs || self.segment(at, least, now)
            }
            _ => {
                // What is queued is still sent.
                let gone = self.shaper.remove_segment(number).is_ok();
                self.runs.segments[at] = None;
                gone
            }
        }
    }

    fn shrink_slice(&mut self, at: usize, wanted: &TreeShape, now: Nanos) -> bool {
        let Some(runs) = self.runs.slice(at) else { return true };
        let least = match wanted.slice(at) {
            Some(wanted) => smaller(runs, wanted),
            None => match self.shaper.remove_slice(short(at)) {
                Ok(()) => {
                    self.runs.slices[at] = None;
                    return true;
                }
                // Frames of its segments still wait.
                Err(_) => return false,
            },
        };
        least == *runs || self.slice(at, least, now)
    }

    fn set_port(&mut self, wanted: &TreeShape, now: Nanos) -> bool {
        if self.runs.port != wanted.port {
            self.shaper.set_port(&wanted.port, now);
            self.runs.port = wanted.port;
        }
        let is_new = !self.has_classes;
        if is_new || self.runs.classes != wanted.classes {
            self.has_classes = self.shaper.set_classes(0, &wanted.classes).is_ok();
            self.runs.classes = wanted.classes;
        }
        self.has_classes
    }

    fn grow_slice(&mut self, at: usize, wanted: &TreeShape, now: Nanos) -> bool {
        match wanted.slice(at) {
            Some(wanted) if self.runs.slice(at) != Some(wanted) => self.slice(at, *wanted, now),
            _ => true,
        }
    }

    fn grow_segment(&mut self, at: usize, wanted: &TreeShape, now: Nanos) -> bool {
        match wanted.segment(at) {
            Some(wanted) if self.runs.segment(at) != Some(wanted) => self.segment(at, *wanted, now),
            _ => true,
        }
    }

    fn slice(&mut self, at: usize, shape: Shape, now: Nanos) -> bool {
        let done = self.shaper.set_slice(short(at), &shape, now).is_ok();
        if done {
            put(&mut self.runs.slices, at, shape);
        }
        done
    }

    fn segment(&mut self, at: usize, shape: SegmentShape, now: Nanos) -> bool {
        let done = self.shaper.set_segment(number(at), &shape, now).is_ok();
        if done {
            put(&mut self.runs.segments, at, shape);
        }
        done
    }
}

/// As asked, but for a guarantee that is still to grow.
fn smaller(runs: &Shape, wanted: &Shape) -> Shape {
    let guaranteed = min(runs.limits.guaranteed(), wanted.limits.guaranteed());
    let limits = RateLimits::new(guaranteed, wanted.limits.ceiling()).unwrap_or(wanted.limits);
    Shape { limits, ..*wanted }
}

fn smaller_segment(runs: &SegmentShape, wanted: &SegmentShape) -> SegmentShape {
    let shape = smaller(&runs.shape, &wanted.shape);
    let low_latency: Rate = min(wanted.low_latency, shape.limits.guaranteed());
    SegmentShape { shape, low_latency, ..*wanted }
}

#[allow(clippy::cast_possible_truncation, reason = "below QUEUE_NUMBERS")]
const fn number(at: usize) -> u32 {
    at as u32
}

#[allow(clippy::cast_possible_truncation, reason = "below SLICE_NUMBERS")]
const fn short(at: usize) -> u16 {
    at as u16
}

/// Places that are looked at between two bursts: some microseconds, most of them comparisons.
const CHANGES_MAX: usize = 512;
