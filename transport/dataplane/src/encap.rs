//! Encapsulation: what is put in front of a segment's packet, from the inside out.
//!
//! ```text
//!  link                   outer                        shim                     what the segment sends
//! +----------+- - - - - -+----------------------------+------------------------+---------------------------
//! | Ethernet | labels of |  -   IPv4, UDP   IPv6, UDP | VXLAN                  | the device's frame, or
//! |          | the path  |      IPv6 [, SRH]          | labels [, control word]| its IP packet …
//! +----------+- - - - - -+----------------------------+------------------------+---------------------------
//! ```
//!
//! Every transport is a combination of the three: VXLAN (RFC 7348) is a shim in UDP, MPLS (RFC 3032, RFC 4448, RFC 4364)
//! is labels alone or in UDP (RFC 7510), SRv6 (RFC 8986) is an outer header without a shim. All that does not change from
//! packet to packet is written once, when tables are compiled; a packet costs copies of it and a few fields.

mod congestion;
mod link;
mod mark;
mod outer;
mod shim;

use transport_wire::ethernet;
use transport_wire::flow::Flow;

use crate::frame::Frame;

pub(crate) use congestion::{mark_congestion, propagate_congestion};
pub(crate) use link::{Link, PATH_LABELS_MAX};
pub(crate) use mark::{Mark, Marks};
pub(crate) use outer::{Outer, SIDS_MAX};
pub(crate) use shim::{GROUP_LABELS, Labelled, Shim};

/// Outer header and shim of a tunnel over one path.
#[derive(Debug, Clone)]
pub(crate) struct Encap {
    pub(crate) shim: Shim,
    pub(crate) outer: Outer,
}

/// What a segment sends: its kind as SRv6 has it in the next header (RFC 8986, section 10.1), and what of it shows outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inner {
    pub(crate) payload: Payload,
    /// Spreads flows.
    pub(crate) hash: u32,
    /// Explicit congestion notification, which is copied out (RFC 6040, section 4.1, normal mode).
    pub(crate) ecn: u8,
    /// What the outer headers say of its class.
    pub(crate) mark: Mark,
    /// The sender's group.
    pub(crate) group: Group,
}

/// What a segment sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Ethernet,
    Ipv4,
    Ipv6,
    /// A datagram of the edge itself.
    Udp,
}

/// The group of a sender inside its segment, as it travels with its packets.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(pub(crate) u16);

impl Group {
    /// The endpoints of circuits that are no leaves.
    pub(crate) const ROOT: Self = Self(0);
    /// The endpoints of leaf circuits, which can't reach one another (RFC 7796).
    pub(crate) const LEAF: Self = Self(1);

    /// The group of a circuit's endpoints.
    #[inline]
    pub(crate) const fn of(leaf: bool) -> Self {
        if leaf { Self::LEAF } else { Self::ROOT }
    }
}

impl Inner {
    /// A frame of a group that is treated so.
    #[inline]
    pub(crate) fn new(flow: &Flow, payload: Payload, group: Group, mark: Mark) -> Self {
        Self { payload, hash: flow.hash(), ecn: flow.traffic_class().unwrap_or(0) & 3, mark, group }
    }
}

impl Encap {
    /// How much longer a packet becomes, without the link's header.
    pub(crate) const fn len(&self) -> usize {
        self.shim.len() + self.outer.len()
    }

    /// Puts shim and outer header in front of a packet that has room for them, and with them fits the path.
    #[inline]
    pub(crate) fn push(&self, frame: &mut Frame, inner: Inner) {
        self.shim.push(frame, inner);
        self.outer.push(frame, inner);
    }
}

/// Where the traffic class stands in an entry of a label stack (RFC 3032, section 2.1; RFC 5462).
const CLASS: usize = 2;
/// The hop limit of a new packet (RFC 1700), and the TTL of its labels.
const HOP_LIMIT: u8 = 64;

#[inline]
fn put<const N: usize>(out: &mut [u8], at: usize, octets: [u8; N]) {
    out[at..at + N].copy_from_slice(&octets);
}

const _: () = assert!(
    link::LINK_OCTETS_MAX + outer::UDP_OCTETS_MAX + shim::SHIM_OCTETS_MAX <= crate::frame::HEADROOM_OCTETS
        && ethernet::HEADER_OCTETS + outer::SRV6_OCTETS_MAX <= crate::frame::HEADROOM_OCTETS,
    "all of it fits in front of a frame"
);

#[cfg(test)]
mod tests;
