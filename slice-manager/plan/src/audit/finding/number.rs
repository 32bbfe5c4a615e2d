//! What can be wrong with numbers and generations.

use model::resource::SegmentId;
use model::{Generation, Label, LinkName, NodeName, SliceName, Vni};

use crate::refusal::Pool;

/// What is wrong with a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberFinding {
    /// A declared segment has no numbers.
    #[error("segment {0} has no numbers")]
    NoAllocation(SegmentId),
    /// Numbers are held for nobody.
    #[error("{0} has numbers and is not declared")]
    StrayAllocation(SegmentId),
    /// A number that two segments have.
    #[error("{pool} {number} is that of both {one} and {other}")]
    NumberTwice {
        /// Which kind.
        pool: Pool,
        /// The number.
        number: u64,
        /// One segment.
        one: SegmentId,
        /// The other.
        other: SegmentId,
    },
    /// A number outside its pool, or a port that is not the first of a pair.
    #[error("{pool} {number} of {segment} is not in the pool")]
    NotInPool {
        /// Which kind.
        pool: Pool,
        /// The number.
        number: u64,
        /// Whose it is.
        segment: SegmentId,
    },
    /// A number that an edge may still use for another segment.
    #[error("{pool} {number} of {segment} is still in quarantine for {formerly}")]
    InQuarantine {
        /// Which kind.
        pool: Pool,
        /// The number.
        number: u64,
        /// Whose it is.
        segment: SegmentId,
        /// Whose it was.
        formerly: SegmentId,
    },
    /// A program says another number than the allocation.
    #[error("{edge} runs {segment} with {pool} {found}; {expected} is allocated")]
    OtherNumber {
        /// The edge.
        edge: NodeName,
        /// The segment.
        segment: SegmentId,
        /// Which kind.
        pool: Pool,
        /// The program's.
        found: u64,
        /// The allocation's.
        expected: u64,
    },
    /// A change that no confirmation lets go on.
    #[error("a change waits for {node} to confirm generation {generation}, which it is not told to run")]
    NeverConfirmed {
        /// The node.
        node: NodeName,
        /// The generation that is awaited.
        generation: Generation,
    },
    /// A quarantine that no confirmation can end.
    #[error("VNI {vni} of {segment} waits for {edge} to confirm generation {generation}, which it is not told to run")]
    QuarantineNeverEnds {
        /// The number.
        vni: Vni,
        /// Whose it was.
        segment: SegmentId,
        /// The edge.
        edge: NodeName,
        /// The generation that is awaited.
        generation: Generation,
    },
    /// A quarantine that waits for nobody.
    #[error("VNI {vni} of {segment} is in quarantine and waits for nobody")]
    QuarantineOver {
        /// The number.
        vni: Vni,
        /// Whose it was.
        segment: SegmentId,
    },
    /// A program from a plan that was never made.
    #[error("the program of {edge} is of generation {found}, the plan of {plan}")]
    ProgramGeneration {
        /// The edge.
        edge: NodeName,
        /// The program's.
        found: Generation,
        /// The plan's.
        plan: Generation,
    },

    /// Two things answer to one label of a node.
    #[error("label {label} of {node} is that of both {one} and {other}")]
    LabelTwice {
        /// The node.
        node: NodeName,
        /// The label.
        label: Label,
        /// One thing.
        one: String,
        /// The other.
        other: String,
    },
    /// A label outside its node's block, or among those of nodes.
    #[error("label {label} of {owner} is not in the free part of the block of {node}")]
    LabelOutside {
        /// The node.
        node: NodeName,
        /// The label.
        label: Label,
        /// Whose it is.
        owner: String,
    },
    /// Two nodes have one place in label blocks.
    #[error("label index {index} is that of both {one} and {other}")]
    IndexTwice {
        /// The place.
        index: u32,
        /// One node.
        one: NodeName,
        /// The other.
        other: NodeName,
    },
    /// A node with a label block has no place in others'.
    #[error("{0} has a label block and no label index")]
    NoIndex(NodeName),
    /// Two links of a node have one SID.
    #[error("SID function {function} of {node} is that of both {one} and {other}")]
    FunctionTwice {
        /// The node.
        node: NodeName,
        /// The function.
        function: u16,
        /// One link.
        one: LinkName,
        /// The other.
        other: LinkName,
    },
    /// A link's function is one of nodes or segments.
    #[error("SID function {function} of {node} for {link} is not one for links")]
    FunctionOutside {
        /// The node.
        node: NodeName,
        /// The function.
        function: u16,
        /// The link.
        link: LinkName,
    },
    /// Two slices have one route target.
    #[error("route target number {number} is that of both {one} and {other}")]
    RouteTargetTwice {
        /// The number.
        number: u16,
        /// One slice.
        one: SliceName,
        /// The other.
        other: SliceName,
    },
    /// A route target outside the pool.
    #[error("route target number {number} of {slice} is not in the pool")]
    RouteTargetOutside {
        /// The number.
        number: u16,
        /// The slice.
        slice: SliceName,
    },
    /// A slice without a route target.
    #[error("slice {0} has no route target number")]
    NoRouteTarget(SliceName),
}
