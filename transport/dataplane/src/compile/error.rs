//! Why a program is refused.

use std::net::IpAddr;

use model::profile::QueueClass;
use model::program::InnerMark;
use model::resource::SegmentId;
use model::{Label, NodeName, PathId, PortName, Rate, SdpName, Sid, SliceName, Vlan, Vni};

use crate::probe::ProbeError;
use crate::route::RoutesError;

/// A program that these ports can't run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It names a port that the edge has not got.
    #[error("the program uses port {port}, which this edge does not have; it has {}", .known.iter().map(PortName::as_str).collect::<Vec<_>>().join(", "))]
    UnknownPort {
        /// The port.
        port: PortName,
        /// Those that it has.
        known: Vec<PortName>,
    },
    /// A port faces the underlay twice.
    #[error("port {0} is listed twice")]
    PortTwice(PortName),
    /// A port faces the underlay and devices at once.
    #[error("port {0} faces the underlay and is given an attachment circuit")]
    PortConflict(PortName),
    /// More is guaranteed on a port than it carries.
    #[error("slices are guaranteed {guaranteed} on port {port}, which carries {rate}")]
    Oversubscribed {
        /// The port.
        port: PortName,
        /// To all slices.
        guaranteed: Rate,
        /// What it carries.
        rate: Rate,
    },
    /// The program says twice how a class is queued.
    #[error("the queue of class {0} is listed twice")]
    QueueTwice(QueueClass),
    /// Two circuits are the same.
    #[error("port {port} has two attachment circuits for {}", vlan_text(*.vlan))]
    CircuitTwice {
        /// The port.
        port: PortName,
        /// The VLAN.
        vlan: Option<Vlan>,
    },
    /// A slice is listed twice.
    #[error("slice {0} is listed twice")]
    SliceTwice(SliceName),
    /// A slice has two circuits for one SDP.
    #[error("slice {slice} has two attachment circuits for SDP {sdp}")]
    SdpTwice {
        /// The slice.
        slice: SliceName,
        /// The SDP.
        sdp: SdpName,
    },
    /// A slice says twice what becomes of a mark.
    #[error("slice {slice} has two markings for {}", mark_text(*.inner))]
    MarkingTwice {
        /// The slice.
        slice: SliceName,
        /// The mark of devices.
        inner: InnerMark,
    },
    /// A segment is listed twice.
    #[error("{0} is listed twice")]
    SegmentTwice(SegmentId),
    /// A slice has longer packets than a frame buffer holds.
    #[error("slice {slice} has packets of up to {octets} octets; this edge takes {max} at most")]
    PacketTooLong {
        /// The slice.
        slice: SliceName,
        /// What it has.
        octets: u16,
        /// The most.
        max: usize,
    },
    /// Two segments have one VNI.
    #[error("{second} has VNI {vni}, which {first} has already")]
    VniTwice {
        /// The VNI.
        vni: Vni,
        /// Who has it.
        first: SegmentId,
        /// Who would have it, too.
        second: SegmentId,
    },
    /// Two paths to an edge have one id.
    #[error("two paths to {to} have the id {id}")]
    PathTwice {
        /// Where they lead.
        to: NodeName,
        /// The id.
        id: PathId,
    },
    /// The ends of a path are not a loopback of this edge and one of the other, of one family.
    #[error(
        "path {id} to {to} leads from {local} to {remote}; expected a loopback of this edge and one of the same family"
    )]
    PathEnds {
        /// Where it leads.
        to: NodeName,
        /// Its id.
        id: PathId,
        /// One end.
        local: IpAddr,
        /// The other.
        remote: IpAddr,
    },
    /// A path needs more SIDs or labels than are put in front of a packet.
    #[error("path {id} to {to} needs {count} SIDs or labels; this edge writes {max} at most")]
    PathTooLong {
        /// Where it leads.
        to: NodeName,
        /// Its id.
        id: PathId,
        /// How many it needs.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A segment takes a path that is not there.
    #[error("{segment}: there is no path {id} to {to}")]
    UnknownPath {
        /// The segment.
        segment: SegmentId,
        /// The other end.
        to: NodeName,
        /// The path.
        id: PathId,
    },
    /// A segment's backup path ends at another address of the far edge than its working path.
    #[error("{segment}: path {id} to {to} ends at {address}, and its backup at {other}; expected one address")]
    BackupElsewhere {
        /// The segment.
        segment: SegmentId,
        /// The other end.
        to: NodeName,
        /// The working path.
        id: PathId,
        /// Where it ends.
        address: IpAddr,
        /// Where the backup ends.
        other: IpAddr,
    },
    /// A segment's packets can't take a path: SRv6 over labels, say.
    #[error("{segment}: {tunnel} does not go over path {id} to {to}")]
    TunnelOverPath {
        /// The segment.
        segment: SegmentId,
        /// How its packets are wrapped.
        tunnel: &'static str,
        /// The other end.
        to: NodeName,
        /// The path.
        id: PathId,
    },
    /// A table of routes contradicts itself or is too long.
    #[error(transparent)]
    Routes(#[from] RoutesError),
    /// The paths can't be probed.
    #[error(transparent)]
    Probes(#[from] ProbeError),
    /// A SID stands for two things.
    #[error("SID {0} is listed twice")]
    SidTwice(Sid),
    /// A label stands for two things.
    #[error("label {0} is listed twice")]
    LabelTwice(Label),
    /// A segment has two tunnels to one place.
    #[error("{segment}: two tunnels lead to {remote}")]
    RemoteTwice {
        /// The segment.
        segment: SegmentId,
        /// The other end.
        remote: IpAddr,
    },
    /// A point-to-point slice's segment is on more than two edges.
    #[error("{segment} is point-to-point and has {count} other edges; expected one at most")]
    NotPointToPoint {
        /// The segment.
        segment: SegmentId,
        /// How many other edges it has.
        count: usize,
    },
    /// A path or a route leaves by a port that does not face the underlay.
    #[error("port {port} does not face the underlay")]
    NotCore {
        /// The port.
        port: PortName,
    },
    /// A port has no address from which the next hop could be asked for.
    #[error("port {port} has no address of the family of next hop {next_hop}")]
    NoAddress {
        /// The port.
        port: PortName,
        /// The next hop.
        next_hop: IpAddr,
    },
    /// More of something than tables hold.
    #[error("{count} {what}; this edge runs {max} at most")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many the program has.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

fn mark_text(mark: InnerMark) -> String {
    match mark {
        InnerMark::Qfi(qfi) => format!("QFI {qfi}"),
        InnerMark::Dscp(dscp) => format!("code point {dscp}"),
        InnerMark::Priority(pcp) => format!("priority {pcp}"),
    }
}

fn vlan_text(vlan: Option<Vlan>) -> String {
    vlan.map_or_else(|| "untagged frames".to_owned(), |vlan| format!("VLAN {vlan}"))
}
