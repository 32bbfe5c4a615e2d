//! What one edge must be doing at a generation. Declarative and whole: an edge can be rebuilt from its program alone.

use std::net::IpAddr;

use serde::Serialize;

use crate::profile::AaaFeatures;
use crate::resource::{Client, SegmentId};
use crate::{
    Digest, Dscp, Generation, InterfaceAddress, NodeName, PortName, RateLimits, SdpName, SliceName, Snssai, Vlan, Vni,
};

/// The program of one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The generation at which its content last changed.
    pub generation: Generation,
    /// What it says.
    pub content: ProgramContent,
}

impl Program {
    /// Of the content, not of the generation: programs of two generations that say the same have the same digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.content)
    }
}

/// What an edge must be doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramContent {
    /// The edge.
    pub edge: NodeName,
    /// The addresses by which tunnels reach the edge.
    pub loopback: Vec<IpAddr>,
    /// Its ports towards the underlay, by name.
    pub core_ports: Vec<CorePort>,
    /// The slices that have an SDP here, by name.
    pub slices: Vec<SliceProgram>,
}

/// A port towards the underlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorePort {
    /// Its name.
    pub port: PortName,
    /// Its own addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// The longest layer-3 packet that it carries, in octets.
    pub mtu: u16,
}

/// A slice on one edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SliceProgram {
    /// Its name.
    pub slice: SliceName,
    /// Its S-NSSAI.
    pub snssai: Snssai,
    /// What each SDP is promised and may not exceed.
    pub limits: RateLimits,
    /// The longest layer-3 packet of a device, in octets.
    pub packet_octets_max: u16,
    /// Written into the outer header.
    pub dscp: Dscp,
    /// Where frames of the slice come from.
    pub circuits: Vec<Circuit>,
    /// The micro-segments spawned here, by name.
    pub segments: Vec<SegmentProgram>,
}

/// An attachment circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Circuit {
    /// The SDP that it feeds.
    pub sdp: SdpName,
    /// The edge's port.
    pub port: PortName,
    /// The 802.1Q VLAN; untagged frames if none.
    pub vlan: Option<Vlan>,
}

/// A micro-segment on one edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentProgram {
    /// Its slice and its name.
    pub id: SegmentId,
    /// Its VXLAN network identifier.
    pub vni: Vni,
    /// What it is promised and may not exceed on this edge.
    pub limits: RateLimits,
    /// How many endpoints may be authenticated here at once.
    pub sessions_max: u32,
    /// The source of its tunnels.
    pub local: Option<IpAddr>,
    /// The other edges where it is spawned.
    pub remotes: Vec<Remote>,
    /// Its AAA.
    pub realm: Option<RealmProgram>,
}

/// Another edge of a segment, and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remote {
    /// The edge.
    pub edge: NodeName,
    /// The end of the tunnel.
    pub address: IpAddr,
    /// The port on which the path to it leaves.
    pub port: PortName,
    /// The neighbour to whom the packet is handed.
    pub next_hop: IpAddr,
}

/// The AAA of a segment on one edge. Secrets are not in it: the edge has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RealmProgram {
    /// The UDP port for access requests; accounting is the port after it.
    pub access_port: u16,
    /// What it includes; the rest is refused by name.
    pub features: AaaFeatures,
    /// Who may ask.
    pub clients: Vec<Client>,
}

impl RealmProgram {
    /// The UDP port for accounting requests.
    pub const fn accounting_port(&self) -> u16 {
        self.access_port.wrapping_add(1)
    }
}
