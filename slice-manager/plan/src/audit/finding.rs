//! What an audit can find.

mod number;

use std::net::IpAddr;

use model::plan::LinkDirection;
use model::profile::QueueClass;
use model::resource::SegmentId;
use model::{Latency, LinkName, NodeName, PathId, PortName, Rate, SdpName, Share, SliceName, Snssai};

use crate::refusal::Pool;

pub use number::NumberFinding;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub finding: Finding,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Legal, and worth a look.
    Warning,
    /// The plan must not be carried out.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.severity, self.finding)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A number is not as it should be.
    #[error(transparent)]
    Number(#[from] NumberFinding),

    // Programs.
    /// Probes are not as the topology says.
    #[error("the program of {0} probes otherwise than the topology says")]
    OtherProbes(NodeName),
    /// A program stands under another edge's name.
    #[error("the program of {edge} is written for {found}")]
    OtherEdge {
        /// Under which it stands.
        edge: NodeName,
        /// Which it names.
        found: NodeName,
    },
    /// Loopback or core ports are not those of the topology.
    #[error("the program of {0} has other underlay addresses or ports than the topology")]
    OtherUnderlay(NodeName),
    /// A slice is not where it has an SDP.
    #[error("slice {slice} has an SDP on {edge} and is not in its program")]
    SliceMissing {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// A slice is where it has no SDP.
    #[error("slice {slice} is in the program of {edge} and has no SDP there")]
    SliceUnwanted {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// A slice stands twice in one program.
    #[error("slice {slice} stands twice in the program of {edge}")]
    SliceTwice {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// A program says other values of a slice than its declaration comes to.
    #[error("{edge} runs slice {slice} with another {what} than is declared")]
    SliceDiffers {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
        /// What differs.
        what: &'static str,
    },
    /// Two slices answer to one S-NSSAI.
    #[error("S-NSSAI {snssai} is that of both {one} and {other}")]
    SnssaiTwice {
        /// The S-NSSAI.
        snssai: Snssai,
        /// One slice.
        one: SliceName,
        /// The other.
        other: SliceName,
    },
    /// The circuits of a slice on an edge are not its SDPs there.
    #[error("the circuits of slice {slice} on {edge} are not its SDPs there")]
    CircuitsDiffer {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// Frames of one circuit would feed two SDPs.
    #[error("one circuit of port {port} of {edge} feeds SDP {} of {} and SDP {} of {}", one.1, one.0, other.1, other.0)]
    CircuitTwice {
        /// The edge.
        edge: NodeName,
        /// The port.
        port: PortName,
        /// One SDP, with its slice.
        one: (SliceName, SdpName),
        /// The other.
        other: (SliceName, SdpName),
    },
    /// A segment is not where it is asked for.
    #[error("segment {segment} is asked for on {edge} and is not in its program")]
    SegmentMissing {
        /// The segment.
        segment: SegmentId,
        /// The edge.
        edge: NodeName,
    },
    /// A segment is where it is not asked for.
    #[error("segment {segment} is in the program of {edge} and is not asked for there")]
    SegmentUnwanted {
        /// The segment.
        segment: SegmentId,
        /// The edge.
        edge: NodeName,
    },
    /// A segment stands twice in one program.
    #[error("segment {segment} stands twice in the program of {edge}")]
    SegmentTwice {
        /// The segment.
        segment: SegmentId,
        /// The edge.
        edge: NodeName,
    },
    /// A segment stands in a slice that it is not of.
    #[error("segment {segment} stands in slice {slice} in the program of {edge}")]
    SegmentInOtherSlice {
        /// The segment.
        segment: SegmentId,
        /// Where it stands.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// A program says other values of a segment than its declaration comes to.
    #[error("{edge} runs segment {segment} with another {what} than is declared")]
    SegmentDiffers {
        /// The segment.
        segment: SegmentId,
        /// The edge.
        edge: NodeName,
        /// What differs.
        what: &'static str,
    },
    /// More is promised to segments than to their slice.
    #[error("the segments of {slice} on {edge} are guaranteed {segments}, the slice {guaranteed}")]
    SharesAboveWhole {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
        /// The sum of the segments.
        segments: Rate,
        /// The slice's.
        guaranteed: Rate,
    },
    /// More is promised to slices than the access port carries.
    #[error("port {port} of {edge} carries {rate}; its slices are guaranteed {guaranteed}")]
    PortOverbooked {
        /// The edge.
        edge: NodeName,
        /// The port.
        port: PortName,
        /// Of the port.
        rate: Rate,
        /// The sum.
        guaranteed: Rate,
    },

    // Tunnels and paths.
    /// A path does not lead from a loopback of one end to one of the other, all of one family.
    #[error("path {path} from {edge} to {to} does not lead from a loopback of one to one of the other")]
    PathEnds {
        /// One end.
        edge: NodeName,
        /// The other.
        to: NodeName,
        /// The path.
        path: PathId,
    },
    /// A remote names a path that its edge has not.
    #[error("{edge} sends {segment} for {remote} on path {path}, which it has not")]
    NoSuchPath {
        /// The segment.
        segment: SegmentId,
        /// The sender.
        edge: NodeName,
        /// The receiver.
        remote: NodeName,
        /// The path.
        path: PathId,
    },
    /// A segment's remotes are not its other edges.
    #[error("the remotes of {segment} on {edge} are not its other edges")]
    RemotesDiffer {
        /// The segment.
        segment: SegmentId,
        /// The edge.
        edge: NodeName,
    },
    /// The two ends know a segment by different numbers, or send it on different paths.
    #[error("{edge} sends {segment} for {remote} otherwise than {remote} takes it")]
    TunnelAsymmetric {
        /// The segment.
        segment: SegmentId,
        /// The sender.
        edge: NodeName,
        /// The receiver.
        remote: NodeName,
    },
    /// A change is over, and something is as it was before.
    #[error("{0} still sends or receives as before a change, and nobody is awaited")]
    Unfinished(NodeName),
    /// While a plan takes the place of another, one end sends what the other does not take.
    #[error("on the way from the plan before, {edge} may send {segment} in a way that {remote} does not take")]
    LostInChange {
        /// The segment.
        segment: SegmentId,
        /// The sender.
        edge: NodeName,
        /// The receiver.
        remote: NodeName,
    },
    /// While a plan takes the place of another, packets on a path get lost or go round.
    #[error("on the way from the plan before, what {edge} sends on path {path} may not arrive at {to}")]
    AstrayInChange {
        /// The sender.
        edge: NodeName,
        /// The receiver.
        to: NodeName,
        /// Which path.
        path: PathId,
    },
    /// A next hop that is no neighbour on the port.
    #[error("{edge} sends for {to} to {next_hop} on port {port}, where there is no such neighbour on the path")]
    NotANeighbour {
        /// The edge.
        edge: NodeName,
        /// For whom.
        to: NodeName,
        /// The port.
        port: PortName,
        /// The next hop.
        next_hop: IpAddr,
    },
    /// Two edges share a segment and have no path for it.
    #[error("slice {slice} has no way from {from} to {to}, which share a segment")]
    WayMissing {
        /// The slice.
        slice: SliceName,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
    },
    /// A slice takes a path that there is not.
    #[error("slice {slice} takes path {path} from {from} to {to}, which there is not")]
    PathMissing {
        /// The slice.
        slice: SliceName,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// A slice has a way between edges that share no segment of it.
    #[error("slice {slice} has a way from {from} to {to}, which share no segment of it")]
    WayUnwanted {
        /// The slice.
        slice: SliceName,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
    },
    /// A path that nobody takes.
    #[error("no slice takes path {path} from {from} to {to}")]
    PathUnwanted {
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// An end of a path is not told of it.
    #[error("{edge} is not told of path {path} to {to}")]
    PathNotTold {
        /// The end.
        edge: NodeName,
        /// The other.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// An edge is told of a path that was not decided.
    #[error("{edge} is told of path {path} to {to}, which was not decided")]
    PathUnplanned {
        /// The edge.
        edge: NodeName,
        /// The other end.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// A program names another MTU than the ports of the path have.
    #[error("{edge} is told another MTU of path {path} to {to} than its ports have")]
    PathMtu {
        /// The edge.
        edge: NodeName,
        /// The other end.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// A program names another form of the segment routing header than the nodes of the path ask for.
    #[error("{edge} is told another form of the segment list of path {path} to {to} than its nodes ask for")]
    PathSrh {
        /// The edge.
        edge: NodeName,
        /// The other end.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// Packets leave the path, or may.
    #[error("what {edge} sends on path {path} to {to} does not stay on it")]
    SteeringAstray {
        /// The edge.
        edge: NodeName,
        /// The other end.
        to: NodeName,
        /// Which.
        path: PathId,
    },
    /// A core node is told of a neighbour that there is not.
    #[error("{0} would forward to a neighbour that it has not")]
    TransitAstray(NodeName),
    /// A core node's program is not what follows from the topology.
    #[error("the program of {0} says something else of transit than follows from the topology")]
    OtherTransit(NodeName),
    /// Slices share a port otherwise than they book it.
    #[error("the classes of port {port} of {node} are not those of the slices that cross it")]
    OtherClasses {
        /// The node.
        node: NodeName,
        /// The port.
        port: PortName,
    },
    /// More is promised to the classes of a port than it carries.
    #[error("port {port} of {node} carries {rate}; its classes are guaranteed {guaranteed}")]
    ClassesAbovePort {
        /// The node.
        node: NodeName,
        /// The port.
        port: PortName,
        /// What the link behind it carries.
        rate: Rate,
        /// The sum.
        guaranteed: Rate,
    },
    /// A node's queues are not those of the class map.
    #[error("the program of {0} says something else of queues than follows from the class map")]
    OtherQueues(NodeName),
    /// A slice's path leads where it must not, or its backup is not what was asked for.
    #[error("the paths of slice {slice} from {from} to {to} do not keep to its {what}")]
    PolicyBroken {
        /// The slice.
        slice: SliceName,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// What is not kept.
        what: &'static str,
    },
    /// One failure takes both paths.
    #[error("working and backup path of slice {slice} from {from} to {to} share {what}")]
    BackupShares {
        /// The slice.
        slice: SliceName,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// What they share.
        what: &'static str,
    },
    /// An edge would push more SIDs or labels than it can.
    #[error("slice {slice} needs more SIDs or labels on {edge} for {to} than it can push")]
    TooDeep {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
        /// For whom.
        to: NodeName,
    },
    /// Links that do not join up, or lead through an edge.
    #[error("the path from {from} to {to} does not connect them over core nodes")]
    PathBroken {
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
    },
    /// A sum of delays that is wrong.
    #[error("the path from {from} to {to} takes {found} by the plan and {expected} by its links")]
    PathDelay {
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// The plan's.
        found: Latency,
        /// The sum.
        expected: Latency,
    },
    /// A path that is longer than its slice allows.
    #[error("the path from {from} to {to} takes {delay}; slice {slice} allows {bound}")]
    PathTooSlow {
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
        /// Of the path.
        delay: Latency,
        /// The slice.
        slice: SliceName,
        /// Its bound.
        bound: Latency,
    },
    /// A booking is not what the slice may need there.
    #[error("slice {slice} has {found} booked on {} from {}; it may need {expected}", direction.link, direction.from)]
    BookingDiffers {
        /// The slice.
        slice: SliceName,
        /// Where.
        direction: LinkDirection,
        /// The plan's.
        found: Rate,
        /// By its paths.
        expected: Rate,
    },
    /// The parts of a booking, or its class, are not those of the slice.
    #[error(
        "what slice {slice} has booked on {} from {} is not divided as its paths are", direction.link, direction.from
    )]
    BookingSplit {
        /// The slice.
        slice: SliceName,
        /// Where.
        direction: LinkDirection,
    },
    /// More is booked for a class than it may take of the link.
    #[error("{booked} is booked for {class} on {} from {}, which may take {share}", direction.link, direction.from)]
    ClassOverbooked {
        /// Where.
        direction: LinkDirection,
        /// The class.
        class: QueueClass,
        /// The sum of what slices may need.
        booked: Rate,
        /// Of the link's capacity.
        share: Share,
    },
    /// More is booked than the link carries.
    #[error("{booked} is booked on {} from {}, which carries {capacity}", direction.link, direction.from)]
    LinkOverbooked {
        /// Where.
        direction: LinkDirection,
        /// The sum of what slices may need.
        booked: Rate,
        /// Of the link.
        capacity: Rate,
    },
    /// A packet with its tunnel headers is longer than a port on its way carries.
    #[error("packets of slice {slice} do not fit through port {port} of {node}")]
    PacketTooLong {
        /// The slice.
        slice: SliceName,
        /// The node.
        node: NodeName,
        /// The port.
        port: PortName,
    },

    // Worth a look.
    /// Nothing stands ready when a path fails.
    #[error("slice {slice} has no backup path from {from} to {to}: the network has none that shares no risk")]
    NoBackup {
        /// The slice.
        slice: SliceName,
        /// From.
        from: NodeName,
        /// To.
        to: NodeName,
    },
    /// A slice that carries nothing.
    #[error("slice {0} has no micro-segment and carries nothing")]
    SliceWithoutSegment(SliceName),
    /// An SDP whose frames are all dropped.
    #[error("slice {slice} has an SDP on {edge} and no micro-segment there: its frames are dropped")]
    EdgeWithoutSegment {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// A segment in which nobody can authenticate.
    #[error("segment {0} has no realm: nobody can authenticate there")]
    SegmentWithoutRealm(SegmentId),
    /// A realm that nobody may ask.
    #[error("the realm of {0} has no client: nobody can authenticate there")]
    RealmWithoutClient(SegmentId),
    /// A link that is nearly full.
    #[error("{booked} of {capacity} is booked on {link}")]
    LinkNearlyFull {
        /// The link.
        link: LinkName,
        /// What is booked in the fuller direction.
        booked: Rate,
        /// What it carries.
        capacity: Rate,
    },
    /// A pool that is nearly empty.
    #[error("{taken} of {size} are taken of the pool of {pool}")]
    PoolNearlyEmpty {
        /// Which kind.
        pool: Pool,
        /// In use or in quarantine.
        taken: u64,
        /// How many there are.
        size: u64,
    },
}
