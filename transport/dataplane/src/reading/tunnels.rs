//! Tunnels as they run: what is really written in front of a packet, read from the headers that tables were compiled to.

use std::net::{IpAddr, Ipv6Addr};

use arrayvec::ArrayVec;
use model::PathId;
use transport_wire::{ipv6, mpls, srh, vxlan};

use crate::encap::{Outer, Shim};
use crate::path::{Lane, Remote};
use crate::pipeline::Pipeline;

/// A tunnel to another edge of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelReading {
    /// The far end.
    pub remote: IpAddr,
    /// The path that packets take now.
    pub taken: PathId,
    /// Over the working path, and over the backup if there is one.
    pub lanes: ArrayVec<LaneReading, 2>,
}

/// A tunnel over one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneReading {
    /// The path.
    pub path: PathId,
    /// What names the segment in its packets, and whether the sender's group travels with them.
    pub sends: Option<(Sends, bool)>,
}

/// What names a segment in the packets of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// A VXLAN network identifier.
    Vni(u32),
    /// SIDs of the far end.
    Sids {
        /// For one endpoint.
        unicast: Ipv6Addr,
        /// For all of them.
        flood: Ipv6Addr,
    },
    /// A label of the far end.
    Label {
        /// The label.
        label: u32,
        /// Does a control word follow the labels?
        control_word: bool,
        /// Is a flow label at the bottom of the stack?
        flow_label: bool,
    },
}

impl Pipeline {
    pub(super) fn read_tunnel(&self, remote: &Remote) -> TunnelReading {
        let path = |lane: &Lane| self.tables.paths[lane.path.place()].program.id;
        let read = |lane: &Lane| LaneReading { path: path(lane), sends: sends(lane) };
        TunnelReading {
            remote: remote.address,
            taken: path(remote.lane(&self.tables.probes)),
            lanes: [Some(&remote.working), remote.backup.as_ref().map(|(_, lane)| &**lane)]
                .into_iter()
                .flatten()
                .map(read)
                .collect(),
        }
    }
}

/// What the headers say that are put in front of a packet; and do they have a place for the sender's group?
fn sends(lane: &Lane) -> Option<(Sends, bool)> {
    match (&lane.encap.shim, &lane.encap.outer) {
        (Shim::Vxlan { octets, group }, _) => Some((Sends::Vni(vxlan::Packet::new(octets).ok()?.vni()), *group)),
        (Shim::Labels { octets, len, group_at, flow_at }, _) => {
            let stack = mpls::Packet::new(octets.get(..usize::from(*len))?).ok()?;
            let (label, control_word) = (stack.top().label(), !stack.payload().is_empty());
            Some((Sends::Label { label, control_word, flow_label: flow_at.is_some() }, group_at.is_some()))
        }
        (Shim::None, Outer::Srv6 { octets, argument }) => {
            let unicast = last_segment(octets)?;
            let flood = lane.flood.as_ref().map(|encap| match &encap.outer {
                Outer::Srv6 { octets, .. } => last_segment(octets),
                _ => None,
            });
            Some((Sends::Sids { unicast, flood: flood.unwrap_or(Some(unicast))? }, argument.has_group()))
        }
        _ => None,
    }
}

/// The last segment of a path: the first of the list, or the destination where there is none.
fn last_segment(outer: &[u8]) -> Option<Ipv6Addr> {
    let (header, rest) = outer.split_first_chunk::<{ ipv6::HEADER_OCTETS }>()?;
    match rest {
        [] => Some(Ipv6Addr::from_octets(*header.last_chunk()?)),
        rest => srh::Srh::new(rest).ok().map(|srh| srh.last_segment()),
    }
}
