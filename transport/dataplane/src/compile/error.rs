//! Why a program is refused.

use std::net::IpAddr;

use model::resource::SegmentId;
use model::{PortName, SdpName, SliceName, Vlan, Vni};

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
    #[error("port {0} is listed twice among those that face the underlay")]
    PortTwice(PortName),
    /// A port faces the underlay and devices at once.
    #[error("port {0} faces the underlay and is given an attachment circuit")]
    PortConflict(PortName),
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
    /// A segment has tunnels and no source for them, or one that is not of this edge or of another family than a remote.
    #[error("{segment}: no tunnel from {} to {remote}", .local.map_or_else(|| "nowhere".to_owned(), |a| a.to_string()))]
    Tunnel {
        /// The segment.
        segment: SegmentId,
        /// The source.
        local: Option<IpAddr>,
        /// The other end.
        remote: IpAddr,
    },
    /// A segment has two tunnels to one place.
    #[error("{segment}: two tunnels lead to {remote}")]
    RemoteTwice {
        /// The segment.
        segment: SegmentId,
        /// The other end.
        remote: IpAddr,
    },
    /// A remote is reached over a port that does not face the underlay.
    #[error("{segment}: port {port} does not face the underlay")]
    NotCore {
        /// The segment.
        segment: SegmentId,
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

fn vlan_text(vlan: Option<Vlan>) -> String {
    vlan.map_or_else(|| "untagged frames".to_owned(), |vlan| format!("VLAN {vlan}"))
}
