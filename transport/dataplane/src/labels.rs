//! What is done with a packet by the label on top of it.

use crate::tables::Hop;

/// What a label of this node stands for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LabelEntry {
    /// Nothing.
    #[default]
    Unknown,
    /// What another edge sends of a segment.
    Segment(Wire),
    /// On over a link, with another label on top or with one less.
    Switch {
        /// `None`: the label is popped.
        swap: Option<u32>,
        out: Hop,
    },
}

/// How an edge labels what it sends of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wire {
    /// The place of the segment.
    pub(crate) segment: u16,
    /// The place of the edge among its remotes.
    pub(crate) remote: u16,
    pub(crate) group: bool,
    pub(crate) flow: bool,
    pub(crate) control_word: bool,
}
